//! The time of day as facts show it, and whether the clock is kept right.

use jiff::Timestamp;
use jiff::Zoned;
use serde_json::{Value, json};

use crate::read::{self, Text};
use crate::sources::process;
use crate::{Context, Unavailable};

/// Programs that keep a clock right, by the names that the kernel has for them.
const KEEPERS: [&str; 6] = ["chronyd", "ntpd", "systemd-timesyn", "openntpd", "ntpsec", "ptp4l"];

/// Local time as CaLink wrote it: `17:05:13 24-10-2014`.
#[must_use]
pub fn timestamp(context: &Context) -> String {
    local(context).strftime("%H:%M:%S %d-%m-%Y").to_string()
}

/// Local time with its distance from UTC.
pub(crate) fn date(context: &Context) -> Result<Value, Unavailable> {
    Ok(local(context).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string().into())
}

fn local(context: &Context) -> Zoned {
    let now = Timestamp::from_nanosecond(i128::from(context.now.nanos()));
    now.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(context.zone.clone())
}

/// Whether the clock is kept right, as far as files tell: only systemd writes down that it is.
pub(crate) fn time_sync(context: &Context) -> Result<Value, Unavailable> {
    let mut keepers = Vec::new();
    for pid in process::pids(context)? {
        let path = context.roots.proc.join(pid.to_string()).join("comm");
        // A process that has ended meanwhile keeps no clock.
        let Ok(text) = Text::read(path, context.bounds.file_bytes) else { continue };
        keepers.extend(KEEPERS.iter().find(|keeper| **keeper == text.trimmed()).copied());
    }
    keepers.sort_unstable();
    keepers.dedup();
    let marked = read::names(&context.roots.run.join("systemd/timesync"), context.bounds.rows)
        .is_ok_and(|names| names.iter().any(|name| name == "synchronized"));
    let synchronized = match (marked, keepers.is_empty()) {
        (true, _any) => Value::Bool(true),
        (false, true) => Value::Bool(false),
        // Somebody keeps it, and does not say in a file how well.
        (false, false) => Value::Null,
    };
    let source = "devices/system/clocksource/clocksource0/current_clocksource";
    let source = Text::read_if_there(context.roots.sys.join(source), context.bounds.file_bytes)?;
    Ok(json!({
        "synchronized": synchronized,
        "keepers": keepers,
        "clocksource": source.map(|text| text.trimmed().to_owned()),
        "zone": context.zone.iana_name(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn times_are_local() {
        let mut context = Machine::with(&[]).context();
        assert_eq!(timestamp(&context), "17:05:13 24-10-2014");
        context.zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(timestamp(&context), "19:05:13 24-10-2014");
        assert_eq!(date(&context).unwrap(), "2014-10-24T19:05:13+02:00");
    }

    #[test]
    fn a_keeper_that_says_nothing_is_no_proof() {
        let machine = Machine::with(&[("proc/5/comm", "bash\n")]);
        assert_eq!(time_sync(&machine.context()).unwrap()["synchronized"], false);
        machine.write("proc/6/comm", "chronyd\n");
        let told = time_sync(&machine.context()).unwrap();
        assert_eq!(told["synchronized"], Value::Null);
        assert_eq!(told["keepers"], json!(["chronyd"]));
        machine.write("run/systemd/timesync/synchronized", "");
        assert_eq!(time_sync(&machine.context()).unwrap()["synchronized"], true);
    }
}
