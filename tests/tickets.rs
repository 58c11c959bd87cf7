//! What an action shows to the HTTP API: good while it runs, for what actions do, on every host.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::harness::{App, On, eventually, on_both};

/// How long things in general may take.
const WAIT: Duration = Duration::from_secs(60);

on_both!(a_ticket_is_good_while_its_action_runs);

/// An action that tells its ticket and then waits for a file.
const TELL: &str = "#!/bin/sh
echo \"$ST2_ACTION_AUTH_TOKEN\" > \"$1.new\" && mv \"$1.new\" \"$1\"
while [ ! -e \"$1.enough\" ]; do sleep 0.05; done
";
const META: &str = "
name: tell
runner_type: local-shell-script
entry_point: tell.sh
parameters:
  file: {type: string, required: true, position: 0}
";

/// The status and the body of an answer.
fn ask(
    server: &Path,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> anyhow::Result<(u16, Value)> {
    let server: Value = serde_json::from_slice(&std::fs::read(server)?)?;
    let url = server.get("url").and_then(Value::as_str).context("a url")?;
    let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Auth-Token: {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    let status = head.split(' ').nth(1).context("a status")?.parse()?;
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

fn a_ticket_is_good_while_its_action_runs(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    app.write("shop/actions/tell.yaml", META)?;
    app.write("shop/actions/tell.sh", TELL)?;
    let rule = "name: r\nenabled: true\ntrigger: {type: shop.t}\naction: {ref: core.noop}\n";
    app.write("shop/rules/r.yaml", rule)?;
    let mut up = app.up()?;
    let file = app.path("ticket");
    let told = format!("file={}", file.display());
    app.json(&["run", "shop.tell", &told, "--async"])?;
    let ticket = eventually("the ticket", WAIT, || Ok(std::fs::read_to_string(&file).ok()))?;
    let ticket = ticket.trim();
    let server = app.data().join("server.json");
    let check = |rows: &[(&str, &str, Value, u16)]| -> anyhow::Result<()> {
        for (method, path, body, expected) in rows {
            let (status, answer) = ask(&server, method, path, ticket, body)?;
            assert_eq!(status, *expected, "{method} {path}: {answer}");
        }
        Ok(())
    };
    check(&[
        ("PUT", "/v1/keys/a", json!({"name": "a", "value": "1"}), 200),
        ("GET", "/v1/keys/a", Value::Null, 200),
        ("POST", "/v1/executions", json!({"action": "core.noop"}), 201),
        ("POST", "/api/v1/webhooks/st2", json!({"trigger": "shop.t"}), 202),
        ("GET", "/v1/rules/shop.r", Value::Null, 200),
        ("GET", "/v1/user", Value::Null, 200),
        ("PUT", "/v1/rules/shop.r", json!({"enabled": false}), 403),
        ("PUT", "/hearken/v1/rules/shop.r/enabled", json!({"enabled": false}), 403),
        ("POST", "/hearken/v1/log", json!({}), 403),
        ("POST", "/auth/v1/tokens", json!({}), 401),
    ])?;
    // The server that takes a ticket need not be the one that gave it, nor remember it. On a laptop
    // the action does not outlive its server, so there it is the same one.
    if on == On::Nats {
        let more = ["--listen", "127.0.0.1:0"];
        std::fs::create_dir(app.path("other"))?;
        std::fs::copy(app.data().join("key"), app.path("other").join("key"))?;
        let _other = app.serve("other", "web,ledger", &more)?;
        let other = app.path("other").join("server.json");
        let (status, answer) = ask(&other, "GET", "/v1/keys/a", ticket, &Value::Null)?;
        assert_eq!(status, 200, "{answer}");
        let forged = ticket.replacen("ticket.", "ticket.0", 1);
        assert_eq!(ask(&other, "GET", "/v1/keys/a", &forged, &Value::Null)?.0, 401);
    }
    std::fs::write(file.with_extension("enough"), "")?;
    app.execution("shop.tell", "succeeded")?;
    eventually("the end of the ticket", WAIT, || {
        let (status, _) = ask(&server, "GET", "/v1/keys/a", ticket, &Value::Null)?;
        Ok((status == 401).then_some(()))
    })?;
    up.stop()?;
    Ok(())
}
