//! What the bus promises, on both buses: the conformance suite.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use hearken_kit::Clock;
use hearken_kit::bus::{
    Bus, ConsumerOptions, Credentials, Embedded, EmbeddedOptions, Error, Nats, NatsOptions,
    StreamPlan,
};
use hearken_kit::router::Router;
use hearken_kit::work::{self, Claim};
use hearken_log::{Log, Options, StreamOptions};
use hearken_proto::{Message, Stream};
use tempfile::TempDir;

use crate::harness::{NatsServer, On, eventually};

const ACK_WAIT: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(20);

/// A bus with what it stands on.
struct Fixture {
    bus: Bus,
    folder: TempDir,
    server: Option<NatsServer>,
    log: Option<Log>,
}

impl Fixture {
    async fn new(on: On) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = (on == On::Nats).then(NatsServer::start).transpose()?;
        let (bus, log) = connect(&folder, server.as_ref()).await?;
        Ok(Self { bus, folder, server, log })
    }

    /// The same bus after its process has ended and come back: on NATS the server is killed too.
    async fn restart(mut self) -> anyhow::Result<Self> {
        if let Some(log) = self.log.take() {
            if let Bus::Embedded(embedded) = &self.bus {
                embedded.save_cursors()?;
            }
            log.close()?;
        }
        drop(self.bus);
        if let Some(server) = &mut self.server {
            server.restart()?;
        }
        let (bus, log) = connect(&self.folder, self.server.as_ref()).await?;
        Ok(Self { bus, folder: self.folder, server: self.server, log })
    }
}

async fn connect(
    folder: &TempDir,
    server: Option<&NatsServer>,
) -> anyhow::Result<(Bus, Option<Log>)> {
    let duplicate_window = Duration::from_secs(1);
    if let Some(server) = server {
        let plan = StreamPlan { duplicate_window, ..StreamPlan::default() };
        let options = NatsOptions {
            prefix: "hearken".to_owned(),
            servers: server.url(),
            credentials: Credentials::default(),
            plan,
        };
        return Ok((Bus::Nats(Nats::connect(options).await?), None));
    }
    let streams = Stream::ALL.map(|stream| {
        let mut options = StreamOptions::new(stream.name());
        options.dedup_window = duplicate_window;
        options.one_per_subject = stream == Stream::State;
        options
    });
    let clock = Clock::System;
    let options = Options::new(Arc::new(move || clock.now()), streams.to_vec());
    // A reader that was dropped may hold the log for a moment longer.
    let log = eventually("the log", DEADLINE, || {
        Ok(Some(Log::open(&folder.path().join("log"), options.clone())?))
    })?;
    let options = EmbeddedOptions {
        prefix: "hearken".to_owned(),
        data: folder.path().to_owned(),
        payload_max: 1 << 20,
    };
    let bus = Embedded::new(log.clone(), Router::default(), options)?;
    Ok((Bus::Embedded(bus), Some(log)))
}

fn message(subject: &str, id: Option<&str>, body: &str) -> Message {
    Message {
        subject: subject.to_owned(),
        id: id.map(ToOwned::to_owned),
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..Message::default()
    }
}

fn events() -> ConsumerOptions {
    ConsumerOptions {
        durable: "test",
        stream: Stream::Events,
        filter: "hearken.event.>".to_owned(),
        ack_wait: ACK_WAIT,
        in_flight_max: 1000,
        read_ahead: false,
    }
}

/// One test a promise and bus: the scenario is an async function of the fixture.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::harness::On;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() -> anyhow::Result<()> {
                super::$name(super::Fixture::new(On::Embedded).await?).await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn nats() -> anyhow::Result<()> {
                super::$name(super::Fixture::new(On::Nats).await?).await
            }
        }
    )*};
}

on_both!(
    an_acknowledged_entry_survives_a_restart,
    an_id_is_stored_once_within_the_window_and_again_after_it,
    of_racing_claims_exactly_one_wins,
    a_claim_whose_acknowledgement_was_lost_is_recognised,
    what_is_not_acknowledged_comes_again_and_what_is_does_not,
    what_keeps_failing_becomes_a_dead_letter,
    members_share_and_a_restart_loses_nothing,
    a_reader_sees_everything_once_in_order,
    a_question_gets_its_answer_or_a_clear_no,
    content_is_found_by_its_digest,
    what_is_not_ours_or_too_large_is_refused,
);

async fn an_acknowledged_entry_survives_a_restart(fixture: Fixture) -> anyhow::Result<()> {
    let stored = fixture.bus.publish(message("hearken.event.a.b", Some("one"), "{}")).await?;
    let fixture = fixture.restart().await?;
    let found = fixture.bus.last(Stream::Events, "hearken.event.a.b").await?.context("it")?;
    assert_eq!((found.sequence, found.id.as_str()), (stored.sequence, "one"));
    assert_eq!(found.body, "{}");
    Ok(())
}

async fn an_id_is_stored_once_within_the_window_and_again_after_it(
    fixture: Fixture,
) -> anyhow::Result<()> {
    let first = fixture.bus.publish(message("hearken.event.a.b", Some("x"), "{}")).await?;
    let again = fixture.bus.publish(message("hearken.event.a.b", Some("x"), "{}")).await?;
    assert!(!first.duplicate && again.duplicate);
    assert_eq!(first.sequence, again.sequence);
    // The window is one second; the next id after it is a new entry.
    tokio::time::sleep(Duration::from_millis(1600)).await;
    let later = fixture.bus.publish(message("hearken.event.a.b", Some("x"), "{}")).await?;
    assert!(!later.duplicate, "{later:?}");
    Ok(())
}

async fn of_racing_claims_exactly_one_wins(fixture: Fixture) -> anyhow::Result<()> {
    const RACERS: usize = 12;
    const ROUNDS: usize = 40;
    for round in 0..ROUNDS {
        let subject = format!("hearken.transition.execution.{round:016x}");
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..RACERS {
            let (bus, subject) = (fixture.bus.clone(), subject.clone());
            racers.spawn(async move {
                let id = format!("claim-{round}-{racer}");
                let claim = message(&subject, Some(&id), &id);
                work::claim(&bus, Stream::Log, claim, 0, |entry| entry.id == id).await
            });
        }
        let mut held = 0;
        let mut winners = std::collections::BTreeSet::new();
        while let Some(racer) = racers.join_next().await {
            match racer?? {
                Claim::Held(sequence) => {
                    held += 1;
                    winners.insert(sequence);
                }
                Claim::Lost(entry) => drop(winners.insert(entry.sequence)),
            }
        }
        ensure!(held == 1, "round {round}: {held} hold it");
        ensure!(winners.len() == 1, "round {round}: losers see {winners:?}");
    }
    Ok(())
}

async fn a_claim_whose_acknowledgement_was_lost_is_recognised(
    fixture: Fixture,
) -> anyhow::Result<()> {
    let subject = "hearken.transition.execution.00000000000000aa";
    // Stored, and nobody heard of it.
    let stored = fixture.bus.publish_if(message(subject, Some("mine"), "me"), 0).await?;
    tokio::time::sleep(Duration::from_millis(1600)).await;
    let again = message(subject, Some("mine"), "me");
    let claim = work::claim(&fixture.bus, Stream::Log, again, 0, |e| e.id == "mine").await?;
    assert!(matches!(claim, Claim::Held(sequence) if sequence == stored.sequence), "{claim:?}");
    let other = message(subject, Some("other"), "other");
    let claim = work::claim(&fixture.bus, Stream::Log, other, 0, |e| e.id == "other").await?;
    assert!(matches!(claim, Claim::Lost(entry) if entry.id == "mine"));
    Ok(())
}

async fn what_is_not_acknowledged_comes_again_and_what_is_does_not(
    fixture: Fixture,
) -> anyhow::Result<()> {
    for n in 0..3 {
        fixture.bus.publish(message("hearken.event.a.b", None, &n.to_string())).await?;
    }
    let mut consumer = fixture.bus.consume(events()).await?;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        for delivery in tokio::time::timeout(DEADLINE, consumer.next(3)).await?? {
            seen.push(delivery.entry.sequence);
            match delivery.entry.sequence {
                1 => delivery.acker.ack().await?,
                2 => delivery.acker.nak(Duration::from_millis(100)).await?,
                _ => drop(delivery),
            }
        }
    }
    assert_eq!(seen, [1, 2, 3]);
    let mut again = Vec::new();
    while again.len() < 2 {
        for delivery in tokio::time::timeout(DEADLINE, consumer.next(3)).await?? {
            assert_eq!(delivery.deliveries, 2);
            again.push(delivery.entry.sequence);
            delivery.acker.ack().await?;
        }
    }
    assert_eq!(again, [2, 3], "put back first, then the one whose wait ended");
    Ok(())
}

async fn what_keeps_failing_becomes_a_dead_letter(fixture: Fixture) -> anyhow::Result<()> {
    fixture.bus.publish(message("hearken.event.a.bad", Some("bad"), "x")).await?;
    let mut consumer = fixture.bus.consume(events()).await?;
    for deliveries in 1..=5 {
        let next = tokio::time::timeout(DEADLINE, consumer.next(1)).await??;
        let delivery = next.into_iter().next().context("a delivery")?;
        assert_eq!(delivery.deliveries, deliveries);
        delivery.acker.nak(Duration::ZERO).await?;
    }
    fixture.bus.publish(message("hearken.event.a.good", Some("good"), "x")).await?;
    let next = tokio::time::timeout(DEADLINE, consumer.next(1)).await??;
    let good = next.into_iter().next().context("a delivery")?;
    assert_eq!(good.entry.id, "good");
    good.acker.ack().await?;
    // The consumer buries what keeps failing while it looks for more; nothing else comes.
    let mut letters = Vec::new();
    while letters.is_empty() {
        let more = tokio::time::timeout(Duration::from_millis(200), consumer.next(1)).await;
        ensure!(more.is_err(), "{more:?}");
        letters = fixture.bus.collect(Stream::Log, "hearken.deadletter.>", 1).await?;
    }
    assert_eq!(letters.len(), 1);
    let letter = letters.first().context("a letter")?;
    assert_eq!(
        (letter.subject.as_str(), letter.cause.as_str()),
        ("hearken.deadletter.exhausted", "bad")
    );
    Ok(())
}

async fn members_share_and_a_restart_loses_nothing(fixture: Fixture) -> anyhow::Result<()> {
    const ENTRIES: u64 = 200;
    for n in 0..ENTRIES {
        fixture.bus.publish(message("hearken.event.a.b", None, &n.to_string())).await?;
    }
    let mut handled = std::collections::BTreeSet::new();
    let mut one = fixture.bus.consume(events()).await?;
    let mut two = fixture.bus.consume(events()).await?;
    for _ in 0..2 {
        for member in [&mut one, &mut two] {
            for delivery in tokio::time::timeout(DEADLINE, member.next(20)).await?? {
                ensure!(handled.insert(delivery.entry.sequence), "handed out twice");
                delivery.acker.ack().await?;
            }
        }
    }
    drop((one, two));
    let fixture = fixture.restart().await?;
    let mut member = fixture.bus.consume(events()).await?;
    while u64::try_from(handled.len())? < ENTRIES {
        for delivery in tokio::time::timeout(DEADLINE, member.next(50)).await?? {
            handled.insert(delivery.entry.sequence);
            delivery.acker.ack().await?;
        }
    }
    Ok(())
}

async fn a_reader_sees_everything_once_in_order(fixture: Fixture) -> anyhow::Result<()> {
    let mut reader = fixture.bus.read(Stream::Log, "hearken.transition.rule.*", 1).await?;
    for n in 0..50 {
        let subject = format!("hearken.transition.{}.x", if n % 2 == 0 { "rule" } else { "pack" });
        fixture.bus.publish(message(&subject, None, &n.to_string())).await?;
    }
    let mut seen = Vec::new();
    while seen.len() < 25 {
        seen.push(tokio::time::timeout(DEADLINE, reader.next()).await??);
    }
    ensure!(seen.is_sorted_by_key(|entry| entry.sequence));
    ensure!(seen.iter().all(|entry| entry.subject == "hearken.transition.rule.x"));
    let collected = fixture.bus.collect(Stream::Log, "hearken.transition.rule.*", 11).await?;
    ensure!(collected.len() == 20, "{}", collected.len());
    let nothing = fixture.bus.collect(Stream::Log, "hearken.transition.kv.*", 1).await?;
    ensure!(nothing.is_empty());
    Ok(())
}

async fn a_question_gets_its_answer_or_a_clear_no(fixture: Fixture) -> anyhow::Result<()> {
    let subject = "hearken.control.test.any";
    let asked = fixture.bus.ask(subject, "?".into(), Duration::from_secs(5)).await;
    assert!(matches!(asked, Err(Error::NoResponder(_))), "{asked:?}");
    let mut tail = fixture.bus.tail(subject, Some("group")).await?;
    let bus = fixture.bus.clone();
    // A round trip proves that the subscription is there.
    let ask = async { bus.ask(subject, "ping".into(), Duration::from_secs(5)).await };
    let answer = async {
        let heard = tail.next().await.context("a question")?;
        let reply = heard.reply.context("a reply subject")?;
        fixture.bus.answer(&reply, "pong".into()).await?;
        anyhow::Ok(tail)
    };
    let (asked, tail) = tokio::join!(ask, answer);
    assert_eq!(asked?, "pong");
    let _tail = tail?;
    let unanswered = fixture.bus.ask(subject, "?".into(), Duration::from_millis(100)).await;
    assert!(matches!(unanswered, Err(Error::TimedOut(_))), "{unanswered:?}");
    Ok(())
}

async fn content_is_found_by_its_digest(fixture: Fixture) -> anyhow::Result<()> {
    // Larger than one message.
    let content: Bytes = vec![7; 3 << 20].into();
    let digest = fixture.bus.blob_put(content.clone()).await?;
    assert_eq!(fixture.bus.blob_put(content.clone()).await?, digest);
    assert_eq!(fixture.bus.blob_get(&digest).await?, Some(content));
    assert_eq!(fixture.bus.blob_get(&"0".repeat(64)).await?, None);
    assert_eq!(fixture.bus.blob_get("../../etc/passwd").await?, None);
    Ok(())
}

async fn what_is_not_ours_or_too_large_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    for subject in ["other.event.a.b", "hearken.event", "hearken.control.a.b", "hearken"] {
        let refused = fixture.bus.publish(message(subject, None, "{}")).await;
        assert!(matches!(refused, Err(Error::NotStored(_))), "{subject}: {refused:?}");
    }
    let large = "x".repeat((1 << 20) + 1);
    let refused = fixture.bus.publish(message("hearken.event.a.b", None, &large)).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    Ok(())
}
