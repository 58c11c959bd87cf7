//! Whether a request comes from the sender that its hook names.
//!
//! Signatures are HMAC-SHA256 over the bytes as they came, compared in constant time. Where the
//! sender signs a time too, it must be within five minutes of ours, so that a request that somebody
//! overheard is worth nothing later. GitHub, GitLab and tokens sign no time: there only the
//! delivery's id makes a request that comes again the same event.

use axum::http::HeaderMap;
use hearken_proto::Timestamp;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{Hook, Sender};
use crate::form::nibble;

/// How far a signed time may be from ours, either way: what Slack and Stripe recommend.
const SKEW_SECONDS: i64 = 300;
/// The longest header that is read here.
const HEADER_BYTES_MAX: usize = 4096;
/// Signatures of one request that are tried: a sender that changes its secret sends two.
const SIGNATURES_MAX: usize = 8;
/// Headers in which a token of its own may come.
const TOKEN_HEADERS: [&str; 3] = ["X-Webhook-Token", "X-Auth-Token", "St2-Api-Key"];
/// Parameters of the query in which a token of its own may come.
const TOKEN_PARAMETERS: [&str; 3] = ["token", "x-auth-token", "st2-api-key"];

/// Whether the request is the sender's; else what is wrong with it.
pub(crate) fn verify(
    hook: &Hook,
    headers: &HeaderMap,
    query: &[(String, String)],
    body: &[u8],
    now: Timestamp,
) -> Result<(), String> {
    let key = hook.key();
    match hook.sender() {
        Sender::Github => {
            let given = needed(headers, "X-Hub-Signature-256")?;
            let signature = given.strip_prefix("sha256=").and_then(unhex);
            let signature = signature.ok_or("X-Hub-Signature-256 is not sha256=<hex>")?;
            matching(signs(key, &[body], &signature))
        }
        Sender::Gitlab => {
            let given = needed(headers, "X-Gitlab-Token")?;
            if same(given.as_bytes(), key) {
                return Ok(());
            }
            Err("X-Gitlab-Token is not the secret of this hook".to_owned())
        }
        Sender::Slack => {
            let time = needed(headers, "X-Slack-Request-Timestamp")?;
            let given = needed(headers, "X-Slack-Signature")?;
            let signature = given.strip_prefix("v0=").and_then(unhex);
            let signature = signature.ok_or("X-Slack-Signature is not v0=<hex>")?;
            fresh(time, now)?;
            matching(signs(key, &[b"v0:", time.as_bytes(), b":", body], &signature))
        }
        Sender::Stripe => stripe(key, headers, body, now),
        Sender::Standard => {
            let id = needed(headers, "webhook-id")?;
            let time = needed(headers, "webhook-timestamp")?;
            let given = needed(headers, "webhook-signature")?;
            fresh(time, now)?;
            let signed: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", body];
            let mut versions = given.split(' ').filter_map(|given| given.strip_prefix("v1,"));
            matching(any(&mut versions, |text| {
                unbase64(text).is_some_and(|signature| signs(key, &signed, &signature))
            }))
        }
        Sender::Token => token(key, headers, query),
    }
}

fn stripe(key: &[u8], headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), String> {
    let given = needed(headers, "Stripe-Signature")?;
    let parts = || given.split(',').filter_map(|part| part.trim().split_once('='));
    let time = parts().find(|(name, _)| *name == "t").map(|(_, time)| time);
    let time = time.ok_or("Stripe-Signature has no t=<seconds>")?;
    fresh(time, now)?;
    let mut versions = parts().filter(|(name, _)| *name == "v1").map(|(_, value)| value);
    matching(any(&mut versions, |text| {
        unhex(text).is_some_and(|signature| signs(key, &[time.as_bytes(), b".", body], &signature))
    }))
}

fn token(key: &[u8], headers: &HeaderMap, query: &[(String, String)]) -> Result<(), String> {
    let bearer = text(headers, "Authorization").and_then(|value| value.strip_prefix("Bearer "));
    let in_headers = TOKEN_HEADERS.iter().filter_map(|name| text(headers, name));
    let in_query = query
        .iter()
        .filter(|(name, _)| TOKEN_PARAMETERS.contains(&name.as_str()))
        .map(|(_, value)| value.as_str());
    let mut given = bearer.into_iter().chain(in_headers).chain(in_query).peekable();
    if given.peek().is_none() {
        return Err(
            "there is no token: it comes in X-Webhook-Token, as Authorization: Bearer, or \
                    in the query as ?token="
                .to_owned(),
        );
    }
    if any(&mut given, |given| same(given.as_bytes(), key)) {
        return Ok(());
    }
    Err("the token is not the secret of this hook".to_owned())
}

fn any(given: &mut dyn Iterator<Item = &str>, holds: impl Fn(&str) -> bool) -> bool {
    given.take(SIGNATURES_MAX).any(holds)
}

fn matching(holds: bool) -> Result<(), String> {
    if holds {
        return Ok(());
    }
    Err("the signature does not match: another secret, or a body that was changed on its way"
        .to_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= HEADER_BYTES_MAX).then_some(value)
}

fn needed<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    text(headers, name).ok_or_else(|| format!("the header {name} is missing"))
}

/// Whether a signed time, in seconds since 1970, is one of now.
fn fresh(time: &str, now: Timestamp) -> Result<(), String> {
    let seconds: i64 =
        time.parse().map_err(|_no| format!("the signed time {time:?} is no time"))?;
    if now.seconds().saturating_sub(seconds).saturating_abs() > SKEW_SECONDS {
        return Err(format!(
            "the signed time is more than {SKEW_SECONDS} s from ours: a request that was kept and \
             sent again, or a clock that is wrong"
        ));
    }
    Ok(())
}

/// Whether `given` is the signature of all `parts`, one after the other.
fn signs(key: &[u8], parts: &[&[u8]], given: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(given).is_ok()
}

/// Compares in a time that does not tell how much is right.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() % 2 == 1 {
        return None;
    }
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

/// Base64 with the usual alphabet; padding may be missing.
pub(super) fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | sextet(*digit)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, three @ ..] = bits.to_be_bytes();
        bytes.extend(three.iter().take(group.len() - 1));
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_614_265_330;

    fn check(sender: Sender, secret: &str, given: &[(&str, &str)], body: &str) -> String {
        let hook = Hook::new("x", sender, secret).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let name: axum::http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let now = Timestamp::from_nanos(NOW * 1_000_000_000);
        match verify(&hook, &headers, &[], body.as_bytes(), now) {
            Ok(()) => String::new(),
            Err(why) => why,
        }
    }

    /// The example of GitHub's own documentation.
    #[test]
    fn github() {
        let check = |signature, body| {
            let headers = [("X-Hub-Signature-256", signature)];
            check(Sender::Github, "It's a Secret to Everybody", &headers, body)
        };
        let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(check(right, "Hello, World!"), "");
        assert!(check(right, "Hello, World?").contains("does not match"));
        assert!(check("sha256=75710", "Hello, World!").contains("not sha256=<hex>"));
        let older = "sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(check(older, "Hello, World!").contains("not sha256=<hex>"));
        assert!(check("sha256=", "Hello, World!").contains("does not match"));
    }

    /// The example of the specification of Standard Webhooks.
    #[test]
    fn standard() {
        let check = |time: &str, signature: &str| {
            let headers = [
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", time),
                ("webhook-signature", signature),
            ];
            let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
            check(Sender::Standard, secret, &headers, "{\"test\": 2432232314}")
        };
        let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(check("1614265330", right), "");
        assert_eq!(check("1614265330", &format!("v1,AAAA v2,x {right}")), "");
        assert!(check("1614265331", right).contains("does not match"));
        assert!(check("1614265029", right).contains("300 s from ours"));
        assert!(check("-9223372036854775808", right).contains("300 s from ours"));
        assert!(check("soon", right).contains("no time"));
        let many = format!("{}{right}", "v1,AAAA ".repeat(SIGNATURES_MAX));
        assert!(check("1614265330", &many).contains("does not match"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (sender, header) in [
            (Sender::Github, "X-Hub-Signature-256"),
            (Sender::Gitlab, "X-Gitlab-Token"),
            (Sender::Slack, "X-Slack-Request-Timestamp"),
            (Sender::Stripe, "Stripe-Signature"),
            (Sender::Standard, "webhook-id"),
            (Sender::Token, "X-Webhook-Token"),
        ] {
            let why = check(sender, "c2VjcmV0", &[], "{}");
            assert!(why.contains(header), "{sender:?}: {why}");
        }
        let long = "x".repeat(HEADER_BYTES_MAX + 1);
        let why = check(Sender::Gitlab, "s", &[("X-Gitlab-Token", &long)], "");
        assert!(why.contains("missing"), "{why}");
    }

    #[test]
    fn tokens_come_in_headers_and_queries() {
        for (name, value) in
            [("Authorization", "Bearer s"), ("X-Webhook-Token", "s"), ("X-Auth-Token", "s")]
        {
            assert_eq!(check(Sender::Token, "s", &[(name, value)], ""), "");
        }
        let hook = Hook::new("x", Sender::Token, "s").unwrap();
        let query = |name: &str, value: &str| {
            let query = [(name.to_owned(), value.to_owned())];
            verify(&hook, &HeaderMap::new(), &query, b"", Timestamp::EPOCH).is_ok()
        };
        assert!(query("token", "s"));
        assert!(!query("token", "S"));
        assert!(!query("tok", "s"));
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("QQ==", Some(b"A")),
            ("QQ", Some(b"A")),
            ("QUI=", Some(b"AB")),
            ("QUJD", Some(b"ABC")),
            ("+/8=", Some(b"\xfb\xff")),
            ("Q", None),
            ("QQ-_", None),
        ] {
            assert_eq!(unbase64(text).as_deref(), expected, "{text}");
        }
    }
}
