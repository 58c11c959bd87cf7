//! Claims about the router, through its public face.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hearken_proto::Message;

use super::{AskError, Router, Subscription};
use crate::Tasks;

fn message(subject: &str, body: impl Into<Bytes>) -> Message {
    Message { subject: subject.to_owned(), body: body.into(), ..Message::default() }
}

fn drain(subscription: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| subscription.try_next())
        .map(|delivered| String::from_utf8(delivered.message.body.to_vec()).unwrap())
        .collect()
}

#[tokio::test]
async fn everybody_whose_filter_selects_a_subject_gets_it_in_order() {
    let router = Router::new();
    let mut literal = router.subscribe("a.b", None);
    let mut any = router.subscribe("a.*", None);
    let mut rest = router.subscribe("a.>", None);
    let mut other = router.subscribe("b.>", None);
    assert_eq!(router.publish(&message("a.b", "1"), None), 3);
    assert_eq!(router.publish(&message("a.c", "2"), Some("_INBOX.x")), 2);
    assert_eq!(router.publish(&message("a", "3"), None), 0);
    assert_eq!(drain(&mut literal), ["1"]);
    assert_eq!(drain(&mut any), ["1", "2"]);
    assert_eq!(rest.next().await.unwrap().reply, None);
    assert_eq!(rest.next().await.unwrap().reply.as_deref(), Some("_INBOX.x"));
    assert_eq!(drain(&mut other), [""; 0]);
}

#[tokio::test]
async fn dropping_a_subscription_unsubscribes() {
    let router = Router::new();
    let first = router.subscribe("a.>", None);
    let member = router.subscribe("a.>", Some("q"));
    assert_eq!(router.subscriptions(), 2);
    drop(first);
    assert_eq!(router.publish(&message("a.b", ""), None), 1);
    drop(member);
    assert_eq!(router.publish(&message("a.b", ""), None), 0);
    assert_eq!(router.subscriptions(), 0);
}

#[tokio::test]
async fn one_member_of_a_queue_group_gets_each_message_in_turn() {
    let router = Router::new();
    let mut members = [(); 3].map(|()| router.subscribe("work.*", Some("q")));
    let mut others = router.subscribe("work.>", Some("other"));
    let mut plain = router.subscribe("work.a", None);
    for turn in 0..9 {
        assert_eq!(router.publish(&message("work.a", turn.to_string()), None), 3);
    }
    let got = members.each_mut().map(drain);
    assert_eq!(got.each_ref().map(Vec::len), [3, 3, 3]);
    let mut all: Vec<_> = got.into_iter().flatten().collect();
    all.sort();
    assert_eq!(all, (0..9).map(|turn| turn.to_string()).collect::<Vec<_>>());
    assert_eq!(drain(&mut others).len(), 9);
    assert_eq!(drain(&mut plain).len(), 9);
}

#[tokio::test]
async fn a_group_is_its_name_under_whatever_filters() {
    let router = Router::new();
    let mut wide = router.subscribe("work.>", Some("q"));
    let mut narrow = router.subscribe("work.a", Some("q"));
    for _ in 0..8 {
        assert_eq!(router.publish(&message("work.a", ""), None), 1);
    }
    assert_eq!(drain(&mut wide).len() + drain(&mut narrow).len(), 8);
}

#[tokio::test]
async fn a_full_queue_misses_messages_and_says_how_many() {
    let router = Router::new();
    let mut slow = router.subscribe("a", None);
    let delivered: usize = (0..10_000).map(|_| router.publish(&message("a", "x"), None)).sum();
    assert_eq!(delivered, 8_192);
    assert_eq!(router.dropped(), 10_000 - 8_192);
    assert_eq!(slow.lagged(), 10_000 - 8_192);
    assert_eq!(slow.lagged(), 0, "a lag is told once");
    assert_eq!(drain(&mut slow).len(), 8_192);
    assert_eq!(router.publish(&message("a", "x"), None), 1, "room again");
}

#[tokio::test]
async fn a_queue_is_bounded_in_bytes_as_well() {
    let router = Router::new();
    let mut slow = router.subscribe("a", None);
    let body = Bytes::from(vec![0; 1024 * 1024]);
    let delivered: usize = (0..20).map(|_| router.publish(&message("a", body.clone()), None)).sum();
    assert_eq!(delivered, 16);
    assert_eq!(drain_count(&mut slow), 16);
    assert_eq!(router.publish(&message("a", body), None), 1, "bytes taken out make room");
}

fn drain_count(subscription: &mut Subscription) -> usize {
    std::iter::from_fn(|| subscription.try_next()).count()
}

#[tokio::test]
async fn a_group_prefers_a_member_with_room() {
    let router = Router::new();
    let mut full = router.subscribe("a", Some("q"));
    for _ in 0..8_192 {
        router.publish(&message("a", "old"), None);
    }
    let mut fresh = router.subscribe("a", Some("q"));
    for _ in 0..10 {
        assert_eq!(router.publish(&message("a", "new"), None), 1);
    }
    assert_eq!(drain(&mut fresh).len(), 10);
    assert_eq!(full.lagged(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_question_gets_its_answer_or_a_reason() {
    let router = Router::new();
    let wait = Duration::from_secs(5);
    let ask = |subject: &'static str| router.ask(subject, Bytes::from_static(b"ping"), wait);
    assert_eq!(ask("svc.a").await, Err(AskError::NoResponders));

    let mut mute = router.subscribe("svc.mute", None);
    assert_eq!(ask("svc.mute").await, Err(AskError::TimedOut));
    assert_eq!(drain(&mut mute), ["ping"]);

    let mut service = router.subscribe("svc.*", Some("workers"));
    let mut tasks = Tasks::new();
    let replier = router.clone();
    tasks.spawn("service", async move {
        while let Some(question) = service.next().await {
            let reply = question.reply.unwrap();
            replier.publish(&message(&reply, "pong"), None);
        }
    });
    assert_eq!(ask("svc.b").await.unwrap().body, "pong");
    assert_eq!(router.subscriptions(), 2, "the inbox is gone");
}

#[tokio::test]
async fn closing_gives_out_what_is_left_and_ends() {
    let router = Router::new();
    let mut early = router.subscribe("a", None);
    router.publish(&message("a", "last"), None);
    router.close();
    assert_eq!(router.publish(&message("a", "too late"), None), 0);
    assert_eq!(early.next().await.unwrap().message.body, "last");
    assert!(early.next().await.is_none());
    assert!(router.subscribe("a", None).next().await.is_none());
}

#[tokio::test]
async fn malformed_subjects_and_filters_select_nothing() {
    let router = Router::new();
    let _odd = ["", "a..b", "a.>.b"].map(|filter| router.subscribe(filter, None));
    let _all = router.subscribe(">", None);
    for subject in ["", "a..b", "a.*", ">", "a b"] {
        assert_eq!(router.publish(&message(subject, ""), None), 0, "{subject}");
    }
}

#[test]
fn inboxes_differ() {
    let router = Router::new();
    let names: BTreeMap<_, _> = (0..1_000).map(|n| (router.inbox(), n)).collect();
    assert_eq!(names.len(), 1_000);
    assert!(names.keys().all(|name| name.len() == "_INBOX.".len() + 32));
}
