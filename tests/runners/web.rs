//! The runners http-request and announcement.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::site::{LARGE, PASSED_ON, Site};
use super::{Server, WAIT, check, kept, run, text};
use crate::harness::{App, On, eventually, on_both};

/// What is kept of a body.
const BODY_BYTES_MAX: usize = 1 << 20;

/// An action of 2014: the old name of the runner, and headers as text.
const OLD: &str = "
name: old
runner_type: http-runner
parameters:
  url: {type: string, required: true}
  headers: {type: string, default: 'content-type=application/json,x-old=1'}
  body: {type: object}
";

#[test]
fn an_answer_is_the_result() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let site = Site::start()?;
    let url = |path: &str| format!("url={}", site.url(path));
    let (json_, text_, gone) = (url("/json"), url("/text"), url("/gone"));
    let (basic, broken) = (url("/basic"), url("/broken"));
    check(
        &app,
        &[
            (
                &["core.http", &json_],
                "succeeded",
                &[
                    ("/result/status_code", json!(200)),
                    ("/result/body", json!({"a": [1]})),
                    ("/result/parsed", json!(true)),
                    ("/result/headers/Content-Type", json!("application/json")),
                ],
            ),
            (
                &["core.http", &text_],
                "succeeded",
                &[("/result/body", json!("hello")), ("/result/parsed", json!(false))],
            ),
            (&["core.http", &broken], "succeeded", &[("/result/body", json!("{broken"))]),
            (
                &["core.http", &gone],
                "failed",
                &[("/result/status_code", json!(404)), ("/result/body", json!("nothing here"))],
            ),
            (&["core.http", &basic], "failed", &[("/result/status_code", json!(401))]),
            (
                &["core.http", &basic, "username=me", "password=hunter2"],
                "succeeded",
                &[("/parameters/password", json!("********")), ("/result/body", json!("welcome"))],
            ),
        ],
    )
}

#[test]
fn a_request_is_sent_as_it_is_described() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("old/actions/old.yaml", OLD)?;
    let _up = app.up()?;
    let site = Site::start()?;
    let echo = format!("url={}", site.url("/echo"));
    let form = json!("application/x-www-form-urlencoded");
    check(
        &app,
        &[
            (
                &["core.http", &echo, "params=a=b c", "cookies=k=v", "auth=x-auth-token=XYZ"],
                "succeeded",
                &[
                    ("/result/body/method", json!("GET")),
                    ("/result/body/path", json!("/echo?a=b+c")),
                    ("/result/body/headers/cookie", json!("k=v")),
                    ("/result/body/headers/x-auth-token", json!("XYZ")),
                    ("/result/body/headers/x-stanley-action", json!("http")),
                ],
            ),
            (
                &["core.http", &echo, "method=PATCH", "body={\"a\": 1}", "headers=x-one=1"],
                "succeeded",
                &[
                    ("/result/body/method", json!("PATCH")),
                    ("/result/body/body", json!("{\"a\": 1}")),
                    ("/result/body/headers/x-one", json!("1")),
                ],
            ),
            (
                &["core.http", &echo, "method=DELETE", "body=x"],
                "succeeded",
                &[("/result/body/method", json!("DELETE")), ("/result/body/body", json!("x"))],
            ),
            (&["core.http", &echo, "method=HEAD"], "succeeded", &[("/result/body", json!(""))]),
            (
                &["old.old", &echo, "body={\"a\": 1}"],
                "succeeded",
                &[
                    ("/result/body/method", json!("POST")),
                    ("/result/body/body", json!("{\"a\":1}")),
                    ("/result/body/headers/x-old", json!("1")),
                    ("/result/body/headers/x-stanley-action", json!("old")),
                ],
            ),
            (
                &["old.old", &echo, "body={\"a\": 1}", "headers="],
                "succeeded",
                &[("/result/body/headers/content-type", form)],
            ),
        ],
    )?;
    let sent = run(&app, &["core.http", &echo, "file_name=a.txt", "file_content=some text"])?;
    let body = text(&sent, "/result/body/body");
    ensure!(body.contains("name=\"a.txt\"; filename=\"a.txt\"\r\n\r\nsome text\r\n"), "{sent}");
    ensure!(text(&sent, "/result/body/headers/content-type").starts_with("multipart/form-data"));
    ensure!(text(&sent, "/result/body/headers/user-agent").starts_with("hearken/"), "{sent}");
    Ok(())
}

#[test]
fn a_proxy_is_used_for_what_it_is_given_for() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let (site, proxy) = (Site::start()?, Site::start()?);
    let url = format!("url={}", site.url("/text"));
    let passed_on = || PASSED_ON.load(std::sync::atomic::Ordering::Relaxed);
    for (kind, expected) in [("http_proxy", 1), ("https_proxy", 1)] {
        let through = format!("{kind}={}", proxy.url(""));
        let answer = run(&app, &["core.http", &url, &through])?;
        assert_eq!(text(&answer, "/result/body"), "hello", "{answer}");
        assert_eq!(passed_on(), expected, "{kind}");
    }
    let wrong = run(&app, &["core.http", &url, "http_proxy=gopher://me:hunter2@x"])?;
    assert_eq!(text(&wrong, "/status"), "failed");
    ensure!(!text(&wrong, "/result/error").contains("hunter2"), "{wrong}");
    Ok(())
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row for each kind of redirect")]
fn redirects_are_followed_where_that_is_wanted_and_allowed() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let action = "name: get\nrunner_type: http-request\nparameters:\n  \
                  method: {type: string}\n  body: {type: string}\n";
    app.write("web/actions/get.yaml", action)?;
    let _up = app.up()?;
    let site = Site::start()?;
    let url = |path: &str| format!("url={}", site.url(path));
    let (once, kept, away) = (url("/redirect"), url("/kept"), url("/away"));
    let follow = "allow_redirects=true";
    check(
        &app,
        &[
            (
                &["web.get", &once],
                "failed",
                &[
                    ("/result/status_code", json!(302)),
                    ("/result/headers/Location", json!("/echo?from=redirect")),
                ],
            ),
            (
                &["web.get", &once, follow, "body=x"],
                "succeeded",
                &[
                    ("/result/body/method", json!("GET")),
                    ("/result/body/path", json!("/echo?from=redirect")),
                    ("/result/body/body", json!("")),
                ],
            ),
            (
                &["web.get", &kept, follow, "body=x"],
                "succeeded",
                &[("/result/body/method", json!("POST")), ("/result/body/body", json!("x"))],
            ),
            (
                &["web.get", &kept, follow, "username=me", "password=hunter2"],
                "succeeded",
                &[("/result/body/headers/authorization", json!("Basic bWU6aHVudGVyMg=="))],
            ),
        ],
    )?;
    // Another server is not told what was meant for the first.
    let stranger = run(&app, &["web.get", &away, follow, "username=me", "password=hunter2"])?;
    assert_eq!(text(&stranger, "/status"), "succeeded", "{stranger}");
    let host = format!("localhost:{}", site.port());
    assert_eq!(text(&stranger, "/result/body/headers/host"), host);
    ensure!(stranger.pointer("/result/body/headers/authorization").is_none(), "{stranger}");
    let own = "headers={\"X-Own\": \"mine\", \"Accept\": \"text/plain\"}";
    let handed = url("/handed");
    let stranger = run(&app, &["core.http", &handed, follow, "auth=X-Api-Key=hunter2", own])?;
    let mut names: Vec<&str> = stranger
        .pointer("/result/body/headers")
        .and_then(|headers| headers.as_object())
        .context("headers")?
        .keys()
        .map(String::as_str)
        .filter(|name| !["accept-encoding", "connection"].contains(name))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "host", "user-agent"], "{stranger}");
    let body = ["web.get", &handed, follow, "body=hunter2"];
    let stopped = run(&app, &body)?;
    assert_eq!(stopped.pointer("/result/status_code"), Some(&json!(307)), "{stopped}");
    ensure!(text(&stopped, "/result/note").contains(&host), "{stopped}");
    for (arguments, expected) in [
        (vec!["web.get", &away, follow, "url_hosts_blacklist=localhost"], "is blacklisted"),
        (vec!["web.get", &away, follow, "url_hosts_whitelist=127.0.0.1"], "is not whitelisted"),
        (vec!["web.get", &away, "url_hosts_blacklist=127.0.0.1"], "is blacklisted"),
        (vec!["web.get", &url("/loop"), follow], "more than 10 redirects"),
        (vec!["web.get", &url("/nowhere"), follow], "leads nowhere"),
    ] {
        let refused = run(&app, &arguments)?;
        assert_eq!(text(&refused, "/status"), "failed", "{refused}");
        ensure!(text(&refused, "/result/error").contains(expected), "{expected}: {refused}");
    }
    Ok(())
}

#[test]
fn a_server_that_is_slow_rude_or_endless_does_no_harm() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let site = Site::start()?;
    let url = |path: &str| format!("url={}", site.url(path));
    let slow = run(&app, &["core.http", &url("/slow"), "timeout=1"])?;
    assert_eq!(text(&slow, "/status"), "timeout", "{slow}");
    ensure!(text(&slow, "/result/error").contains("within 1 s"), "{slow}");
    let large = run(&app, &["core.http", &url("/large")])?;
    assert_eq!(text(&large, "/status"), "succeeded");
    let kept = kept(&large, "body");
    ensure!((BODY_BYTES_MAX..LARGE).contains(&kept), "{kept}");
    assert_eq!(large.pointer("/result/body_truncated"), Some(&json!(true)));
    assert_eq!(large.pointer("/result/body_bytes_max"), Some(&json!(BODY_BYTES_MAX)));
    let dead = format!("url=http://me:hunter2@127.0.0.1:{}/?key=hunter2", closed_port()?);
    for rude in [url("/garbage"), url("/headers"), dead] {
        let failed = run(&app, &["core.http", &rude])?;
        assert_eq!(text(&failed, "/status"), "failed", "{failed}");
        let error = text(&failed, "/result/error");
        ensure!(error.starts_with("GET http://127.0.0.1:"), "{failed}");
        ensure!(!error.contains("hunter2"), "{failed}");
    }
    // What hangs is given up at once.
    let asked = app.run(&["run", "core.http", &url("/slow"), "timeout=600", "--async"])?;
    let id = String::from_utf8(asked.stdout)?.trim().to_owned();
    app.execution("core.http", "running")?;
    ensure!(app.run(&["execution", "cancel", &id])?.status.success());
    app.execution("core.http", "canceled")?;
    Ok(())
}

/// A port on which nobody listens.
fn closed_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

const TLS_SERVER: &str = "
import http.server, ssl, sys
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
";

#[test]
fn a_server_proves_who_it_is_unless_that_does_not_matter() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let (certificate, key) = (app.path("certificate.pem"), app.path("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        // A certificate that is its own issuer must not say that it may issue others.
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()
        .context("openssl is needed")?;
    ensure!(made.success(), "no certificate");
    let mut child = Command::new("python3")
        .args(["-c", TLS_SERVER])
        .arg(&certificate)
        .arg(&key)
        .current_dir(app.path("packs"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("python3 is needed")?;
    let mut port = String::new();
    BufReader::new(child.stdout.take().context("its output")?).read_line(&mut port)?;
    let _site = Server(child);
    let url = format!("url=https://localhost:{}/", port.trim());

    let mut up = app.command();
    up.args(["up", "--listen", "127.0.0.1:0", "--gateway", "off"]);
    let server = Server::start(&app, up)?;
    let refused = run(&app, &["core.http", &url])?;
    assert_eq!(text(&refused, "/status"), "failed", "{refused}");
    ensure!(text(&refused, "/result/error").contains("verify_ssl_cert"), "{refused}");
    let careless = run(&app, &["core.http", &url, "verify_ssl_cert=false"])?;
    assert_eq!(careless.pointer("/result/status_code"), Some(&json!(200)), "{careless}");
    drop(server);

    std::fs::remove_file(app.data().join("server.json"))?;
    let mut up = app.command();
    up.args(["up", "--listen", "127.0.0.1:0", "--gateway", "off"]);
    up.env("SSL_CERT_FILE", &certificate);
    let _server = Server::start(&app, up)?;
    let proven = run(&app, &["core.http", &url])?;
    assert_eq!(proven.pointer("/result/status_code"), Some(&json!(200)), "{proven}");
    let other = run(&app, &["core.http", &url.replace("localhost", "127.0.0.1")])?;
    assert_eq!(text(&other, "/status"), "failed", "{other}");
    Ok(())
}

const TELL: &str = "
name: tell
runner_type: run-announcement
parameters:
  experimental: {default: true, immutable: true}
  route: {default: desk}
  text: {type: string}
  token: {type: string, secret: true}
";

const HEAR: &str = r#"
name: hear
enabled: true
trigger: {type: core.announcement}
criteria:
  trigger.route: {type: equals, pattern: desk}
action: {ref: core.local, parameters: {cmd: 'echo "heard {{ trigger.text }} {{ trigger.token }}"'}}
"#;

fn an_announcement_fires_a_rule(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    app.write("desk/actions/tell.yaml", TELL)?;
    app.write("desk/rules/hear.yaml", HEAR)?;
    let _up = app.up()?;
    let told = run(&app, &["desk.tell", "text=lunch", "token=hunter2"])?;
    assert_eq!(text(&told, "/status"), "succeeded", "{told}");
    let own = json!({"text": "lunch", "token": "********"});
    assert_eq!(told.pointer("/result/output"), Some(&own));
    assert_eq!(text(&told, "/result/text"), "lunch");
    let heard = app.execution("core.local", "succeeded")?;
    assert_eq!(text(&heard, "/rule/ref"), "desk.hear");
    assert_eq!(text(&heard, "/result/stdout"), "heard lunch ********");
    // Others do not hear what is not for them.
    let other = run(&app, &["core.announcement", "message={\"a\": 1}"])?;
    assert_eq!(text(&other, "/status"), "succeeded", "{other}");
    assert_eq!(other.pointer("/result/message"), Some(&json!({"a": 1})));
    let events = eventually("the second announcement", WAIT, || {
        let exported = app.run(&["log", "export", "EVENTS"])?;
        let exported = String::from_utf8(exported.stdout)?;
        Ok((exported.matches("event.core.announcement").count() == 2).then_some(exported))
    })?;
    ensure!(!events.contains("hunter2"), "{events}");
    assert_eq!(app.executions(&["--rule", "desk.hear"])?.len(), 1);
    let long = format!("route={}", "r".repeat(256));
    for route in ["route=", long.as_str()] {
        let refused = app.run(&["run", "desk.tell", route])?;
        ensure!(!refused.status.success(), "{route}");
    }
    Ok(())
}

on_both!(an_announcement_fires_a_rule);
