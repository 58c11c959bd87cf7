//! Tickets: what an action shows to the HTTP API instead of the installation's token.
//!
//! A ticket says which execution it belongs to and until when it can be good, and a code over both
//! proves that a holder of the installation's key wrote it. So nothing is stored: every host of an
//! installation has the key, and whoever takes a ticket looks up whether its execution still goes
//! on. A ticket that leaks is worth nothing once its execution has ended.
//!
//! The text is `ticket.<execution>.<seconds since 1970, hex>.<64 hex digits>`: it needs no quoting
//! in a header, a query or a shell.
//!
//! Deliberately not here: what a ticket permits, and the state of its execution; the web service
//! knows both.

use std::time::Duration;

use hearken_proto::Timestamp;

use crate::Sealer;

/// What every ticket begins with, so that no other token is taken for one.
const START: &str = "ticket.";
/// Context of key derivation.
const CONTEXT: &str = "hearken ticket v1";
/// How long a ticket can be good at most. An action that runs longer than a week does without;
/// what ends a ticket in practice is the end of its execution.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest text that is looked at: an execution's id is short.
const TEXT_BYTES_MAX: usize = 512;

/// The ticket of an execution that starts at `now`.
#[must_use]
pub fn issue(sealer: &Sealer, execution: &str, now: Timestamp) -> String {
    let until = now.plus(LIFE).seconds();
    let said = format!("{execution}.{until:x}");
    format!("{START}{said}.{}", code(sealer, &said).to_hex())
}

/// Whether a token looks like a ticket, good or not.
#[must_use]
pub fn is_ticket(text: &str) -> bool {
    text.starts_with(START)
}

/// The execution that a ticket belongs to; none when it is forged, or older than any ticket gets.
#[must_use]
pub fn verify(sealer: &Sealer, text: &str, now: Timestamp) -> Option<String> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let (said, shown) = text.strip_prefix(START)?.rsplit_once('.')?;
    let shown = blake3::Hash::from_hex(shown).ok()?;
    // Hashes are compared in constant time.
    if shown != code(sealer, said) {
        return None;
    }
    let (execution, until) = said.rsplit_once('.')?;
    let until = i64::from_str_radix(until, 16).ok()?;
    (now.seconds() <= until).then(|| execution.to_owned())
}

fn code(sealer: &Sealer, said: &str) -> blake3::Hash {
    blake3::keyed_hash(&sealer.derive(CONTEXT), said.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXECUTION: &str = "6957353500112233445566aa";

    fn sealer(digit: char) -> Sealer {
        Sealer::from_hex(&digit.to_string().repeat(64)).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_ticket_names_its_execution_until_its_time_is_over() {
        let sealer = sealer('a');
        let ticket = issue(&sealer, EXECUTION, at("2026-01-02T03:04:05Z"));
        assert!(is_ticket(&ticket) && !ticket.contains(char::is_whitespace), "{ticket}");
        for (now, expected) in [
            ("2026-01-02T03:04:05Z", Some(EXECUTION)),
            ("2026-01-09T03:04:05Z", Some(EXECUTION)),
            ("2026-01-09T03:04:06Z", None),
        ] {
            assert_eq!(verify(&sealer, &ticket, at(now)).as_deref(), expected, "{now}");
        }
    }

    #[test]
    fn what_was_changed_or_written_elsewhere_is_no_ticket() {
        let now = at("2026-01-02T03:04:05Z");
        let ours = sealer('a');
        let ticket = issue(&ours, EXECUTION, now);
        let (said, code) = ticket.rsplit_once('.').unwrap();
        for forged in [
            issue(&sealer('b'), EXECUTION, now),
            ticket.replacen("6957", "6958", 1),
            format!("{said}0.{code}"),
            format!("{said}.{}", "0".repeat(64)),
            format!("{said}."),
            said.to_owned(),
            START.to_owned(),
            String::new(),
            format!("{START}{}.0.{code}", "x".repeat(TEXT_BYTES_MAX)),
        ] {
            assert_eq!(verify(&ours, &forged, now), None, "{forged}");
        }
    }
}
