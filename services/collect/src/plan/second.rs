//! The JSON of CaLink's second version, `{"CALINK": {…}}`, into a plan.

use std::path::Path;

use serde_json::Value;

use super::{Command, Compression, Error, Files, Line, Output, Pick, Plan};
use crate::limits::Limits;

/// The member that this form is told by.
pub(super) const MEMBER: &str = "CALINK";
/// The facts that it always gathered, by the names they have here.
const FACTS: [(&str, &[&str]); 2] = [
    ("system", &["date", "uptime", "fqdn", "os", "kernel"]),
    ("resources", &["loadavg", "cpu", "vmem", "smem", "disk", "iostat", "ps"]),
];
/// What it ran unless told otherwise.
const COMMANDS: [&str; 5] = [
    "autosup --name calink",
    "crontab -l",
    "pip freeze",
    "webmodulemanager list",
    "supervisorctl status",
];
/// The folders below `var/log` that it kept unless told otherwise.
const FOLDERS: [&str; 2] = [".", "engines"];
/// Its other members. Where things go is said on the command line here.
const KNOWN: [&str; 5] = ["commands", "logdirs", "dateformat", "workdir", "destdir"];

pub(super) fn plan(value: &Value, prefix: &Path, folder: &Path) -> Result<Plan, Error> {
    let map = value
        .as_object()
        .ok_or_else(|| Error::at(format!("/{MEMBER}"), "it is no mapping of names to values"))?;
    let mut notices = Vec::new();
    for name in map.keys() {
        if !KNOWN.contains(&name.as_str()) {
            notices.push(format!("/{MEMBER}/{name}: unknown, left out"));
        } else if !["commands", "logdirs"].contains(&name.as_str()) {
            notices.push(format!("/{MEMBER}/{name}: not used, the archive goes where --out says"));
        }
    }
    let commands = texts(map.get("commands"), "commands", &COMMANDS)?;
    let command =
        |line: String| Command { label: line.clone(), line: Line::Shell(line), timeout: None };
    let names = texts(map.get("logdirs"), "logdirs", &FOLDERS)?;
    if let Some(name) = names.iter().find(|name| super::calink::leaves(name)) {
        return Err(Error::at(format!("/{MEMBER}/logdirs"), format!("{name:?} leaves var/log")));
    }
    let files = Files {
        label: "logs".to_owned(),
        folder: prefix.join("var/log"),
        pick: Pick::Folders(names),
        file_bytes: None,
        since: None,
    };
    let group = |(group, names): &(&str, &[&str])| {
        ((*group).to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
    };
    Ok(Plan {
        facts: FACTS.iter().map(group).collect(),
        files: vec![files],
        commands: commands.into_iter().map(command).collect(),
        output: Output {
            folder: folder.to_owned(),
            stem: "calink",
            archive: None,
            json: None,
            commands: None,
            keeps_plain: false,
            compression: Compression::GZIP,
        },
        limits: Limits::calink(),
        mask: true,
        notices,
    })
}

fn texts(value: Option<&Value>, name: &str, usual: &[&str]) -> Result<Vec<String>, Error> {
    let Some(value) = value else {
        return Ok(usual.iter().map(|text| (*text).to_owned()).collect());
    };
    let list = value.as_array().and_then(|list| {
        list.iter().map(|item| item.as_str().map(ToOwned::to_owned)).collect::<Option<Vec<_>>>()
    });
    list.ok_or_else(|| Error::at(format!("/{MEMBER}/{name}"), "it is no list of texts"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_what_it_was() {
        let plan = |value| Plan::from_value(&value, Path::new("/p"), Path::new("."));
        let usual = plan(json!({"CALINK": {}})).unwrap();
        assert_eq!(usual.commands.len(), COMMANDS.len());
        assert_eq!(usual.files[0].folder, Path::new("/p/var/log"));
        let given = json!({"CALINK": {"commands": ["id"], "workdir": "/w", "odd": 1}});
        let given = plan(given).unwrap();
        assert_eq!(given.commands[0].line, Line::Shell("id".to_owned()));
        assert_eq!(given.notices.len(), 2, "{:?}", given.notices);
        let error = plan(json!({"CALINK": {"logdirs": ["../x"]}})).unwrap_err();
        assert_eq!(error.to_string(), "/CALINK/logdirs: \"../x\" leaves var/log");
    }
}
