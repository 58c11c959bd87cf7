//! Filters and tests of Jinja itself, where the template engine lacks them or differs.

use std::fmt::Write;

use minijinja::formatting::FormatStyle;
use minijinja::{Environment, Error, Value as Native};

use serde_json::Value;

use super::super::arguments::{Given, invalid, named, required, text_of};
use super::super::convert::{Kind, from_native, kind_of};
use super::super::operators::{TEXT_MAX, formatted};
use crate::value::literal;
use crate::value::text::repr;

/// Widest text that a filter may pad to.
const WIDTH_MAX: usize = 10_000;

/// Adds the filters and tests.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("string", text_of);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("join", join);
    environment.add_filter("center", center);
    environment.add_filter("e", escape);
    environment.add_filter("escape", escape);
    environment.add_filter("format", format_filter);
    environment.add_filter("indent", indent);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("replace", replace);
    environment.add_filter("pprint", |value: &Native| -> Result<String, Error> {
        let value = from_native(value).map_err(invalid)?;
        Ok(repr(&with_sorted_keys(value)))
    });
    environment.add_filter("filesizeformat", file_size);
    environment.add_filter("wordwrap", word_wrap);
    environment.add_filter("wordcount", |value: &Native| -> Result<usize, Error> {
        let text = text_of(value)?;
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        Ok(words.filter(|word| !word.is_empty()).count())
    });
    environment.add_filter("truncate", truncate);
    environment.add_filter("urlencode", |value: &Native| urlencode(value));
    environment
        .add_filter("striptags", |value: &Native| text_of(value).map(|text| strip_tags(&text)));
    tests(environment);
    environment.add_test("callable", |value: &Native| {
        // Values of an event are never functions; only globals are.
        kind_of(value) == Kind::Other
    });
}

/// Tests on which the engine and Jinja differ.
fn tests(environment: &mut Environment<'static>) {
    let divides = |value: &Native, divisor: i64| -> Result<f64, Error> {
        let number = match kind_of(value) {
            Kind::Bool => f64::from(u8::from(value.is_true())),
            Kind::Whole | Kind::Float => f64::try_from(value.clone())?,
            Kind::Undefined => return Err(Error::from(minijinja::ErrorKind::UndefinedError)),
            Kind::None
            | Kind::Text
            | Kind::List
            | Kind::Iterable
            | Kind::Map
            | Kind::Lookup
            | Kind::Other => return Err(invalid("only a number can be divided")),
        };
        if divisor == 0 {
            return Err(invalid("integer modulo by zero"));
        }
        #[expect(clippy::cast_precision_loss, reason = "divisors are small")]
        Ok(number.rem_euclid(divisor as f64))
    };
    environment.add_test("odd", move |value: &Native| divides(value, 2).map(|rest| rest == 1.0));
    environment.add_test("even", move |value: &Native| divides(value, 2).map(|rest| rest == 0.0));
    environment.add_test("divisibleby", move |value: &Native, divisor: i64| {
        divides(value, divisor).map(|rest| rest == 0.0)
    });
    environment.add_test("iterable", |value: &Native| {
        matches!(kind_of(value), Kind::Text | Kind::List | Kind::Iterable | Kind::Map)
    });
    environment.add_test("sequence", |value: &Native| {
        matches!(kind_of(value), Kind::Text | Kind::List | Kind::Map)
    });
    for (name, other_case) in
        [("lower", char::is_uppercase as fn(char) -> bool), ("upper", char::is_lowercase)]
    {
        environment.add_test(name, move |value: &Native| -> Result<bool, Error> {
            let text = text_of(value)?;
            let cased = text.chars().any(|c| c.is_uppercase() || c.is_lowercase());
            Ok(cased && !text.chars().any(other_case))
        });
    }
}

fn no_undefined(value: &Native) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(minijinja::ErrorKind::UndefinedError));
    }
    Ok(())
}

/// A number of the text, of the text as a float, or else the default: never an error.
fn int(value: &Native, given: Given) -> Result<Native, Error> {
    let [default, base] = named(given.into_values(), ["default", "base"])?;
    no_undefined(value)?;
    let default = default.unwrap_or_else(|| Native::from(0));
    let base = base.and_then(|base| base.as_i64()).unwrap_or(10);
    let text = match kind_of(value) {
        Kind::Bool => return Ok(Native::from(i64::from(value.is_true()))),
        Kind::Whole => return Ok(value.clone()),
        Kind::Float => return Ok(whole(f64::try_from(value.clone())?).unwrap_or(default)),
        Kind::Text | Kind::Lookup => text_of(value)?,
        Kind::Undefined | Kind::None | Kind::List | Kind::Iterable | Kind::Map | Kind::Other => {
            return Ok(default);
        }
    };
    let number = if base == 10 { literal::integer(&text) } else { with_base(&text, base) };
    if let Some(number) = number {
        return Ok(Native::from(number));
    }
    Ok(literal::float(&text).and_then(whole).unwrap_or(default))
}

fn with_base(text: &str, base: i64) -> Option<i128> {
    let radix = u32::try_from(base).ok().filter(|radix| (2..=36).contains(radix))?;
    let lower = text.trim().to_ascii_lowercase();
    let (negative, digits) = match lower.strip_prefix('-') {
        Some(rest) => (true, rest.to_owned()),
        None => (false, lower),
    };
    let prefix = match radix {
        2 => "0b",
        8 => "0o",
        16 => "0x",
        _ => "",
    };
    let digits = digits.strip_prefix(prefix).unwrap_or(&digits);
    let number = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// The whole part of a float.
fn whole(number: f64) -> Option<Native> {
    /// Beyond this an `i128` could not hold it.
    const WHOLE_MAX: f64 = 1e38;
    if !number.is_finite() || number.abs() > WHOLE_MAX {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked against WHOLE_MAX")]
    let number = number.trunc() as i128;
    Some(match i64::try_from(number) {
        Ok(small) => Native::from(small),
        Err(_) => Native::from(number),
    })
}

fn float(value: &Native, given: Given) -> Result<Native, Error> {
    let [default] = named(given.into_values(), ["default"])?;
    no_undefined(value)?;
    let default = default.unwrap_or_else(|| Native::from(0.0));
    Ok(match kind_of(value) {
        Kind::Bool => Native::from(if value.is_true() { 1.0 } else { 0.0 }),
        Kind::Whole | Kind::Float => Native::from(f64::try_from(value.clone())?),
        Kind::Text | Kind::Lookup => literal::float(&text_of(value)?).map_or(default, Native::from),
        Kind::Undefined | Kind::None | Kind::List | Kind::Iterable | Kind::Map | Kind::Other => {
            default
        }
    })
}

fn join(value: &Native, given: Given) -> Result<String, Error> {
    let [separator, attribute] = named(given.into_values(), ["d", "attribute"])?;
    no_undefined(value)?;
    let separator = match separator {
        Some(separator) => text_of(&separator)?,
        None => String::new(),
    };
    let mut texts = Vec::new();
    for item in value.try_iter()? {
        let item = match &attribute {
            Some(attribute) => match attribute.as_str() {
                Some(name) => {
                    let mut at = item;
                    for part in name.split('.') {
                        at = at.get_attr(part)?;
                    }
                    at
                }
                None => item.get_item(attribute)?,
            },
            None => item,
        };
        texts.push(text_of(&item)?);
    }
    Ok(texts.join(&separator))
}

/// HTML's special characters by name; what is marked safe is left alone.
fn escape(value: &Native) -> Result<Native, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let mut out = String::new();
    for c in text_of(value)?.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Ok(Native::from_safe_string(out))
}

fn format_filter(value: &Native, given: Given) -> Result<Native, Error> {
    formatted(FormatStyle::Printf, &text_of(value)?, &given.into_values())
}

/// Every line but the first moved to the right; blank lines only when asked.
fn indent(value: &Native, given: Given) -> Result<String, Error> {
    let [width, first, blank] = named(given.into_values(), ["width", "first", "blank"])?;
    no_undefined(value)?;
    let text = value.as_str().ok_or_else(|| invalid("only a text can be indented"))?;
    let margin = match &width {
        None => "    ".to_owned(),
        Some(width) => match (width.as_str(), width.as_usize()) {
            (Some(margin), _) => margin.to_owned(),
            (None, Some(width)) if width <= WIDTH_MAX => " ".repeat(width),
            (None, _) => return Err(invalid(format!("width is a number up to {WIDTH_MAX}"))),
        },
    };
    let yes = |flag: Option<Native>| flag.is_some_and(|flag| flag.is_true());
    let (first, blank) = (yes(first), yes(blank));
    let mut out = String::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if (index > 0 || first) && (blank || !line.is_empty()) {
            out.push_str(&margin);
        }
        out.push_str(line);
        if out.len() > TEXT_MAX {
            return Err(invalid(format!("the text would be longer than {TEXT_MAX} bytes")));
        }
    }
    Ok(out)
}

/// The value, or another one when it is undefined; with `boolean`, also when it counts as false.
fn default(value: &Native, given: Given) -> Result<Native, Error> {
    let [default, boolean] = named(given.into_values(), ["default_value", "boolean"])?;
    let falsy = boolean.is_some_and(|boolean| boolean.is_true()) && !value.is_true();
    if value.is_undefined() || falsy {
        return Ok(default.unwrap_or_else(|| Native::from("")));
    }
    Ok(value.clone())
}

fn replace(value: &Native, given: Given) -> Result<String, Error> {
    let [old, new, count] = named(given.into_values(), ["old", "new", "count"])?;
    let text = text_of(value)?;
    let (old, new) = (text_of(&required(old, "old")?)?, text_of(&required(new, "new")?)?);
    let places = text.matches(old.as_str()).count();
    if places.saturating_mul(new.len()).saturating_add(text.len()) > TEXT_MAX {
        return Err(invalid(format!("the text would be longer than {TEXT_MAX} bytes")));
    }
    Ok(match count.and_then(|count| count.as_usize()) {
        Some(count) => text.replacen(old.as_str(), &new, count),
        None => text.replace(old.as_str(), &new),
    })
}

fn with_sorted_keys(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            entries.into_iter().map(|(key, item)| (key, with_sorted_keys(item))).collect()
        }
        Value::Array(items) => items.into_iter().map(with_sorted_keys).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// `1.0 kB`, or with `binary` `1.0 KiB`.
fn file_size(value: &Native, given: Given) -> Result<String, Error> {
    let [binary] = named(given.into_values(), ["binary"])?;
    let binary = binary.is_some_and(|binary| binary.is_true());
    let bytes = literal::float(&text_of(value)?).ok_or_else(|| invalid("a number is needed"))?;
    let base = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok("1 Byte".to_owned());
    }
    if bytes < base {
        return Ok(format!("{bytes:.0} Bytes"));
    }
    let units = if binary {
        ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    } else {
        ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    };
    let mut size = bytes / base;
    for unit in units {
        if size < base || unit.starts_with('Y') {
            return Ok(format!("{size:.1} {unit}"));
        }
        size /= base;
    }
    Err(invalid("the number is too large"))
}

/// Lines of at most `width` characters, cut between words; longer words are cut too.
fn word_wrap(value: &Native, given: Given) -> Result<String, Error> {
    let [width] = named(given.into_values(), ["width"])?;
    let width = width.map_or(Some(79), |width| width.as_usize()).filter(|width| *width > 0);
    let width = width.ok_or_else(|| invalid("width is a number of at least 1"))?;
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text_of(value)?.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let mut word: Vec<char> = word.chars().collect();
            let used = line.chars().count();
            if used > 0 && used + 1 + word.len() > width {
                lines.push(std::mem::take(&mut line));
            } else if used > 0 {
                line.push(' ');
            }
            while word.len() > width {
                let rest = word.split_off(width);
                lines.push(word.into_iter().collect());
                word = rest;
            }
            line.extend(word);
        }
        lines.push(line);
    }
    Ok(lines.join("\n"))
}

fn center(value: &Native, given: Given) -> Result<String, Error> {
    let [width] = named(given.into_values(), ["width"])?;
    let width = match width {
        Some(width) => width.as_usize().ok_or_else(|| invalid("width is a number"))?,
        None => 80,
    };
    if width > WIDTH_MAX {
        return Err(invalid(format!("width is at most {WIDTH_MAX}")));
    }
    Ok(centered(&text_of(value)?, width, ' '))
}

/// `str.center`: the odd blank goes left when the width is odd.
pub(in super::super) fn centered(text: &str, width: usize, fill: char) -> String {
    let margin = width.saturating_sub(text.chars().count());
    let left = margin / 2 + (margin & width & 1);
    let pad = |count: usize| fill.to_string().repeat(count);
    format!("{}{text}{}", pad(left), pad(margin - left))
}

fn truncate(value: &Native, given: Given) -> Result<Native, Error> {
    let [length, kill_words, end, leeway] =
        named(given.into_values(), ["length", "killwords", "end", "leeway"])?;
    no_undefined(value)?;
    let number = |argument: Option<Native>, default: usize| match argument {
        Some(argument) => argument.as_usize().ok_or_else(|| invalid("a length is a number")),
        None => Ok(default),
    };
    let length = number(length, 255)?;
    let leeway = number(leeway.filter(|leeway| !leeway.is_none()), 5)?;
    let end = match end {
        Some(end) => text_of(&end)?,
        None => "...".to_owned(),
    };
    let kind = kind_of(value);
    if matches!(kind, Kind::List | Kind::Map) && value.len().is_some_and(|n| n <= length + leeway) {
        return Ok(value.clone());
    }
    let text = value.as_str().ok_or_else(|| invalid("only a text can be cut"))?;
    let end_length = end.chars().count();
    if length < end_length {
        return Err(invalid(format!("expected length >= {end_length}, got {length}")));
    }
    if text.chars().count() <= length + leeway {
        return Ok(value.clone());
    }
    let cut: String = text.chars().take(length - end_length).collect();
    if kill_words.is_some_and(|kill_words| kill_words.is_true()) {
        return Ok(Native::from(cut + &end));
    }
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    Ok(Native::from(format!("{words}{end}")))
}

fn urlencode(value: &Native) -> Result<String, Error> {
    no_undefined(value)?;
    let pair = |key: &Native, item: &Native| -> Result<String, Error> {
        Ok(format!("{}={}", quoted(&text_of(key)?, true), quoted(&text_of(item)?, true)))
    };
    let mut pairs = Vec::new();
    match kind_of(value) {
        Kind::Map => {
            for key in value.try_iter()? {
                pairs.push(pair(&key, &value.get_item(&key)?)?);
            }
        }
        Kind::List | Kind::Iterable => {
            for item in value.try_iter()? {
                pairs.push(pair(&item.get_item_by_index(0)?, &item.get_item_by_index(1)?)?);
            }
        }
        Kind::Undefined
        | Kind::None
        | Kind::Bool
        | Kind::Whole
        | Kind::Float
        | Kind::Text
        | Kind::Lookup
        | Kind::Other => return Ok(quoted(&text_of(value)?, false)),
    }
    Ok(pairs.join("&"))
}

/// Percent-encoding; in a query string a blank is `+` and a slash is encoded too.
fn quoted(text: &str, query: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            byte => {
                // Writing into a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The text without comments and tags, runs of blanks made one.
fn strip_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let end = if after.starts_with("!--") { "-->" } else { ">" };
        match after.split_once(end) {
            Some((_, behind)) => rest = behind,
            None => {
                out.push('<');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}
