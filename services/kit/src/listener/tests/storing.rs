//! Publishes to stored subjects.

use hearken_proto::Stream;
use hearken_proto::permission::CLAIMED_CAUSE;

use super::harness::{Server, within};
use crate::listener::{Metric, Refused};

fn hpub(subject: &str, reply: &str, headers: &str, body: &str) -> String {
    let head = format!("NATS/1.0\r\n{headers}\r\n");
    let total = head.len() + body.len();
    format!("HPUB {subject} {reply} {} {total}\r\n{head}{body}\r\n", head.len())
}

/// What a JetStream publisher reads when its message was not stored.
fn nack(code: u16, err_code: u16, why: &str) -> String {
    let error = format!(r#"{{"code":{code},"err_code":{err_code},"description":"{why}"}}"#);
    msg(&format!(r#"{{"error":{error},"stream":"hearken-EVENTS","seq":0}}"#))
}

/// What everybody else reads.
fn refused(why: &str) -> String {
    let what = "Permissions Violation for Publish to \"hearken.event.a.b\"";
    format!("-ERR '{what}: refused: {why}'\r\n")
}

fn msg(body: &str) -> String {
    format!("MSG _INBOX.a.1 1 {}\r\n{body}\r\n", body.len())
}

#[tokio::test]
async fn every_family_goes_to_its_stream() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    let rows = [
        ("hearken.event.shop.late", Some(Stream::Events)),
        ("hearken.request.action.any.core.local", Some(Stream::Log)),
        ("hearken.transition.execution.1", Some(Stream::Log)),
        ("hearken.result.check.web", Some(Stream::Log)),
        ("hearken.deadletter.x", Some(Stream::Log)),
        ("hearken.state.rule.x", Some(Stream::State)),
        ("hearken.sample.output.x", Some(Stream::Samples)),
        ("hearken.control.actions.any", None),
        ("hearken.event", None),
        ("other.event.shop.late", None),
    ];
    for (subject, stream) in rows {
        let before = server.store.entries().len();
        client.say(&format!("PUB {subject} 2\r\n{{}}\r\n"), "").await;
        let stored: Vec<_> = server.store.entries().split_off(before);
        let places: Vec<_> = stored.iter().map(|(stream, _)| Some(*stream)).collect();
        assert_eq!(places, stream.map(Some).into_iter().collect::<Vec<_>>(), "{subject}");
    }
}

#[tokio::test]
async fn the_publisher_gets_the_acknowledgement_of_jetstream() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    client.say("SUB _INBOX.a.* 1\r\n", "").await;
    let subject = "hearken.event.shop.late";
    let publish = |headers: &str| hpub(subject, "_INBOX.a.1", headers, "{}");
    let id = "Nats-Msg-Id: shop:1\r\n";
    client.say(&publish(id), &msg(r#"{"stream":"hearken-EVENTS","seq":1}"#)).await;
    let duplicate = r#"{"stream":"hearken-EVENTS","seq":1,"duplicate":true}"#;
    client.say(&publish(id), &msg(duplicate)).await;
    let condition = "Nats-Expected-Last-Subject-Sequence: 1\r\n";
    client.say(&publish(condition), &msg(r#"{"stream":"hearken-EVENTS","seq":2}"#)).await;
    client.say(&publish(condition), &nack(400, 10071, "wrong last sequence: 2")).await;
    let other = nack(400, 10060, "expected stream does not match");
    client.say(&publish("Nats-Expected-Stream: ORDERS\r\n"), &other).await;
    let (stream, message) = server.store.entries().remove(0);
    assert_eq!(stream, Stream::Events);
    assert_eq!(message.id.as_deref(), Some("shop:1"));
    assert!(message.headers.is_empty(), "id and conditions are not headers");
    assert_eq!(server.counters.get(Metric::Stored), 2);
    assert_eq!(server.counters.get(Metric::Duplicates), 1);
    assert_eq!(server.counters.get(Metric::RefusedConflict), 2);
}

#[tokio::test]
async fn a_claimed_cause_stays_a_claim() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    client.send(&hpub("hearken.event.shop.late", "", "Hearken-Cause: forged\r\n", "{}")).await;
    client.round_trip().await;
    let (_, message) = server.store.entries().remove(0);
    assert_eq!(message.cause, None);
    assert_eq!(message.headers.get(CLAIMED_CAUSE), Some("forged"));
}

#[tokio::test]
async fn refusals_reach_the_publisher_with_and_without_reply() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    client.say("SUB _INBOX.a.* 1\r\n", "").await;
    let rows = [
        (Refused::Full, 503, 10077, "maximum bytes exceeded"),
        (Refused::TooLarge, 400, 10054, "message size exceeds maximum allowed"),
        (Refused::Unavailable("the log is stopping".into()), 503, 10008, "the log is stopping"),
    ];
    for (refusal, code, err_code, why) in rows {
        server.store.refuse(Some(refusal));
        let answer = nack(code, err_code, why);
        client.say("PUB hearken.event.a.b _INBOX.a.1 0\r\n\r\n", &answer).await;
        let line = refused(why);
        client.say("PUB hearken.event.a.b 0\r\n\r\n", &line).await;
        // Nobody listens there: the refusal must not be lost with the answer.
        client.say("PUB hearken.event.a.b _INBOX.gone 0\r\n\r\n", &line).await;
    }
    for metric in [Metric::RefusedFull, Metric::Oversized, Metric::RefusedUnavailable] {
        assert_eq!(server.counters.get(metric), 3, "{metric:?}");
    }
    let long = "x".repeat(65_536);
    let line = refused("header size exceeds maximum allowed of 64k");
    client.say(&hpub("hearken.event.a.b", "", &format!("A: {long}\r\n"), ""), &line).await;
}

#[tokio::test]
async fn ok_and_pong_mean_stored() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    server.store.shut();
    client.send("PUB hearken.event.a.b 1\r\n1\r\nPING\r\nPUB hearken.event.a.b 1\r\n2\r\n").await;
    within("both publishes", async {
        while server.store.entries().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut nothing = [0; 1];
    assert!(client.socket.try_read(&mut nothing).is_err(), "nothing is said before it is stored");
    server.store.open();
    client.expect("+OK\r\nPONG\r\n+OK\r\n").await;
    server.store.refuse(Some(Refused::Full));
    client.send("PUB hearken.event.a.b 1\r\n3\r\nPING\r\n").await;
    client.expect(&refused("maximum bytes exceeded")).await;
    client.expect("PONG\r\n").await;
}

#[tokio::test]
async fn publishes_are_pipelined_in_order_up_to_a_window() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    client.say("SUB _INBOX.a.* 1\r\n", "").await;
    server.store.shut();
    let publishes: String =
        (0..2_000).map(|n| format!("PUB hearken.event.a.b _INBOX.a.1 4\r\n{n:04}\r\n")).collect();
    client.send(&publishes).await;
    within("the window to fill", async {
        while server.store.entries().len() < 512 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    client.send("PING\r\n").await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(server.store.entries().len(), 512, "the window is a bound");
    server.store.open();
    let answers: String =
        (1..=2_000).map(|n| msg(&format!(r#"{{"stream":"hearken-EVENTS","seq":{n}}}"#))).collect();
    client.expect(&answers).await;
    client.expect("PONG\r\n").await;
    let bodies: Vec<_> = server.store.entries().into_iter().map(|(_, m)| m.body).collect();
    let sent: Vec<_> = (0..2_000).map(|n| format!("{n:04}")).collect();
    assert_eq!(bodies, sent);
}

#[tokio::test]
async fn who_leaves_early_has_still_published() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    server.store.shut();
    client.send(&"PUB hearken.event.a.b 1\r\nx\r\n".repeat(100)).await;
    drop(client);
    within("publishes", async {
        while server.store.entries().len() < 100 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.store.open();
    server.counted(Metric::Stored, 100).await;
}

#[tokio::test]
async fn live_subscribers_get_what_was_stored() {
    let server = Server::start().await;
    let mut subscriber = server.connect_trusted().await;
    subscriber.say("SUB hearken.event.> 1\r\n", "").await;
    let mut client = server.connect().await;
    client.send("PUB hearken.event.shop.late 2\r\n{}\r\n").await;
    client.expect("+OK\r\n").await;
    subscriber.expect("MSG hearken.event.shop.late 1 2\r\n{}\r\n").await;
}

#[tokio::test]
async fn the_jetstream_api_is_not_here_and_says_so() {
    let server = Server::start().await;
    let credentials = [r#""auth_token":"secret""#, r#""echo":true"#];
    for credentials in credentials {
        let mut client = server.connect_with(credentials).await;
        client.send("SUB _INBOX.a.* 1\r\nPUB $JS.API.STREAM.NAMES _INBOX.a.1 0\r\n\r\n").await;
        assert!(client.line().await.starts_with("MSG _INBOX.a.1 1 "));
        let body: serde_json::Value = serde_json::from_str(&client.line().await).unwrap();
        assert_eq!(body["type"], "io.nats.jetstream.api.v1.error_response");
        assert_eq!(body["error"]["code"], 503);
        assert!(body["error"]["description"].as_str().unwrap().contains("nats-server"));
        client
            .say(
                "PUB $JS.API.STREAM.NAMES 0\r\n\r\n",
                "-ERR 'Permissions Violation for Publish to \"$JS.API.STREAM.NAMES\"'\r\n",
            )
            .await;
    }
}
