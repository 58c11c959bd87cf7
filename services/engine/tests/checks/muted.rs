//! Silences, maintenance, acknowledgements: what they mute, and what they never do.

use hearken_engine::check::{Input, silence};
use hearken_proto::check::CheckStatus::{Critical, Ok, Warning};
use hearken_proto::incident::{Outcome, SilenceRecord};
use hearken_proto::notice::NoticeRecord;
use serde_json::json;

use crate::scene::Scene;

fn silence_of(scene: &Scene, selector: &str, seconds: u64) -> Input {
    Input::Silence(SilenceRecord {
        id: "17".to_owned(),
        matchers: vec![silence::read_matcher(selector).expect("a selector")],
        from: scene.now,
        until: Some(scene.now.plus(std::time::Duration::from_secs(seconds))),
        comment: "disk".to_owned(),
        ..SilenceRecord::default()
    })
}

#[test]
fn a_silence_mutes_a_problem_that_is_over_before_its_end() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}}));
    scene.run("c", Ok);
    let silence = silence_of(&scene, "check=c", 3_600);
    assert!(scene.tell(silence).is_empty());
    assert_eq!(scene.run("c", Critical), ["held ops problem: silence 17: disk"]);
    let over = "held ops problem: over before anybody was told: c recovered";
    assert_eq!(scene.run("c", Ok), [over]);
    assert!(scene.after(3_600).iter().all(|line| line.contains("not checked")));
}

#[test]
fn what_still_stands_at_the_end_of_a_silence_is_told() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}, "freshness": {"within": "1d"}}));
    scene.run("c", Ok);
    let silence = silence_of(&scene, "check=~c|d", 3_600);
    scene.tell(silence);
    scene.run("c", Critical);
    assert!(scene.after(3_539).is_empty());
    assert_eq!(scene.after(1), ["ops problem c"]);
    assert_eq!(scene.book.silences().count(), 0);
    // Ended by hand, the same.
    scene.run("c", Ok);
    let silence = silence_of(&scene, "check=c", 3_600);
    scene.tell(silence);
    scene.run("c", Critical);
    assert_eq!(scene.tell(Input::EndSilence("17".to_owned())), ["ops problem c"]);
}

#[test]
fn whoever_was_told_a_start_is_told_its_end_through_a_silence() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}, "reminders": "1h"}));
    assert_eq!(scene.run("c", Warning), ["ops problem c"]);
    let silence = silence_of(&scene, "check=c", 36_000);
    scene.tell(silence);
    // What follows of it is muted.
    assert_eq!(scene.run("c", Critical), ["held ops update: silence 17: disk"]);
    assert_eq!(scene.run("c", Ok), ["ops recovery c"]);
}

#[test]
fn a_silence_of_others_mutes_nothing() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}}));
    for selector in ["check=d", "check!=c", "check!~c", "site=berlin"] {
        let silence = silence_of(&scene, selector, 36_000);
        scene.tell(silence);
        assert_eq!(scene.run("c", Critical), ["ops problem c"], "{selector}");
        scene.run("c", Ok);
    }
}

#[test]
fn maintenance_comes_again() {
    let window =
        json!({"opens": {"hour": 10, "minute": 0, "timezone": "Europe/Berlin"}, "lasts": "1h"});
    let fields = json!({
        "attempts": {"failures": 1}, "maintenance": [window], "freshness": {"within": "30d"},
    });
    let mut scene = Scene::of(&fields);
    // It is 09:00 in Berlin.
    assert_eq!(scene.run("c", Critical), ["ops problem c"]);
    assert_eq!(scene.run("c", Ok), ["ops recovery c"]);
    scene.after(58 * 60);
    assert_eq!(scene.run("c", Critical), ["held ops problem: maintenance of c"]);
    assert!(scene.after(58 * 60).is_empty());
    assert_eq!(scene.after(60), ["ops problem c"]);
}

#[test]
fn reminders_come_at_longer_and_longer_intervals_until_somebody_takes_care() {
    let fields = json!({
        "attempts": {"failures": 1}, "reminders": ["1h", "4h"], "freshness": {"within": "30d"},
    });
    let mut scene = Scene::of(&fields);
    assert_eq!(scene.run("c", Critical), ["ops problem c"]);
    let mut hours = Vec::new();
    for hour in 1..=14 {
        for line in scene.after(3_600) {
            assert_eq!(line, "ops reminder c");
            hours.push(hour);
        }
    }
    assert_eq!(hours, [1, 5, 9, 13]);
    assert_eq!(scene.acknowledge(Some(7_200), false), ["ops acknowledged c"]);
    // It is news, from which the pause counts.
    assert!(scene.after(7_100).is_empty());
    assert!(scene.after(101).is_empty());
    assert_eq!(scene.after(2 * 3_600), ["ops reminder c"]);
    assert_eq!(scene.run("c", Ok), ["ops recovery c"]);
}

#[test]
fn an_acknowledgement_ends_when_it_gets_worse_unless_it_is_sticky() {
    let fields = json!({
        "attempts": {"failures": 1}, "reminders": ["1h"], "freshness": {"within": "30d"},
    });
    for sticky in [false, true] {
        let mut scene = Scene::of(&fields);
        scene.run("c", Warning);
        assert_eq!(scene.acknowledge(None, sticky), ["ops acknowledged c"]);
        assert!(scene.acknowledge(None, sticky).is_empty(), "the same again is no news");
        assert_eq!(scene.run("c", Critical), ["ops update c"]);
        assert_eq!(scene.incident().acknowledged.is_some(), sticky);
        let reminded = scene.after(3_600);
        let held = "held ops reminder: acknowledged by ann";
        assert_eq!(reminded, [if sticky { held } else { "ops reminder c" }]);
        // Sticky or not, it ends with the incident.
        scene.run("c", Ok);
        assert_eq!(scene.run("c", Warning), ["ops problem c"]);
        assert!(scene.incident().acknowledged.is_none());
    }
}

#[test]
fn nobody_escalates_what_somebody_takes_care_of() {
    let fields = json!({
        "attempts": {"failures": 1}, "freshness": {"within": "30d"},
        "escalation": [{"after": "30m", "notify": ["boss"]}],
    });
    let mut scene = Scene::of(&fields);
    let waits = "held boss escalation: escalation: its step is not due";
    assert_eq!(scene.run("c", Critical), ["ops problem c", waits]);
    assert_eq!(scene.acknowledge(Some(2_400), false)[0], "ops acknowledged c");
    assert_eq!(scene.after(1_800), ["held boss escalation: acknowledged by ann"]);
    assert_eq!(scene.after(600), ["boss escalation c"]);
    let mut ends = scene.run("c", Ok);
    ends.sort();
    assert_eq!(ends, ["boss recovery c", "ops recovery c"]);
}

#[test]
fn if_nobody_could_be_told_the_next_step_is_due() {
    let fields = json!({
        "attempts": {"failures": 1},
        "escalation": [{"after": "30m", "notify": ["boss"]}],
    });
    let mut scene = Scene::of(&fields);
    scene.run("c", Critical);
    let record = NoticeRecord {
        thread: scene.incident().id.clone(),
        number: 1,
        contact: "ops".to_owned(),
        outcome: Some(Outcome::Failed),
        ..NoticeRecord::default()
    };
    assert_eq!(scene.tell(Input::Told(record.clone())), ["boss escalation c"]);
    assert!(scene.tell(Input::Told(record)).is_empty());
    assert_eq!(scene.incident().told[0].outcome, Some(Outcome::Failed));
}

#[test]
fn a_problem_may_have_to_last_before_it_is_told() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}, "notify_after": "90s"}));
    let waits = "held ops problem: notify_after: it may be over soon";
    assert_eq!(scene.run("c", Critical), [waits]);
    scene.run("c", Ok);
    assert_eq!(scene.run("c", Critical), [waits]);
    assert!(scene.run("c", Critical).is_empty());
    assert_eq!(scene.after(30), ["ops problem c"]);
}

#[test]
fn a_contact_may_want_to_hear_of_the_worst_only() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}, "notify": ["night"]}));
    assert_eq!(
        scene.run("c", Warning),
        ["held night problem: contact night does not want warning"]
    );
    assert_eq!(scene.run("c", Critical), ["night problem c"]);
    assert_eq!(scene.run("c", Warning), ["night update c"]);
    assert_eq!(scene.run("c", Ok), ["night recovery c"]);
}
