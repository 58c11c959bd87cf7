//! `/proc/loadavg` and `/proc/uptime`.
//!
//! Read by us: sysinfo knows neither the entities and the last process of the one nor the
//! hundredths of the other, and takes text it cannot parse for 0.0.

use crate::read::Text;
use crate::{Bounds, Context, Roots, Unavailable};

/// The load, and the scheduler's entities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
    /// Scheduling entities that can run now.
    pub entities_current: u64,
    /// All scheduling entities.
    pub entities_total: u64,
    /// The process that was started last.
    pub last_pid: u64,
}

pub(crate) fn load(context: &Context) -> Result<Load, Unavailable> {
    let path = context.roots.proc.join("loadavg");
    parse_load(&Text::read(path, context.bounds.file_bytes)?)
}

fn parse_load(text: &Text) -> Result<Load, Unavailable> {
    let row = text.first()?;
    let mut words = row.words();
    let (one, five, fifteen) =
        (words.number("the load")?, words.number("the load")?, words.number("the load")?);
    let entities = words.text("the number of entities")?;
    let Some((current, total)) = entities.split_once('/') else {
        return Err(row.malformed(format!("the entities are {entities:?}, not two numbers")));
    };
    Ok(Load {
        one,
        five,
        fifteen,
        entities_current: row.parse("the number of entities", current)?,
        entities_total: row.parse("the number of entities", total)?,
        last_pid: words.number("the last process")?,
    })
}

/// Seconds since the machine was started, to the hundredth.
pub(crate) fn uptime(roots: &Roots, bounds: &Bounds) -> Result<f64, Unavailable> {
    Text::read(roots.proc.join("uptime"), bounds.file_bytes)?.first()?.words().number("the time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_fields_are_told() {
        let load = parse_load(&Text::of("/proc/loadavg", "0.30 0.46 0.49 1/390 8912\n")).unwrap();
        let expected = Load {
            one: 0.30,
            five: 0.46,
            fifteen: 0.49,
            entities_current: 1,
            entities_total: 390,
            last_pid: 8912,
        };
        assert_eq!(load, expected);
    }

    #[test]
    fn what_cannot_be_understood_is_an_error_with_its_place_and_no_zero() {
        let rows = [
            ("", "/proc/loadavg:1: the file is empty"),
            ("x 0.1 0.1 1/2 3", "/proc/loadavg:1: the load is \"x\""),
            ("0.1 0.1", "/proc/loadavg:1: the load is missing"),
            ("0.1 0.1 0.1 12 3", "/proc/loadavg:1: the entities are \"12\", not two numbers"),
            ("0.1 0.1 0.1 1/-2 3", "/proc/loadavg:1: the number of entities is \"-2\""),
            ("0.1 0.1 0.1 1/2", "/proc/loadavg:1: the last process is missing"),
        ];
        for (text, expected) in rows {
            let error = parse_load(&Text::of("/proc/loadavg", text)).unwrap_err();
            assert_eq!(error.reason(), expected);
        }
    }
}
