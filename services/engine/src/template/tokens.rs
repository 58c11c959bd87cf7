//! Tokens of a Jinja expression.

/// One token, as it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The text; quotes and escapes included.
    pub(super) text: String,
    /// Whether it is a name or a word.
    pub(super) is_name: bool,
    /// Whether it is a number.
    pub(super) is_number: bool,
    /// Whether it is a text in quotes.
    pub(super) is_text: bool,
}

/// Operators of two characters; those of one are all the rest.
const LONG: &[&str] = &["==", "!=", "<=", ">=", "//", "**"];

/// The tokens of an expression; none when a character is foreign to it.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let after_point = tokens.last().is_some_and(|token| token.text == ".");
        let length = if first == '_' || first.is_alphabetic() {
            run(rest, |c| c == '_' || c.is_alphanumeric())
        } else if first.is_ascii_digit() {
            number(rest, after_point)
        } else if matches!(first, '\'' | '"') {
            quoted(rest, first)?
        } else if LONG.iter().any(|operator| rest.starts_with(operator)) {
            2
        } else if "+-*/%~<>=.,:|()[]{}".contains(first) {
            1
        } else {
            return None;
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(Token {
            text: token.to_owned(),
            is_name: first == '_' || first.is_alphabetic(),
            is_number: first.is_ascii_digit(),
            is_text: matches!(first, '\'' | '"'),
        });
        rest = behind.trim_start();
    }
    Some(tokens)
}

fn run(text: &str, accept: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !accept(c)).unwrap_or(text.len())
}

/// Digits, underscores, a point with digits, an exponent. Behind a point digits only: `l.0.1`.
fn number(text: &str, after_point: bool) -> usize {
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    if after_point {
        return run(text, |c| c.is_ascii_digit());
    }
    let mut length = run(text, |c| c.is_ascii_alphanumeric() || c == '_');
    if text.get(length..).is_some_and(|rest| rest.starts_with('.')) && is_digit(length + 1) {
        let fraction = text.get(length + 1..).unwrap_or_default();
        length += 1 + run(fraction, |c| c.is_ascii_alphanumeric() || c == '_');
    }
    let exponent = text.get(..length).is_some_and(|number| {
        number.ends_with(['e', 'E']) && !number.starts_with("0x") && !number.starts_with("0X")
    });
    let signed = text.get(length..).is_some_and(|rest| rest.starts_with(['+', '-']));
    if exponent && signed && is_digit(length + 1) {
        length += 1 + run(text.get(length + 1..).unwrap_or_default(), |c| c.is_ascii_digit());
    }
    length
}

fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}
