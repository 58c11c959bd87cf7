//! Facts that others post: hooks, signatures, schemas, events told again, and slow clients.
//!
//! Signatures are made by Python's `hmac`, so that what is tested is not tested by itself.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, eventually, on_both};

const WAIT: Duration = Duration::from_secs(30);

on_both!(
    what_is_no_webhook_is_refused_and_changes_nothing,
    a_webhook_fires_its_rule,
    every_sender_proves_itself,
    any_trigger_is_told_within_its_schema,
    an_event_is_told_again,
    what_a_rule_did_is_listed,
    an_execution_is_asked_for_again_and_changed,
);

/// An answer: its status, its headers, its body.
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

fn address(app: &App) -> anyhow::Result<String> {
    let server: Value = serde_json::from_slice(&std::fs::read(app.data().join("server.json"))?)?;
    let url = server.get("url").and_then(Value::as_str).context("a url")?;
    Ok(url.trim_start_matches("http://").to_owned())
}

/// One request on a connection of its own, byte by byte what is given.
fn send(
    app: &App,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(address(app)?)?;
    stream.set_read_timeout(Some(WAIT))?;
    let headers: String =
        headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n"
    )?;
    // A body that is refused by its length is not read to its end.
    let refused = stream.write_all(body).is_err();
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| {
        format!("no answer to {method} {path}: {text:?}, refused {refused}, {read:?}")
    })?;
    let status = head.split(' ').nth(1).context("a status")?.parse()?;
    let body = serde_json::from_str(body).unwrap_or_else(|_no| json!(body));
    Ok(Answer { status, head: head.to_ascii_lowercase(), body })
}

/// Posts JSON with the installation's token.
fn post(app: &App, path: &str, body: &str) -> anyhow::Result<Answer> {
    let bearer = format!("Bearer {}", app.token()?);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    send(app, "POST", path, &headers, body.as_bytes())
}

fn get(app: &App, path: &str) -> anyhow::Result<Answer> {
    let bearer = format!("Bearer {}", app.token()?);
    send(app, "GET", path, &[("Authorization", &bearer)], b"")
}

/// A status, and a text that the fault has.
fn check(answer: &Answer, status: u16, part: &str) {
    let body = answer.body.to_string();
    assert_eq!(answer.status, status, "{body}");
    if status >= 400 {
        assert!(answer.body.get("faultstring").is_some_and(Value::is_string), "{body}");
    }
    assert!(body.contains(part), "{part} is not in {body}");
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn rule(app: &App, name: &str, url: &str, echo: &str) -> anyhow::Result<()> {
    let rule = format!(
        "name: {name}\nenabled: true\n\
         trigger: {{type: core.st2.webhook, parameters: {{url: {url}}}}}\n\
         action: {{ref: core.local, parameters: {{cmd: \"echo {echo}\"}}}}\n"
    );
    app.write(&format!("hooks/rules/{name}.yaml"), &rule)
}

/// Events of a trigger that are in the log, the newest first.
fn events(app: &App, trigger: &str) -> anyhow::Result<Vec<Value>> {
    let listed = app.json(&["event", "list", "--trigger", trigger, "--limit", "100"])?;
    Ok(listed.as_array().cloned().unwrap_or_default())
}

fn what_is_no_webhook_is_refused_and_changes_nothing(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    rule(&app, "push", "/git/push/", "order {{trigger.body.order}}")?;
    let off = "name: quiet\nenabled: false\ntrigger: {type: core.st2.webhook, parameters: {url: quiet}}\
               \naction: {ref: core.noop}\n";
    app.write("hooks/rules/quiet.yaml", off)?;
    let _up = app.up()?;
    let hook = "/v1/webhooks/git/push";
    check(&send(&app, "POST", hook, &[], b"{}")?, 401, "installation's token");
    check(&post(&app, "/v1/webhooks/nowhere", "{}")?, 404, "an enabled rule has trigger");
    check(&post(&app, "/v1/webhooks/quiet", "{}")?, 404, "no webhook is called");
    for (body, why) in [
        ("7", "the body is a number"),
        ("\"x\"", "the body is a text"),
        ("", "the body is empty"),
        ("{\"a\": ", "the body is not JSON"),
    ] {
        check(&post(&app, hook, body)?, 400, why);
    }
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(126), "]".repeat(126));
    check(&post(&app, hook, &deep)?, 400, "");
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20));
    check(&post(&app, hook, &large)?, 413, "larger than 1048576 bytes");
    let token = app.token()?;
    let xml = [("X-Auth-Token", token.as_str()), ("Content-Type", "text/xml")];
    check(&send(&app, "POST", hook, &xml, b"<a/>")?, 415, "text/xml");
    // What the framework refuses by itself is told in the same form.
    check(&send(&app, "PUT", "/v1/webhooks", &[("X-Auth-Token", &token)], b"")?, 405, "it has GET");
    check(&get(&app, "/v1/executions?limit=many")?, 400, "limit");
    check(&get(&app, "/v1/executions?offset=10001")?, 400, "beyond 10000");
    check(&post(&app, "/hearken/v1/events", "{\"trigger\": ")?, 400, "cannot be read");
    let hooks = get(&app, "/v1/webhooks")?;
    assert_eq!(text(&hooks.body, "/0/url"), "git/push");
    assert_eq!(text(&hooks.body, "/0/rules/0"), "hooks.push");
    assert_eq!(hooks.body.as_array().map(Vec::len), Some(1));
    assert_eq!(events(&app, "core.st2.webhook")?.len(), 0);
    // The next good one works.
    check(&post(&app, hook, "{\"order\": 7}")?, 202, "7");
    app.execution("core.local", "succeeded")?;
    Ok(())
}

fn a_webhook_fires_its_rule(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    rule(&app, "push", "/git/push/", "order {{trigger.body.order}}")?;
    let _up = app.up()?;
    let (hook, token) = ("/v1/webhooks/git/push", app.token()?);
    let headers = [
        ("St2-Api-Key", token.as_str()),
        ("St2-Trace-Tag", "trace-1"),
        ("Cookie", "secret=1"),
        ("x-SHOP-event", "late"),
    ];
    let answer = send(&app, "POST", "/v1/webhooks/git/push/", &headers, b"{\"order\": 7}")?;
    check(&answer, 202, "");
    assert_eq!(answer.body, json!({"order": 7}));
    let execution = app.execution("core.local", "succeeded")?;
    assert_eq!(text(&execution, "/result/stdout"), "order 7");
    let [event] =
        events(&app, "core.st2.webhook")?.try_into().map_err(|_no| anyhow::anyhow!("one event"))?;
    let id = text(&event, "/id");
    ensure!(answer.head.contains(&format!("hearken-event: {id}")), "{}", answer.head);
    assert_eq!(text(&event, "/payload/headers/X-Shop-Event"), "late");
    assert_eq!(text(&event, "/payload/headers_lower/x-shop-event"), "late");
    ensure!(!event.to_string().contains(&token) && !event.to_string().contains("secret=1"));
    let shown = app.json(&["log", "show", "EVENTS", "--id", id])?;
    ensure!(shown.to_string().contains("[\"St2-Trace-Tag\",\"trace-1\"]"), "{shown}");
    assert_eq!(app.json(&["event", "get", id])?, event);
    let chain = app.json(&["log", "explain", id])?;
    assert_eq!(chain.get("truncated"), Some(&json!(false)));
    assert_eq!(text(&chain, "/executions/0/status"), "succeeded");

    // The token in the query, a form, and the path that StackStorm's proxy has.
    let path = format!("/api/v1/webhooks/git/push?st2-api-key={token}");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = send(&app, "POST", &path, &form, b"order=8&empty=")?;
    check(&answer, 202, "");
    assert_eq!(answer.body, json!({"order": ["8"]}));
    let wrong = path.replace(&token, "wrong");
    check(&send(&app, "POST", &wrong, &form, b"order=9")?, 401, "");
    // A delivery that comes again is one execution.
    let once = [("X-Auth-Token", token.as_str()), ("Idempotency-Key", "once")];
    for _ in 0..2 {
        check(&send(&app, "POST", hook, &once, b"{\"order\": 10}")?, 202, "");
    }
    let found = eventually("three executions", WAIT, || {
        let found = app.executions(&["--action", "core.local", "--status", "succeeded"])?;
        Ok((found.len() >= 3).then_some(found))
    })?;
    let outputs: std::collections::BTreeSet<_> =
        found.iter().map(|found| text(found, "/result/stdout")).collect();
    assert_eq!(outputs.into_iter().collect::<Vec<_>>(), ["order 10", "order 7", "order [8]"]);
    Ok(())
}

/// What Python's hmac makes of a text: hex digits, or base64 of a key in base64.
fn hmac(key: &str, message: &str, is_base64: bool) -> anyhow::Result<String> {
    let program = if is_base64 {
        "import base64,hashlib,hmac,sys;k=base64.b64decode(sys.argv[1]);\
         print(base64.b64encode(hmac.new(k,sys.argv[2].encode(),hashlib.sha256).digest()).decode())"
    } else {
        "import hashlib,hmac,sys;\
         print(hmac.new(sys.argv[1].encode(),sys.argv[2].encode(),hashlib.sha256).hexdigest())"
    };
    let python = std::env::var("HEARKEN_TEST_PYTHON").unwrap_or_else(|_none| "python3".to_owned());
    let made = Command::new(python).args(["-c", program, key, message]).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the server under test reads the machine's clock")]
fn seconds() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}

const SENDERS: [&str; 6] = ["github", "gitlab", "slack", "stripe", "standard", "token"];
const SECRET: &str = "It's a Secret";
const STANDARD_SECRET: &str = "c3RhbmRhcmQgc2VjcmV0IGtleQ==";

/// The headers with which `sender` signs `body` at `time`, and names the delivery `name`.
fn signed(
    sender: &str,
    body: &str,
    time: u64,
    name: &str,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let hex = |message: &str| hmac(SECRET, message, false);
    Ok(match sender {
        "github" => vec![
            ("X-Hub-Signature-256", format!("sha256={}", hex(body)?)),
            ("X-GitHub-Delivery", name.to_owned()),
        ],
        "gitlab" => {
            vec![("X-Gitlab-Token", SECRET.to_owned()), ("Idempotency-Key", name.to_owned())]
        }
        "slack" => vec![
            ("X-Slack-Request-Timestamp", time.to_string()),
            ("X-Slack-Signature", format!("v0={}", hex(&format!("v0:{time}:{body}"))?)),
        ],
        "stripe" => {
            let right = hex(&format!("{time}.{body}"))?;
            let other = "0".repeat(64);
            vec![("Stripe-Signature", format!("t={time},v1={other},v1={right},v0=x"))]
        }
        "standard" => {
            let right = hmac(STANDARD_SECRET, &format!("{name}.{time}.{body}"), true)?;
            vec![
                ("webhook-id", name.to_owned()),
                ("webhook-timestamp", time.to_string()),
                ("webhook-signature", format!("v1,{right}")),
            ]
        }
        "token" => {
            vec![("X-Webhook-Token", SECRET.to_owned()), ("Idempotency-Key", name.to_owned())]
        }
        other => anyhow::bail!("{other}"),
    })
}

fn every_sender_proves_itself(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    std::fs::create_dir_all(app.data())?;
    std::fs::write(app.data().join("hook.secret"), format!("{SECRET}\n"))?;
    let mut configuration = Vec::new();
    for sender in SENDERS {
        let secret = match sender {
            "standard" => format!("secret = \"whsec_{STANDARD_SECRET}\""),
            "stripe" => "secret_file = \"hook.secret\"".to_owned(),
            _ => format!("secret = \"{SECRET}\""),
        };
        configuration.push(format!(
            "[[webhook]]\nurl = \"from/{sender}\"\nsender = \"{sender}\"\n{secret}\n"
        ));
        rule(&app, sender, &format!("from/{sender}"), &format!("{sender} {{{{trigger.body.n}}}}"))?;
    }
    std::fs::write(app.data().join("hearken.toml"), configuration.concat())?;
    let _up = app.up()?;
    let token = app.token()?;
    for sender in SENDERS {
        let hook = format!("/v1/webhooks/from/{sender}");
        let body = "{\"id\": \"evt_1\", \"event_id\": \"Ev1\", \"n\": 1, \"x\": \"é\"}";
        let good = signed(sender, body, seconds()?, "d-1")?;
        let post = |headers: &[(&'static str, String)], body: &str| {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            send(&app, "POST", &hook, &headers, body.as_bytes())
        };
        check(&post(&[], body)?, 401, &format!("sender of \\\"from/{sender}\\\" is {sender}"));
        // The installation's token is not what the hook asks for.
        check(&post(&[("St2-Api-Key", token.clone())], body)?, 401, "");
        let mut wrong = good.clone();
        for (name, value) in &mut wrong {
            if name.contains("ignature") || name.ends_with("Token") {
                *value = value.replace(['a', 'b', 'c', 'A', 'B', 'S'], "d");
            }
        }
        check(&post(&wrong, body)?, 401, "");
        if !["gitlab", "token"].contains(&sender) {
            check(&post(&good, &body.replace("\"n\": 1", "\"n\": 2"))?, 401, "does not match");
        }
        if ["slack", "stripe", "standard"].contains(&sender) {
            for time in [seconds()? - 400, seconds()? + 400] {
                let kept = signed(sender, body, time, "d-0")?;
                check(&post(&kept, body)?, 401, "more than 300 s from ours");
            }
        }
        // The same delivery again, as senders do that saw no answer, is the same event.
        for _ in 0..2 {
            check(&post(&good, body)?, 202, "evt_1");
        }
    }
    for sender in SENDERS {
        let rule = format!("hooks.{sender}");
        eventually(&rule, WAIT, || {
            let found = app.executions(&["--rule", &rule, "--status", "succeeded"])?;
            Ok(found.into_iter().next())
        })?;
        assert_eq!(app.executions(&["--rule", &rule])?.len(), 1, "{sender}");
    }
    let stored = serde_json::to_string(&events(&app, "core.st2.webhook")?)?;
    ensure!(!stored.contains(SECRET), "a secret is in the log");
    // Slack asks once whether the url is ours, and no event comes of it.
    let before = events(&app, "core.st2.webhook")?.len();
    let body = "{\"type\": \"url_verification\", \"challenge\": \"c\"}";
    let good = signed("slack", body, seconds()?, "")?;
    let good: Vec<_> = good.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let answer = send(&app, "POST", "/v1/webhooks/from/slack", &good, body.as_bytes())?;
    check(&answer, 200, "\"challenge\":\"c\"");
    assert_eq!(events(&app, "core.st2.webhook")?.len(), before);
    Ok(())
}

const LATE: &str = "
name: late
payload_schema:
  type: object
  properties:
    order: {type: integer, required: true}
    state: {type: string, default: late}
  additionalProperties: false
";

fn any_trigger_is_told_within_its_schema(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    app.write("shop/triggers/late.yaml", LATE)?;
    let rule = "name: late\nenabled: true\ntrigger: {type: shop.late}\naction:\n  ref: core.local\n  \
                parameters: {cmd: \"echo {{trigger.order}} {{trigger.state}}\"}\n";
    app.write("shop/rules/late.yaml", rule)?;
    let _up = app.up()?;
    let hook = "/v1/webhooks/st2";
    check(&send(&app, "POST", hook, &[], b"{}")?, 401, "");
    check(&post(&app, hook, "[]")?, 400, "the body is not");
    check(&post(&app, hook, "{\"payload\": {}}")?, 400, "trigger");
    let own = "{\"trigger\": \"hearken.definitions\", \"payload\": {}}";
    check(&post(&app, hook, own)?, 400, "told by Hearken itself");
    let bad = "{\"trigger\": \"shop.late\", \"payload\": {\"order\": \"seven\"}}";
    check(&post(&app, hook, bad)?, 400, "payload.order: 'seven' is not of type 'integer'");
    let sent = app.run(&["event", "send", "shop.late", "{\"state\": \"lost\"}"])?;
    assert_eq!(sent.status.code(), Some(2));
    let said = String::from_utf8(sent.stderr)?;
    ensure!(said.contains("'order' is a required property"), "{said}");
    assert_eq!(events(&app, "shop.late")?.len(), 0);
    let good = "{\"trigger\": \"shop.late\", \"payload\": {\"order\": 7}}";
    check(&post(&app, hook, good)?, 202, "shop.late");
    let execution = app.execution("core.local", "succeeded")?;
    assert_eq!(text(&execution, "/result/stdout"), "7 late");
    // Of a trigger that nobody has registered nothing is known, so everything is right.
    check(&post(&app, hook, "{\"trigger\": \"shop.free\", \"payload\": {\"a\": 1}}")?, 202, "");
    assert_eq!(events(&app, "shop.free")?.len(), 1);
    Ok(())
}

fn an_event_is_told_again(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    rule(&app, "push", "push", "{{trigger.body.order}}")?;
    let _up = app.up()?;
    check(&post(&app, "/v1/webhooks/push", "{\"order\": \"{{7}} a\"}")?, 202, "");
    let first = app.execution("core.local", "succeeded")?;
    let event = text(&first, "/trigger_instance/id").to_owned();
    let known = app.json(&["event", "get", &event])?;
    assert_eq!(text(&known, "/status"), "processed");
    assert_eq!(text(&known, "/trigger"), "core.st2.webhook");
    let again = app.json(&["event", "resend", &event])?;
    let again = text(&again, "/id").to_owned();
    ensure!(again.starts_with("re-emit-"), "{again}");
    let second = eventually("the second execution", WAIT, || {
        let more = ["--trigger-instance", &again, "--status", "succeeded"];
        Ok(app.executions(&more)?.into_iter().next())
    })?;
    assert_eq!(second.pointer("/result/stdout"), first.pointer("/result/stdout"));
    let listed = events(&app, "core.st2.webhook")?;
    let ids: Vec<_> = listed.iter().map(|event| text(event, "/id")).collect();
    assert_eq!(ids, [again.as_str(), event.as_str()]);
    let newest = listed.first().context("an event")?;
    assert_eq!(text(newest, "/re_emit_of"), event);
    let time = text(newest, "/occurrence_time");
    let path = |filter: &str| format!("/v1/triggerinstances?trigger=core.st2.webhook&{filter}");
    let one = get(&app, &path(&format!("timestamp_lt={time}")))?;
    assert_eq!(text(&one.body, "/0/id"), event);
    assert_eq!(get(&app, &path(&format!("timestamp_gt={time}")))?.body, json!([]));
    check(&get(&app, &path("timestamp_gt=soon"))?, 400, "is not a time");
    check(&get(&app, "/v1/triggerinstances/nothing")?, 404, "no event is called");
    let first_id = get(&app, &path("limit=1&offset=1"))?;
    assert_eq!(text(&first_id.body, "/0/id"), event);
    Ok(())
}

fn what_a_rule_did_is_listed(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    rule(&app, "push", "push", "{{trigger.body.order}}")?;
    let broken = "name: broken\nenabled: true\ntrigger: {type: shop.broken}\n\
                  action: {ref: shop.missing}\n";
    app.write("hooks/rules/broken.yaml", broken)?;
    let _up = app.up()?;
    check(&post(&app, "/v1/webhooks/push", "{\"order\": 7}")?, 202, "");
    let first = app.execution("core.local", "succeeded")?;
    let event = text(&first, "/trigger_instance/id");
    let id = app.event("shop.broken", "{}")?;
    let failed = eventually("the failed enforcement", WAIT, || {
        let listed = app.json(&["rule", "enforcements", "hooks.broken"])?;
        Ok(listed.pointer("/0").cloned())
    })?;
    assert_eq!(text(&failed, "/status"), "failed");
    assert_eq!(text(&failed, "/trigger_instance_id"), id);
    ensure!(text(&failed, "/failure_reason").contains("shop.missing"), "{failed}");
    let worked = app.json(&["rule", "enforcements", "--trigger-instance", event])?;
    assert_eq!(worked.as_array().map(Vec::len), Some(1));
    assert_eq!(text(&worked, "/0/execution_id"), text(&first, "/id"));
    assert_eq!(text(&worked, "/0/status"), "succeeded");
    let newest = app.json(&["rule", "enforcements", "--limit", "1"])?;
    assert_eq!(text(&newest, "/0/rule/ref"), "hooks.broken");
    Ok(())
}

fn an_execution_is_asked_for_again_and_changed(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    rule(&app, "push", "push", "{{trigger.body.order}}")?;
    let _up = app.up()?;
    // What was rendered once is not rendered again, though it looks like a template.
    check(&post(&app, "/v1/webhooks/push", "{\"order\": \"{{7}} a\"}")?, 202, "");
    let first = app.execution("core.local", "succeeded")?;
    let rerun = |more: &[&str]| -> anyhow::Result<Value> {
        let asked = app.json(&[&["execution", "rerun", text(&first, "/id")], more].concat())?;
        let id = text(&asked, "/id").to_owned();
        eventually("the rerun", WAIT, || {
            let found = app.json(&["execution", "get", &id])?;
            Ok((text(&found, "/status") == "succeeded").then_some(found))
        })
    };
    let same = rerun(&[])?;
    assert_eq!(same.pointer("/result/stdout"), first.pointer("/result/stdout"));
    assert_eq!(same.pointer("/parameters/cmd"), first.pointer("/parameters/cmd"));
    let changed = rerun(&["cmd=echo changed", "timeout=7"])?;
    assert_eq!(text(&changed, "/result/stdout"), "changed");
    assert_eq!(changed.pointer("/parameters/timeout"), Some(&json!(7)));
    assert_eq!(changed.pointer("/context/rerun_of"), first.pointer("/id"));
    // What its action sets by itself stays its own.
    app.run(&["run", "core.echo", "message=one"])?;
    let echoed = app.execution("core.echo", "succeeded")?;
    let asked = app.json(&["execution", "rerun", text(&echoed, "/id"), "message=two"])?;
    let two = eventually("the second echo", WAIT, || {
        let found = app.json(&["execution", "get", text(&asked, "/id")])?;
        Ok((text(&found, "/status") == "succeeded").then_some(found))
    })?;
    assert_eq!(text(&two, "/result/stdout"), "two");
    let path = format!("/v1/executions/{}/re_run", text(&first, "/id"));
    let asked = post(&app, &path, "{\"parameters\": {\"cmd\": \"echo api\"}}")?;
    check(&asked, 201, "echo api");
    check(&post(&app, &path, "{\"parameters\": {\"nonsense\": 1}}")?, 400, "nonsense");
    Ok(())
}

#[test]
fn a_thousand_slow_clients_keep_nobody_out() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let address = address(&app)?;
    let mut slow = Vec::new();
    for number in 0..600 {
        let mut stream = TcpStream::connect(&address)?;
        let head = "POST /v1/webhooks/x HTTP/1.1\r\nHost: x\r\n";
        stream.write_all(head.as_bytes())?;
        if number % 2 == 0 {
            let token = app.token()?;
            let more = format!("X-Auth-Token: {token}\r\nContent-Length: 1000\r\n\r\n{{");
            stream.write_all(more.as_bytes())?;
        }
        slow.push(stream);
    }
    // Each of them says a little more while others are served.
    for _ in 0..3 {
        for stream in &mut slow {
            let _gave_way = stream.write_all(b" ").is_err();
        }
        check(&get(&app, "/v1/webhooks")?, 200, "");
        check(&post(&app, "/v1/webhooks/st2", "{\"trigger\": \"shop.x\"}")?, 202, "");
    }
    assert_eq!(events(&app, "shop.x")?.len(), 3);
    drop(slow);
    Ok(())
}

#[test]
fn watchers_leave_room_for_others() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let (address, token) = (address(&app)?, app.token()?);
    let mut watchers = Vec::new();
    for _ in 0..256 {
        let mut stream = TcpStream::connect(&address)?;
        stream.set_read_timeout(Some(WAIT))?;
        let path = "/hearken/v1/events/tail?filter=event.shop.never";
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        assert_eq!(status, *b"HTTP/1.1 200");
        watchers.push(stream);
    }
    check(&get(&app, "/hearken/v1/events/tail")?, 503, "256 clients are watching already");
    check(&get(&app, "/v1/webhooks")?, 200, "");
    drop(watchers);
    eventually("a place among the watchers", WAIT, || {
        let ran = app.run(&["run", "core.noop"])?;
        Ok(ran.status.success().then_some(()))
    })
}

#[test]
fn what_is_left_out_of_a_chain_is_said() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    for number in 0..70 {
        let rule = format!(
            "name: r{number}\nenabled: true\ntrigger: {{type: shop.many}}\n\
             action: {{ref: core.noop}}\n"
        );
        app.write(&format!("many/rules/r{number}.yaml"), &rule)?;
    }
    let _up = app.up()?;
    let id = app.event("shop.many", "{}")?;
    eventually("all executions", WAIT, || {
        let done = app.executions(&["--trigger-instance", &id, "--status", "succeeded"])?;
        Ok((done.len() == 70).then_some(()))
    })?;
    let chain = app.json(&["log", "explain", &id])?;
    assert_eq!(chain.get("truncated"), Some(&json!(true)));
    assert_eq!(chain.get("entries").and_then(Value::as_array).map(Vec::len), Some(200));
    let drawn = app.run(&["log", "explain", &id])?;
    ensure!(String::from_utf8(drawn.stderr)?.contains("there is more than is shown"));
    let all = app.json(&["rule", "enforcements", "--trigger-instance", &id, "--limit", "100"])?;
    assert_eq!(all.as_array().map(Vec::len), Some(70));
    Ok(())
}
