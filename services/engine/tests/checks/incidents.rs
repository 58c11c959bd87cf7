//! What an incident keeps, and what its notices carry.

use hearken_engine::check::{Book, Effect, Input};
use hearken_proto::check::CheckStatus::{Critical, Ok};
use hearken_proto::notice::NoticeRequest;
use serde_json::json;

use crate::scene::Scene;

fn notices(effects: Vec<Effect>) -> Vec<NoticeRequest> {
    let notice = |effect| match effect {
        Effect::Notice(request) => Some(*request),
        Effect::Check(_)
        | Effect::Incident(_)
        | Effect::Silence(_)
        | Effect::Gone { .. }
        | Effect::Event { .. }
        | Effect::Held(_)
        | Effect::Recheck { .. } => None,
    };
    effects.into_iter().filter_map(notice).collect()
}

#[test]
fn a_thread_is_numbered_and_remembers_what_was_sent() {
    let fields = json!({
        "attempts": {"failures": 1}, "reminders": "1h", "freshness": {"within": "30d"},
        "escalation": [{"after": "90m", "notify": ["boss"]}], "runbook": "https://wiki/c",
    });
    let mut scene = Scene::of(&fields);
    scene.after(60);
    let result = Box::new(scene.result_of("c", Critical));
    let input = Input::Result { result, sequence: 1 };
    let mut all = notices(scene.book.apply(&scene.definitions, input, scene.now));
    for _ in 0..14 {
        scene.now = scene.now.plus(std::time::Duration::from_secs(3_600));
        all.extend(notices(scene.book.pass(&scene.definitions, scene.now)));
    }
    let id = all[0].thread.clone();
    assert_eq!(id.len(), 24);
    for (at, notice) in all.iter().enumerate() {
        let number = u32::try_from(at).expect("few") + 1;
        assert_eq!(notice.number, number);
        assert_eq!(notice.id, format!("{id}-{number}"));
        let incident = notice.incident.as_ref().expect("an incident");
        assert!(incident.told.is_empty());
        assert_eq!(incident.runbook.as_deref(), Some("https://wiki/c"));
    }
    let of = |contact: &str| all.iter().filter(|n| n.contact == contact).collect::<Vec<_>>();
    let (ops, boss) = (of("ops"), of("boss"));
    assert_eq!((ops.len(), boss.len()), (15, 13));
    // Whoever joins later has a thread of their own with the same root.
    assert!(boss[0].earlier.is_empty() && ops[0].earlier.is_empty());
    assert_eq!(boss[2].earlier, [boss[0].number, boss[1].number]);
    let last: Vec<u32> = ops[4..14].iter().map(|notice| notice.number).collect();
    assert_eq!(ops[14].earlier, last);
}

#[test]
fn a_notice_is_asked_for_before_it_is_kept_as_told() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}}));
    let result = Box::new(scene.result_of("c", Critical));
    let input = Input::Result { result, sequence: 1 };
    let effects = scene.book.apply(&scene.definitions, input, scene.now);
    let place = |wanted: fn(&Effect) -> bool| effects.iter().position(wanted).expect("it is there");
    let notice = place(|effect| matches!(effect, Effect::Notice(_)));
    assert!(notice < place(|effect| matches!(effect, Effect::Incident(_))));
    assert!(notice < place(|effect| matches!(effect, Effect::Check(_))));
}

#[test]
fn a_book_is_put_together_from_its_parts() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}, "reminders": "1h"}));
    scene.run("c", Critical);
    let (now, resumed, parts) = scene.book.parts();
    assert_eq!(parts.len(), 2);
    assert_eq!(Book::restore(now, resumed, parts), scene.book);
    scene.run("c", Ok);
    let (.., parts) = scene.book.parts();
    assert_eq!(parts.len(), 1);
}

#[test]
fn records_are_bounded_whatever_comes() {
    let mut scene = Scene::of(&json!({"attempts": {"failures": 1}}));
    for run in 0..300 {
        scene.after(60);
        let status =
            if run % 2 == 0 { Critical } else { hearken_proto::check::CheckStatus::Warning };
        let mut result = scene.result_of("c", status);
        result.text = "é".repeat(100_000);
        result.long_text = "long\n".repeat(100_000);
        result.perfdata = vec![hearken_proto::check::Metric::default(); 10_000];
        scene.put(result);
    }
    let check = hearken_proto::codec::encode(scene.check("c")).expect("it is written");
    let incident = hearken_proto::codec::encode(scene.incident()).expect("it is written");
    assert!(check.len() < 64 * 1024, "{}", check.len());
    assert!(incident.len() < 128 * 1024, "{}", incident.len());
}

#[test]
fn an_incident_of_a_hundred_checks_fits_into_a_message() {
    let hosts: serde_json::Map<_, _> =
        (0..120).map(|at| (format!("host{at}"), json!({}))).collect();
    let mut scene = Scene::new(
        &serde_json::Value::Object(hosts),
        &json!([{"name": "m", "hosts": ["*"], "memory": {}, "attempts": {"failures": 1},
                 "group": {"by": ["check"]}}]),
    );
    for at in 0..120 {
        let mut result = scene.result_of(&format!("host{at}/m"), Critical);
        result.text = "x".repeat(10_000);
        result.long_text = "y".repeat(100_000);
        scene.put(result);
    }
    let sizes: Vec<usize> = scene
        .book
        .incidents()
        .map(|incident| hearken_proto::codec::encode(incident).expect("it is written").len())
        .collect();
    assert_eq!(sizes.len(), 2);
    assert!(sizes.iter().all(|size| *size < 256 * 1024), "{sizes:?}");
    assert_eq!(scene.book.incidents().map(|incident| incident.members.len()).sum::<usize>(), 120);
}
