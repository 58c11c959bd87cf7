//! CaLink's configuration language: what Python 2's `ConfigParser` read.
//!
//! Sections of `key = value` or `key: value`. A key ends at the first `=` or `:`, so it may hold
//! blanks, and is folded to lower case, but for one that begins with `/`: that is ours, and means a
//! path as it is. Lines that begin with `#`, `;` or the word `rem` are comments, and ` ;` behind a
//! value begins one. A line that begins with a blank goes on with the value before it. `[DEFAULT]`
//! is merged into every section and `%(name)s` is replaced; a `%` alone is itself.
//!
//! Invariants: sections and keys keep the order of the file; a key given again keeps its first
//! place and has its last value; no text is an endless replacement.

/// The longest file, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Keys of a file.
const KEYS_MAX: usize = 10_000;
/// Levels of `%(name)s` within `%(name)s`: as many as `ConfigParser` follows.
const LEVELS_MAX: usize = 10;
/// Bytes of a value after replacing: names that name each other grow by powers.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// The section that is in every other.
const DEFAULT: &str = "DEFAULT";

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Error {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub why: String,
}

/// A key of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value, replaced.
    pub value: String,
    /// Where the key stands.
    pub line: usize,
}

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ini {
    sections: Vec<(String, Vec<Entry>)>,
}

impl Ini {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The first line that means nothing.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > TEXT_BYTES_MAX {
            let why = format!("the file is longer than {TEXT_BYTES_MAX} bytes");
            return Err(Error { line: 1, why });
        }
        let mut ini = Self::default();
        let mut keys = 0;
        for (at, line) in text.lines().enumerate() {
            keys += usize::from(ini.take(line, at + 1)?);
            if keys > KEYS_MAX {
                let why = format!("there are more than {KEYS_MAX} keys");
                return Err(Error { line: at + 1, why });
            }
        }
        ini.replace()?;
        Ok(ini)
    }

    /// The keys of a section, those of `[DEFAULT]` that it lacks last; none of one that is missing.
    #[must_use]
    pub fn section(&self, name: &str) -> Vec<Entry> {
        let Some(mut entries) = self.own(name).map(<[Entry]>::to_vec) else { return Vec::new() };
        for entry in self.own(DEFAULT).unwrap_or_default() {
            if !entries.iter().any(|own| own.key == entry.key) {
                entries.push(entry.clone());
            }
        }
        entries
    }

    fn own(&self, name: &str) -> Option<&[Entry]> {
        let found = self.sections.iter().find(|(section, _)| section == name);
        found.map(|(_, entries)| entries.as_slice())
    }

    /// Takes one line; true when it is a key.
    fn take(&mut self, line: &str, number: usize) -> Result<bool, Error> {
        if is_comment(line) {
            return Ok(false);
        }
        if line.starts_with(char::is_whitespace)
            && let Some((_, entries)) = self.sections.last_mut()
            && let Some(entry) = entries.last_mut()
        {
            entry.value.push('\n');
            entry.value.push_str(line.trim());
            return Ok(false);
        }
        let line = line.trim_end();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            self.enter(name.0);
            return Ok(false);
        }
        let Some((_, entries)) = self.sections.last_mut() else {
            let why =
                "a key before any section: begin with [info], [files], [commands] or [output]";
            return Err(Error { line: number, why: why.to_owned() });
        };
        let Some((key, value)) = line.split_once(['=', ':']).filter(|(key, _)| !key.is_empty())
        else {
            let why = format!("{line:?} is no section, no key = value and no comment");
            return Err(Error { line: number, why });
        };
        let entry = Entry { key: folded(key), value: plain(value), line: number };
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
        Ok(true)
    }

    fn enter(&mut self, name: &str) {
        // A section that comes again goes on; it is the last one from now on.
        let known = self.sections.iter().position(|(section, _)| section == name);
        let section = match known {
            Some(at) => self.sections.remove(at),
            None => (name.to_owned(), Vec::new()),
        };
        self.sections.push(section);
    }

    fn replace(&mut self) -> Result<(), Error> {
        let names: Vec<String> = self.sections.iter().map(|(name, _)| name.clone()).collect();
        let mut replaced = Vec::with_capacity(names.len());
        for name in names {
            let entries = self.section(&name);
            let value_of = |key: &str| {
                let key = folded(key);
                entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
            };
            let mut own = Vec::new();
            for entry in self.own(&name).unwrap_or_default() {
                let failed = |why| Error { line: entry.line, why };
                let value = replaced_in(&entry.value, &value_of).map_err(failed)?;
                own.push(Entry { value, ..entry.clone() });
            }
            replaced.push((name, own));
        }
        self.sections = replaced;
        Ok(())
    }
}

fn is_comment(line: &str) -> bool {
    let first = line.split_whitespace().next();
    line.trim().is_empty()
        || line.starts_with(['#', ';'])
        || (line.starts_with(['r', 'R']) && first.is_some_and(|w| w.eq_ignore_ascii_case("rem")))
}

/// A key as it is compared: in lower case, but for a path that is to be taken as it is.
fn folded(key: &str) -> String {
    let key = key.trim();
    if key.starts_with('/') { key.to_owned() } else { key.to_lowercase() }
}

/// A value without blanks around it and without the comment behind it.
fn plain(value: &str) -> String {
    let value = value.trim();
    let mut before = ' ';
    let end = value.char_indices().find(|(_, letter)| {
        let begins = *letter == ';' && before.is_whitespace();
        before = *letter;
        begins
    });
    let value = end.map_or(value, |(at, _)| value.get(..at).unwrap_or(value)).trim_end();
    if value == "\"\"" { String::new() } else { value.to_owned() }
}

fn replaced_in<'a>(
    value: &str,
    value_of: &impl Fn(&str) -> Option<&'a str>,
) -> Result<String, String> {
    let mut value = value.to_owned();
    for _level in 0..LEVELS_MAX {
        let Some(next) = replaced_once(&value, value_of)? else { return Ok(value) };
        if next.len() > VALUE_BYTES_MAX {
            return Err(format!("what %(…)s stands for is longer than {VALUE_BYTES_MAX} bytes"));
        }
        value = next;
    }
    Err(format!("%(…)s is nested more than {LEVELS_MAX} levels deep"))
}

/// `value` with each `%(name)s` replaced once; none when it has none.
fn replaced_once<'a>(
    value: &str,
    value_of: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Option<String>, String> {
    let mut parts = value.split("%(");
    let mut text = parts.next().unwrap_or_default().to_owned();
    let mut any = false;
    for part in parts {
        let Some((name, rest)) = part.split_once(")s") else {
            text.push_str("%(");
            text.push_str(part);
            continue;
        };
        let found = value_of(name).ok_or_else(|| {
            format!("%({name})s stands for nothing: there is no key {name:?} in this section")
        })?;
        any = true;
        text.push_str(found);
        text.push_str(rest);
    }
    Ok(any.then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str, section: &str) -> Vec<(String, String)> {
        let ini = Ini::parse(text).unwrap();
        ini.section(section).into_iter().map(|entry| (entry.key, entry.value)).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_and_values_are_read_as_python_2_read_them() {
        let text = "# comment\n; comment\nrem a comment\nREM\n[info]\nSystem = host, os\n\
                    two words: a=b\nremote = x\n\n[files]\n/var/Log_dirs = .\nx=1 ; tail\ny=a;b\n\
                    z=\"\"\n[commands]\nlist = ls\n  -l\n\t-a\n[info]\nlast=1\nsystem=again\n";
        let expected =
            pairs(&[("system", "again"), ("two words", "a=b"), ("remote", "x"), ("last", "1")]);
        assert_eq!(entries(text, "info"), expected);
        let expected = pairs(&[("/var/Log_dirs", "."), ("x", "1"), ("y", "a;b"), ("z", "")]);
        assert_eq!(entries(text, "files"), expected);
        assert_eq!(entries(text, "commands"), pairs(&[("list", "ls\n-l\n-a")]));
        assert_eq!(entries(text, "output"), []);
    }

    #[test]
    fn names_are_replaced_and_a_percent_sign_alone_is_itself() {
        let text = "[DEFAULT]\nroot=/srv\n[commands]\ndate = date +%s\nlist = ls %(ROOT)s/%(sub)s\n\
                    sub = %(root)s/x\nopen = %(broken\n";
        let expected = pairs(&[
            ("date", "date +%s"),
            ("list", "ls /srv//srv/x"),
            ("sub", "/srv/x"),
            ("open", "%(broken"),
            ("root", "/srv"),
        ]);
        assert_eq!(entries(text, "commands"), expected);
    }

    #[test]
    fn what_means_nothing_is_told_with_its_line() {
        for (text, line, why) in [
            ("a = b\n", 1, "a key before any section"),
            ("[x]\n\nnonsense\n", 3, "\"nonsense\" is no section"),
            ("[x]\na = %(b)s\n", 2, "there is no key \"b\""),
            ("[x]\na = %(a)s\n", 2, "nested more than 10 levels"),
            ("[x]\na = %(a)s%(a)s%(a)s%(a)s%(a)s%(a)s%(a)s%(a)s%(a)s\n", 2, "is longer than"),
        ] {
            let error = Ini::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.why.contains(why), "{text}: {}", error.why);
        }
    }
}
