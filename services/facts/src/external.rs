//! Facts of packs: what the files of a `collectors/` folder say, and what its programs print.
//!
//! A file is one fact, named by the file without its ending: `licences.json` is any JSON,
//! `site.txt` has lines `key=value` whose values are texts. A program prints either; it is started
//! by whoever calls, since this crate starts none. YAML is read by whoever owns a reader of it.
//!
//! Pure: names and bytes in, values out.

use std::path::Path;

use serde_json::{Map, Value};

use crate::document::RESERVED;
use crate::{Unavailable, table};

/// Lines with a key that one text may have.
const KEYS_MAX: usize = 10_000;
/// Letters of a name: it is a key in documents and a part of what events say.
const NAME_LETTERS_MAX: usize = 64;

/// How a collector's content is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Json,
    /// Lines `key=value`; those that are empty or begin with `#` are passed over.
    Text,
}

impl Form {
    /// The form that a file's ending stands for: `.json` or `.txt`.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "txt" => Some(Self::Text),
            _other => None,
        }
    }

    /// The form of what a program printed: JSON where it begins like an object, a list or a text.
    #[must_use]
    pub fn of_output(content: &[u8]) -> Self {
        match content.trim_ascii_start().first() {
            Some(b'{' | b'[' | b'"') => Self::Json,
            Some(_) | None => Self::Text,
        }
    }
}

/// The name of the fact that a collector makes.
///
/// # Errors
/// When it has other letters than `a-z 0-9 _ -`, or is the name of something that Hearken tells
/// itself.
pub fn name(path: &Path) -> Result<String, Unavailable> {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let refused = |why: &str| Unavailable::unsupported(format!("{}: {why}", path.display()));
    if name.is_empty() || name.len() > NAME_LETTERS_MAX || !name.bytes().all(plain) {
        return Err(refused("a fact is called by 1 to 64 letters a-z, digits, \"_\" and \"-\""));
    }
    if RESERVED.contains(&name.as_str()) || table::find(&name).is_some() {
        return Err(refused("Hearken has a fact of this name: choose another for the file"));
    }
    Ok(name)
}

/// Reads what a collector says, of at most `limit` bytes.
///
/// # Errors
/// [`Unavailable::Malformed`] with the file and the line, [`Unavailable::TooLarge`].
pub fn parse(path: &Path, form: Form, content: &[u8], limit: usize) -> Result<Value, Unavailable> {
    if content.len() > limit {
        let what = path.display().to_string();
        return Err(Unavailable::TooLarge { what, limit, unit: "bytes" });
    }
    let malformed =
        |line: usize, why: String| Unavailable::Malformed { path: path.to_owned(), line, why };
    let text = std::str::from_utf8(content).map_err(|error| {
        let before = content.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        malformed(line, "this is not UTF-8".to_owned())
    })?;
    match form {
        Form::Json => serde_json::from_str(text)
            .map_err(|error| malformed(error.line().max(1), format!("this is not JSON: {error}"))),
        Form::Text => pairs(text).map_err(|(line, why)| malformed(line, why)),
    }
}

fn pairs(text: &str) -> Result<Value, (usize, String)> {
    let mut pairs = Map::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let Some((key, value)) = line.split_once('=') else {
            return Err((number, format!("{line:?} is not key=value")));
        };
        let key = key.trim();
        if key.is_empty() {
            return Err((number, "no key before \"=\"".to_owned()));
        }
        if pairs.len() == KEYS_MAX {
            return Err((number, format!("more than {KEYS_MAX} keys")));
        }
        pairs.insert(key.to_owned(), value.trim().into());
    }
    Ok(pairs.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const LIMIT: usize = 1024;

    fn check(file: &str, content: &str, expected: Result<Value, &str>) {
        let path = Path::new(file);
        let form = Form::of(path).unwrap();
        let told = parse(path, form, content.as_bytes(), LIMIT);
        let told = told.map_err(|unavailable| unavailable.reason());
        assert_eq!(told, expected.map_err(str::to_owned), "{content:?}");
    }

    #[test]
    fn files_are_read_by_their_ending() {
        check("a.json", "{\"b\": 1, \"a\": [2]}\n", Ok(json!({"b": 1, "a": [2]})));
        check("a.json", "3", Ok(json!(3)));
        check("a.txt", "# x\n\nrack = b=7 \r\nunit=\n", Ok(json!({"rack": "b=7", "unit": ""})));
        check("a.txt", "", Ok(json!({})));
        assert_eq!(Form::of(Path::new("a.yaml")), None);
        assert_eq!(Form::of(Path::new("a")), None);
    }

    #[test]
    fn wrong_text_has_a_place() {
        check("c/a.txt", "a=1\nb\n", Err("c/a.txt:2: \"b\" is not key=value"));
        check("c/a.txt", "=1\n", Err("c/a.txt:1: no key before \"=\""));
        let expected = "c/a.json:2: this is not JSON: expected value at line 2 column 6";
        check("c/a.json", "{\n\"a\": x}", Err(expected));
        let expected = "c/a.json:1: this is not JSON: EOF while parsing a value at line 1 column 0";
        check("c/a.json", "", Err(expected));
        let bytes = parse(Path::new("a.txt"), Form::Text, b"a=1\nb=\xff", LIMIT).unwrap_err();
        assert_eq!(bytes.reason(), "a.txt:2: this is not UTF-8");
        let large = parse(Path::new("a.txt"), Form::Text, &[b'a'; LIMIT + 1], LIMIT).unwrap_err();
        assert_eq!(large.code(), "too_large");
    }

    #[test]
    fn programs_print_either_form() {
        for (content, form) in [
            (" \n{\"a\": 1}", Form::Json),
            ("[1]", Form::Json),
            ("\"x\"", Form::Json),
            ("a=1", Form::Text),
            ("", Form::Text),
        ] {
            assert_eq!(Form::of_output(content.as_bytes()), form, "{content:?}");
        }
    }

    #[test]
    fn names_are_plain_and_our_own_are_ours() {
        assert_eq!(name(Path::new("/p/collectors/rack-7_b.txt")).unwrap(), "rack-7_b");
        for refused in ["cpu.json", "errors.txt", "a b.txt", "Ä.json", "A.json"] {
            assert_eq!(name(Path::new(refused)).unwrap_err().code(), "unsupported", "{refused}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(content: Vec<u8>) {
            for form in [Form::Json, Form::Text, Form::of_output(&content)] {
                let _told = parse(Path::new("x"), form, &content, LIMIT);
            }
        }

        #[test]
        fn pairs_come_back(
            pairs in prop::collection::btree_map("[a-z_.]{1,8}", "[a-zA-Z0-9=/:]{0,12}", 0..9),
        ) {
            let text: String = pairs.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
            let told = parse(Path::new("x.txt"), Form::Text, text.as_bytes(), LIMIT).unwrap();
            prop_assert_eq!(told, serde_json::to_value(pairs).unwrap());
        }
    }
}
