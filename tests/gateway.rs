//! Stock clients on the listener: what they can do, and what they are told when they may not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use serde_json::Value;

use crate::harness::{App, On, eventually};

const WAIT: Duration = Duration::from_secs(20);

/// What nats-py does: publish, subscribe with wildcards and in a group, headers, requests, and a
/// stored publish with its acknowledgement.
const NATS_PY: &str = r#"
import asyncio, json, sys, nats
async def main():
    url, token = sys.argv[1], sys.argv[2]
    nc = await nats.connect(url, token=token)
    got = []
    async def on(message):
        got.append((message.subject, message.data.decode(), dict(message.headers or {})))
    async def answer(message):
        await message.respond(b"pong")
    await nc.subscribe("lab.*.x", cb=on)
    groups = [0, 0]
    async def first(message): groups[0] += 1
    async def second(message): groups[1] += 1
    await nc.subscribe("work.>", "crew", cb=first)
    await nc.subscribe("work.>", "crew", cb=second)
    await nc.subscribe("ask", cb=answer)
    await nc.flush()
    await nc.publish("lab.a.x", b"one", headers={"Kind": "test"})
    await nc.publish("lab.a.b.x", b"no")
    for n in range(20):
        await nc.publish(f"work.{n}.y", b"")
    reply = await nc.request("ask", b"ping", timeout=5)
    await nc.flush()
    while len(got) < 1 or sum(groups) < 20:
        await asyncio.sleep(0.01)
    assert got == [("lab.a.x", "one", {"Kind": "test"})], got
    assert reply.data == b"pong" and sum(groups) == 20 and min(groups) > 0, groups
    ack = await nc.jetstream().publish(
        "hearken.event.lab.stored", b'{"n": 1}', headers={"Nats-Msg-Id": "one"})
    again = await nc.jetstream().publish(
        "hearken.event.lab.stored", b'{"n": 1}', headers={"Nats-Msg-Id": "one"})
    assert ack.seq == again.seq and again.duplicate, (ack, again)
    await nc.drain()
    print(json.dumps({"stream": ack.stream, "seq": ack.seq}))
asyncio.run(asyncio.wait_for(main(), 30))
"#;

#[test]
fn nats_py_publishes_subscribes_and_asks() -> anyhow::Result<()> {
    let python = std::env::var("HEARKEN_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let script = app.path("client.py");
    std::fs::write(&script, NATS_PY)?;
    let ran = Command::new(python).arg(&script).args([app.gateway()?, app.token()?]).output()?;
    let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
    ensure!(ran.status.success(), "nats-py is needed (tests/run installs it): {errors}");
    let said: Value = serde_json::from_slice(&ran.stdout)?;
    assert_eq!(said.get("stream").and_then(Value::as_str), Some("hearken-EVENTS"));
    let stored = app.json(&["log", "show", "EVENTS", "--id", "one"])?;
    assert_eq!(stored.as_array().map(Vec::len), Some(1), "{stored}");
    Ok(())
}

/// A line over a plain socket, as bash's /dev/tcp does it.
fn dialogue(gateway: &str, lines: &[&str], until: &str) -> anyhow::Result<String> {
    let address = gateway.strip_prefix("nats://").context("an address")?;
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(WAIT))?;
    for line in lines {
        socket.write_all(format!("{line}\r\n").as_bytes())?;
    }
    let mut said = String::new();
    let mut reader = BufReader::new(socket);
    while !said.contains(until) {
        if reader.read_line(&mut said)? == 0 {
            break;
        }
    }
    Ok(said)
}

#[test]
fn a_stranger_publishes_facts_of_his_own_and_nothing_else() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write(
        "shop/rules/any.yaml",
        "name: any\nenabled: true\ntrigger: {type: shop.order}\naction: {ref: core.noop}\n",
    )?;
    let _up = app.up()?;
    let gateway = app.gateway()?;
    let said = dialogue(
        &gateway,
        &["CONNECT {}", "PUB hearken.event.shop.order 2", "{}", "PING"],
        "PONG",
    )?;
    ensure!(!said.contains("-ERR"), "{said}");
    app.execution("core.noop", "succeeded")?;
    for subject in [
        "hearken.event.core.st2.webhook",
        "hearken.event.hearken.definitions",
        "hearken.request.action.any.core.noop",
        "hearken.transition.execution.00",
        "hearken.control.actions.any",
    ] {
        let publish = format!("PUB {subject} 2");
        let said = dialogue(&gateway, &["CONNECT {}", &publish, "{}", "PING"], "PONG")?;
        ensure!(said.contains("Permissions Violation for Publish"), "{subject}: {said}");
    }
    let said = dialogue(&gateway, &["CONNECT {}", "SUB hearken.event.> 1", "PING"], "PONG")?;
    ensure!(said.contains("Permissions Violation for Subscription"), "{said}");
    let wrong = ["CONNECT {\"auth_token\": \"wrong\"}", "PING"];
    let said = dialogue(&gateway, &wrong, "Authorization Violation")?;
    ensure!(said.contains("-ERR 'Authorization Violation'"), "{said}");
    let said =
        dialogue(&gateway, &["CONNECT {}", "PUB hearken.event.shop.order 2000000"], "Violation")?;
    ensure!(said.contains("Maximum Payload Violation"), "{said}");
    let said = dialogue(&gateway, &["NONSENSE"], "Unknown")?;
    ensure!(said.contains("Unknown Protocol Operation"), "{said}");
    // Whatever they did, the next good event works.
    app.event("shop.order", "{}")?;
    eventually("the second run", WAIT, || {
        let found = app.executions(&["--action", "core.noop", "--status", "succeeded"])?;
        Ok((found.len() == 2).then_some(()))
    })
}

#[tokio::test]
async fn async_nats_hears_what_is_stored() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let options = async_nats::ConnectOptions::new().token(app.token()?);
    let client = options.connect(app.gateway()?).await?;
    let mut events = client.subscribe("hearken.event.shop.>").await?;
    client.flush().await?;
    let id = app.event("shop.order.late", r#"{"order": 7}"#)?;
    let heard = tokio::time::timeout(WAIT, events.next()).await?.context("an event")?;
    assert_eq!(heard.subject.as_str(), "hearken.event.shop.order.late");
    assert_eq!(serde_json::from_slice::<Value>(&heard.payload)?, serde_json::json!({"order": 7}));
    ensure!(id.starts_with('@'), "{id}");
    Ok(())
}
