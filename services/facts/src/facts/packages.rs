//! What is installed, from the lists that dpkg, apk and pacman keep as text.
//!
//! rpm keeps a database that only its own library reads, so on such machines the fact says so: the
//! caller can run `rpm -qa` and pass what it prints to [`crate::external`].

use serde_json::{Value, json};

use crate::read::{self, Text};
use crate::{Context, Unavailable};

/// Every installed package with its version.
pub(crate) fn packages(context: &Context) -> Result<Value, Unavailable> {
    let roots = &context.roots;
    let limit = context.bounds.list_bytes;
    if let Some(text) = Text::read_if_there(roots.var.join("lib/dpkg/status"), limit)? {
        return dpkg(&text, context.bounds.packages);
    }
    for path in [roots.lib.join("apk/db/installed"), roots.usr.join("lib/apk/db/installed")] {
        if let Some(text) = Text::read_if_there(path, limit)? {
            return apk(&text, context.bounds.packages);
        }
    }
    let folder = roots.var.join("lib/pacman/local");
    match read::names(&folder, context.bounds.packages) {
        Ok(names) => Ok(pacman(&names)),
        Err(Unavailable::Missing { .. }) if is_rpm(context) => {
            Err(Unavailable::unsupported("rpm's list is a database that only rpm itself reads"))
        }
        Err(Unavailable::Missing { .. }) => {
            Err(Unavailable::unsupported("no list of dpkg, apk or pacman"))
        }
        Err(other) => Err(other),
    }
}

fn is_rpm(context: &Context) -> bool {
    let roots = &context.roots;
    [roots.var.join("lib/rpm"), roots.usr.join("lib/sysimage/rpm")].iter().any(|path| path.exists())
}

fn row(manager: &str, name: &str, version: &str, architecture: &str) -> Value {
    json!({"name": name, "version": version, "architecture": architecture, "manager": manager})
}

fn bounded(mut rows: Vec<Value>, limit: usize) -> Result<Value, Unavailable> {
    if rows.len() > limit {
        let what = "the list of packages".to_owned();
        return Err(Unavailable::TooLarge { what, limit, unit: "packages" });
    }
    rows.sort_by(|one, other| name_of(one).cmp(name_of(other)));
    Ok(Value::Array(rows))
}

fn name_of(row: &Value) -> &str {
    row.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Paragraphs of `Field: value`; those that are not installed stay in the list with their state.
fn dpkg(text: &Text, limit: usize) -> Result<Value, Unavailable> {
    let mut rows = Vec::new();
    for paragraph in text.whole().split("\n\n") {
        let mut fields = [None; 4];
        for line in paragraph.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            let place = ["Package", "Status", "Version", "Architecture"]
                .iter()
                .position(|field| *field == name);
            if let Some(place) = place.and_then(|place| fields.get_mut(place)) {
                *place = Some(value);
            }
        }
        let [Some(name), Some(status), version, architecture] = fields else { continue };
        if status.ends_with(" installed") {
            let (version, architecture) = (version.unwrap_or(""), architecture.unwrap_or(""));
            rows.push(row("dpkg", name, version, architecture));
        }
    }
    bounded(rows, limit)
}

/// Paragraphs of `P:name`, `V:version`, `A:architecture`.
fn apk(text: &Text, limit: usize) -> Result<Value, Unavailable> {
    let mut rows = Vec::new();
    for paragraph in text.whole().split("\n\n") {
        let field = |letter: &str| {
            let lines = paragraph.lines();
            lines.filter_map(|line| line.split_once(':')).find(|(name, _value)| *name == letter)
        };
        let value = |letter| field(letter).map_or("", |(_name, value)| value);
        if let Some((_letter, name)) = field("P") {
            rows.push(row("apk", name, value("V"), value("A")));
        }
    }
    bounded(rows, limit)
}

/// Folders `name-version-release`; names may hold dashes, the other two may not. The architecture
/// would cost a file for each and is that of the machine.
fn pacman(names: &[String]) -> Value {
    let rows = names.iter().filter_map(|name| {
        let (rest, release) = name.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        Some(row("pacman", name, &format!("{version}-{release}"), ""))
    });
    Value::Array(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn names(files: &[(&str, &str)]) -> Vec<String> {
        let told = packages(&Machine::with(files).context()).unwrap();
        let rows = told.as_array().unwrap();
        let name = |row: &Value| format!("{} {} {}", name_of(row), row["version"], row["manager"]);
        rows.iter().map(name).collect()
    }

    #[test]
    fn installed_packages_are_told_whoever_keeps_the_list() {
        let dpkg = "Package: zlib\nStatus: install ok installed\nArchitecture: amd64\n\
                    Version: 1:1.2\nDescription: x\n Package: not this\n\n\
                    Package: gone\nStatus: deinstall ok config-files\nVersion: 3\n\n\
                    Package: bash\nStatus: hold ok installed\nVersion: 5\n";
        assert_eq!(
            names(&[("var/lib/dpkg/status", dpkg)]),
            ["bash \"5\" \"dpkg\"", "zlib \"1:1.2\" \"dpkg\""]
        );
        let apk = "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:busybox\nV:1.36\nA:x86_64\n\n";
        assert_eq!(
            names(&[("lib/apk/db/installed", apk)]),
            ["busybox \"1.36\" \"apk\"", "musl \"1.2.5-r0\" \"apk\""]
        );
        assert_eq!(
            names(&[("var/lib/pacman/local/gcc-libs-14.2-1/desc", "")]),
            ["gcc-libs \"14.2-1\" \"pacman\""]
        );
    }

    #[test]
    fn a_database_is_not_guessed_at() {
        let machine = Machine::with(&[("var/lib/rpm/rpmdb.sqlite", "")]);
        let error = packages(&machine.context()).unwrap_err();
        assert!(error.reason().contains("rpm"), "{error}");
        assert_eq!(packages(&Machine::with(&[]).context()).unwrap_err().code(), "unsupported");
    }

    #[test]
    fn too_many_are_refused() {
        let machine = Machine::with(&[("lib/apk/db/installed", "P:a\n\nP:b\n")]);
        let mut context = machine.context();
        context.bounds.packages = 1;
        assert_eq!(packages(&context).unwrap_err().code(), "too_large");
    }
}
