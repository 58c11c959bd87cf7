//! The configuration of a sensor's pack: what the sensor was started with, and whether that still
//! holds.
//!
//! The files and the keys that they name are looked at again and again rather than waited for: so
//! it costs little, and whatever a value comes from is heeded. A change counts when two looks in a
//! row find the same, so that a file that is just being written restarts nobody, and a change in
//! several steps restarts a sensor once. One that cannot be used changes nothing.

use std::sync::Arc;
use std::time::Duration;

use hearken_kit::chain;
use hearken_kit::seal::Secrets;
use hearken_packs::config::{self, Loaded};
use serde_json::{Map, Value};
use tokio::time::{Interval, MissedTickBehavior};

use crate::host::{Shared, Wanted};

/// How often a configuration is looked at while its sensor runs.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A configuration that a sensor is started with, or why there is none.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The values.
    pub(crate) values: Result<Map<String, Value>, String>,
    /// What of it nobody else may see.
    pub(crate) secrets: Secrets,
}

/// Looks whether the configuration is still the same.
pub(crate) struct Lookout {
    shared: Arc<Shared>,
    wanted: Arc<Wanted>,
    seen: Seen,
    tick: Interval,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing new.
    Same,
    /// Another configuration, which stays.
    Other,
    /// One that cannot be used, and why; told once.
    Broken(String),
}

/// What was found so far.
#[derive(Debug)]
struct Seen {
    given: Result<Map<String, Value>, String>,
    /// Another one, at the last look.
    next: Option<Map<String, Value>>,
    /// Why it could not be used, at the last look.
    broken: Option<String>,
}

/// The configuration as it is now.
pub(crate) async fn read(shared: &Arc<Shared>, wanted: &Arc<Wanted>) -> Settings {
    let (shared, wanted) = (Arc::clone(shared), Arc::clone(wanted));
    let load = move || {
        let configs = shared.data.join("configs");
        let (pack, folder) = (&wanted.sensor.pack, &wanted.folder);
        let loaded = config::rendered(pack, folder, &configs, &shared.datastore);
        loaded.map_err(|error| chain(&error))
    };
    let loaded = tokio::task::spawn_blocking(load).await;
    let failed = |error| Err(format!("the configuration cannot be read: {error}"));
    match loaded.unwrap_or_else(failed) {
        Ok(Loaded { values, secrets }) => Settings { values: Ok(values), secrets },
        Err(why) => Settings { values: Err(why), secrets: Secrets::default() },
    }
}

impl Lookout {
    /// Looks after a sensor that was started with `given`.
    pub(crate) fn new(shared: &Arc<Shared>, wanted: &Arc<Wanted>, given: &Settings) -> Self {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (shared, wanted) = (Arc::clone(shared), Arc::clone(wanted));
        let seen = Seen { given: given.values.clone(), next: None, broken: None };
        Self { shared, wanted, seen, tick }
    }

    /// Looks when it is time to.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: the next look comes a little later.
    pub(crate) async fn look(&mut self) -> Found {
        self.tick.tick().await;
        let now = read(&self.shared, &self.wanted).await;
        self.seen.see(now.values)
    }
}

impl Seen {
    fn see(&mut self, now: Result<Map<String, Value>, String>) -> Found {
        let now = match now {
            Ok(now) => now,
            Err(why) => {
                self.next = None;
                let is_told = self.given.as_ref() == Err(&why);
                let before = self.broken.replace(why.clone());
                let is_new = !is_told && before.as_ref() != Some(&why);
                return if is_new { Found::Broken(why) } else { Found::Same };
            }
        };
        self.broken = None;
        if self.given.as_ref() == Ok(&now) {
            self.next = None;
            return Found::Same;
        }
        if self.next.as_ref() == Some(&now) {
            return Found::Other;
        }
        self.next = Some(now);
        Found::Same
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a row of looks finds of values that are `given` at first.
    fn check(given: Result<u64, &str>, looks: &[Result<u64, &str>], expected: &[Found]) {
        let values = |value: &Result<u64, &str>| match value {
            Ok(step) => Ok(json!({"step": step}).as_object().cloned().unwrap()),
            Err(why) => Err((*why).to_owned()),
        };
        let mut seen = Seen { given: values(&given), next: None, broken: None };
        let found: Vec<Found> = looks.iter().map(|look| seen.see(values(look))).collect();
        assert_eq!(found, expected, "{given:?} {looks:?}");
    }

    #[test]
    fn another_configuration_counts_when_it_stays() {
        use Found::{Broken, Other, Same};

        check(Ok(1), &[Ok(1), Ok(1)], &[Same, Same]);
        check(Ok(1), &[Ok(2), Ok(2)], &[Same, Other]);
        check(Ok(1), &[Ok(2), Ok(3), Ok(3)], &[Same, Same, Other]);
        check(Ok(1), &[Ok(2), Ok(1), Ok(2)], &[Same, Same, Same]);
        let broken = || Broken("odd".to_owned());
        check(Ok(1), &[Err("odd"), Err("odd"), Ok(1)], &[broken(), Same, Same]);
        check(Ok(1), &[Ok(2), Err("odd"), Ok(2), Ok(2)], &[Same, broken(), Same, Other]);
        check(Err("odd"), &[Err("odd"), Ok(1), Ok(1)], &[Same, Same, Other]);
    }
}
