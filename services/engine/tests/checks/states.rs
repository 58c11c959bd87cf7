//! When a state is certain, and what counts.

use hearken_engine::check::{Effect, Input};
use hearken_proto::check::{CheckResult, CheckStatus};
use serde_json::json;

use crate::scene::Scene;

use CheckStatus::{Critical, Ok, Unknown, Warning};

#[test]
fn a_failure_is_certain_after_its_attempts_and_a_recovery_after_its_own() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 3, "recoveries": 2}}));
    for status in [Ok, Critical, Critical, Ok, Warning, Critical] {
        assert!(scene.run("c", status).is_empty(), "{status:?}");
    }
    assert_eq!(scene.check("c").word(), "ok");
    assert_eq!(scene.run("c", Warning), ["ops problem c"]);
    assert_eq!(scene.check("c").word(), "warning");
    assert!(scene.run("c", Ok).is_empty());
    assert!(scene.run("c", Warning).is_empty());
    assert!(scene.run("c", Ok).is_empty());
    assert_eq!(scene.run("c", Ok), ["ops recovery c"]);
    assert_eq!(scene.book.incidents().count(), 0);
}

#[test]
fn another_level_is_told_at_once() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 2}}));
    assert!(scene.run("c", Warning).is_empty());
    assert_eq!(scene.run("c", Warning), ["ops problem c"]);
    assert_eq!(scene.run("c", Critical), ["ops update c"]);
    assert!(scene.run("c", Critical).is_empty());
    assert_eq!(scene.run("c", Unknown), ["ops update c"]);
    let incident = scene.incident();
    assert_eq!((incident.level, incident.worst), (Unknown, Critical));
    assert_eq!(incident.members[0].runs, 5);
    assert_eq!(scene.run("c", Ok), ["ops recovery c"]);
}

#[test]
fn what_cannot_be_checked_is_no_outage() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1, "tool": 2}}));
    scene.run("c", Ok);
    assert!(scene.cannot("c").is_empty());
    assert_eq!(scene.cannot("c"), ["ops problem c (not checked)"]);
    assert_eq!(scene.check("c").word(), "ok");
    assert!(scene.cannot("c").is_empty());
    // A failure of the target ends the one and begins the other.
    let lines = scene.run("c", Critical);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.contains(&"ops recovery c (not checked)".to_owned()));
    assert!(lines.contains(&"ops problem c".to_owned()));
    // While nobody can check, an outage is neither over nor another.
    scene.cannot("c");
    assert_eq!(scene.check("c").word(), "critical");
    assert_eq!(scene.run("c", Ok), ["ops recovery c"]);
}

#[test]
fn one_result_counts_once_and_an_old_one_never() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 2}}));
    scene.run("c", Ok);
    scene.after(60);
    let early = scene.result_of("c", Critical);
    scene.after(60);
    let late = scene.result_of("c", Ok);
    assert!(scene.put(late).is_empty());
    assert!(scene.put(early.clone()).is_empty());
    assert_eq!(scene.check("c").bad, 0);
    // The same run from two schedulers: another place, the same tick.
    scene.after(60);
    let one = scene.result_of("c", Critical);
    let other =
        CheckResult { started: one.started.plus(std::time::Duration::from_secs(1)), ..one.clone() };
    scene.put(one);
    let _drawn = scene.result_of("c", Ok);
    assert!(scene.put(other).is_empty());
    assert_eq!(scene.check("c").bad, 1);
    // The same entry once more.
    let input = |result: CheckResult| Input::Result { result: Box::new(result), sequence: 1 };
    assert!(scene.book.apply(&scene.definitions, input(early), scene.now).is_empty());
}

#[test]
fn a_run_of_the_future_stops_nothing() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}}));
    scene.run("c", Ok);
    let odd = scene.result_of("c", Ok);
    scene.put(CheckResult { tick: odd.tick + 365 * 86_400_000, ..odd });
    assert_eq!(scene.run("c", Critical), ["ops problem c"]);
    // From then on an old one is old again.
    let old = scene.result_of("c", Ok);
    assert!(scene.put(CheckResult { tick: old.tick - 1, ..old }).is_empty());
    assert_eq!(scene.check("c").word(), "critical");
}

#[test]
fn flapping_is_told_once_and_its_end_once() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}, "flapping": {}}));
    let mut told = Vec::new();
    for run in 0..30 {
        told.extend(scene.run("c", if run % 2 == 0 { Ok } else { Critical }));
    }
    let kinds: Vec<&str> =
        told.iter().filter(|line| !line.starts_with("held")).map(String::as_str).collect();
    let first =
        ["ops problem c", "ops recovery c", "ops problem c", "ops recovery c", "ops problem c"];
    assert_eq!(kinds, [&first[..], &["ops flapping_start c"]].concat());
    let mut rest = Vec::new();
    for _ in 0..30 {
        rest.extend(scene.run("c", Ok));
    }
    assert_eq!(rest, ["ops flapping_end c", "ops recovery c"]);
    assert_eq!(scene.book.incidents().count(), 0);
}

#[test]
fn what_never_fails_for_long_enough_is_told_as_flapping() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 5}, "flapping": {}}));
    let mut told = Vec::new();
    for run in 0..12 {
        told.extend(scene.run("c", if run % 2 == 0 { Ok } else { Critical }));
    }
    assert_eq!(told, ["ops flapping_start c"]);
    // It stays down: told as the end of flapping that is none of the failure.
    told.clear();
    for _ in 0..30 {
        told.extend(scene.run("c", Critical));
    }
    told.retain(|line| !line.starts_with("held"));
    assert_eq!(told, ["ops flapping_end c"]);
    assert_eq!(scene.run("c", Ok), ["ops recovery c"]);
}

#[test]
fn a_heartbeat_that_stays_away_is_an_outage() {
    let mut scene = Scene::new(
        &json!({}),
        &json!([{"name": "backup", "heartbeat": {"period": "1h", "grace": "10m"}}]),
    );
    scene.tell(Input::Definitions);
    assert!(scene.after(69 * 60).is_empty());
    // Told although it never came.
    assert_eq!(scene.after(60), ["ops problem backup"]);
    assert_eq!(scene.incident().members[0].text, "nothing was heard of it for 1h10m");
    assert_eq!(scene.run("backup", Ok), ["ops recovery backup"]);
    assert!(scene.after(60 * 60).is_empty());
    // Nobody could hear anything: it has all of its time anew.
    scene.tell(Input::Outage);
    assert!(scene.after(69 * 60).is_empty());
    assert_eq!(scene.after(60), ["ops problem backup"]);
}

#[test]
fn results_that_stay_away_are_our_failure() {
    let mut scene = Scene::of(&json!({}));
    scene.run("c", Ok);
    assert!(scene.after(179).is_empty());
    assert_eq!(scene.after(1), ["ops problem c (not checked)"]);
    assert_eq!(scene.check("c").word(), "ok");
    assert!(scene.check("c").late.is_some());
    assert_eq!(scene.run("c", Ok), ["ops recovery c (not checked)"]);
}

#[test]
fn events_tell_of_changes_and_of_nothing_else() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 2}, "labels": {"site": "berlin"}}));
    let mut triggers = Vec::new();
    for status in [Ok, Ok, Critical, Critical, Critical, Warning, Ok] {
        scene.after(60);
        let result = Box::new(scene.result_of("c", status));
        let sequence = result.tick;
        let input = Input::Result { result, sequence };
        for effect in scene.book.apply(&scene.definitions, input, scene.now) {
            if let Effect::Event { trigger, payload } = effect {
                assert_eq!(payload["labels"]["site"], "berlin");
                let level = payload.get("status").or(payload.get("level"));
                triggers
                    .push(format!("{trigger} {}", level.and_then(|l| l.as_str()).unwrap_or("-")));
            }
        }
    }
    let expected = [
        "hearken.check.changed ok",
        "hearken.check.changed critical",
        "hearken.incident.opened critical",
        "hearken.check.changed warning",
        "hearken.incident.changed warning",
        "hearken.check.changed ok",
        "hearken.incident.closed warning",
    ];
    assert_eq!(triggers, expected);
}

#[test]
fn picomon_keeps_its_habits() {
    let fields = json!({
        "every": null, "compat": "picomon", "ticks": {"every": 2, "error_every": 1},
        "attempts": {"failures": 3}, "picomon": {"class": "CheckPing4", "target": "web1"},
    });
    let mut scene = Scene::of(&fields);
    assert!(scene.run("c", Ok).is_empty());
    assert!(scene.run("c", Warning).is_empty());
    assert!(scene.run("c", Critical).is_empty());
    assert_eq!(scene.run("c", Unknown), ["ops problem c"]);
    // It knows only good and bad, and tells nothing in between.
    assert!(scene.run("c", Critical).is_empty());
    assert!(scene.after(7 * 86_400).iter().all(|line| line.contains("(not checked)")));
    assert_eq!(scene.incident_of("c").members[0].runs, 2);
    let lines = scene.run("c", Ok);
    assert!(lines.contains(&"ops recovery c".to_owned()), "{lines:?}");
}

#[test]
fn results_of_checks_that_nobody_knows_are_dropped() {
    let mut scene = Scene::of(&json!({}));
    let result = scene.result_of("other", Critical);
    assert!(scene.put(result).is_empty());
    assert!(scene.book.check("other").is_none());
    let mut off = Scene::of(&json!({"enabled": false}));
    let result = off.result_of("c", Critical);
    assert!(off.put(result).is_empty());
    assert!(off.book.check("c").is_none());
}
