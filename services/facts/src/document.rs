//! The document that groups of facts make, as CaLink wrote it.
//!
//! Each group is an object of its facts, beside it the `timestamp`; gaps stand in the group and
//! again, with their reasons, in `errors`, which is absent when there are none. Written on one line
//! with sorted keys and a blank behind commas and colons, it is what CaLink's readers know.

use std::io;

use serde_json::ser::Formatter;
use serde_json::{Map, Value, json};

use crate::facts::time;
use crate::gather::Gathered;
use crate::{Context, Unavailable};

/// Keys of the document that are not groups.
pub const RESERVED: [&str; 2] = ["timestamp", "errors"];

/// Puts gathered facts into their groups. A name that was not gathered, or is unknown, is null.
#[must_use]
pub fn document(
    groups: &[(String, Vec<String>)],
    gathered: &[Gathered],
    context: &Context,
) -> Value {
    let mut document = Map::new();
    for (group, names) in groups {
        let value = |name: &String| {
            let found = gathered.iter().find(|one| one.name == *name);
            match found.map(|one| &one.outcome) {
                Some(Ok(value)) => value.clone(),
                Some(Err(Unavailable::Unknown { .. })) | None => Value::Null,
                Some(Err(unavailable)) => unavailable.to_value(),
            }
        };
        let facts: Map<_, _> = names.iter().map(|name| (name.clone(), value(name))).collect();
        document.insert(group.clone(), facts.into());
    }
    document.insert("timestamp".to_owned(), time::timestamp(context).into());
    let reason = |one: &Gathered| {
        let unavailable = one.outcome.as_ref().err()?;
        Some(json!({"name": one.name, "reason": unavailable.reason()}))
    };
    let errors: Vec<Value> = gathered.iter().filter_map(reason).collect();
    if !errors.is_empty() {
        document.insert("errors".to_owned(), errors.into());
    }
    document.into()
}

/// The document on one line, keys sorted, `", "` and `": "` between them, without the line's end.
#[must_use]
pub fn to_line(document: &Value) -> String {
    let mut sorted = document.clone();
    sorted.sort_all_objects();
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
    let written = serde::Serialize::serialize(&sorted, &mut serializer);
    debug_assert!(written.is_ok(), "a value can be written to memory");
    String::from_utf8(bytes).unwrap_or_default()
}

/// What Python's `json.dumps` writes.
#[derive(Debug)]
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather;
    use crate::machine::Machine;

    fn groups(rows: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        let group = |(name, facts): &(&str, &[&str])| {
            ((*name).to_owned(), facts.iter().map(|fact| (*fact).to_owned()).collect())
        };
        rows.iter().map(group).collect()
    }

    fn machine() -> Machine {
        Machine::with(&[
            ("proc/loadavg", "0.30 0.46 0.49 1/390 8912\n"),
            ("proc/sys/kernel/hostname", "h1\n"),
            ("proc/sys/kernel/ostype", "Linux\n"),
            ("proc/sys/kernel/osrelease", "6.1.0\n"),
            ("proc/sys/kernel/arch", "x86_64\n"),
            ("etc/os-release", "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n"),
        ])
    }

    #[test]
    fn the_document_is_byte_for_byte_the_one_that_was_always_written() {
        let machine = machine();
        let context = machine.context();
        let groups = groups(&[("system", &["host", "os", "version"]), ("resources", &["loadavg"])]);
        let gathered = gather(&["host", "os", "version", "loadavg"], &context);
        let expected = concat!(
            r#"{"resources": {"loadavg": {"average": {"1": 0.3, "15": 0.49, "5": 0.46}, "#,
            r#""entities": {"current": 1, "total": 390}, "last_pid": 8912}}, "#,
            r#""system": {"host": "h1", "os": "debian-12-bookworm", "#,
            r#""version": "Linux-6.1.0-x86_64-with-debian-12"}, "timestamp": "17:05:13 24-10-2014"}"#,
        );
        assert_eq!(to_line(&document(&groups, &gathered, &context)), expected);
    }

    #[test]
    fn gaps_stand_in_their_group_and_in_errors() {
        let machine = machine();
        let context = machine.context();
        let groups = groups(&[("a", &["uptime", "nothing"]), ("b", &["host"]), ("c", &["host"])]);
        let gathered = gather(&["uptime", "nothing", "host"], &context);
        let told = document(&groups, &gathered, &context);
        assert_eq!(told["a"]["uptime"]["unavailable"], "missing");
        assert_eq!(told["a"]["nothing"], Value::Null);
        assert_eq!((&told["b"]["host"], &told["c"]["host"]), (&json!("h1"), &json!("h1")));
        let names: Vec<_> =
            told["errors"].as_array().unwrap().iter().map(|error| &error["name"]).collect();
        assert_eq!(names, ["uptime", "nothing"]);
    }

    #[test]
    fn empty_and_nested_values_are_written_as_python_does() {
        let value = json!({"b": [], "a": {}, "c": [1, [2, "x, y: z"], null]});
        assert_eq!(to_line(&value), r#"{"a": {}, "b": [], "c": [1, [2, "x, y: z"], null]}"#);
    }
}
