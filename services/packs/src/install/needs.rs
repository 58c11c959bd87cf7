//! What a pack needs of whoever runs it: a StackStorm, a Python, other packs.
//!
//! The manifest says it. What cannot be read is told and holds nothing up, since it cannot be
//! known to be unmet. Here is no StackStorm: the version that counts is the one whose behaviour
//! is followed.

use serde_json::Value;

use super::Error;

/// The StackStorm whose behaviour is followed.
const STACKSTORM: [u64; 3] = [3, 10, 0];
/// The Python that packs run with, without its lower parts.
const PYTHON: &str = "3";
/// Packs that one pack can need; nobody maintains more.
const DEPENDENCIES_MAX: usize = 50;

/// What a manifest asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Packs, each as it is typed to install it.
    pub(super) packs: Vec<String>,
    /// Versions of StackStorm, as in `>=2.9.0, <4.0.0`.
    stackstorm: String,
    /// Versions of Python.
    pythons: Vec<String>,
}

impl Needs {
    /// Reads what the manifest `said` asks for.
    pub(super) fn of(said: &Value) -> Self {
        let mut packs = texts(said, "dependencies");
        packs.truncate(DEPENDENCIES_MAX);
        let stackstorm = said.get("stackstorm_version").map(text).unwrap_or_default();
        Self { packs, stackstorm, pythons: texts(said, "python_versions") }
    }

    /// Whether the pack called `pack` can run here; notes what cannot be known.
    ///
    /// # Errors
    /// [`Error::Unsuited`] says what it wants in vain.
    pub(super) fn check(&self, pack: &str, say: &mut dyn FnMut(&str)) -> Result<(), Error> {
        let unsuited = |why: String| Error::Unsuited { pack: pack.to_owned(), why };
        match is_within(&self.stackstorm) {
            Some(true) => {}
            Some(false) => {
                let [major, minor, patch] = STACKSTORM;
                return Err(unsuited(format!(
                    "it needs StackStorm {}, and what runs here behaves as {major}.{minor}.{patch}",
                    self.stackstorm
                )));
            }
            None => (say)(&format!(
                "{pack} needs StackStorm {:?}, which cannot be read and is not checked",
                self.stackstorm
            )),
        }
        let is_known = |wanted: &String| wanted.split('.').next() == Some(PYTHON);
        if !self.pythons.is_empty() && !self.pythons.iter().any(is_known) {
            let pythons = self.pythons.join(" or ");
            return Err(unsuited(format!("it needs Python {pythons}, and {PYTHON} is what runs")));
        }
        Ok(())
    }
}

/// Whether the StackStorm that is followed is among `versions`; nothing when they cannot be read.
fn is_within(versions: &str) -> Option<bool> {
    let mut is_within = true;
    for part in versions.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let number = part.trim_start_matches(['<', '>', '=', '!']);
        let sign = part.strip_suffix(number)?;
        let order = STACKSTORM.cmp(&numbers(number.trim())?);
        is_within &= match sign {
            "" | "=" | "==" => order.is_eq(),
            "!=" => order.is_ne(),
            // Doubled signs are in StackStorm's grammar, and mean what one of them does.
            ">" | ">>" => order.is_gt(),
            "<" | "<<" => order.is_lt(),
            ">=" => order.is_ge(),
            "<=" => order.is_le(),
            _ => return None,
        };
    }
    Some(is_within)
}

/// Three numbers; what is missing is zero, what is behind a `-` is dropped as StackStorm's own
/// development versions have it.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let version = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = [0; 3];
    let mut slots = numbers.iter_mut();
    for part in version.trim_start_matches('v').split('.') {
        // A development version such as 3.10dev is that version.
        let digits = part.trim_end_matches("dev");
        *slots.next()? = digits.parse().ok()?;
    }
    Some(numbers)
}

/// A list of texts; a lone one is a list of one.
fn texts(said: &Value, key: &str) -> Vec<String> {
    match said.get(key) {
        Some(Value::Array(list)) => list.iter().map(text).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![text(one)],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_range_of_versions_holds_what_it_says() {
        for (versions, expected) in [
            ("", Some(true)),
            (">=1.6.0, <2.2.0", Some(false)),
            (">=2.9.0", Some(true)),
            (">3.9.0,<=3.10.0", Some(true)),
            (">3.10.0", Some(false)),
            (">>3.9.9 , <<4.0.0", Some(true)),
            ("3.10.0", Some(true)),
            ("==3.10", Some(true)),
            ("!=3.10.0", Some(false)),
            ("=3.9.0", Some(false)),
            (">=3.10dev", Some(true)),
            (">= 3.1.0", Some(true)),
            ("~3.1", None),
            (">=a.b.c", None),
            (">=1.2.3.4", None),
            ("=>1.0.0", None),
        ] {
            assert_eq!(is_within(versions), expected, "{versions}");
        }
    }

    #[test]
    fn what_cannot_run_here_says_so_and_what_cannot_be_read_is_noted() {
        let check = |said: Value| {
            let mut noted = String::new();
            let checked = Needs::of(&said).check("shop", &mut |line| noted.push_str(line));
            checked.map(|()| noted).map_err(|error| error.to_string())
        };
        for said in [
            json!({}),
            json!({"python_versions": ["2", "3"]}),
            json!({"python_versions": [2, 3]}),
            json!({"python_versions": "3.8"}),
            json!({"stackstorm_version": ">=3.0.0"}),
        ] {
            assert_eq!(check(said.clone()), Ok(String::new()), "{said}");
        }
        let refused = check(json!({"python_versions": ["2"]})).unwrap_err();
        assert!(refused.contains("shop cannot run here: it needs Python 2"), "{refused}");
        let refused = check(json!({"stackstorm_version": "<3.0.0"})).unwrap_err();
        assert!(refused.contains("it needs StackStorm <3.0.0"), "{refused}");
        let noted = check(json!({"stackstorm_version": "newest"})).unwrap();
        assert!(noted.contains("not checked"), "{noted}");
    }
}
