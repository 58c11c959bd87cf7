//! What a secret looks like.
//!
//! One expression finds lines that may hold one, at the speed of a disk; the rules look at those
//! alone. A rule says which part of its match is the secret. Words that only look like a key of a
//! secret (`author`, `tokenizer`, `compass`) are told apart by the parts of a name: `db_password`
//! has the part `password`, `passenger` has none.

use std::collections::BTreeMap;
use std::ops::Range;

use regex::bytes::{Captures, Regex};

/// Where a line is worth a close look.
const SUSPICIOUS: &str = r"(?i-u)pass|mysql|mariadb|smbclient|pwd|secret|token|api.?key|credential|private|psk|auth|cookie|://[^/\s]*:|akia|asia|gh[pousr]_|github_pat|xox|eyj|sk[-_]|glpat|aiza|npm_|sg\.|ya29|\$[0-9a-z]{1,8}\$";

/// A name, as in `db.password`, and the quote behind it where there is one.
const NAME: &str = r#"(?P<name>[A-Za-z0-9_.\-]{1,64})["']?"#;

/// Parts of a name that make it one of a secret, by themselves.
const PARTS: [&str; 22] = [
    "pass",
    "passwd",
    "password",
    "passphrase",
    "passwords",
    "pwd",
    "pw",
    "secret",
    "secrets",
    "token",
    "tokens",
    "apikey",
    "credential",
    "credentials",
    "private",
    "privatekey",
    "psk",
    "auth",
    "authtoken",
    "accesskey",
    "secretkey",
    "authorization",
];
/// Ends of a part that make it one, behind other letters: `dbpassword`.
const ENDS: [&str; 7] =
    ["password", "passwd", "passphrase", "secret", "apikey", "authtoken", "accesstoken"];
/// Values that are no secret, whatever their name.
const PLAIN: [&str; 16] = [
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "null",
    "none",
    "nil",
    "~",
    "required",
    "optional",
    "enabled",
    "disabled",
    "unset",
    "undefined",
];

/// How the secret of a match is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The group `value`, if the group `name` names a secret.
    Named,
    /// The group `value`.
    Value,
}

/// A rule: its name, as it stands in the manifest, and what it finds.
const RULES: [(&str, Part, &str); 9] = [
    (
        "header",
        Part::Value,
        r"(?i-u)\b(?:proxy-)?authorization[\x22']?\s*[:=]\s*(?P<value>[^\r\n]+)",
    ),
    ("header", Part::Value, r"(?i-u)\b(?:set-)?cookie:\s*(?P<value>[^\r\n]+)"),
    ("url", Part::Value, r"(?-u)://[^/\s:@]*:(?P<value>[^/\s@]+)@"),
    (
        "element",
        Part::Named,
        r"(?-u)<(?P<name>[A-Za-z0-9_.:\-]{1,64})(?:\s[^>]*)?>(?P<value>[^<]+)</",
    ),
    (
        "quoted",
        Part::Named,
        r#"(?-u)@NAME@\s*(?:=>|[:=])\s*[bru]?(?:"(?P<value>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)')"#,
    ),
    ("query", Part::Named, r"(?-u)[?&](?P<name>[A-Za-z0-9_.\-]{1,64})=(?P<value>[^&\s\x22']+)"),
    (
        "bare",
        Part::Named,
        r"(?-u)@NAME@[ \t]*(?:=>|[:=])[ \t]*(?P<value>[^\s\x22'\x00>=][^\r\n\x00]*)",
    ),
    (
        "argument",
        Part::Named,
        r"(?-u)(?:^|[\s\x00])--?(?P<name>[A-Za-z][A-Za-z0-9_.\-]{1,63})[ \t\x00]+(?P<value>[^\s\x00\-][^\s\x00]*)",
    ),
    (
        "argument",
        Part::Value,
        r"(?-u)\b(?:mysql\w*|mariadb\w*|sshpass|smbclient)\b[^\r\n]*?[\s\x00]-p[\s\x00]?(?P<value>[^\s\x00]+)",
    ),
];

/// Shapes of well-known tokens and hashes: the whole match is the secret.
const SHAPES: &str = r"(?x-u)
    \b(?:AKIA|ASIA)[0-9A-Z]{16}\b
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*
    | \bAGE-SECRET-KEY-1[0-9A-Za-z]{20,}
    | \bsk[-_][A-Za-z0-9_-]{20,} | \bglpat-[A-Za-z0-9_-]{16,}
    | \bAIza[A-Za-z0-9_-]{30,} | \bnpm_[A-Za-z0-9]{30,}
    | \bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,} | \bya29\.[A-Za-z0-9_-]{20,}
    | \$(?:1|2[abxy]?|5|6|7|y|gy|argon2[a-z]*|scrypt|pbkdf2[a-z0-9-]*)\$[^\s:\x22'\x00]{8,}";

/// Around a private key.
const KEY_BEGIN: &[u8] = b"PRIVATE KEY";
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// Finds secrets.
#[derive(Clone, Debug)]
pub struct Masker {
    suspicious: Regex,
    rules: Vec<(&'static str, Part, Regex)>,
    shapes: Regex,
}

/// How often each rule has hidden something.
pub type Counts = BTreeMap<&'static str, u64>;

impl Masker {
    /// All rules.
    ///
    /// # Errors
    /// Never: the expressions are our own and tested.
    pub fn new() -> Result<Self, regex::Error> {
        let rule = |(name, part, text): &(&'static str, Part, &str)| {
            Ok((*name, *part, Regex::new(&text.replace("@NAME@", NAME))?))
        };
        Ok(Self {
            suspicious: Regex::new(SUSPICIOUS)?,
            rules: RULES.iter().map(rule).collect::<Result<_, regex::Error>>()?,
            shapes: Regex::new(SHAPES)?,
        })
    }

    /// Hides the secrets of a whole text.
    pub fn mask(&self, text: &mut [u8], counts: &mut Counts) {
        self.mask_part(text, &mut false, counts);
    }

    /// Hides the secrets of whole lines of a text. `in_key` says whether they begin within a
    /// private key, and is told whether they end in one.
    pub(super) fn mask_part(&self, text: &mut [u8], in_key: &mut bool, counts: &mut Counts) {
        self.mask_lines(text, counts);
        let keys = mask_keys(text, in_key);
        if keys > 0 {
            *counts.entry("key").or_default() += keys;
        }
    }

    fn mask_lines(&self, text: &mut [u8], counts: &mut Counts) {
        let mut from = 0;
        while let Some(rest) = text.get(from..) {
            let Some(hit) = self.suspicious.find(rest) else { return };
            let start = before(text, from + hit.start());
            let end = after(text, from + hit.end());
            if let Some(line) = text.get_mut(start..end) {
                self.mask_line(line, counts);
            }
            from = end.max(from + 1);
        }
    }

    /// Hides the secrets of a text.
    #[must_use]
    pub fn masked(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        self.mask(&mut bytes, &mut Counts::new());
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn mask_line(&self, line: &mut [u8], counts: &mut Counts) {
        for (name, part, regex) in &self.rules {
            let mut from = 0;
            while let Some(found) = self.next(regex, *part, line, from) {
                let Found { secret, end } = found;
                from = end;
                if let Some(secret) = secret
                    && let Some(bytes) = line.get_mut(secret)
                {
                    bytes.fill(b'*');
                    *counts.entry(name).or_default() += 1;
                }
            }
        }
        let shapes: Vec<Range<usize>> = self.shapes.find_iter(line).map(|m| m.range()).collect();
        for shape in shapes {
            if let Some(bytes) = line.get_mut(shape) {
                bytes.fill(b'*');
                *counts.entry("shape").or_default() += 1;
            }
        }
    }

    /// The next match of a rule from `from` on: its secret, if it is one, and where to go on.
    fn next(&self, regex: &Regex, part: Part, line: &[u8], from: usize) -> Option<Found> {
        let captures = regex.captures_at(line, from)?;
        let whole = captures.get(0)?;
        let value = captures.name("value").or_else(|| captures.name("single"))?;
        let is_one = match part {
            Part::Value => true,
            Part::Named => is_secret_name(&captures),
        };
        if !is_one {
            // The name may be a value, and what follows it another name.
            let end = captures.name("name").map_or(whole.end(), |name| name.end());
            return Some(Found { secret: None, end: end.max(from + 1) });
        }
        let secret = value.range();
        let name = captures.name("name").map(|name| name.as_bytes()).unwrap_or_default();
        let is_plain = line
            .get(secret.clone())
            .is_none_or(|value| is_plain(value) || (part == Part::Named && is_other(name, value)));
        let end = whole.end().max(from + 1);
        Some(Found { secret: (!is_plain).then_some(secret), end })
    }
}

/// Hides the lines of private keys; how many keys began.
fn mask_keys(text: &mut [u8], in_key: &mut bool) -> u64 {
    let mut begun = 0;
    if !*in_key && !text.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return 0;
    }
    for line in text.split_mut(|byte| *byte == b'\n') {
        let has = |what: &[u8]| line.windows(what.len()).any(|window| window == what);
        if has(BEGIN) && has(KEY_BEGIN) {
            *in_key = true;
            begun += 1;
        } else if has(END) {
            *in_key = false;
        } else if *in_key {
            line.fill(b'*');
        }
    }
    begun
}

struct Found {
    secret: Option<Range<usize>>,
    end: usize,
}

/// Where the line of `at` begins.
fn before(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

/// Where the line of `at` ends.
fn after(text: &[u8], at: usize) -> usize {
    let after = text.get(at..).unwrap_or_default();
    after.iter().position(|byte| *byte == b'\n').map_or(text.len(), |newline| at + newline)
}

fn is_secret_name(captures: &Captures<'_>) -> bool {
    let name = captures.name("name").map(|name| name.as_bytes()).unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    let parts = parts(&name);
    let joined: Vec<String> = parts.windows(2).map(<[String]>::concat).collect();
    parts.iter().chain(&joined).any(|part| {
        PARTS.contains(&part.as_str())
            || ENDS.iter().any(|end| part.len() > end.len() && part.ends_with(end))
    })
}

/// The parts of a name: `dbPassword`, `db_password` and `DB-PASSWORD` all have two.
fn parts(name: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut was_small = false;
    for letter in name.chars() {
        let begins = letter.is_ascii_uppercase() && was_small;
        if !letter.is_ascii_alphanumeric() || begins {
            parts.push(std::mem::take(&mut part));
        }
        if letter.is_ascii_alphanumeric() {
            part.push(letter.to_ascii_lowercase());
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether this name has this value for another reason: a shell's working folder, a number of
/// things.
fn is_other(name: &[u8], value: &[u8]) -> bool {
    let is_folder = name.ends_with(b"PWD") && value.starts_with(b"/");
    let number = value.trim_ascii_end().trim_ascii_start();
    let is_count =
        name.ends_with(b"s") && !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    is_folder || is_count
}

/// Whether a value is none that anybody hides.
fn is_plain(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value);
    let text = text.trim().trim_end_matches([',', ';', '.', ')', ']', '}']);
    let small = text.to_ascii_lowercase();
    let is_reference = ["${", "{{", "$(", "<", "%("].iter().any(|start| text.starts_with(start));
    text.is_empty()
        || PLAIN.contains(&small.as_str())
        || text.bytes().all(|byte| byte == b'*' || byte == b'x' || byte == b'X')
        || is_reference
}
