//! The manifest of a pack. It may be empty: then the folder's name says everything.

use serde_json::{Map, Value};

use super::problem::Problem;
use super::reader::Reader;

const FIELDS: &[&str] = &[
    "name",
    "ref",
    "description",
    "author",
    "version",
    "email",
    "keywords",
    "contributors",
    "files",
    "stackstorm_version",
    "python_versions",
    "dependencies",
    "system",
    "path",
    "compat",
];

/// What a pack says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct PackManifest {
    /// What references begin with: the declared reference, or else the folder's name.
    pub name: String,
    /// What it is called by people.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Who wrote it.
    pub author: String,
    /// Where to write to.
    pub email: String,
    /// Its version; a missing third part is filled in.
    pub version: String,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Other packs it needs.
    pub dependencies: Vec<String>,
    /// StackStorm versions it was made for, as written.
    pub stackstorm_version: String,
    /// Python versions it was made for.
    pub python_versions: Vec<String>,
    /// Whether its rules compare everything as text, as they did in 2014.
    pub compares_text: bool,
    /// The manifest as it is written.
    pub raw: Map<String, Value>,
}

impl PackManifest {
    /// Reads the manifest of the pack in `folder`; none is as good as an empty one.
    #[must_use]
    pub fn from_value(folder: &str, value: Option<&Value>) -> (Option<Self>, Vec<Problem>) {
        let empty = Value::Object(Map::new());
        let value = value.filter(|value| !value.is_null()).unwrap_or(&empty);
        let mut reader = match Reader::new(value, "") {
            Ok(reader) => reader,
            Err(problem) => return (None, vec![problem]),
        };
        reader.unknown(FIELDS);
        let declared = reader.text("ref");
        let title = reader.text("name").unwrap_or_else(|| folder.to_owned());
        let name = declared.unwrap_or_else(|| {
            // A folder such as `st2-hello` of a checkout is named by the manifest if that can be.
            if is_reference(folder) || !is_reference(&title) { folder } else { &title }.to_owned()
        });
        check_name(&name, &mut reader);
        let compat = reader.text("compat").unwrap_or_default();
        if !matches!(compat.as_str(), "" | "v0") {
            let message = format!("compat {compat:?} is not known");
            reader
                .problems
                .push(Problem::notice(reader.at("compat"), message).hint("v0, or nothing"));
        }
        let manifest = Self {
            name,
            title,
            description: reader.text("description").unwrap_or_default(),
            author: reader.text("author").unwrap_or_default(),
            email: reader.text("email").unwrap_or_default(),
            version: full_version(&reader.text("version").unwrap_or_default()),
            keywords: texts(&mut reader, "keywords"),
            dependencies: texts(&mut reader, "dependencies"),
            stackstorm_version: reader.text("stackstorm_version").unwrap_or_default(),
            python_versions: texts(&mut reader, "python_versions"),
            compares_text: compat == "v0",
            raw: value.as_object().cloned().unwrap_or_default(),
        };
        let fatal = reader.is_fatal();
        (Some(manifest).filter(|_| !fatal), reader.problems)
    }
}

/// What StackStorm lets a pack be called today.
fn is_reference(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn check_name(name: &str, reader: &mut Reader<'_>) {
    let at = if reader.get("ref").is_some() { "/ref" } else { "" };
    let unusable = name.is_empty()
        || name.starts_with('.')
        || name.contains(['.', '*', '>', '/', '%'])
        || name.contains(char::is_whitespace)
        || name.contains(char::is_control);
    if unusable {
        let message = format!("{name:?} cannot name a pack");
        reader.problems.push(
            Problem::fatal(at, message).hint("use letters, digits, _ and - in ref or the folder"),
        );
    } else if name == "_global" {
        reader.problems.push(Problem::fatal(at, "_global is reserved"));
    } else if !is_reference(name) {
        let message = format!("pack {name:?} is not named as StackStorm demands today");
        reader.problems.push(Problem::notice(at, message).hint("lower case letters, digits and _"));
    }
}

/// Lists are lists of texts; a lone text counts as a list of one, as old manifests have it.
fn texts(reader: &mut Reader<'_>, field: &str) -> Vec<String> {
    match reader.get(field) {
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect(),
        Some(_) => reader.text(field).into_iter().collect(),
        None => Vec::new(),
    }
}

fn full_version(version: &str) -> String {
    let parts: Vec<&str> = version.split('.').collect();
    let numbers =
        parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if parts.len() == 2 && numbers { format!("{version}.0") } else { version.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pack_is_named_by_its_reference_its_folder_or_its_title() {
        let rows = [
            ("hello-st2", None, Some("hello-st2")),
            ("hello-st2", Some(json!({})), Some("hello-st2")),
            ("web", Some(json!({"name": "Web Things"})), Some("web")),
            ("stackstorm-web", Some(json!({"name": "web"})), Some("web")),
            ("stackstorm-web", Some(json!({"name": "Web", "ref": "w"})), Some("w")),
            ("a.b", None, None),
            ("x", Some(json!(["no"])), None),
        ];
        for (folder, value, expected) in rows {
            let (manifest, problems) = PackManifest::from_value(folder, value.as_ref());
            assert_eq!(manifest.map(|m| m.name).as_deref(), expected, "{folder}: {problems:?}");
        }
    }

    #[test]
    fn a_version_of_two_parts_gets_a_third() {
        let version = |value: Value| PackManifest::from_value("x", Some(&value)).0.unwrap().version;
        assert_eq!(version(json!({"version": 0.1})), "0.1.0");
        assert_eq!(version(json!({"version": "1.2.3"})), "1.2.3");
    }
}
