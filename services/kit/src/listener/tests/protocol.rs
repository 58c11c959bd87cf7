//! Core publish and subscribe, as clients see it on the wire.

use bytes::Bytes;
use hearken_proto::Message;

use super::harness::{Server, within};
use crate::listener::Metric;

#[tokio::test]
async fn wildcards_replies_and_several_subscriptions() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    client.send("SUB a.* 1\r\nSUB a.> 2\r\nSUB b 3\r\n").await;
    client.round_trip().await;
    client.send("PUB a.b.c r.1 2\r\nhi\r\nPUB b 0\r\n\r\nPUB c 1\r\nx\r\n").await;
    client.expect("MSG a.b.c 2 r.1 2\r\nhi\r\nMSG b 3 0\r\n\r\n").await;
    client.round_trip().await;
    client.send("PUB a.b 1\r\nx\r\n").await;
    let lines =
        [client.line().await, client.line().await, client.line().await, client.line().await];
    assert!(lines.contains(&"MSG a.b 1 1\r\n".to_owned()), "{lines:?}");
    assert!(lines.contains(&"MSG a.b 2 1\r\n".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn connections_hear_each_other_and_the_process() {
    let server = Server::start().await;
    let mut one = server.connect_trusted().await;
    let mut two = server.connect_trusted().await;
    let mut here = server.router.subscribe("a.>", None);
    one.say("SUB a.> 1\r\n", "").await;
    two.say("PUB a.x r 2\r\nhi\r\n", "").await;
    one.expect("MSG a.x 1 r 2\r\nhi\r\n").await;
    let delivered = within("a message", here.next()).await.unwrap();
    assert_eq!(delivered.message.body, "hi");
    assert_eq!(delivered.reply.as_deref(), Some("r"));
    let body = Bytes::from_static(b"from here");
    let mut message = Message { subject: "a.y".into(), body, ..Message::default() };
    message.id = Some("id:1".into());
    message.headers.append("Name", "value");
    server.router.publish(&message, None);
    one.expect(
        "HMSG a.y 1 44 53\r\nNATS/1.0\r\nNats-Msg-Id: id:1\r\nName: value\r\n\r\nfrom here\r\n",
    )
    .await;
    assert_eq!(server.counters.get(Metric::MessagesIn), 1);
    assert_eq!(server.counters.get(Metric::MessagesOut), 2);
}

#[tokio::test]
async fn a_client_without_headers_gets_bodies() {
    let server = Server::start().await;
    let mut plain = server.connect_with(r#""auth_token":"secret""#).await;
    plain.say("SUB a 1\r\n", "").await;
    let mut client = server.connect_trusted().await;
    client.say("HPUB a 17 19\r\nNATS/1.0\r\nA:b\r\n\r\nhi\r\n", "").await;
    plain.expect("MSG a 1 2\r\nhi\r\n").await;
    plain.send("HPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n").await;
    plain.expect_end("-ERR 'message headers not supported'\r\n").await;
}

#[tokio::test]
async fn headers_pass_through() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    let block = "NATS/1.0\r\nA: b\r\nTwo: 2\r\n\r\n";
    client
        .say(
            &format!("SUB a 1\r\nHPUB a r 26 28\r\n{block}hi\r\n"),
            &format!("HMSG a 1 r 26 28\r\n{block}hi\r\n"),
        )
        .await;
    client
        .say(
            "HPUB a 4 6\r\nabcdxx\r\n",
            "-ERR 'Permissions Violation for Publish to \"a\": \
             refused: bad message header detected'\r\n",
        )
        .await;
}

#[tokio::test]
async fn one_member_of_a_queue_group_gets_each_message() {
    let server = Server::start().await;
    let mut members = [server.connect_trusted().await, server.connect_trusted().await];
    for member in &mut members {
        member.say("SUB work.> q 7\r\n", "").await;
    }
    let mut publisher = server.connect_trusted().await;
    publisher.say(&"PUB work.a 1\r\nx\r\n".repeat(10), "").await;
    for member in &mut members {
        member.expect(&"MSG work.a 7 1\r\nx\r\n".repeat(5)).await;
        member.round_trip().await;
    }
}

#[tokio::test]
async fn unsubscribing_now_and_after_some() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    let three = "PUB a 1\r\nx\r\n".repeat(3);
    let one = "MSG a 1 1\r\nx\r\n";
    client.say(&format!("SUB a 1\r\nUNSUB 1 2\r\n{three}"), &one.repeat(2)).await;
    assert_eq!(server.router.subscriptions(), 0, "a finished subscription is gone");
    client.say(&format!("SUB a 1\r\n{three}UNSUB 1 3\r\n{three}"), &one.repeat(3)).await;
    client.say(&format!("SUB a 1\r\n{three}UNSUB 1\r\n{three}"), &one.repeat(3)).await;
    client.say("UNSUB 99\r\nUNSUB 99 5\r\n", "").await;
    client.say("SUB a 1\r\nSUB b 1\r\nPUB b 1\r\ny\r\n", "").await;
    assert_eq!(server.router.subscriptions(), 1, "a second subscription of the same name is none");
    drop(client);
    within("the end of its subscription", async {
        while server.router.subscriptions() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn echo_is_a_choice() {
    let server = Server::start().await;
    let mut client = server.connect_with(r#""auth_token":"secret","echo":false"#).await;
    client.say("SUB a 1\r\nPUB a 1\r\nx\r\n", "").await;
    let mut other = server.connect_trusted().await;
    other.say("PUB a 1\r\ny\r\n", "").await;
    client.expect("MSG a 1 1\r\ny\r\n").await;
}

#[tokio::test]
async fn a_request_that_nobody_answers_is_told_so() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    let none = "HMSG _INBOX.x.1 7 16 16\r\nNATS/1.0 503\r\n\r\n\r\n";
    client.say("SUB _INBOX.x.* 7\r\nPUB nobody _INBOX.x.1 1\r\nx\r\n", none).await;
    client.say("PUB nobody _INBOX.other 1\r\nx\r\n", "").await;
    let _somebody = server.router.subscribe("nobody", None);
    client.say("PUB nobody _INBOX.x.1 1\r\nx\r\n", "").await;
    let mut plain = server.connect_with(r#""auth_token":"secret","headers":true"#).await;
    plain.say("SUB _INBOX.x.* 7\r\nPUB really.nobody _INBOX.x.1 1\r\nx\r\n", "").await;
}

#[tokio::test]
async fn verbose_clients_get_a_word_for_every_operation() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send("CONNECT {\"auth_token\":\"secret\"}\r\nSUB a 1\r\nPUB a 1\r\nx\r\nUNSUB 1\r\n")
        .await;
    client.expect("+OK\r\n+OK\r\n+OK\r\nMSG a 1 1\r\nx\r\n+OK\r\n").await;
    client.send("PONG\r\nPING\r\n").await;
    client.expect("PONG\r\n").await;
}

#[tokio::test]
async fn malformed_operations_end_the_connection_with_the_reason() {
    let server = Server::start().await;
    let rows = [
        ("FOO\r\n", "Unknown Protocol Operation"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "Unknown Protocol Operation"),
        ("PUB a 2\r\nhello\r\n", "Unknown Protocol Operation"),
        ("PUB a x\r\n", "Parser Error"),
        ("SUB a\r\n", "Parser Error"),
        ("PUB a 1048577\r\n", "Maximum Payload Violation"),
        ("CONNECT {\r\n", "Parser Error"),
        ("CONNECT {\"protocol\":7}\r\n", "invalid client protocol"),
        ("CONNECT {\"no_responders\":true}\r\n", "no responders requires headers support"),
    ];
    for (text, reason) in rows {
        let mut client = server.connect().await;
        client.send(text).await;
        client.expect_end(&format!("-ERR '{reason}'\r\n")).await;
    }
    let long = format!("SUB {} 1\r\n", "a".repeat(5_000));
    for text in [long.as_str(), long.trim_end()] {
        let mut client = server.connect().await;
        client.send(text).await;
        client.expect_end("-ERR 'maximum control line exceeded'\r\n").await;
    }
    assert_eq!(server.counters.get(Metric::ParserErrors), 10);
    assert_eq!(server.counters.get(Metric::Oversized), 1);
}

#[tokio::test]
async fn an_error_of_a_client_ends_its_connection() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    client.send("-ERR 'no'\r\n").await;
    client.expect_end("").await;
}

#[tokio::test]
async fn subjects_that_are_none_are_told_and_the_connection_goes_on() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    for filter in ["a..b", "a.>.b", ".a", &"a".repeat(513)] {
        client.say(&format!("SUB {filter} 1\r\n"), "-ERR 'Invalid Subject'\r\n").await;
    }
    client
        .say("PUB a.* 1\r\nx\r\n", "-ERR 'Permissions Violation for Publish to \"a.*\"'\r\n")
        .await;
    let deep = vec!["a"; 33].join(".");
    let text =
        format!("-ERR 'Permissions Violation for Subscription to \"{deep}\", too many tokens'\r\n");
    client.say(&format!("SUB {deep} 1\r\n"), &text).await;
    client.send("CONNECT {\"verbose\":false,\"auth_token\":\"secret\"}\r\n").await;
    client.say("PUB a.* 1\r\nx\r\n", "-ERR 'Invalid Publish Subject'\r\n").await;
}

#[tokio::test]
async fn operations_may_come_in_any_pieces() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    for byte in b"SUB a 1\r\nPUB a 5\r\nhe\r\no\r\nPING\r\n" {
        client.send_bytes(&[*byte]).await;
    }
    client.expect("MSG a 1 5\r\nhe\r\no\r\nPONG\r\n").await;
}
