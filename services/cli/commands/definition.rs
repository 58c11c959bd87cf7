//! `hearken action`, `trigger`, `sensor`: what is in force.

use serde_json::Value;

use super::{Context, segment};
use crate::args::Listing;
use crate::error::{EXIT_OK, Failure};
use crate::output::Column;

/// Actions.
pub(crate) fn actions(context: &Context, listing: Listing) -> Result<u8, Failure> {
    let columns = [
        ("REF", "/ref"),
        ("RUNNER", "/runner_type"),
        ("ENABLED", "/enabled"),
        ("DESCRIPTION", "/description"),
    ];
    show(context, "/v1/actions", listing, &columns)
}

/// Trigger types.
pub(crate) fn triggers(context: &Context, listing: Listing) -> Result<u8, Failure> {
    show(context, "/v1/triggertypes", listing, &[("REF", "/ref"), ("DESCRIPTION", "/description")])
}

/// Sensors.
pub(crate) fn sensors(context: &Context, listing: Listing) -> Result<u8, Failure> {
    let columns = [("REF", "/ref"), ("ENABLED", "/enabled"), ("DESCRIPTION", "/description")];
    show(context, "/v1/sensortypes", listing, &columns)
}

/// A list, or one of it.
pub(crate) fn show(
    context: &Context,
    path: &str,
    listing: Listing,
    columns: &[Column],
) -> Result<u8, Failure> {
    match listing {
        Listing::List { pack } => {
            let query = pack.map(|pack| format!("?pack={}", segment(&pack))).unwrap_or_default();
            let found = context.client().get(&format!("{path}{query}"))?;
            context.output.list(found.as_array().map_or(&[], Vec::as_slice), columns);
        }
        Listing::Get { reference } => {
            let found: Value = context.client().get(&format!("{path}/{}", segment(&reference)))?;
            context.output.value(&found);
        }
    }
    Ok(EXIT_OK)
}
