//! Who may do what, on the wire. The table itself is tested where it is written.

use std::time::Duration;

use super::harness::{Client, Server};
use crate::listener::{Config, Metric};

const ANONYMOUS: &str = r#""headers":true,"no_responders":true"#;

#[tokio::test]
async fn without_credentials_a_client_here_tells_facts_and_hears_its_own_inbox() {
    let server = Server::start().await;
    let mut client = server.connect_with(ANONYMOUS).await;
    client.say("SUB _INBOX.me.* 1\r\nPUB hearken.event.shop.late 2\r\n{}\r\n", "").await;
    assert_eq!(server.store.entries().len(), 1);
    let refused = [
        "hearken.event.core.x",
        "hearken.event.packs.x",
        "hearken.event.hearken.incident.opened",
        "hearken.request.action.any.core.local",
        "hearken.transition.execution.1",
        "hearken.control.actions.any",
        "_INBOX.other.1",
        "$SYS.REQ.SERVER.PING",
        "anything",
    ];
    for subject in refused {
        let text = format!("-ERR 'Permissions Violation for Publish to {subject:?}'\r\n");
        client.say(&format!("PUB {subject} 2\r\n{{}}\r\n"), &text).await;
    }
    for filter in ["_INBOX.>", "_INBOX.*", ">", "hearken.event.>", "*.x"] {
        let text = format!("-ERR 'Permissions Violation for Subscription to {filter:?}'\r\n");
        client.say(&format!("SUB {filter} 2\r\n"), &text).await;
    }
    let text = "-ERR 'Permissions Violation for Subscription to \"a\" using queue \"q\"'\r\n";
    client.say("SUB a q 2\r\n", text).await;
    assert_eq!(server.store.entries().len(), 1);
    assert_eq!(server.counters.get(Metric::RefusedPermission), 15);
}

#[tokio::test]
async fn nobody_without_credentials_uses_up_an_id_of_hearkens_own() {
    let server = Server::start().await;
    let mut client = server.connect_with(ANONYMOUS).await;
    let head = |id: &str| format!("NATS/1.0\r\nNats-Msg-Id: {id}\r\n\r\n");
    let publish = |id: &str| {
        let head = head(id);
        let (head_bytes, bytes) = (head.len(), head.len() + 2);
        format!("HPUB hearken.event.shop.late {head_bytes} {bytes}\r\n{head}{{}}\r\n")
    };
    let refused = "-ERR 'Permissions Violation for Publish to \"hearken.event.shop.late\": refused: \
        the message id \"tick-x-1\" begins as Hearken's own do, choose another'\r\n";
    client.say(&publish("tick-x-1"), refused).await;
    client.say(&publish("shop.order:42"), "").await;
    assert_eq!(server.store.entries().len(), 1);
}

#[tokio::test]
async fn an_acknowledgement_cannot_be_aimed_at_what_is_forbidden() {
    let server = Server::start().await;
    let mut requests = server.router.subscribe("hearken.request.>", None);
    let mut client = server.connect_with(ANONYMOUS).await;
    let reply = "hearken.request.action.any.core.local";
    let text = format!("-ERR 'Permissions Violation for Publish with Reply of {reply:?}'\r\n");
    client.say(&format!("PUB hearken.event.shop.late {reply} 2\r\n{{}}\r\n"), &text).await;
    client
        .say(
            &format!("PUB $JS.API.INFO {reply} 0\r\n\r\n"),
            "-ERR 'Permissions Violation for Publish to \"$JS.API.INFO\"'\r\n",
        )
        .await;
    assert!(requests.try_next().is_none());
    assert!(server.store.entries().is_empty());
}

#[tokio::test]
async fn the_token_opens_everything_but_the_servers_own_subjects() {
    let server = Server::start().await;
    for credentials in
        [r#""auth_token":"secret""#, r#""user":"anybody","pass":"secret""#, r#""user":"secret""#]
    {
        let mut client = server.connect_with(credentials).await;
        client
            .say("SUB > 1\r\nUNSUB 1\r\nPUB hearken.request.action.any.core.local 2\r\n{}\r\n", "")
            .await;
        for (operation, what) in [
            ("PUB $SYS.x 0\r\n\r\n", "Publish to \"$SYS.x\""),
            ("SUB $JS.> 1\r\n", "Subscription to \"$JS.>\""),
        ] {
            client.say(operation, &format!("-ERR 'Permissions Violation for {what}'\r\n")).await;
        }
    }
    assert_eq!(server.store.entries().len(), 3);
}

#[tokio::test]
async fn wrong_credentials_end_the_connection_even_here() {
    let server = Server::start().await;
    for credentials in [
        r#""auth_token":"secre""#,
        r#""auth_token":"secret ""#,
        r#""user":"secret","pass":"wrong""#,
        r#""jwt":"ey","sig":"x""#,
    ] {
        let mut client = server.connect().await;
        client
            .send(&format!("CONNECT {{{credentials}}}\r\nPUB hearken.event.shop.late 0\r\n\r\n"))
            .await;
        client.expect_end("-ERR 'Authorization Violation'\r\n").await;
    }
    assert_eq!(server.counters.get(Metric::RefusedCredentials), 4);
    assert!(server.store.entries().is_empty());
}

#[tokio::test]
async fn who_connects_again_as_somebody_else_keeps_no_subscription() {
    let server = Server::start().await;
    let mut client = server.connect_trusted().await;
    client.say("SUB > 1\r\n", "").await;
    client.say("CONNECT {\"verbose\":false}\r\nSUB _INBOX.a 2\r\n", "").await;
    assert_eq!(server.router.subscriptions(), 1);
}

async fn remote(change: impl FnOnce(&mut Config)) -> (Server, Client) {
    let server = Server::start_for("192.0.2.1:5".parse().unwrap(), change).await;
    let client = server.connect().await;
    (server, client)
}

#[tokio::test]
async fn from_elsewhere_nothing_goes_without_credentials() {
    for text in [
        "PING\r\n",
        "CONNECT {}\r\n",
        "PUB hearken.event.shop.late 2\r\n{}\r\n",
        "SUB _INBOX.a 1\r\n",
        "CONNECT {\"auth_token\":\"wrong\"}\r\n",
    ] {
        let (server, mut client) = remote(|_| {}).await;
        client.send(text).await;
        client.expect_end("-ERR 'Authorization Violation'\r\n").await;
        assert!(server.store.entries().is_empty());
        assert_eq!(server.counters.get(Metric::RefusedCredentials), 1, "{text}");
    }
    let (server, mut client) = remote(|_| {}).await;
    client.send("CONNECT {\"verbose\":false,\"auth_token\":\"secret\"}\r\n").await;
    client
        .say(
            "SUB > 1\r\nPUB hearken.event.core.x 0\r\n\r\n",
            "MSG hearken.event.core.x 1 0\r\n\r\n",
        )
        .await;
    assert_eq!(server.store.entries().len(), 1);
}

#[tokio::test]
async fn from_elsewhere_silence_is_not_waited_for() {
    let (server, mut client) =
        remote(|config| config.connect_timeout = Duration::from_millis(40)).await;
    client.expect_end("-ERR 'Authentication Timeout'\r\n").await;
    assert_eq!(server.counters.get(Metric::RefusedCredentials), 1);
}
