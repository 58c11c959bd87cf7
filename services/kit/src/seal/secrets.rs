//! Texts that are secret, and keeping them out of what is said.
//!
//! Whoever has opened secrets asks [`Secrets`] to hide them: in an error, in a result, and
//! ([`Veil`]) in what comes piece by piece, where one may be cut in two. They are found by what
//! they are, as they are and as they stand within JSON. What an action makes of one (a hash,
//! base64) is not found.
//!
//! Invariants: nothing here prints a secret; texts shorter than four characters are let
//! through, because they appear by chance.

use std::fmt;

use serde_json::{Map, Value};

use super::MASK;

/// A secret text of at least so many characters is looked for. Shorter ones appear by chance.
const REPEATED_CHARS_MIN: usize = 4;
/// A line of a secret of several lines is looked for from so many bytes on.
const LINE_BYTES_MIN: usize = 8;

/// The texts of opened secrets, for keeping them out of what is said.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// The texts of those `parameters` that are called `secret`.
    #[must_use]
    pub fn of(secret: &[String], parameters: &Map<String, Value>) -> Self {
        Self::within(secret.iter().filter_map(|name| parameters.get(name)))
    }

    /// The texts within `values`.
    #[must_use]
    pub fn within<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut texts = Vec::new();
        for value in values {
            collect(value, &mut texts);
        }
        let escaped: Vec<String> = texts.iter().flat_map(|text| escaped(text)).collect();
        texts.extend(escaped);
        let mut secrets = Self(texts);
        secrets.order();
        secrets
    }

    /// Whether one of them is in `text`.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret))
    }

    /// Whether one of them is in a text or a key of `value`.
    #[must_use]
    pub fn appear_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.are_in(text),
            Value::Array(items) => items.iter().any(|item| self.appear_in(item)),
            Value::Object(map) => {
                map.iter().any(|(name, item)| self.are_in(name) || self.appear_in(item))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// These and those.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
        self.order();
    }

    /// `text` with asterisks in place of each.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let (shown, _end) = self.hide_up_to(text.as_bytes(), false);
        // A secret is whole letters, so what is left of whole letters is.
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// `value` with asterisks in place of each, wherever it stands: in texts, in names, and a
    /// number that is one.
    #[must_use]
    pub fn hide_value(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.hide(&text)),
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.hide_value(item)).collect())
            }
            Value::Object(map) => {
                let hidden =
                    |(name, item): (String, Value)| (self.hide(&name), self.hide_value(item));
                Value::Object(map.into_iter().map(hidden).collect())
            }
            Value::Number(number) if self.0.contains(&number.to_string()) => Value::from(MASK),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// The longest first: one that holds another is replaced as a whole.
    fn order(&mut self) {
        self.0.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.0.dedup();
    }

    /// How much of the beginning of `text` is the end of one of them, in bytes: less than that
    /// many characters is chance.
    fn torn(&self, text: &[u8]) -> usize {
        let ends = |secret: &String| {
            let ends = (REPEATED_CHARS_MIN..secret.len()).rev();
            ends.map(|length| secret.len() - length)
                .find(|from| {
                    secret.as_bytes().get(*from..).is_some_and(|end| text.starts_with(end))
                })
                .map_or(0, |from| secret.len() - from)
        };
        self.0.iter().map(ends).max().unwrap_or_default()
    }

    /// `text` with asterisks in place of each, and where it ends: where `more` of it is to come,
    /// before one that has begun and is not whole yet.
    fn hide_up_to(&self, text: &[u8], more: bool) -> (Vec<u8>, usize) {
        let mut shown = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let has_begun =
                |secret: &String| secret.len() > rest.len() && secret.as_bytes().starts_with(rest);
            if more && self.0.iter().any(has_begun) {
                break;
            }
            let whole = self.0.iter().find(|secret| rest.starts_with(secret.as_bytes()));
            if let Some(secret) = whole {
                shown.extend_from_slice(MASK.as_bytes());
                at += secret.len();
            } else {
                shown.extend(rest.first());
                at += 1;
            }
        }
        (shown, at)
    }
}

/// Hides secrets in a stream that comes in pieces: the end of a piece that may be the beginning of
/// a secret waits for the next one.
#[derive(Debug, Default)]
pub struct Veil {
    /// What waits; shorter than the longest secret.
    waiting: Vec<u8>,
    /// Where in the stream the next piece should begin.
    next: u64,
}

impl Veil {
    /// What may be shown of the stream up to the end of `piece`, which begins at `offset`.
    #[must_use]
    pub fn pass(&mut self, secrets: &Secrets, offset: u64, piece: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        let next = offset.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        let mut piece = piece;
        if offset != self.next {
            // What is missing between may be the rest of it, or the beginning of what comes.
            shown = self.end();
            let torn = secrets.torn(piece);
            if torn > 0 {
                shown.extend_from_slice(MASK.as_bytes());
            }
            piece = piece.get(torn..).unwrap_or_default();
        }
        self.next = next;
        let mut text = std::mem::take(&mut self.waiting);
        text.extend_from_slice(piece);
        if secrets.0.is_empty() {
            shown.append(&mut text);
            return shown;
        }
        let (mut whole, begun) = secrets.hide_up_to(&text, true);
        self.waiting = text.split_off(begun);
        shown.append(&mut whole);
        shown
    }

    /// What is left when nothing more comes: as it is where it is short enough to be chance.
    #[must_use]
    pub fn end(&mut self) -> Vec<u8> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.len() < REPEATED_CHARS_MIN { waiting } else { MASK.as_bytes().to_vec() }
    }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => collect_text(text, texts),
        Value::Number(number) => {
            let text = number.to_string();
            if text.len() >= REPEATED_CHARS_MIN {
                texts.push(text);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        // Names are of the schema, and words that stand everywhere.
        Value::Object(map) => map.values().for_each(|item| collect(item, texts)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// A text, and what is printed of it without its ends and line by line.
fn collect_text(text: &str, texts: &mut Vec<String>) {
    let lines = text.lines().map(str::trim).filter(|line| line.len() >= LINE_BYTES_MIN);
    for part in [text, text.trim()].into_iter().chain(lines) {
        if part.chars().count() >= REPEATED_CHARS_MIN && !texts.iter().any(|known| known == part) {
            texts.push(part.to_owned());
        }
    }
}

/// A text as it stands within JSON, where that differs: as it is written most often, and in ASCII,
/// as Python writes it.
fn escaped(text: &str) -> Vec<String> {
    let quoted = Value::from(text).to_string();
    let bare = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let mut ascii = String::with_capacity(bare.len());
    for letter in bare.chars() {
        if letter.is_ascii() && letter != '\u{7f}' {
            ascii.push(letter);
        } else {
            let mut units = [0; 2];
            let units = letter.encode_utf16(&mut units).iter();
            ascii.extend(units.map(|unit| format!("\\u{unit:04x}")));
        }
    }
    // As Go writes it, which shields what HTML would read.
    let mut shielded = bare.to_owned();
    for (letter, escape) in [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")] {
        shielded = shielded.replace(letter, escape);
    }
    let mut forms = vec![bare.to_owned(), ascii, shielded];
    forms.dedup();
    forms.retain(|form| form != text);
    forms
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets(texts: &[&str]) -> Secrets {
        let names: Vec<String> = vec!["all".to_owned()];
        Secrets::of(&names, json!({ "all": texts }).as_object().unwrap())
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_stands_in_a_value() {
        let secrets = secrets(&["hunter2", "4711"]);
        let value = json!({"a": ["my hunter2!", {"hunter2": 1}], "n": 4711, "m": 47110, "z": null});
        let expected =
            json!({"a": ["my ********!", {"********": 1}], "n": MASK, "m": 47110, "z": null});
        assert_eq!(secrets.hide_value(value), expected);
    }

    #[test]
    fn a_secret_is_found_without_its_ends_by_lines_and_as_go_writes_it() {
        let secrets = secrets(&["trimmed\n", "first line\nsecond line\n", "a<b>&c"]);
        let text = r#"[trimmed] second line "a\u003cb\u003e\u0026c""#;
        assert_eq!(secrets.hide(text), r#"[********] ******** "********""#);
    }

    #[test]
    fn what_is_hidden_at_once_is_what_is_hidden_in_pieces() {
        let secrets = secrets(&["abcdefg", "efghijkl"]);
        let text = "abcdefghijkl efghijkl";
        assert_eq!(secrets.hide(text), "********hijkl ********");
        for cut in 0..text.len() {
            let mut veil = Veil::default();
            let mut shown = veil.pass(&secrets, 0, &text.as_bytes()[..cut]);
            shown.extend(veil.pass(&secrets, cut as u64, &text.as_bytes()[cut..]));
            shown.extend(veil.end());
            assert_eq!(String::from_utf8(shown).unwrap(), secrets.hide(text), "{cut}");
        }
    }

    #[test]
    fn a_secret_in_two_pieces_is_hidden_as_well() {
        let secrets = secrets(&["hunter2", "hunting"]);
        let text = "hu hunt hunter2hunting hunter";
        for cut in 0..text.len() {
            for second in cut..text.len() {
                let mut veil = Veil::default();
                let mut shown = Vec::new();
                for (from, to) in [(0, cut), (cut, second), (second, text.len())] {
                    let piece = &text.as_bytes()[from..to];
                    shown.extend(veil.pass(&secrets, from as u64, piece));
                }
                shown.extend(veil.end());
                let shown = String::from_utf8(shown).unwrap();
                assert_eq!(shown, format!("hu hunt {MASK}{MASK} {MASK}"), "cut at {cut}, {second}");
            }
        }
    }

    #[test]
    fn the_end_of_one_that_begins_another_belongs_to_the_first() {
        let secrets = secrets(&["my-secret-g", "given", "my-secret-g-longer"]);
        for (pieces, expected) in [
            (&["a my-secret-g", " b"][..], "a ******** b"),
            (&["a my-secret-g", "iven"], "a ********iven"),
            (&["my-secret-g-long", "er!"], "********!"),
            (&["my-secret-g-lo"], "********"),
        ] {
            let mut veil = Veil::default();
            let mut shown = Vec::new();
            let mut offset = 0;
            for piece in pieces {
                shown.extend(veil.pass(&secrets, offset, piece.as_bytes()));
                offset += piece.len() as u64;
            }
            shown.extend(veil.end());
            assert_eq!(String::from_utf8(shown).unwrap(), expected, "{pieces:?}");
        }
    }

    #[test]
    fn what_a_gap_has_torn_is_not_told() {
        let secrets = secrets(&["hunter2"]);
        let mut veil = Veil::default();
        assert_eq!(veil.pass(&secrets, 0, b"x hunte"), b"x ");
        assert_eq!(veil.pass(&secrets, 100, b"r2 y"), b"********r2 y");
        assert_eq!(veil.pass(&secrets, 104, b"hu"), b"");
        assert_eq!(veil.pass(&secrets, 200, b"nter2 y"), b"hu******** y");
        assert_eq!(veil.end(), b"");
    }
}
