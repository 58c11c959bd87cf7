//! What a start prints: what was loaded, where it listens, what to try.

use hearken_packs::Definitions;

use super::door::Door;
use crate::output::{Output, Tone};

/// Where the doors are.
#[derive(Debug)]
pub(super) struct Doors {
    /// The HTTP API.
    pub http: Option<Opened>,
    /// NATS clients.
    pub gateway: Option<Opened>,
}

/// A door, as it is told.
#[derive(Debug)]
pub(super) struct Opened {
    address: String,
    instead_of: Option<u16>,
}

impl From<&Door> for Opened {
    fn from(door: &Door) -> Self {
        Self { address: door.address.to_string(), instead_of: door.instead_of }
    }
}

/// Prints it.
pub(super) fn print(
    output: &Output,
    definitions: &Definitions,
    doors: &Doors,
    about: &serde_json::Value,
) {
    let version = env!("CARGO_PKG_VERSION");
    output.line(&format!("hearken {version} {}", output.toned("is up", Tone::Good)));
    for (name, value) in about.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        output.line(&format!("  {name:<10} {value}"));
    }
    for (name, content) in &definitions.packs {
        let counted = &content.loaded.definitions;
        output.line(&format!(
            "  pack       {name}: {}, {}",
            plural(counted.actions.len(), "action"),
            plural(counted.rules.len(), "rule"),
        ));
    }
    if let Some(http) = &doors.http {
        output.line(&format!("  http       http://{}{}", http.address, http.note()));
    }
    if let Some(gateway) = &doors.gateway {
        output.line(&format!("  nats       nats://{}{}", gateway.address, gateway.note()));
    }
    if doors.gateway.is_some() && definitions.packs.contains_key("examples") {
        output.line("try");
        output.line("  hearken run core.local cmd='echo hello'");
        output.line("  hearken event send shop.order_late '{\"order\": 7}'");
        output.line("  hearken execution list");
        output.line("  hearken log explain <id>");
    }
}

impl Opened {
    fn note(&self) -> String {
        self.instead_of.map(|port| format!("  (port {port} is taken)")).unwrap_or_default()
    }
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
