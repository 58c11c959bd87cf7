//! A stock client: async-nats, with everything as it comes.

use std::future::IntoFuture;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::HeaderMap;
use bytes::Bytes;
use futures_util::StreamExt;

use super::harness::{Server, TOKEN, within};

async fn connect(server: &Server, token: Option<&str>) -> async_nats::Client {
    let options = async_nats::ConnectOptions::new().request_timeout(Some(Duration::from_secs(10)));
    let options = match token {
        Some(token) => options.token(token.to_owned()),
        None => options,
    };
    within("a client", options.connect(server.address.to_string())).await.unwrap()
}

#[tokio::test]
async fn publish_subscribe_request_flush_and_drain() {
    let server = Server::start().await;
    let client = connect(&server, Some(TOKEN)).await;
    let mut all = client.subscribe("a.>").await.unwrap();
    let mut service = client.queue_subscribe("svc.echo", "q".into()).await.unwrap();
    client.flush().await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("Name", "value");
    client.publish_with_headers("a.b", headers, "hi".into()).await.unwrap();
    let message = within("a message", all.next()).await.unwrap();
    assert_eq!(message.payload, "hi");
    assert_eq!(message.headers.unwrap().get("Name").unwrap().as_str(), "value");

    let asking = client.request("svc.echo", "ping".into());
    let answering = async {
        let question = service.next().await.unwrap();
        client.publish(question.reply.unwrap(), question.payload).await.unwrap();
    };
    let (answer, ()) = within("an answer", async { tokio::join!(asking, answering) }).await;
    assert_eq!(answer.unwrap().payload, "ping");

    let nobody = within("a refusal", client.request("nobody.here", Bytes::new())).await;
    let kind = nobody.unwrap_err().kind();
    assert_eq!(kind, async_nats::client::RequestErrorKind::NoResponders);
    within("drain", client.drain()).await.unwrap();
    assert!(within("the end", all.next()).await.is_none());
}

#[tokio::test]
async fn a_jetstream_publish_is_acknowledged() {
    let server = Server::start().await;
    for token in [None, Some(TOKEN)] {
        let client = connect(&server, token).await;
        let jetstream = async_nats::jetstream::new(client.clone());
        let before = u64::try_from(server.store.entries().len()).unwrap();
        let ack = jetstream.publish("hearken.event.shop.late", "{}".into()).await.unwrap();
        let ack = within("an acknowledgement", ack.into_future()).await.unwrap();
        assert_eq!((ack.stream.as_str(), ack.sequence), ("hearken-EVENTS", before + 1));
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", "99");
        let subject = "hearken.event.shop.late";
        let ack = jetstream.publish_with_headers(subject, headers, "{}".into()).await.unwrap();
        let kind = within("a refusal", ack.into_future()).await.unwrap_err().kind();
        assert_eq!(kind, async_nats::jetstream::context::PublishErrorKind::WrongLastSequence);
        let stream = within("a refusal", jetstream.get_stream("hearken-EVENTS")).await;
        assert!(stream.unwrap_err().to_string().contains("nats-server"));
    }
}

#[tokio::test]
async fn a_refusal_does_not_cost_the_connection() {
    let server = Server::start().await;
    let client = connect(&server, None).await;
    client.publish("hearken.request.action.any.core.local", "{}".into()).await.unwrap();
    client.publish("hearken.event.shop.late", "{}".into()).await.unwrap();
    within("an entry", async {
        while server.store.entries().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert_eq!(client.connection_state(), State::Connected);
    assert_eq!(server.store.entries().len(), 1);
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let server = Server::start().await;
    let wrong = async_nats::ConnectOptions::new().token("wrong".into());
    let error = within("a refusal", wrong.connect(server.address.to_string())).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);
}
