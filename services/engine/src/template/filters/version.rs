//! Filters over versions: strict three-part semantic versions, as Python's `semver` 2 reads them.

use std::cmp::Ordering;
use std::fmt;

use minijinja::{Environment, Error, Value as Native};

use super::super::arguments::{Given, invalid, named, required_text};

/// Adds the filters.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("version_compare", |value: &Native, given: Given| {
        Ok::<i64, Error>(match compare(value, given)? {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        })
    });
    environment.add_filter("version_more_than", |value: &Native, given: Given| {
        Ok::<bool, Error>(compare(value, given)? == Ordering::Greater)
    });
    environment.add_filter("version_less_than", |value: &Native, given: Given| {
        Ok::<bool, Error>(compare(value, given)? == Ordering::Less)
    });
    environment.add_filter("version_equal", |value: &Native, given: Given| {
        Ok::<bool, Error>(compare(value, given)? == Ordering::Equal)
    });
    environment.add_filter("version_match", |value: &Native, given: Given| {
        let [pattern] = named(given.into_values(), ["pattern"])?;
        matches(&read(value)?, &required_text(pattern, "pattern")?)
    });
    environment.add_filter("version_bump_major", |value: &Native| {
        let version = read(value)?;
        Ok::<String, Error>(format!("{}.0.0", version.major.saturating_add(1)))
    });
    environment.add_filter("version_bump_minor", |value: &Native| {
        let version = read(value)?;
        Ok::<String, Error>(format!("{}.{}.0", version.major, version.minor.saturating_add(1)))
    });
    environment.add_filter("version_bump_patch", |value: &Native| {
        let version = read(value)?;
        let patch = version.patch.saturating_add(1);
        Ok::<String, Error>(format!("{}.{}.{patch}", version.major, version.minor))
    });
    environment.add_filter("version_strip_patch", |value: &Native| {
        let version = read(value)?;
        Ok::<String, Error>(format!("{}.{}", version.major, version.minor))
    });
}

/// A version; build metadata is checked and then forgotten, since it takes no part in comparing.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    pre_release: Vec<Identifier>,
}

/// Numbers come before words; the order of the variants is the order of precedence.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return None;
        }
        let (numbers, pre_release) = match text.split_once('-') {
            Some((numbers, pre_release)) => (numbers, Some(pre_release)),
            None => (text, None),
        };
        let pre_release = match pre_release {
            Some(text) => text.split('.').map(identifier).collect::<Option<_>>()?,
            None => Vec::new(),
        };
        let mut parts = numbers.split('.').map(number);
        let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(Self { major, minor, patch, pre_release })
    }

    fn order(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.pre_release.is_empty(), other.pre_release.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => self.pre_release.cmp(&other.pre_release),
            }
        })
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn identifier(text: &str) -> Option<Identifier> {
    if !is_identifier(text) {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).map(Identifier::Number);
    }
    Some(Identifier::Word(text.to_owned()))
}

/// No sign, no leading zero.
fn number(text: &str) -> Option<u64> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn parse(text: &str) -> Result<Version, Error> {
    Version::parse(text).ok_or_else(|| invalid(format!("{text} is not valid SemVer string")))
}

fn read(value: &Native) -> Result<Version, Error> {
    match value.as_str() {
        Some(text) => parse(text),
        None => Err(invalid(format!("{} is no version", value.kind()))),
    }
}

fn compare(value: &Native, given: Given) -> Result<Ordering, Error> {
    let [pattern] = named(given.into_values(), ["pattern"])?;
    Ok(read(value)?.order(&parse(&required_text(pattern, "pattern")?)?))
}

/// `<op><version>`, or a bare version that must be equal.
fn matches(version: &Version, pattern: &str) -> Result<bool, Error> {
    let accepted: (&str, &[Ordering], bool) = [
        (">=", [Ordering::Greater, Ordering::Equal].as_slice(), true),
        ("<=", &[Ordering::Less, Ordering::Equal], true),
        ("==", &[Ordering::Equal], true),
        ("!=", &[Ordering::Equal], false),
        (">", &[Ordering::Greater], true),
        ("<", &[Ordering::Less], true),
    ]
    .into_iter()
    .find(|(operator, _, _)| pattern.starts_with(operator))
    .unwrap_or(("", &[Ordering::Equal], true));
    let (operator, orders, wanted) = accepted;
    let bound = parse(pattern.strip_prefix(operator).unwrap_or(pattern))?;
    Ok(orders.contains(&version.order(&bound)) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_precedence() {
        let ordered =
            ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0", "1.2.0"];
        for pair in ordered.windows(2) {
            let (low, high) = (parse(pair[0]).unwrap(), parse(pair[1]).unwrap());
            assert_eq!(low.order(&high), Ordering::Less, "{pair:?}");
        }
        assert_eq!(parse("1.0.0+a").unwrap().order(&parse("1.0.0+b").unwrap()), Ordering::Equal);
        for broken in ["1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", ""] {
            assert!(Version::parse(broken).is_none(), "{broken}");
        }
    }
}
