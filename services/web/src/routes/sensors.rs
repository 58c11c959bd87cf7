//! How sensors do, as the hosts that run them tell it, and the trigger types they registered there.
//!
//! A state that nobody holds the lease for any more is what a host said before it went away: such a
//! sensor is `unattended`.

use std::collections::{BTreeMap, BTreeSet};

use hearken_engine::definition::Sensor;
use hearken_engine::registry::Registry;
use hearken_proto::record::{LeaseState, SensorState};
use hearken_proto::subject::Kind;
use hearken_proto::{Entry, Stream, Subject, codec};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::App;
use crate::fault::Fault;

/// What begins the name of the lease on a sensor.
const LEASE: &str = "sensor ";

/// The states of all sensors.
#[derive(Debug)]
pub(super) struct Sensors {
    states: BTreeMap<String, SensorState>,
    /// Those that somebody runs.
    attended: BTreeSet<String>,
}

/// Reads the states of all sensors.
pub(super) async fn look(app: &App) -> Result<Sensors, Fault> {
    let now = app.0.clock.now();
    let states = all::<SensorState>(app, Kind::Sensor).await?;
    let leases = all::<LeaseState>(app, Kind::Lease).await?;
    let held =
        leases.into_iter().filter(|(_, lease)| !lease.holder.is_empty() && lease.until > now);
    let attended = held.filter_map(|(name, _)| Some(name.strip_prefix(LEASE)?.to_owned()));
    Ok(Sensors { states: states.into_iter().collect(), attended: attended.collect() })
}

/// Every state of a kind, by id. What cannot be read is left out: a newer host wrote it.
async fn all<T: DeserializeOwned>(app: &App, kind: Kind) -> Result<Vec<(String, T)>, Fault> {
    let bus = &app.0.bus;
    let filter = format!("{}.state.{}.*", bus.prefix(), kind.token());
    let read = |entry: Entry| match Subject::parse(bus.prefix(), &entry.subject) {
        Ok(Subject::State { id, .. }) => {
            Some((id, codec::decode(&entry.headers, &entry.body).ok()?))
        }
        Ok(_) | Err(_) => None,
    };
    Ok(bus.collect(Stream::State, &filter, 1).await?.into_iter().filter_map(read).collect())
}

impl Sensors {
    /// Adds to the view of a sensor how it does.
    pub(super) fn complete(&self, registry: &Registry, sensor: &Sensor, mut view: Value) -> Value {
        let state = self.states.get(&sensor.reference).cloned().unwrap_or_default();
        let is_attended = self.attended.contains(&sensor.reference);
        let status = match (sensor.enabled, is_attended) {
            (false, _) => "disabled",
            // Nothing to watch until a rule says what.
            (true, false) if !registry.needs(sensor) => "idle",
            (true, false) => "unattended",
            (true, true) => state.status.word(),
        };
        let pid = state.pid.filter(|_| is_attended);
        let types = sensor.trigger_types.iter().map(|kind| json!(kind.reference));
        let own: Vec<Value> = types.chain(references(&state)).collect();
        let more = json!({
            "class_name": sensor.class_name,
            "poll_interval": sensor.poll_interval,
            "status": status,
            "host": Some(state.host).filter(|host| !host.is_empty()),
            "pid": pid,
            "since": state.since.map(|since| since.to_string()),
            "restarts": state.restarts,
            "last_error": state.error,
            "trigger_types": own,
        });
        if let (Some(view), Value::Object(more)) = (view.as_object_mut(), more) {
            view.extend(more);
        }
        view
    }

    /// Trigger types that sensors in force registered when they ran, and that no file declares.
    pub(super) fn trigger_types(&self, registry: &Registry) -> Vec<Value> {
        let declared: BTreeSet<&str> =
            registry.triggers().map(|kind| kind.reference.as_str()).collect();
        let of_sensors = registry.sensors().filter_map(|sensor| self.states.get(&sensor.reference));
        let mut found = BTreeMap::new();
        for kind in of_sensors.flat_map(registered) {
            let Some(reference) = kind.get("ref").and_then(Value::as_str) else { continue };
            if !declared.contains(reference) {
                found.insert(reference.to_owned(), kind);
            }
        }
        found.into_values().collect()
    }
}

fn registered(state: &SensorState) -> impl Iterator<Item = Value> {
    state.trigger_types.iter().filter_map(|text| serde_json::from_str(text).ok())
}

fn references(state: &SensorState) -> impl Iterator<Item = Value> {
    registered(state).filter_map(|kind| kind.get("ref").cloned())
}
