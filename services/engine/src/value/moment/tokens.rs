//! Splits a text as `dateutil` does: numbers, words, and everything else by character.

/// How a token goes on.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Start,
    Word,
    Number,
    /// A word with points, as `a.m.`
    PointedWord,
    /// A number with points or a comma.
    PointedNumber,
}

/// The tokens of `text`.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().filter(|c| *c != '\0').peekable();
    while chars.peek().is_some() {
        let mut token = String::new();
        let mut state = State::Start;
        let mut letters = false;
        while let Some(c) = chars.peek().copied() {
            let next = match (state, c) {
                (State::Start, c) if c.is_alphabetic() => State::Word,
                (State::Start, c) if c.is_numeric() => State::Number,
                (State::Start, c) => {
                    chars.next();
                    token.push(if c.is_whitespace() { ' ' } else { c });
                    break;
                }
                (State::Word, c) if c.is_alphabetic() => State::Word,
                (State::Word | State::PointedWord, '.') => State::PointedWord,
                (State::Number, c) if c.is_numeric() => State::Number,
                (State::Number, '.') => State::PointedNumber,
                (State::Number, ',') if token.chars().count() >= 2 => State::PointedNumber,
                (State::PointedWord, c) if c.is_alphabetic() => State::PointedWord,
                (State::PointedWord, c) if c.is_numeric() && token.ends_with('.') => {
                    State::PointedNumber
                }
                (State::PointedNumber, c) if c.is_numeric() || c == '.' => State::PointedNumber,
                (State::PointedNumber, c) if c.is_alphabetic() && token.ends_with('.') => {
                    State::PointedWord
                }
                _ => break,
            };
            letters |= c.is_alphabetic();
            state = next;
            token.push(c);
            chars.next();
        }
        finish(token, state, letters, &mut tokens);
    }
    tokens
}

fn finish(token: String, state: State, letters: bool, tokens: &mut Vec<String>) {
    let pointed = matches!(state, State::PointedWord | State::PointedNumber);
    let points = token.matches('.').count();
    if pointed && (letters || points > 1 || token.ends_with(['.', ','])) {
        // Not one number after all: the points stand alone.
        let mut part = String::new();
        for c in token.chars() {
            if matches!(c, '.' | ',') {
                if !part.is_empty() {
                    tokens.push(std::mem::take(&mut part));
                }
                tokens.push(c.to_string());
            } else {
                part.push(c);
            }
        }
        if !part.is_empty() {
            tokens.push(part);
        }
    } else if state == State::PointedNumber && points == 0 {
        tokens.push(token.replace(',', "."));
    } else {
        tokens.push(token);
    }
}
