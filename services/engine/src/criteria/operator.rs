//! The 33 operator names, what each means, and when it fails.

use std::fmt;

use hearken_proto::Timestamp;
use serde_json::Value;

use super::pattern::Matcher;
use crate::path::Found;
use crate::pattern::regex::Flags;
use crate::value::compare::{self, TypeError, contains, equal, type_name};
use crate::value::text::text;
use crate::value::{literal, moment};

/// What a criterion asks of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `v == p`
    Equals,
    /// `v != p`
    NotEquals,
    /// Equal when both are written in lower case.
    EqualsIgnoringCase,
    /// `p in v`
    Contains,
    /// `p in v`, both in lower case.
    ContainsIgnoringCase,
    /// `p not in v`
    ContainsNot,
    /// `p not in v`, both in lower case.
    ContainsNotIgnoringCase,
    /// The text begins with p.
    StartsWith,
    /// The same, both in lower case.
    StartsWithIgnoringCase,
    /// The text ends with p.
    EndsWith,
    /// The same, both in lower case.
    EndsWithIgnoringCase,
    /// `v < p`
    LessThan,
    /// `v > p`
    GreaterThan,
    /// Shell wildcards over the whole text.
    MatchWildcard,
    /// `re.match` with DOTALL.
    MatchRegex,
    /// `re.search`
    Regex,
    /// `re.search` with IGNORECASE.
    RegexIgnoringCase,
    /// v is a moment less than p seconds ago.
    TimeDifferenceLess,
    /// v is a moment more than p seconds ago.
    TimeDifferenceGreater,
    /// v is there and not null.
    Exists,
    /// v is missing or null.
    ExistsNot,
    /// `v in p`
    Inside,
    /// `v not in p`
    InsideNot,
    /// The elements of v meet criteria of their own.
    Search,
}

/// Every name, as rules write them.
const NAMES: &[(&str, Operator)] = &[
    ("equals", Operator::Equals),
    ("eq", Operator::Equals),
    ("nequals", Operator::NotEquals),
    ("neq", Operator::NotEquals),
    ("iequals", Operator::EqualsIgnoringCase),
    ("ieq", Operator::EqualsIgnoringCase),
    ("contains", Operator::Contains),
    ("icontains", Operator::ContainsIgnoringCase),
    ("ncontains", Operator::ContainsNot),
    ("incontains", Operator::ContainsNotIgnoringCase),
    ("startswith", Operator::StartsWith),
    ("istartswith", Operator::StartsWithIgnoringCase),
    ("endswith", Operator::EndsWith),
    ("iendswith", Operator::EndsWithIgnoringCase),
    ("lessthan", Operator::LessThan),
    ("lt", Operator::LessThan),
    ("greaterthan", Operator::GreaterThan),
    ("gt", Operator::GreaterThan),
    ("matchwildcard", Operator::MatchWildcard),
    ("matchregex", Operator::MatchRegex),
    ("regex", Operator::Regex),
    ("iregex", Operator::RegexIgnoringCase),
    ("timediff_lt", Operator::TimeDifferenceLess),
    ("td_lt", Operator::TimeDifferenceLess),
    ("timediff_gt", Operator::TimeDifferenceGreater),
    ("td_gt", Operator::TimeDifferenceGreater),
    ("exists", Operator::Exists),
    ("nexists", Operator::ExistsNot),
    ("inside", Operator::Inside),
    ("in", Operator::Inside),
    ("ninside", Operator::InsideNot),
    ("nin", Operator::InsideNot),
    ("search", Operator::Search),
];

impl Operator {
    /// The operator called `name`, case counting.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, operator)| *operator)
    }

    /// Every name there is.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        NAMES.iter().map(|(name, _)| *name).collect()
    }

    /// Whether a null pattern means something to it; for all others it never matches.
    const fn takes_null(self) -> bool {
        matches!(self, Self::NotEquals | Self::Exists | Self::ExistsNot)
    }

    /// How its pattern is read when it is a regular expression.
    pub(super) const fn regex_flags(self) -> Option<Flags> {
        let plain = Flags { ignore_case: false, dot_all: false, anchored: false };
        match self {
            Self::MatchRegex => Some(Flags { anchored: true, dot_all: true, ..plain }),
            Self::Regex => Some(plain),
            Self::RegexIgnoringCase => Some(Flags { ignore_case: true, ..plain }),
            Self::Equals
            | Self::NotEquals
            | Self::EqualsIgnoringCase
            | Self::Contains
            | Self::ContainsIgnoringCase
            | Self::ContainsNot
            | Self::ContainsNotIgnoringCase
            | Self::StartsWith
            | Self::StartsWithIgnoringCase
            | Self::EndsWith
            | Self::EndsWithIgnoringCase
            | Self::LessThan
            | Self::GreaterThan
            | Self::MatchWildcard
            | Self::TimeDifferenceLess
            | Self::TimeDifferenceGreater
            | Self::Exists
            | Self::ExistsNot
            | Self::Inside
            | Self::InsideNot
            | Self::Search => None,
        }
    }

    /// Whether it says something without a pattern.
    #[must_use]
    pub const fn works_without_pattern(self) -> bool {
        matches!(self, Self::Exists | Self::ExistsNot)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, operator)| operator == self).map(|(name, _)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

/// Applies every operator but `search`.
///
/// # Errors
/// What Python would raise, in its words.
pub(super) fn apply(
    operator: Operator,
    found: &Found<'_>,
    matcher: &Matcher<'_>,
    now: Timestamp,
    lookup: impl Fn(&str) -> String,
) -> Result<bool, String> {
    let pattern = matcher.value.as_ref();
    if pattern.is_null() && !operator.takes_null() {
        return Ok(false);
    }
    let null = Value::Null;
    let value = match found {
        Found::Missing => &null,
        Found::Value(value) => *value,
        Found::Made(value) => value,
        Found::Lookup(key) => return apply_to_lookup(operator, key, pattern, now, lookup),
    };
    let of = |answer: Result<bool, TypeError>| answer.map_err(|error| error.0);
    match operator {
        Operator::Exists => Ok(!value.is_null()),
        Operator::ExistsNot => Ok(value.is_null()),
        Operator::Equals => Ok(equal(value, pattern)),
        Operator::NotEquals => Ok(!equal(value, pattern)),
        Operator::Contains => of(contains(value, pattern)),
        Operator::ContainsNot => of(contains(value, pattern).map(|found| !found)),
        Operator::Inside => of(contains(pattern, value)),
        Operator::InsideNot => of(contains(pattern, value).map(|found| !found)),
        Operator::LessThan => of(compare::less(value, pattern)),
        Operator::GreaterThan => of(compare::greater(value, pattern)),
        Operator::TimeDifferenceLess | Operator::TimeDifferenceGreater => {
            time_difference(operator, &text(value), pattern, now)
        }
        Operator::MatchWildcard => {
            let value = text_operand(value, "expected str, bytes or os.PathLike object, not {}")?;
            Ok(matcher.wildcard()?.matches(value))
        }
        Operator::MatchRegex | Operator::Regex | Operator::RegexIgnoringCase => {
            let regex = matcher.regex(operator)?;
            let value = text_operand(value, "expected string or bytes-like object, got '{}'")?;
            regex.is_match(value).map_err(|error| error.to_string())
        }
        Operator::StartsWith => {
            let (value, prefix) = texts(value, pattern, "startswith")?;
            Ok(value.starts_with(prefix))
        }
        Operator::EndsWith => {
            let (value, suffix) = texts(value, pattern, "endswith")?;
            Ok(value.ends_with(suffix))
        }
        Operator::EqualsIgnoringCase => lowered(value, pattern, |v, p| v == p),
        Operator::ContainsIgnoringCase => lowered(value, pattern, |v, p| v.contains(p)),
        Operator::ContainsNotIgnoringCase => lowered(value, pattern, |v, p| !v.contains(p)),
        Operator::StartsWithIgnoringCase => lowered(value, pattern, |v, p| v.starts_with(p)),
        Operator::EndsWithIgnoringCase => lowered(value, pattern, |v, p| v.ends_with(p)),
        Operator::Search => Err("search looks at elements, not at a value".to_owned()),
    }
}

fn text_operand<'v>(value: &'v Value, complaint: &str) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| complaint.replace("{}", type_name(value)))
}

fn texts<'v>(
    value: &'v Value,
    pattern: &'v Value,
    method: &str,
) -> Result<(&'v str, &'v str), String> {
    let value = text_operand(value, &format!("'{{}}' object has no attribute '{method}'"))?;
    let pattern = text_operand(
        pattern,
        &format!("{method} first arg must be str or a tuple of str, not {{}}"),
    )?;
    Ok((value, pattern))
}

fn lowered(value: &Value, pattern: &Value, test: fn(&str, &str) -> bool) -> Result<bool, String> {
    let complaint = "'{}' object has no attribute 'lower'";
    let value = text_operand(value, complaint)?.to_lowercase();
    let pattern = text_operand(pattern, complaint)?.to_lowercase();
    Ok(test(&value, &pattern))
}

/// A view of the datastore is an object of its own: it exists, and equals nothing.
fn apply_to_lookup(
    operator: Operator,
    key: &str,
    pattern: &Value,
    now: Timestamp,
    lookup: impl Fn(&str) -> String,
) -> Result<bool, String> {
    match operator {
        Operator::Exists | Operator::NotEquals => Ok(true),
        Operator::ExistsNot | Operator::Equals => Ok(false),
        Operator::TimeDifferenceLess | Operator::TimeDifferenceGreater => {
            time_difference(operator, &lookup(key), pattern, now)
        }
        Operator::Inside | Operator::InsideNot if pattern.is_array() || pattern.is_object() => {
            Ok(operator == Operator::InsideNot)
        }
        Operator::Inside
        | Operator::InsideNot
        | Operator::EqualsIgnoringCase
        | Operator::Contains
        | Operator::ContainsIgnoringCase
        | Operator::ContainsNot
        | Operator::ContainsNotIgnoringCase
        | Operator::StartsWith
        | Operator::StartsWithIgnoringCase
        | Operator::EndsWith
        | Operator::EndsWithIgnoringCase
        | Operator::LessThan
        | Operator::GreaterThan
        | Operator::MatchWildcard
        | Operator::MatchRegex
        | Operator::Regex
        | Operator::RegexIgnoringCase
        | Operator::Search => Err(format!(
            "system.{key} names a datastore item, not its text: use \
             '{{{{ st2kv.system.{key} | string }}}}' in a pattern"
        )),
    }
}

fn time_difference(
    operator: Operator,
    value: &str,
    pattern: &Value,
    now: Timestamp,
) -> Result<bool, String> {
    let moment = moment::parse(value, now)
        .map(|moment| moment.utc_nanos())
        .ok_or_else(|| format!("{value:?} is not a date in a known format"))?;
    let seconds = match pattern {
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) => literal::float(text)
            .ok_or_else(|| format!("could not convert string to float: {text:?}"))?,
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(format!(
                "float() argument must be a string or a real number, not '{}'",
                type_name(pattern)
            ));
        }
    };
    let nanos = i128::from(now.nanos()) - moment;
    #[expect(clippy::cast_precision_loss, reason = "seconds are compared, not counted")]
    let elapsed = nanos as f64 / 1e9;
    Ok(if operator == Operator::TimeDifferenceLess { elapsed < seconds } else { elapsed > seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_33_names() {
        assert_eq!(NAMES.len(), 33);
        for (name, operator) in NAMES {
            assert_eq!(Operator::parse(name), Some(*operator));
        }
        assert_eq!(Operator::parse("Equals"), None);
    }
}
