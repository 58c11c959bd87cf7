//! The promises, while processes are killed at random: the table of DESIGN section 1.
//!
//! Events with ids are published by a client that publishes again whatever was not acknowledged;
//! every second or so something is killed with `kill -9` and started again. Afterwards everything
//! is counted. The seed and the counts are printed; `HEARKEN_FAULT_EVENTS=10000` makes the long
//! form, `HEARKEN_FAULT_SEED` repeats one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use async_nats::HeaderMap;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::harness::{App, On, Started, eventually, is_running};

/// Events of the short form.
const EVENTS: u64 = 600;
/// Actions running at a time, which bounds what one kill can leave unknown.
const CONCURRENCY: u64 = 16;
/// Starts of a service that finds no server.
const STARTS_MAX: u32 = 5;
/// Events are published in about so many windows, with a pause after each: the storm lasts as long.
const WINDOWS: u64 = 80;
/// The smallest window.
const WINDOW_MIN: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);

const ACTION: &str = "name: count\nrunner_type: local-shell-script\nentry_point: count.sh\n\
    parameters: {n: {type: integer, position: 0}, file: {type: string, position: 1}}\n";
/// One line a start, written by one small append: starts are counted by it.
const SCRIPT: &str =
    "#!/bin/sh\necho \"$1\" >> \"$2\"\nsleep 0.0$(($1 % 7))\n[ $(($1 % 10)) -ne 3 ] || exit 1\n";

/// A small generator, so that a seed repeats a run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn installation(on: On) -> anyhow::Result<App> {
    let app = App::new(on)?;
    let starts = app.path("starts");
    app.write("fault/actions/count.yaml", ACTION)?;
    app.write("fault/actions/count.sh", SCRIPT)?;
    let rule = format!(
        "name: count\nenabled: true\ntrigger: {{type: fault.event}}\n\
         criteria: {{trigger.n: {{type: greaterthan, pattern: -1}}}}\n\
         action: {{ref: fault.count, parameters: {{n: '{{{{ trigger.n }}}}', file: '{}'}}}}\n",
        starts.display()
    );
    app.write("fault/rules/count.yaml", &rule)?;
    Ok(app)
}

/// Publishes every event until it is acknowledged, however often the server goes away.
async fn publish_all(url: String, token: Option<String>, events: u64) -> anyhow::Result<()> {
    // From 1: StackStorm passes a zero on as an empty argument.
    let mut open: BTreeSet<u64> = (1..=events).collect();
    let window = usize::try_from(events / WINDOWS)?.max(WINDOW_MIN);
    let deadline = Instant::now() + Duration::from_secs(60 + events / 10);
    while !open.is_empty() {
        ensure!(Instant::now() < deadline, "{} events are not acknowledged", open.len());
        let mut options = async_nats::ConnectOptions::new()
            .connection_timeout(Duration::from_secs(2))
            .request_timeout(Some(Duration::from_secs(2)));
        if let Some(token) = &token {
            options = options.token(token.clone());
        }
        let Ok(client) = options.connect(&url).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let batch: Vec<u64> = open.iter().copied().take(window).collect();
        let sent = futures_util::stream::iter(batch).map(|n| {
            let client = client.clone();
            async move {
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Msg-Id", format!("fault-{n}"));
                let request = async_nats::Request::new()
                    .headers(headers)
                    .payload(format!("{{\"n\": {n}}}").into());
                let answer = client.send_request("hearken.event.fault.event", request).await;
                let ack: Option<Value> =
                    answer.ok().and_then(|answer| serde_json::from_slice(&answer.payload).ok());
                ack.filter(|ack| ack.get("seq").is_some()).map(|_| n)
            }
        });
        let acked: Vec<Option<u64>> = sent.buffer_unordered(window).collect().await;
        for n in acked.into_iter().flatten() {
            open.remove(&n);
        }
        // Slowly enough for the storm to see all of it.
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// What was found when everything was over.
#[derive(Debug, Default)]
struct Counts {
    executions: usize,
    by_status: BTreeMap<String, u64>,
    kills: u64,
}

fn count(app: &App, events: u64, kills: u64) -> anyhow::Result<Counts> {
    let finals = ["succeeded", "failed", "abandoned"];
    let deadline = Duration::from_secs(120 + events / 20);
    let executions = eventually("every execution to end", deadline, || {
        let found = all_executions(app, events)?;
        let status = |e: &Value| e.get("status").and_then(Value::as_str).map(ToOwned::to_owned);
        let ended =
            found.values().filter(|e| status(e).is_some_and(|s| finals.contains(&s.as_str())));
        let ended = u64::try_from(ended.count())?;
        ensure!(ended == events, "{ended} of {events} have ended, {} are known", found.len());
        Ok(Some(found))
    })?;
    let mut counts = Counts { executions: executions.len(), kills, ..Counts::default() };
    for execution in executions.values() {
        let status = execution.get("status").and_then(Value::as_str).context("a status")?;
        *counts.by_status.entry(status.to_owned()).or_default() += 1;
    }
    Ok(counts)
}

/// Every execution of the rule, by id, page by page.
fn all_executions(app: &App, events: u64) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    let mut events_seen = BTreeSet::new();
    let answer = app.run(&["log", "export", "LOG"])?;
    ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    for line in String::from_utf8(answer.stdout)?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let subject = entry.get("subject").and_then(Value::as_str).unwrap_or_default();
        if !subject.starts_with("hearken.transition.execution.") {
            continue;
        }
        let text = |at: &str| entry.pointer(at).and_then(Value::as_str).map(ToOwned::to_owned);
        let rule = text("/body/request/rule");
        if rule.as_deref() != Some("fault.count") {
            continue;
        }
        let id = text("/body/request/execution").context("an id")?;
        let event = text("/body/request/trigger_instance/id").context("an event")?;
        let execution = serde_json::json!({ "status": text("/body/status"), "event": event });
        events_seen.insert(event);
        found.insert(id, execution);
    }
    ensure!(
        found.len() == events_seen.len() && u64::try_from(found.len())? <= events,
        "{} executions of {} events",
        found.len(),
        events_seen.len()
    );
    Ok(found)
}

fn check(app: &App, events: u64, counts: &Counts) -> anyhow::Result<()> {
    let of = |status: &str| counts.by_status.get(status).copied().unwrap_or(0);
    let mut starts: BTreeMap<u64, u64> = BTreeMap::new();
    for line in std::fs::read_to_string(app.path("starts"))?.lines() {
        *starts.entry(line.trim().parse()?).or_default() += 1;
    }
    let twice: Vec<&u64> = starts.iter().filter(|(_, n)| **n > 1).map(|(event, _)| event).collect();
    ensure!(twice.is_empty(), "started more than once: {twice:?}");
    ensure!(u64::try_from(counts.executions)? == events, "{counts:?}");
    ensure!(of("succeeded") + of("failed") + of("abandoned") == events, "{counts:?}");
    ensure!(of("abandoned") <= counts.kills * CONCURRENCY, "{counts:?}");
    let unstarted = events - u64::try_from(starts.len())?;
    ensure!(unstarted <= of("abandoned"), "{unstarted} never started: {counts:?}");
    let verified = app.run(&["log", "verify"])?;
    ensure!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    ensure!(!is_running(&script(app.path("data").as_path()))?, "an orphan is left");
    Ok(())
}

fn script(data: &Path) -> String {
    format!("{}/content/fault", data.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_while_the_process_is_killed() -> anyhow::Result<()> {
    let (events, seed) = (number("HEARKEN_FAULT_EVENTS", EVENTS), number("HEARKEN_FAULT_SEED", 1));
    let app = installation(On::Embedded)?;
    // The port must stay, or the publisher would have to look for it after each kill.
    // Below the ports that the kernel gives to clients: one of them, looking for a server that is
    // away, would end up connected to itself.
    let port = (20_000..30_000)
        .map(|port| 20_000 + (port + std::process::id() % 10_000) % 10_000)
        .find(|port| u16::try_from(*port).is_ok_and(is_free))
        .context("a free port")?;
    let gateway = format!("127.0.0.1:{port}");
    let app = app.with(&["--gateway", &gateway]);
    let mut up = Some(app.up()?);
    let token = app.token()?;
    let mut publisher = JoinSet::new();
    publisher.spawn(publish_all(format!("nats://{gateway}"), Some(token), events));
    let mut random = Random(seed);
    let mut kills = 0;
    let mut published = None;
    while published.is_none() || kills == 0 {
        published = published.or_else(|| publisher.try_join_next());
        tokio::time::sleep(Duration::from_millis(500 + random.below(1000))).await;
        if let Some(mut up) = up.take() {
            up.kill()?;
            kills += 1;
        }
        up = Some(tokio::task::block_in_place(|| app.up())?);
    }
    published.context("published")???;
    let counts = tokio::task::block_in_place(|| count(&app, events, kills))?;
    println!("embedded: seed {seed}, {events} events, {counts:?}");
    check(&app, events, &counts)
}

/// Starts a service as a supervisor does: one that finds its bus unreachable (exit code 3), because
/// the server itself has just been started, is started again.
fn supervised(app: &App, name: &str, services: &str, more: &[&str]) -> anyhow::Result<Started> {
    let mut started = app.serve(name, services, more);
    for _again in 0..STARTS_MAX {
        match &started {
            Err(error) if format!("{error:#}").contains("exit status: 3") => {
                started = app.serve(name, services, more);
            }
            Ok(_) | Err(_) => break,
        }
    }
    started
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_while_services_and_the_server_are_killed() -> anyhow::Result<()> {
    let (events, seed) = (number("HEARKEN_FAULT_EVENTS", EVENTS), number("HEARKEN_FAULT_SEED", 1));
    let mut app = installation(On::Nats)?;
    let packs = app.path("packs").display().to_string();
    let front = ["--pack-source", "--packs", &packs, "--listen", "127.0.0.1:0"];
    let roles: [(&str, &str, &[&str]); 4] = [
        ("data", "web,ledger,sensors", &front),
        ("rules", "rules", &[]),
        ("one", "rules,actions", &[]),
        ("two", "actions", &[]),
    ];
    let mut running: Vec<Option<Started>> = Vec::new();
    for (name, services, more) in &roles {
        running.push(Some(app.serve(name, services, more)?));
    }
    let url = app.gateway()?;
    let mut publisher = JoinSet::new();
    publisher.spawn(publish_all(url, None, events));
    let mut random = Random(seed);
    let mut kills = 0;
    let mut published = None;
    while published.is_none() || kills < 4 {
        published = published.or_else(|| publisher.try_join_next());
        tokio::time::sleep(Duration::from_millis(500 + random.below(1000))).await;
        let chosen = usize::try_from(random.below(5))?;
        if let Some((name, services, more)) = roles.get(chosen) {
            let place = running.get_mut(chosen).context("a role")?;
            if let Some(mut started) = place.take() {
                started.kill()?;
            }
            *place = Some(tokio::task::block_in_place(|| supervised(&app, name, services, more))?);
        } else {
            let server = app.nats.as_mut().context("a server")?;
            tokio::task::block_in_place(|| server.restart())?;
        }
        kills += 1;
    }
    published.context("published")???;
    let counts = tokio::task::block_in_place(|| count(&app, events, kills))?;
    println!("nats: seed {seed}, {events} events, {counts:?}");
    check(&app, events, &counts)
}
