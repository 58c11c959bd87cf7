//! What a plain scalar means: the rules of YAML 1.1 as PyYAML applies them.
//!
//! Packs are written against PyYAML, so `yes` is true, `012` is ten, `1:30` is ninety and `1e3` is
//! text (a float needs a dot and a signed exponent there). YAML 1.2 says otherwise about all four;
//! a value that silently changed its meaning would be worse than an old rule.
//!
//! JSON cannot say everything: dates and times become text in ISO form as Python prints them,
//! integers beyond 64 bits and the floats that are no numbers become text in Python's spelling.

use super::stamp;

/// One scalar, after its tag or its spelling has decided what it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    /// `~`, `null`, nothing.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// An integer that JSON readers keep exactly.
    Int(i64),
    /// An integer above `i64`.
    Unsigned(u64),
    /// A finite float.
    Float(f64),
    /// Text.
    Text(String),
    /// A number that JSON has no place for, kept as text.
    Beyond(String),
    /// A plain `<<`: merges when it is a key.
    Merge,
}

/// Reads a plain scalar without tag.
pub(crate) fn plain(text: &str) -> Scalar {
    if let Some(word) = word(text) {
        return word;
    }
    let first = text.as_bytes().first().copied().unwrap_or_default();
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return Scalar::Text(text.to_owned());
    }
    float(text)
        .or_else(|| integer(text))
        .or_else(|| stamp::iso(text).map(Scalar::Text))
        .unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

/// The words that are values.
fn word(text: &str) -> Option<Scalar> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        "<<" => Some(Scalar::Merge),
        _ => boolean(text).map(Scalar::Bool),
    }
}

/// The booleans of PyYAML; the single letters of the YAML 1.1 paper are text there.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// A float as PyYAML spells them, or nothing.
pub(crate) fn float(text: &str) -> Option<Scalar> {
    let (negative, body) = sign(text);
    let signed = body.len() != text.len();
    match body {
        ".inf" | ".Inf" | ".INF" => {
            return Some(Scalar::Beyond(if negative { "-inf" } else { "inf" }.to_owned()));
        }
        ".nan" | ".NaN" | ".NAN" if !signed => return Some(Scalar::Beyond("nan".to_owned())),
        _ => {}
    }
    let (whole, fraction) = body.split_once('.')?;
    if let Some((_, last)) = whole.rsplit_once(':') {
        return sexagesimal_float(whole, last, fraction, negative);
    }
    let (digits, exponent) = match fraction.find(['e', 'E']) {
        Some(at) => (fraction.get(..at)?, fraction.get(at + 1..)),
        None => (fraction, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-'])?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let starts_well = if whole.is_empty() {
        !signed && digits.starts_with(|first: char| first.is_ascii_digit())
    } else {
        whole.starts_with(|first: char| first.is_ascii_digit())
    };
    if !starts_well || !digits_only(whole, 10) || !digits_only(digits, 10) {
        return None;
    }
    number(&body.replace('_', ""), negative)
}

/// `190:20:30.15`: base sixty, the last place with a fraction.
fn sexagesimal_float(whole: &str, last: &str, fraction: &str, negative: bool) -> Option<Scalar> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return None;
    }
    let mut places = whole.split(':');
    let first = places.next()?;
    if !first.starts_with(|first: char| first.is_ascii_digit()) || !digits_only(first, 10) {
        return None;
    }
    let mut value: f64 = first.replace('_', "").parse().ok()?;
    for place in places {
        value = value * 60.0 + f64::from(sixtieth(place)?);
    }
    // Taken apart and put together again, so that the fraction is added once and as Python does.
    let seconds: f64 = format!("{last}.{}", fraction.replace('_', "")).parse().ok()?;
    let value = value - f64::from(sixtieth(last)?) + seconds;
    finite(if negative { -value } else { value })
}

/// An integer as PyYAML spells them, or nothing.
pub(crate) fn integer(text: &str) -> Option<Scalar> {
    let (negative, body) = sign(text);
    if let Some(digits) = body.strip_prefix("0b") {
        return radix(text, digits, 2, negative);
    }
    if let Some(digits) = body.strip_prefix("0x") {
        return radix(text, digits, 16, negative);
    }
    if body == "0" {
        return Some(Scalar::Int(0));
    }
    if let Some(digits) = body.strip_prefix('0') {
        // `0_` is zero: the underscores go, the leading zero stays.
        let digits = if digits.bytes().all(|byte| byte == b'_') { "0" } else { digits };
        return radix(text, digits, 8, negative);
    }
    if !body.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if body.contains(':') {
        return sexagesimal(text, body, negative);
    }
    radix(text, body, 10, negative)
}

/// `1:30`: base sixty.
fn sexagesimal(text: &str, body: &str, negative: bool) -> Option<Scalar> {
    let mut places = body.split(':');
    let first = places.next()?;
    if !digits_only(first, 10) {
        return None;
    }
    let mut value = first.replace('_', "").parse::<u128>().ok();
    for place in places {
        let place = u128::from(sixtieth(place)?);
        value = value.and_then(|value| value.checked_mul(60)?.checked_add(place));
    }
    Some(value.map_or_else(|| Scalar::Beyond(text.to_owned()), |value| whole(value, negative)))
}

/// One place of a number in base sixty: one digit, or two with the first below six.
fn sixtieth(place: &str) -> Option<u8> {
    let fits = matches!(place.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    fits.then(|| place.parse().ok()).flatten()
}

/// Digits of `base` with underscores, where at least one digit is needed.
fn radix(text: &str, digits: &str, base: u32, negative: bool) -> Option<Scalar> {
    if !digits_only(digits, base) {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.is_empty() {
        return None;
    }
    match u128::from_str_radix(&digits, base) {
        Ok(value) => Some(whole(value, negative)),
        Err(_) if base == 10 => {
            let sign = if negative { "-" } else { "" };
            Some(Scalar::Beyond(format!("{sign}{digits}")))
        }
        Err(_) => Some(Scalar::Beyond(text.to_owned())),
    }
}

/// The narrowest exact home of an integer.
fn whole(value: u128, negative: bool) -> Scalar {
    if negative {
        let signed = i128::try_from(value).ok().and_then(|value| i64::try_from(-value).ok());
        return signed.map_or_else(|| Scalar::Beyond(format!("-{value}")), Scalar::Int);
    }
    if let Ok(value) = i64::try_from(value) {
        return Scalar::Int(value);
    }
    u64::try_from(value).map_or_else(|_| Scalar::Beyond(value.to_string()), Scalar::Unsigned)
}

/// A decimal that has been checked to be one.
fn number(digits: &str, negative: bool) -> Option<Scalar> {
    let value: f64 = digits.parse().ok()?;
    finite(if negative { -value } else { value })
}

/// A float that JSON can say, or Python's word for it.
pub(crate) fn finite(value: f64) -> Option<Scalar> {
    Some(if value.is_nan() {
        Scalar::Beyond("nan".to_owned())
    } else if value.is_infinite() {
        Scalar::Beyond(if value < 0.0 { "-inf" } else { "inf" }.to_owned())
    } else {
        Scalar::Float(value)
    })
}

/// Whether `text` starts with a minus, and what follows the sign.
fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Whether there are only digits of `base` and underscores.
fn digits_only(text: &str, base: u32) -> bool {
    text.chars().all(|digit| digit == '_' || digit.is_digit(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row was read by PyYAML 6.0.3 first.
    #[test]
    fn plain_scalars_mean_what_pyyaml_reads() {
        let text = |text: &str| Scalar::Text(text.to_owned());
        let rows = [
            ("yes", Scalar::Bool(true)),
            ("No", Scalar::Bool(false)),
            ("on", Scalar::Bool(true)),
            ("OFF", Scalar::Bool(false)),
            ("y", text("y")),
            ("n", text("n")),
            ("tRue", text("tRue")),
            ("~", Scalar::Null),
            ("", Scalar::Null),
            ("NULL", Scalar::Null),
            ("nil", text("nil")),
            ("012", Scalar::Int(10)),
            ("-012", Scalar::Int(-10)),
            ("00", Scalar::Int(0)),
            ("0_", Scalar::Int(0)),
            ("08", text("08")),
            ("0o17", text("0o17")),
            ("0x1F", Scalar::Int(31)),
            ("0b1_1", Scalar::Int(3)),
            ("0x_", text("0x_")),
            ("1_000", Scalar::Int(1000)),
            ("+7", Scalar::Int(7)),
            ("-", text("-")),
            ("1:30", Scalar::Int(90)),
            ("190:20:30", Scalar::Int(685_230)),
            ("0:30", text("0:30")),
            ("1:60", text("1:60")),
            ("1:30.5", Scalar::Float(90.5)),
            ("1.5", Scalar::Float(1.5)),
            ("1.", Scalar::Float(1.0)),
            (".5", Scalar::Float(0.5)),
            ("+.5", text("+.5")),
            ("1e3", text("1e3")),
            ("1.0e3", text("1.0e3")),
            ("1.0e+3", Scalar::Float(1000.0)),
            ("1.0E-1", Scalar::Float(0.1)),
            ("1.2.3", text("1.2.3")),
            ("-.INF", Scalar::Beyond("-inf".to_owned())),
            (".nan", Scalar::Beyond("nan".to_owned())),
            ("+.nan", text("+.nan")),
            ("9223372036854775807", Scalar::Int(i64::MAX)),
            ("-9223372036854775808", Scalar::Int(i64::MIN)),
            ("18446744073709551615", Scalar::Unsigned(u64::MAX)),
            ("18446744073709551616", Scalar::Beyond("18446744073709551616".to_owned())),
            ("-9223372036854775809", Scalar::Beyond("-9223372036854775809".to_owned())),
            ("2001-12-14", text("2001-12-14")),
            ("2001-1-4", text("2001-1-4")),
            ("127.0.0.1", text("127.0.0.1")),
            ("10.0.0.0/8", text("10.0.0.0/8")),
        ];
        for (given, expected) in rows {
            assert_eq!(plain(given), expected, "{given:?}");
        }
    }
}
