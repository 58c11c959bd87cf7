//! Slow, silent, greedy and too many clients.

use std::time::Duration;

use bytes::Bytes;
use hearken_proto::Message;
use tokio::io::AsyncReadExt;

use super::harness::{Server, within};
use crate::listener::Metric;

#[tokio::test]
async fn who_does_not_read_is_closed_and_holds_up_nobody() {
    let server = Server::start().await;
    let mut slow = server.connect_trusted().await;
    slow.say("SUB a 1\r\n", "").await;
    let body = Bytes::from(vec![b'x'; 1024 * 1024]);
    let message = Message { subject: "a".into(), body, ..Message::default() };
    within("a slow consumer", async {
        while server.counters.get(Metric::SlowConsumers) == 0 {
            server.router.publish(&message, None);
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut other = server.connect_trusted().await;
    other.round_trip().await;
    within("the end", async {
        let mut buffer = vec![0; 1 << 20];
        while slow.socket.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
        while server.router.subscriptions() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_reads_nothing_for_too_long_is_closed() {
    let server =
        Server::start_with(|config| config.write_timeout = Duration::from_millis(50)).await;
    let mut slow = server.connect_trusted().await;
    slow.say("SUB a 1\r\n", "").await;
    let body = Bytes::from(vec![b'x'; 1024 * 1024]);
    // Less than its queue holds, more than the kernel takes: only time can tell.
    for _ in 0..12 {
        let message = Message { subject: "a".into(), body: body.clone(), ..Message::default() };
        server.router.publish(&message, None);
    }
    server.counted(Metric::SlowConsumers, 1).await;
}

#[tokio::test]
async fn a_fast_publisher_is_slowed_to_what_its_subscriber_reads() {
    let server = Server::start().await;
    let mut subscriber = server.connect_trusted().await;
    subscriber.say("SUB a 1\r\n", "").await;
    let mut publisher = server.connect_trusted().await;
    let (count, body) = (200, "x".repeat(512 * 1024));
    let reading = async {
        let mut bytes = 0;
        let mut buffer = vec![0; 1 << 18];
        let expected = count * (body.len() + "MSG a 1 524288\r\n\r\n".len());
        while bytes < expected {
            let read = subscriber.socket.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed after {bytes} of {expected}");
            bytes += read;
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        assert_eq!(bytes, expected);
    };
    let publish = format!("PUB a {}\r\n{body}\r\n", body.len());
    let publishing = async {
        for _ in 0..count {
            publisher.send(&publish).await;
        }
    };
    within("100 MiB through a queue of 16", async { tokio::join!(reading, publishing) }).await;
    assert_eq!(server.counters.get(Metric::SlowConsumers), 0);
}

#[tokio::test]
async fn who_is_silent_is_asked_and_then_closed() {
    let server =
        Server::start_with(|config| config.ping_interval = Duration::from_millis(30)).await;
    let mut alive = server.connect_trusted().await;
    for _ in 0..5 {
        alive.expect("PING\r\n").await;
        alive.send("PONG\r\n").await;
    }
    let mut silent = server.connect().await;
    silent.expect_end("PING\r\nPING\r\n-ERR 'Stale Connection'\r\n").await;
    assert_eq!(server.counters.get(Metric::StaleConnections), 1);
}

#[tokio::test]
async fn half_an_operation_is_silence() {
    let server =
        Server::start_with(|config| config.ping_interval = Duration::from_millis(30)).await;
    let mut half = server.connect().await;
    half.send("PUB hearken.event.a.b 10\r\nhalf").await;
    half.expect_end("PING\r\nPING\r\n-ERR 'Stale Connection'\r\n").await;
    assert!(server.store.entries().is_empty());
}

#[tokio::test]
async fn a_store_that_does_not_answer_ends_the_connection() {
    let server =
        Server::start_with(|config| config.store_timeout = Duration::from_millis(50)).await;
    server.store.shut();
    let mut client = server.connect().await;
    client.send(&"PUB hearken.event.a.b 0\r\n\r\n".repeat(3)).await;
    client.expect_end("-ERR 'the store does not answer'\r\n").await;
    assert_eq!(server.counters.get(Metric::RefusedUnavailable), 3);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = Server::start_with(|config| config.connections_max = 2).await;
    let one = server.connect_trusted().await;
    let mut two = server.connect_trusted().await;
    let mut three = server.connect().await;
    three.expect_end("-ERR 'maximum connections exceeded'\r\n").await;
    drop(one);
    within("a place", async {
        while server.counters.get(Metric::ConnectionsOpen) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.connect_trusted().await.round_trip().await;
    two.round_trip().await;
    assert_eq!(server.counters.get(Metric::ConnectionsRefused), 1);
    assert_eq!(server.counters.get(Metric::ConnectionsAccepted), 4);
}

#[tokio::test]
async fn subscriptions_are_counted_and_limited() {
    let server = Server::start().await;
    let mut client = server.connect_with(r#""headers":true"#).await;
    let many: String = (0..128).map(|n| format!("SUB _INBOX.a.{n} {n}\r\n")).collect();
    client.say(&many, "").await;
    client.say("SUB _INBOX.a.x x\r\n", "-ERR 'maximum subscriptions exceeded'\r\n").await;
    client.say("UNSUB 7\r\nSUB _INBOX.a.x x\r\n", "").await;
    assert_eq!(server.router.subscriptions(), 128);
    let deep = "_INBOX.a.b.c.d.e.f.g.h";
    let text =
        format!("-ERR 'Permissions Violation for Subscription to {deep:?}, too many tokens'\r\n");
    client.say(&format!("SUB {deep} y\r\n"), &text).await;
}

#[tokio::test]
async fn stopping_finishes_what_was_begun() {
    let mut server = Server::start().await;
    let mut client = server.connect().await;
    server.store.shut();
    client.send("PUB hearken.event.a.b 1\r\nx\r\n").await;
    within("the publish", async {
        while server.store.entries().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.shutdown.request();
    server.store.open();
    client.expect_end("+OK\r\n").await;
    within("the listener", server.tasks.next()).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
}
