//! Operators with Python's meaning, as functions that rewritten expressions call.
//!
//! What Python refuses is refused, and what grows has a limit.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Rest, Tuple};
use minijinja::{Environment, Error, ErrorKind, Value as Native};

use super::arguments::{invalid, text_of};
use super::convert::{Kind, from_native, kind_of};
use super::simple::MAP_METHODS;
use crate::value::compare;

/// Longest text that an operator may make, in bytes.
pub(super) const TEXT_MAX: usize = 4 * 1024 * 1024;
/// Longest list that an operator may make.
const ITEMS_MAX: usize = 100_000;
/// Widest field of a format.
const WIDTH_MAX: usize = 10_000;

/// Adds the functions.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_function("__less", |left: &Native, right: &Native, shown: Option<&str>| {
        less(left, right, shown.unwrap_or("<"))
    });
    environment.add_function("__at_most", |left: &Native, right: &Native, shown: Option<&str>| {
        less(right, left, shown.unwrap_or("<=")).map(|less| !less)
    });
    environment.add_function("__contains", contains);
    environment.add_function("__add", plus);
    environment.add_function("__plus", |value: &Native| {
        let kind = kind_of(value);
        if matches!(kind, Kind::Whole | Kind::Float) {
            return Ok(value.clone());
        }
        Err(refused("unary +", kind, None))
    });
    environment.add_function("__negate", |value: &Native| match number(value) {
        Some(Number::Whole(whole)) => whole.checked_neg().map(integer).ok_or_else(too_large),
        Some(Number::Floating(floating)) => Ok(Native::from(-floating)),
        None => Err(refused("unary -", kind_of(value), None)),
    });
    environment.add_function("__iterable", |value: Native, or_nothing: Option<bool>| {
        let kind = kind_of(&value);
        if or_nothing == Some(true) && kind != Kind::Undefined && !value.is_true() {
            return Ok(Native::from(Vec::<Native>::new()));
        }
        let endless = matches!(kind, Kind::None | Kind::Bool | Kind::Whole | Kind::Float);
        if endless || kind == Kind::Lookup {
            return Err(invalid(format!("'{}' object is not iterable", kind.name())));
        }
        Ok(value)
    });
    environment.add_function("__times", times);
    environment.add_function("__modulo", modulo);
    environment.add_function("__join", |parts: Rest<Native>| {
        let mut out = String::new();
        for part in parts.iter() {
            append(&mut out, &text_of(part)?)?;
        }
        Ok::<String, Error>(out)
    });
    environment.add_function("__slice", slice);
    environment.add_function("__attribute", attribute);
}

/// The names of the functions: no variables of a template.
pub(super) const NAMES: &[&str] = &[
    "__less",
    "__at_most",
    "__negate",
    "__iterable",
    "__contains",
    "__add",
    "__plus",
    "__times",
    "__modulo",
    "__join",
    "__slice",
    "__attribute",
];

fn append(out: &mut String, text: &str) -> Result<(), Error> {
    if out.len() + text.len() > TEXT_MAX {
        return Err(invalid(format!("the text would be longer than {TEXT_MAX} bytes")));
    }
    out.push_str(text);
    Ok(())
}

fn refused(operator: &str, left: Kind, right: Option<Kind>) -> Error {
    if left == Kind::Undefined || right == Some(Kind::Undefined) {
        return Error::from(ErrorKind::UndefinedError);
    }
    let right = right.map(|right| format!(" and '{}'", right.name())).unwrap_or_default();
    invalid(format!("unsupported operand type(s) for {operator}: '{}'{right}", left.name()))
}

fn less(left: &Native, right: &Native, shown: &str) -> Result<bool, Error> {
    let refused = || refused(shown, kind_of(left), Some(kind_of(right)));
    if left.is_tuple() != right.is_tuple() {
        return Err(refused());
    }
    let (Ok(left), Ok(right)) = (from_native(left), from_native(right)) else {
        return Err(refused());
    };
    compare::less(&left, &right).map_err(|_| refused())
}

fn contains(container: &Native, item: &Native) -> Result<bool, Error> {
    let refused = || refused("in", kind_of(item), Some(kind_of(container)));
    if kind_of(item) == Kind::Undefined {
        return Err(refused());
    }
    match (from_native(container), from_native(item)) {
        (Ok(container), Ok(item)) => {
            compare::contains(&container, &item).map_err(|error| invalid(error.0))
        }
        _ => Err(refused()),
    }
}

fn plus(left: &Native, right: &Native) -> Result<Native, Error> {
    match (kind_of(left), kind_of(right)) {
        (Kind::Text, Kind::Text) => {
            let mut out = text_of(left)?;
            append(&mut out, right.as_str().unwrap_or_default())?;
            Ok(Native::from(out))
        }
        (Kind::List, Kind::List) => {
            let count = left.len().unwrap_or(0) + right.len().unwrap_or(0);
            if count > ITEMS_MAX {
                return Err(invalid(format!("the list would have more than {ITEMS_MAX} items")));
            }
            if left.is_tuple() != right.is_tuple() {
                return Err(invalid("a list and a tuple cannot be joined"));
            }
            let items: Vec<Native> = left.try_iter()?.chain(right.try_iter()?).collect();
            Ok(if left.is_tuple() { Tuple::new(items).into() } else { Native::from(items) })
        }
        (left_kind, right_kind) => match (number(left), number(right)) {
            (Some(Number::Whole(left)), Some(Number::Whole(right))) => {
                left.checked_add(right).map(integer).ok_or_else(too_large)
            }
            (Some(left), Some(right)) => Ok(Native::from(left.floating() + right.floating())),
            _ => Err(refused("+", left_kind, Some(right_kind))),
        },
    }
}

fn times(left: &Native, right: &Native) -> Result<Native, Error> {
    let (left_kind, right_kind) = (kind_of(left), kind_of(right));
    let (repeated, count) = match (left_kind, right_kind) {
        (Kind::Text | Kind::List, Kind::Whole | Kind::Bool) => (left, number(right)),
        (Kind::Whole | Kind::Bool, Kind::Text | Kind::List) => (right, number(left)),
        _ => {
            return match (number(left), number(right)) {
                (Some(Number::Whole(left)), Some(Number::Whole(right))) => {
                    left.checked_mul(right).map(integer).ok_or_else(too_large)
                }
                (Some(left), Some(right)) => Ok(Native::from(left.floating() * right.floating())),
                _ => Err(refused("*", left_kind, Some(right_kind))),
            };
        }
    };
    let count = match count {
        Some(Number::Whole(count)) => usize::try_from(count.max(0)).map_err(|_| too_large())?,
        Some(Number::Floating(_)) | None => 0,
    };
    if let Some(text) = repeated.as_str() {
        if text.len().saturating_mul(count) > TEXT_MAX {
            return Err(invalid(format!("the text would be longer than {TEXT_MAX} bytes")));
        }
        return Ok(Native::from(text.repeat(count)));
    }
    let items: Vec<Native> = repeated.try_iter()?.collect();
    if items.len().saturating_mul(count) > ITEMS_MAX {
        return Err(invalid(format!("the list would have more than {ITEMS_MAX} items")));
    }
    let items: Vec<Native> = (0..count).flat_map(|_| items.iter().cloned()).collect();
    Ok(if repeated.is_tuple() { Tuple::new(items).into() } else { Native::from(items) })
}

/// The rest of a division with the sign of the divisor, or a text with values put in.
fn modulo(left: &Native, right: &Native) -> Result<Native, Error> {
    if let Some(pattern) = left.as_str() {
        let arguments: Vec<Native> =
            if right.is_tuple() { right.try_iter()?.collect() } else { vec![right.clone()] };
        let takes = conversions(pattern);
        let lookup = !right.is_tuple() && matches!(kind_of(right), Kind::Map | Kind::List);
        if arguments.len() > takes && !lookup {
            return Err(invalid("not all arguments converted during string formatting"));
        }
        return formatted(FormatStyle::Printf, pattern, &arguments);
    }
    let zero = || invalid("integer modulo by zero");
    match (number(left), number(right)) {
        (Some(Number::Whole(left)), Some(Number::Whole(right))) => {
            let rest = left.checked_rem(right).ok_or_else(zero)?;
            let other_sign = rest != 0 && (rest < 0) != (right < 0);
            Ok(integer(if other_sign { rest + right } else { rest }))
        }
        (Some(left), Some(right)) => {
            let (left, right) = (left.floating(), right.floating());
            if right == 0.0 {
                return Err(zero());
            }
            Ok(Native::from(left - right * (left / right).floor()))
        }
        _ => Err(refused("%", kind_of(left), Some(kind_of(right)))),
    }
}

/// How many values the text takes: its percent signs, but for doubled ones.
fn conversions(pattern: &str) -> usize {
    let mut count = 0;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '%' && chars.next_if_eq(&'%').is_none() {
            count += 1;
        }
    }
    count
}

/// Puts values into a text; widths have a limit, and values print as Python prints them.
pub(super) fn formatted(
    style: FormatStyle,
    pattern: &str,
    arguments: &[Native],
) -> Result<Native, Error> {
    let wide = pattern
        .split(|c: char| !c.is_ascii_digit())
        .any(|digits| digits.parse::<usize>().map_or(!digits.is_empty(), |n| n > WIDTH_MAX));
    if wide {
        return Err(invalid(format!("a field may be {WIDTH_MAX} characters wide")));
    }
    format(style, pattern, arguments).map(Native::from)
}

fn slice(
    value: &Native,
    start: Option<&Native>,
    stop: Option<&Native>,
    step: Option<&Native>,
) -> Result<Native, Error> {
    let bound = |bound: Option<&Native>| match bound.filter(|bound| !bound.is_none()) {
        None => Ok(None),
        Some(bound) => bound
            .as_i64()
            .map(Some)
            .ok_or_else(|| invalid("slice indices must be integers or None")),
    };
    let (start, stop, step) = (bound(start)?, bound(stop)?, bound(step)?.unwrap_or(1));
    if step == 0 {
        return Err(invalid("slice step cannot be zero"));
    }
    let kind = kind_of(value);
    match kind {
        Kind::Text => {
            let chars: Vec<char> = value.as_str().unwrap_or_default().chars().collect();
            let places = places(chars.len(), start, stop, step);
            Ok(Native::from(places.into_iter().filter_map(|at| chars.get(at)).collect::<String>()))
        }
        Kind::List => {
            let items: Vec<Native> = value.try_iter()?.collect();
            let places = places(items.len(), start, stop, step);
            let taken: Vec<Native> =
                places.into_iter().filter_map(|at| items.get(at).cloned()).collect();
            Ok(if value.is_tuple() { Tuple::new(taken).into() } else { Native::from(taken) })
        }
        Kind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        Kind::None
        | Kind::Bool
        | Kind::Whole
        | Kind::Float
        | Kind::Iterable
        | Kind::Map
        | Kind::Lookup
        | Kind::Other => Err(invalid(format!("'{}' object is not subscriptable", kind.name()))),
    }
}

/// The places that a slice takes, in its order.
fn places(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let clamp = |index: i64, low: i64, high: i64| {
        let index = if index < 0 { index.saturating_add(length) } else { index };
        index.clamp(low, high)
    };
    let mut places = Vec::new();
    let mut at;
    let end;
    if step > 0 {
        at = start.map_or(0, |start| clamp(start, 0, length));
        end = stop.map_or(length, |stop| clamp(stop, 0, length));
    } else {
        at = start.map_or(length - 1, |start| clamp(start, -1, length - 1));
        end = stop.map_or(-1, |stop| clamp(stop, -1, length - 1));
    }
    while (step > 0 && at < end) || (step < 0 && at > end) {
        places.extend(usize::try_from(at).ok());
        at = at.saturating_add(step);
    }
    places
}

/// An attribute that is a method of Python's maps: never the key of that name.
fn attribute(value: &Native, name: &str) -> Result<Native, Error> {
    if kind_of(value) == Kind::Map && MAP_METHODS.contains(&name) {
        return Err(invalid(format!(
            "'{name}' is a method of a map: write ['{name}'] for the key, {name}() to call it"
        )));
    }
    value.get_attr(name)
}

#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Floating(f64),
}

impl Number {
    fn floating(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "Python rounds here as well")]
            Self::Whole(whole) => whole as f64,
            Self::Floating(floating) => floating,
        }
    }
}

/// Booleans count as 0 and 1.
fn number(value: &Native) -> Option<Number> {
    match kind_of(value) {
        Kind::Bool => Some(Number::Whole(i128::from(value.is_true()))),
        Kind::Whole => i128::try_from(value.clone()).ok().map(Number::Whole),
        Kind::Float => f64::try_from(value.clone()).ok().map(Number::Floating),
        Kind::Undefined
        | Kind::None
        | Kind::Text
        | Kind::List
        | Kind::Iterable
        | Kind::Map
        | Kind::Lookup
        | Kind::Other => None,
    }
}

/// A whole number in its usual form, so that filters know it for one.
fn integer(whole: i128) -> Native {
    i64::try_from(whole).map_or_else(|_| Native::from(whole), Native::from)
}

fn too_large() -> Error {
    invalid("the number is too large")
}
