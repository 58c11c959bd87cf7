//! Temperatures, from sysinfo, which knows the ways in which drivers name them.

use serde_json::{Value, json};

use crate::number::rounded;
use crate::{Context, Unavailable};

/// Every sensor with its temperature in degrees Celsius.
pub(crate) fn sensors(context: &Context) -> Result<Value, Unavailable> {
    if !context.roots.are_here() {
        return Err(Unavailable::unsupported("sensors of a recorded machine are not read"));
    }
    let mut components: Vec<_> = sysinfo::Components::new_with_refreshed_list().into();
    components.sort_by(|one, other| one.label().cmp(other.label()));
    let degrees = |value: Option<f32>| value.map(|value| rounded(f64::from(value)));
    let rows = components.iter().take(context.bounds.rows).map(|component| {
        json!({
            "name": component.label(),
            "temperature": degrees(component.temperature()),
            "critical": degrees(component.critical()),
        })
    });
    let rows: Vec<Value> = rows.collect();
    if rows.is_empty() {
        return Err(Unavailable::unsupported("this machine has no sensors that can be read"));
    }
    Ok(rows.into())
}
