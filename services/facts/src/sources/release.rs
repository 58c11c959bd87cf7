//! Which distribution this is: `os-release`, and `debian_version` where that has no number.

use std::collections::BTreeMap;

use crate::read::Text;
use crate::{Context, Unavailable};

/// What names a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) codename: String,
}

impl Release {
    /// `debian-12-bookworm`; what is not known is left empty, with its dash.
    pub(crate) fn joined(&self) -> String {
        format!("{}-{}-{}", self.id, self.version, self.codename)
    }

    /// `debian-12`, or the id alone.
    pub(crate) fn short(&self) -> String {
        match self.version.as_str() {
            "" => self.id.clone(),
            version => format!("{}-{version}", self.id),
        }
    }
}

/// Reads it from `/etc/os-release`, else from `/usr/lib/os-release`.
pub(crate) fn release(context: &Context) -> Result<Release, Unavailable> {
    let limit = context.bounds.file_bytes;
    let text = match Text::read_if_there(context.roots.etc.join("os-release"), limit)? {
        Some(text) => text,
        None => Text::read(context.roots.usr.join("lib/os-release"), limit)?,
    };
    let fields = parse(&text);
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let mut release = Release {
        id: field("ID"),
        version: field("VERSION_ID"),
        codename: field("VERSION_CODENAME"),
    };
    if release.version.is_empty() {
        // Testing and unstable Debian: "trixie/sid".
        let path = context.roots.etc.join("debian_version");
        if let Some(text) = Text::read_if_there(path, limit)? {
            release.version = text.trimmed().to_owned();
        }
    }
    if release.id.is_empty() {
        // What the document of os-release says for this case.
        "linux".clone_into(&mut release.id);
    }
    Ok(release)
}

fn parse(text: &Text) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    for row in text.rows() {
        let line = row.text.trim();
        if let Some((name, value)) = line.split_once('=').filter(|_pair| !line.starts_with('#')) {
            fields.insert(name.trim().to_owned(), unquoted(value.trim()));
        }
    }
    fields
}

/// The value without its shell quotes and escapes.
fn unquoted(value: &str) -> String {
    let quoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote)));
    let Some(inner) = quoted else { return value.to_owned() };
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.extend(letters.next()),
            _plain => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release_of(files: &[(&str, &str)]) -> Release {
        let machine = crate::machine::Machine::with(files);
        release(&machine.context()).unwrap()
    }

    #[test]
    fn the_three_fields_are_joined_and_an_empty_last_one_leaves_its_dash() {
        let etc = "etc/os-release";
        let debian = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";
        let rows = [
            (vec![(etc, debian)], "debian-12-bookworm", "debian-12"),
            (
                vec![(etc, "ID=debian\n"), ("etc/debian_version", "jessie/sid\n")],
                "debian-jessie/sid-",
                "debian-jessie/sid",
            ),
            (
                vec![("usr/lib/os-release", "ID='alpine'\nVERSION_ID=3.20.0\n")],
                "alpine-3.20.0-",
                "alpine-3.20.0",
            ),
            (vec![(etc, "ID=arch\n")], "arch--", "arch"),
            (vec![(etc, "# nothing\n")], "linux--", "linux"),
        ];
        for (files, joined, short) in rows {
            let release = release_of(&files);
            assert_eq!(release.joined(), joined);
            assert_eq!(release.short(), short);
        }
    }

    #[test]
    fn quotes_and_escapes_go() {
        for (value, expected) in
            [("\"a \\\"b\\\" \\$c\"", "a \"b\" $c"), ("plain", "plain"), ("'x'", "x"), ("\"", "\"")]
        {
            assert_eq!(unquoted(value), expected);
        }
    }
}
