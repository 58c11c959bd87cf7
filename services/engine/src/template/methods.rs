//! Python's methods on texts, maps and lists, as far as templates in the wild call them.
//!
//! Values of an event cannot be changed from a template, so the methods that would change one
//! (`append`, `update`, …) are refused instead of doing nothing.

use minijinja::formatting::FormatStyle;
use minijinja::value::Tuple;
use minijinja::{Error, ErrorKind, State, Value as Native};

use super::arguments::{invalid, named, required, required_text, text_of};
use super::convert::{Kind, kind_of};
use super::filters::centered;
use super::operators::{TEXT_MAX, formatted};
use super::simple::MAP_METHODS;
use crate::value::compare::equal;

/// Widest text that a method may pad to.
const WIDTH_MAX: usize = 10_000;

/// Calls `method` of `value`.
pub(super) fn call(
    _state: &mut State<'_, '_>,
    value: &Native,
    method: &str,
    arguments: &[Native],
) -> Result<Native, Error> {
    match kind_of(value) {
        Kind::Text => text_method(value, method, arguments),
        Kind::Map => map_method(value, method, arguments),
        Kind::List => list_method(value, method, arguments),
        Kind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        Kind::None
        | Kind::Bool
        | Kind::Whole
        | Kind::Float
        | Kind::Iterable
        | Kind::Lookup
        | Kind::Other => Err(unknown(value, method)),
    }
}

fn unknown(value: &Native, method: &str) -> Error {
    Error::new(ErrorKind::UnknownMethod, format!("{} has no method {method:?}", value.kind()))
}

fn unchangeable(method: &str) -> Error {
    invalid(format!("{method}() would change a value, and templates cannot"))
}

fn map_method(map: &Native, method: &str, arguments: &[Native]) -> Result<Native, Error> {
    let given = arguments.to_vec();
    match method {
        "get" => {
            let [key, default] = named(given, ["key", "default"])?;
            let found = map.get_item(&required(key, "key")?)?;
            Ok(if found.is_undefined() { default.unwrap_or_else(|| ().into()) } else { found })
        }
        "keys" | "iterkeys" => {
            let [] = named(given, [])?;
            Ok(Native::from(map.try_iter()?.collect::<Vec<_>>()))
        }
        "values" | "itervalues" => {
            let [] = named(given, [])?;
            let items = map.try_iter()?.map(|key| map.get_item(&key)).collect::<Result<_, _>>();
            items.map(|items: Vec<Native>| Native::from(items))
        }
        "items" | "iteritems" => {
            let [] = named(given, [])?;
            let pair = |key: Native| -> Result<Native, Error> {
                let item = map.get_item(&key)?;
                Ok(Native::from(Tuple::new(vec![key, item])))
            };
            let pairs = map.try_iter()?.map(pair).collect::<Result<Vec<_>, _>>();
            pairs.map(Native::from)
        }
        "has_key" => {
            let [key] = named(given, ["key"])?;
            Ok(Native::from(!map.get_item(&required(key, "key")?)?.is_undefined()))
        }
        "copy" => Ok(map.clone()),
        other if MAP_METHODS.contains(&other) => Err(unchangeable(method)),
        _ => Err(unknown(map, method)),
    }
}

fn list_method(list: &Native, method: &str, arguments: &[Native]) -> Result<Native, Error> {
    let given = arguments.to_vec();
    match method {
        "count" | "index" => {
            let [wanted] = named(given, ["value"])?;
            let wanted = required(wanted, "value")?;
            let mut places = list
                .try_iter()?
                .enumerate()
                .filter(|(_, item)| same(item, &wanted))
                .map(|(place, _)| place);
            if method == "count" {
                return Ok(Native::from(places.count()));
            }
            places.next().map(Native::from).ok_or_else(|| invalid("the value is not in list"))
        }
        "copy" => Ok(list.clone()),
        "append" | "extend" | "insert" | "pop" | "remove" | "reverse" | "sort" | "clear" => {
            Err(unchangeable(method))
        }
        _ => Err(unknown(list, method)),
    }
}

/// Python's equality, through JSON where that is possible.
fn same(left: &Native, right: &Native) -> bool {
    match (super::convert::from_native(left), super::convert::from_native(right)) {
        (Ok(left), Ok(right)) => equal(&left, &right),
        _ => left == right,
    }
}

fn text_method(value: &Native, method: &str, arguments: &[Native]) -> Result<Native, Error> {
    let text = value.as_str().unwrap_or_default();
    let given = arguments.to_vec();
    if let Some(answer) = changed_case(text, method).or_else(|| asked(text, method)) {
        let [] = named(given, [])?;
        return Ok(answer);
    }
    match method {
        "strip" | "lstrip" | "rstrip" => strip(text, method, given),
        "split" | "rsplit" => split(text, method, given),
        "splitlines" => Ok(text.lines().map(Native::from).collect()),
        "partition" | "rpartition" => partition(text, method, given),
        "startswith" | "endswith" => affix(text, method, given),
        "removeprefix" | "removesuffix" => {
            let [affix] = named(given, ["affix"])?;
            let affix = required_text(affix, "affix")?;
            let rest = if method == "removeprefix" {
                text.strip_prefix(affix.as_str())
            } else {
                text.strip_suffix(affix.as_str())
            };
            Ok(Native::from(rest.unwrap_or(text)))
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, method, given),
        "replace" => replace(text, given),
        "join" => {
            let [items] = named(given, ["iterable"])?;
            let items = required(items, "iterable")?;
            let mut texts = Vec::new();
            for item in items.try_iter()? {
                match item.as_str() {
                    Some(item) => texts.push(item.to_owned()),
                    None => return Err(invalid("join() needs texts")),
                }
            }
            Ok(Native::from(texts.join(text)))
        }
        "zfill" | "ljust" | "rjust" | "center" => pad(text, method, given),
        "format" => {
            let mut all = vec![value.clone()];
            all.extend(given);
            format_text(&all)
        }
        _ => Err(unknown(value, method)),
    }
}

fn changed_case(text: &str, method: &str) -> Option<Native> {
    let changed = match method {
        "lower" | "casefold" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "capitalize" => {
            let mut chars = text.chars();
            let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
            first + &chars.as_str().to_lowercase()
        }
        "title" => {
            let mut out = String::new();
            let mut inside = false;
            for c in text.chars() {
                if inside {
                    out.extend(c.to_lowercase());
                } else {
                    out.extend(c.to_uppercase());
                }
                inside = c.is_alphabetic();
            }
            out
        }
        "swapcase" => text
            .chars()
            .flat_map(|c| -> Box<dyn Iterator<Item = char>> {
                if c.is_uppercase() {
                    Box::new(c.to_lowercase())
                } else {
                    Box::new(c.to_uppercase())
                }
            })
            .collect(),
        _ => return None,
    };
    Some(Native::from(changed))
}

/// The questions `isdigit` and its like: all characters must say yes, and there must be some.
fn asked(text: &str, method: &str) -> Option<Native> {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    let cased = text.chars().any(|c| c.is_lowercase() || c.is_uppercase());
    let answer = match method {
        "isdigit" | "isdecimal" | "isnumeric" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "islower" => cased && !text.chars().any(char::is_uppercase),
        "isupper" => cased && !text.chars().any(char::is_lowercase),
        _ => return None,
    };
    Some(Native::from(answer))
}

fn strip(text: &str, method: &str, given: Vec<Native>) -> Result<Native, Error> {
    let [chars] = named(given, ["chars"])?;
    let chars = match chars.filter(|chars| !chars.is_none()) {
        Some(chars) => Some(required_text(Some(chars), "chars")?),
        None => None,
    };
    let trim = |c: char| match &chars {
        Some(chars) => chars.contains(c),
        None => c.is_whitespace(),
    };
    Ok(Native::from(match method {
        "lstrip" => text.trim_start_matches(trim),
        "rstrip" => text.trim_end_matches(trim),
        _ => text.trim_matches(trim),
    }))
}

fn split(text: &str, method: &str, given: Vec<Native>) -> Result<Native, Error> {
    let [separator, count] = named(given, ["sep", "maxsplit"])?;
    let count = count.and_then(|count| count.as_usize());
    let mut parts: Vec<&str> = match separator.filter(|separator| !separator.is_none()) {
        Some(separator) => {
            let separator = required_text(Some(separator), "sep")?;
            if separator.is_empty() {
                return Err(invalid("empty separator"));
            }
            match (count, method) {
                (Some(count), "rsplit") => text.rsplitn(count + 1, separator.as_str()).collect(),
                (Some(count), _) => text.splitn(count + 1, separator.as_str()).collect(),
                (None, "rsplit") => text.rsplit(separator.as_str()).collect(),
                (None, _) => text.split(separator.as_str()).collect(),
            }
        }
        None => split_blanks(text, count, method == "rsplit"),
    };
    if method == "rsplit" {
        parts.reverse();
    }
    Ok(parts.into_iter().map(Native::from).collect())
}

/// Splits at runs of blanks; for `rsplit` the parts come from the end.
fn split_blanks(text: &str, count: Option<usize>, from_end: bool) -> Vec<&str> {
    let Some(count) = count else {
        let mut parts: Vec<&str> = text.split_whitespace().collect();
        if from_end {
            parts.reverse();
        }
        return parts;
    };
    let mut parts = Vec::new();
    let mut rest = if from_end { text.trim_end() } else { text.trim_start() };
    while !rest.is_empty() {
        let cut = if parts.len() == count {
            None
        } else if from_end {
            rest.rsplit_once(char::is_whitespace).map(|(head, tail)| (tail, head.trim_end()))
        } else {
            rest.split_once(char::is_whitespace).map(|(head, tail)| (head, tail.trim_start()))
        };
        match cut {
            Some((part, remaining)) => {
                parts.push(part);
                rest = remaining;
            }
            None => {
                parts.push(if from_end { rest.trim_start() } else { rest });
                break;
            }
        }
    }
    parts
}

fn partition(text: &str, method: &str, given: Vec<Native>) -> Result<Native, Error> {
    let [separator] = named(given, ["sep"])?;
    let separator = required_text(separator, "sep")?;
    let parts = if method == "partition" {
        match text.split_once(separator.as_str()) {
            Some((before, after)) => [before, &separator, after],
            None => [text, "", ""],
        }
    } else {
        match text.rsplit_once(separator.as_str()) {
            Some((before, after)) => [before, &separator, after],
            None => ["", "", text],
        }
    };
    Ok(Native::from(Tuple::new(parts.into_iter().map(Native::from).collect())))
}

/// One affix, or a tuple of which any will do.
fn affix(text: &str, method: &str, given: Vec<Native>) -> Result<Native, Error> {
    let [wanted] = named(given, ["affix"])?;
    let wanted = required(wanted, "affix")?;
    let affixes = if wanted.is_tuple() { wanted.try_iter()?.collect() } else { vec![wanted] };
    for affix in affixes {
        let affix = required_text(Some(affix), "affix")?;
        let found = if method == "startswith" {
            text.starts_with(affix.as_str())
        } else {
            text.ends_with(affix.as_str())
        };
        if found {
            return Ok(Native::from(true));
        }
    }
    Ok(Native::from(false))
}

/// Places count characters, not bytes.
fn search(text: &str, method: &str, given: Vec<Native>) -> Result<Native, Error> {
    let [part] = named(given, ["sub"])?;
    let part = required_text(part, "sub")?;
    if method == "count" {
        let empty = part.is_empty();
        let count = text.matches(part.as_str()).count();
        return Ok(Native::from(if empty { text.chars().count() + 1 } else { count }));
    }
    let at = if matches!(method, "rfind" | "rindex") {
        text.rfind(part.as_str())
    } else {
        text.find(part.as_str())
    };
    match at {
        Some(at) => Ok(Native::from(text.get(..at).unwrap_or_default().chars().count())),
        None if matches!(method, "index" | "rindex") => Err(invalid("substring not found")),
        None => Ok(Native::from(-1)),
    }
}

fn replace(text: &str, given: Vec<Native>) -> Result<Native, Error> {
    let [old, new, count] = named(given, ["old", "new", "count"])?;
    let (old, new) = (required_text(old, "old")?, required_text(new, "new")?);
    let places = text.matches(old.as_str()).count();
    if places.saturating_mul(new.len()).saturating_add(text.len()) > TEXT_MAX {
        return Err(invalid(format!("the text would be longer than {TEXT_MAX} bytes")));
    }
    Ok(Native::from(match count.and_then(|count| count.as_usize()) {
        Some(count) => text.replacen(old.as_str(), &new, count),
        None => text.replace(old.as_str(), &new),
    }))
}

fn pad(text: &str, method: &str, given: Vec<Native>) -> Result<Native, Error> {
    let [width, fill] = named(given, ["width", "fillchar"])?;
    let width = required(width, "width")?
        .as_usize()
        .filter(|width| *width <= WIDTH_MAX)
        .ok_or_else(|| invalid(format!("width is a number up to {WIDTH_MAX}")))?;
    let fill = match fill {
        Some(fill) => text_of(&fill)?.chars().next().unwrap_or(' '),
        None => ' ',
    };
    let missing = width.saturating_sub(text.chars().count());
    let padding = |c: char| c.to_string().repeat(missing);
    Ok(Native::from(match method {
        "ljust" => format!("{text}{}", padding(fill)),
        "rjust" => format!("{}{text}", padding(fill)),
        "zfill" => match text.strip_prefix(['-', '+']) {
            Some(digits) => {
                let sign = text.get(..text.len() - digits.len()).unwrap_or_default();
                format!("{sign}{}{digits}", padding('0'))
            }
            None => format!("{}{text}", padding('0')),
        },
        _ => centered(text, width, fill),
    }))
}

/// `str.format`, by the template engine's own formatter.
fn format_text(all: &[Native]) -> Result<Native, Error> {
    let Some((pattern, arguments)) = all.split_first() else {
        return Err(Error::from(ErrorKind::MissingArgument));
    };
    let pattern = pattern.as_str().unwrap_or_default();
    formatted(FormatStyle::StrFormat, pattern, arguments)
}
