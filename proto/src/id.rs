//! Names that are computed: the same cause always gives the same id.
//!
//! A derived id makes work that is done twice in a bus's duplicate window cheap to drop. Nothing
//! rests on the window: compare and set on the entity's subject decides.

use crate::Timestamp;

/// Digits of an execution id that name the execution whatever the time: see [`execution_key`].
const KEY_LENGTH: usize = 16;

/// Names the work that `rule` asks for because of `cause`; `index` tells several requests of one
/// rule apart.
#[must_use]
pub fn work_key(cause: &str, rule: &str, index: u32) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [cause, rule, &index.to_string()] {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hasher.update(&part.len().to_le_bytes()).update(part.as_bytes());
    }
    hex(hasher.finalize().as_bytes(), KEY_LENGTH)
}

/// The id of an execution: 8 hex digits of the cause's log time in seconds, 16 of the work key.
///
/// It looks like an id of StackStorm's, sorts by time, and tells where in the log to look.
#[must_use]
pub fn execution(cause_time: Timestamp, key: &str) -> String {
    // Seconds fit in 32 bits until the year 2106; later the id starts again at zero.
    format!("{:08x}{key}", cause_time.seconds() & 0xffff_ffff)
}

/// The part of an execution id that stays the same when its event is stored twice, at different
/// times: the token of its subject, and what one execution is.
#[must_use]
pub fn execution_key(execution: &str) -> &str {
    execution.len().checked_sub(KEY_LENGTH).and_then(|at| execution.get(at..)).unwrap_or(execution)
}

/// The id of the entry that asks for an execution; the id may be shortened to its key.
#[must_use]
pub fn request(execution: &str) -> String {
    format!("request-{}", execution_key(execution))
}

/// When the cause of `execution` was stored, in whole seconds; `None` when it is no id of ours.
#[must_use]
pub fn execution_time(execution: &str) -> Option<Timestamp> {
    let digits = execution.get(..execution.len().checked_sub(KEY_LENGTH)?)?;
    let seconds = i64::from_str_radix(digits, 16).ok()?;
    Some(Timestamp::from_nanos(seconds.checked_mul(1_000_000_000)?))
}

/// Names an event that came without an id: by its place.
#[must_use]
pub fn place(incarnation: &str, sequence: u64) -> String {
    format!("@{incarnation}-{sequence}")
}

/// A name for `parts` that is the same whenever the parts are: 32 hex digits.
#[must_use]
pub fn derived(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&part.len().to_le_bytes()).update(part.as_bytes());
    }
    hex(hasher.finalize().as_bytes(), 32)
}

/// The digest by which content is found: blake3, 64 hex digits.
#[must_use]
pub fn digest(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

fn hex(bytes: &[u8], digits: usize) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    nibbles.take(digits).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_keeps_its_key_when_its_event_is_stored_again_later() {
        let key = work_key("shop.order:42", "examples.order_late", 0);
        let first = execution(Timestamp::from_nanos(1_700_000_000_000_000_000), &key);
        let again = execution(Timestamp::from_nanos(1_700_000_009_000_000_000), &key);
        assert_eq!(first.len(), 24);
        assert_ne!(first, again);
        assert_eq!(execution_key(&first), execution_key(&again));
        assert_eq!(execution_time(&first).map(Timestamp::seconds), Some(1_700_000_000));
    }

    #[test]
    fn ids_stay_what_they_are() {
        assert_eq!(work_key("cause", "pack.rule", 0).len(), 16);
        assert_eq!(hex(&[0x0f, 0xa0, 0xff], 5), "0fa0f");
        assert!(digest(b"").starts_with(&hex(blake3::hash(b"").as_bytes(), 16)));
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(work_key("ab", "c", 0), work_key("a", "bc", 0));
        assert_ne!(derived(&["ab", "c"]), derived(&["a", "bc"]));
    }

    #[test]
    fn what_is_no_id_is_taken_as_it_is() {
        assert_eq!(execution_key("short"), "short");
        assert_eq!(execution_key("ééééééééé"), "ééééééééé".get(2..).unwrap());
        assert_eq!(execution_time("short"), None);
    }
}
