//! When checks run.

use std::collections::BTreeSet;
use std::time::Duration;

use hearken_engine::check::schedule::{SPREAD_MAX, next, phase, resume, tick};
use hearken_engine::definition::Check;
use hearken_proto::Timestamp;
use hearken_proto::check::{CheckRecord, CheckStatus};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::scene::{START, definitions};

fn check(fields: &Value) -> Check {
    let mut check = json!({"name": "c", "memory": {}});
    check
        .as_object_mut()
        .expect("a mapping")
        .extend(fields.as_object().expect("a mapping").clone());
    definitions(&json!({}), &json!([check])).check("c").expect("it is there").as_ref().clone()
}

fn start() -> Timestamp {
    Timestamp::parse(START).expect("a moment")
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn checks_of_one_interval_are_spread_over_it() {
    let interval = seconds(60);
    let phases: BTreeSet<u64> =
        (0..600).map(|at| phase(&format!("c{at}"), interval).as_secs()).collect();
    assert!(phases.len() > 50, "{phases:?}");
    assert!(phases.iter().all(|phase| *phase < 60));
    // It is the same for ever: a change would shift every check of every installation.
    assert_eq!(phase("web1/https", interval), phase("web1/https", interval));
    assert_ne!(phase("web1/https", interval), phase("web2/https", interval));
}

#[test]
fn a_check_keeps_its_grid_and_tries_again_sooner() {
    let check = check(&json!({"every": "5m", "retry_every": "20s", "error_every": "1m"}));
    let mut record = CheckRecord::default();
    let first = next(&check, Some(&record), start(), start()).expect("it runs");
    let second = next(&check, Some(&record), first, first.plus(seconds(3))).expect("it runs");
    assert_eq!(second.since(first), seconds(300));
    // A run that takes longer than the pause is not followed by the one it ran into.
    let slow = next(&check, Some(&record), first, first.plus(seconds(700))).expect("it runs");
    assert_eq!(slow.since(first), seconds(900));
    record.status = Some(CheckStatus::Ok);
    record.bad = 1;
    let again = next(&check, Some(&record), first, first.plus(seconds(3)));
    assert_eq!(again, Some(first.plus(seconds(20))));
    // Never at once, however long it took.
    let again = next(&check, Some(&record), first, first.plus(seconds(30)));
    assert_eq!(again, Some(first.plus(seconds(31))));
    record.status = Some(CheckStatus::Critical);
    let failed = next(&check, Some(&record), first, first.plus(seconds(3))).expect("it runs");
    let later = next(&check, Some(&record), failed, failed.plus(seconds(3))).expect("it runs");
    assert_eq!(later.since(failed), seconds(60));
    assert!(failed.since(first) >= seconds(30));
    record.good = 1;
    record.bad = 0;
    assert_eq!(next(&check, Some(&record), first, first), Some(first.plus(seconds(20))));
}

#[test]
fn cron_is_exact_and_tries_again_in_between() {
    let check =
        check(&json!({"cron": {"hour": 3, "timezone": "Europe/Berlin"}, "retry_every": "10m"}));
    let at = |text: &str| Timestamp::parse(text);
    assert_eq!(resume(&check, None, start()), at("2026-01-06T02:00:00Z"));
    let due = at("2026-01-06T02:00:00Z").expect("a moment");
    assert_eq!(next(&check, None, due, due.plus(seconds(5))), at("2026-01-07T02:00:00Z"));
    let uncertain = CheckRecord { bad: 1, ..CheckRecord::default() };
    let again = next(&check, Some(&uncertain), due, due.plus(seconds(5)));
    assert_eq!(again, at("2026-01-06T02:10:00Z"));
}

#[test]
fn what_was_missed_is_one_run_soon() {
    let daily = check(&json!({"every": "1d"}));
    let due = resume(&daily, Some(start()), start().plus(seconds(3 * 86_400))).expect("it runs");
    let late = due.since(start().plus(seconds(3 * 86_400)));
    assert!(late <= SPREAD_MAX, "{late:?}");
    // One that never ran does not wait for a day either.
    let first = resume(&daily, None, start()).expect("it runs");
    assert!(first.since(start()) <= SPREAD_MAX);
    // One that is not due yet stays where it is; a clock that went back does not put it off.
    let soon = start().plus(seconds(600));
    assert_eq!(resume(&daily, Some(soon), start()), Some(soon));
    let far = start().plus(seconds(30 * 86_400));
    let due = resume(&daily, Some(far), start()).expect("it runs");
    assert!(due.since(start()) <= seconds(86_400));
    let passive = check(&json!({"heartbeat": "1h", "memory": null}));
    assert_eq!(resume(&passive, None, start()), None);
    assert_eq!(next(&passive, None, start(), start()), None);
    assert_eq!(tick(start()), 1_767_600_000_000);
}

proptest! {
    #[test]
    fn the_next_run_is_always_later_and_never_much_later(
        every in 1_u64..100_000,
        retry in 1_u64..100_000,
        ran in 0_u64..200_000,
        after in 0_u64..10_000_000,
        bad in 0_u32..5,
        good in 0_u32..3,
        failed in any::<bool>(),
    ) {
        let check = check(&json!({"every": every, "retry_every": retry}));
        let status = Some(if failed { CheckStatus::Critical } else { CheckStatus::Ok });
        let record = CheckRecord { status, bad, good, ..CheckRecord::default() };
        let last = start().plus(seconds(after));
        let ended = last.plus(seconds(ran));
        let due = next(&check, Some(&record), last, ended).expect("it runs");
        prop_assert!(due > ended);
        prop_assert!(due.since(last) <= seconds(2 * every.max(retry) + ran + 1));
        // Ticks name runs.
        prop_assert!(tick(due) > tick(last));
    }
}
