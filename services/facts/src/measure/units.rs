//! What `systemctl show` prints about units, understood. Pure: whoever may start programs runs it.
//!
//! `systemctl show --no-pager UNIT…` prints lines `Property=value` and an empty line between units;
//! a unit that does not exist has the load state `not-found`. Other properties are passed over, so
//! any choice of `--property` will do that has `Id`.

use std::path::PathBuf;

use crate::Unavailable;

/// Units that one answer may tell about: a host has some hundreds.
const UNITS_MAX: usize = 65_536;

/// The state of one unit, in systemd's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Its name: `ssh.service`.
    pub id: String,
    /// Whether its file could be read: `loaded`, `not-found`, `masked`, `error`.
    pub load_state: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`.
    pub active_state: String,
    /// More exactly, by the unit's type: `running`, `exited`, `dead`, `auto-restart`.
    pub sub_state: String,
    /// Whether it starts by itself: `enabled`, `disabled`, `static`.
    pub unit_file_state: String,
    /// How it ended: `success`, `exit-code`, `signal`, `timeout`.
    pub result: String,
    /// The process that is the service, if there is one.
    pub main_pid: Option<u32>,
    /// How often it was started again by itself.
    pub restarts: Option<u64>,
}

impl Unit {
    /// Whether it does what it is for.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.active_state.as_str(), "active" | "reloading")
    }

    /// Whether it ended badly.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.active_state == "failed"
    }

    /// Whether there is such a unit.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.load_state != "not-found"
    }
}

/// Reads what `systemctl show` printed.
///
/// # Errors
/// [`Unavailable::Malformed`] with the line, for text that is something else.
pub fn units(text: &str) -> Result<Vec<Unit>, Unavailable> {
    let malformed = |line: usize, why: String| Unavailable::Malformed {
        path: PathBuf::from("systemctl show"),
        line,
        why,
    };
    let mut units = Vec::new();
    let mut unit: Option<Unit> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.is_empty() {
            units.extend(unit.take());
            continue;
        }
        let Some((property, value)) = line.split_once('=') else {
            return Err(malformed(number, format!("{line:?} is not Property=value")));
        };
        if units.len() == UNITS_MAX {
            return Err(malformed(number, format!("more than {UNITS_MAX} units")));
        }
        let wrong = |_unparsable| malformed(number, format!("{property} is {value:?}"));
        let unit = unit.get_or_insert_default();
        match property {
            "Id" => value.clone_into(&mut unit.id),
            "LoadState" => value.clone_into(&mut unit.load_state),
            "ActiveState" => value.clone_into(&mut unit.active_state),
            "SubState" => value.clone_into(&mut unit.sub_state),
            "UnitFileState" => value.clone_into(&mut unit.unit_file_state),
            "Result" => value.clone_into(&mut unit.result),
            // Zero stands for none.
            "MainPID" => {
                unit.main_pid = Some(value.parse().map_err(wrong)?).filter(|pid| *pid != 0);
            }
            "NRestarts" => unit.restarts = Some(value.parse().map_err(wrong)?),
            _other => {}
        }
    }
    units.extend(unit);
    if let Some(place) = units.iter().position(|unit| unit.id.is_empty()) {
        return Err(malformed(1, format!("unit {} has no Id", place + 1)));
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHOWN: &str = "Id=ssh.service\nDescription=a = b\nLoadState=loaded\nActiveState=active\n\
        SubState=running\nUnitFileState=enabled\nResult=success\nMainPID=812\nNRestarts=2\n\n\
        Id=nothing.service\nLoadState=not-found\nActiveState=inactive\nMainPID=0\n\n\
        Id=bad.service\nLoadState=loaded\nActiveState=failed\nResult=exit-code\n";

    #[test]
    fn units_are_told_in_systemds_words() {
        let units = units(SHOWN).unwrap();
        assert_eq!(units.len(), 3);
        let ssh = Unit {
            id: "ssh.service".to_owned(),
            load_state: "loaded".to_owned(),
            active_state: "active".to_owned(),
            sub_state: "running".to_owned(),
            unit_file_state: "enabled".to_owned(),
            result: "success".to_owned(),
            main_pid: Some(812),
            restarts: Some(2),
        };
        assert_eq!(units[0], ssh);
        assert!(units[0].is_active() && units[0].exists());
        assert!(!units[1].exists() && !units[1].is_active() && units[1].main_pid.is_none());
        assert!(units[2].is_failed());
    }

    #[test]
    fn anything_else_is_an_error_with_its_line() {
        let rows = [
            (
                "Failed to connect to bus: No such file or directory\n",
                "systemctl show:1: \"Failed to connect to bus: No such file or directory\" is not \
                 Property=value",
            ),
            ("Id=a\nMainPID=many\n", "systemctl show:2: MainPID is \"many\""),
            ("Id=a\n\nActiveState=active\n", "systemctl show:1: unit 2 has no Id"),
        ];
        for (text, expected) in rows {
            assert_eq!(units(text).unwrap_err().reason(), expected);
        }
        assert_eq!(units("").unwrap(), []);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _told = units(&text);
        }
    }
}
