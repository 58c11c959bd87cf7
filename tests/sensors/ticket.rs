//! What a sensor shows to the HTTP API: good while its own process runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{WAIT, kill, lives, sensor, until_gone};
use crate::harness::{App, On, eventually, on_both};

/// Tells its ticket, and waits.
const TELLER: &str = "#!/bin/sh
file=$HOME/ticket
echo \"$ST2_AUTH_TOKEN\" > \"$file.new\" && mv \"$file.new\" \"$file\"
exec sleep 1000
";

on_both!(a_sensor_shows_a_ticket_that_is_good_while_its_process_runs);

/// The status of an answer.
fn ask(app: &App, method: &str, path: &str, token: &str) -> anyhow::Result<u16> {
    let server = std::fs::read(app.data().join("server.json"))?;
    let server: Value = serde_json::from_slice(&server)?;
    let url = server["url"].as_str().context("a url")?;
    let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Auth-Token: {token}\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).context("a status")?.parse()?)
}

fn a_sensor_shows_a_ticket_that_is_good_while_its_process_runs(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    app.write("odd/sensors/teller.sh", TELLER)?;
    app.write("odd/sensors/teller.yaml", "class_name: Teller\nentry_point: teller.sh\n")?;
    let _up = app.up()?;
    let file = app.path("ticket");
    let read = |file: &std::path::Path| Ok(std::fs::read_to_string(file).ok());
    let first = eventually("the ticket", WAIT, || read(&file))?;
    let first = first.trim().to_owned();
    ensure!(first.starts_with("ticket.sensor:odd.Teller:"), "{first}");
    for (method, path, expected) in [
        ("GET", "/v1/keys", 200),
        ("GET", "/v1/rules", 200),
        ("DELETE", "/v1/packs/odd", 403),
        ("GET", "/metrics", 403),
    ] {
        assert_eq!(ask(&app, method, path, &first)?, expected, "{method} {path}");
    }
    std::fs::remove_file(&file)?;
    let is_alive = |sensor: &Value| sensor["pid"].as_u64().is_some_and(lives);
    let pid = sensor(&app, "odd.Teller", is_alive)?["pid"].as_u64().context("a process")?;
    kill(pid)?;
    let second = eventually("the next ticket", WAIT, || read(&file))?;
    let second = second.trim();
    ensure!(second != first, "two processes have one ticket");
    eventually("the end of the first", WAIT, || {
        Ok((ask(&app, "GET", "/v1/keys", &first)? == 401).then_some(()))
    })?;
    assert_eq!(ask(&app, "GET", "/v1/keys", second)?, 200);
    app.write(
        "odd/sensors/teller.yaml",
        "class_name: Teller\nentry_point: teller.sh\nenabled: false\n",
    )?;
    let gone = sensor(&app, "odd.Teller", |sensor| sensor["status"] == "disabled")?;
    if let Some(pid) = gone["pid"].as_u64() {
        until_gone(pid)?;
    }
    eventually("the end of the second", WAIT, || {
        Ok((ask(&app, "GET", "/v1/keys", second)? == 401).then_some(()))
    })
}
