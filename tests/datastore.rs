//! Keys of the datastore: by command line and HTTP, in rules, sealed, raced for, on several hosts.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, eventually, is_within, on_both};

const WAIT: Duration = Duration::from_secs(40);

on_both!(
    a_key_is_set_read_listed_and_deleted,
    stackstorms_client_finds_its_keys,
    a_key_goes_when_its_time_is_over,
    a_secret_reaches_the_action_and_is_nowhere_in_clear,
    a_rule_reads_keys_as_they_are_now,
    a_change_of_a_key_fires_a_rule,
    keys_outlive_the_process,
    racing_clients_lose_nothing,
);

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn is(value: &Value, at: &str) -> bool {
    value.pointer(at) == Some(&Value::Bool(true))
}

/// What `hearken kv` prints, when it succeeds.
fn kv(app: &App, arguments: &[&str]) -> anyhow::Result<String> {
    let done = app.run(&[&["kv"], arguments].concat())?;
    let errors = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{arguments:?}: {} {errors}", done.status);
    Ok(String::from_utf8(done.stdout)?.trim_end().to_owned())
}

/// The exit code and what is said when it fails.
fn refused(app: &App, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let done = app.run(&[&["kv"], arguments].concat())?;
    Ok((done.status.code(), String::from_utf8(done.stderr)?))
}

/// One request with the installation's token, under the name that StackStorm's client uses.
fn send(app: &App, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, Value, String)> {
    let server: Value = serde_json::from_slice(&std::fs::read(app.data().join("server.json"))?)?;
    let mut stream = TcpStream::connect(text(&server, "/url").trim_start_matches("http://"))?;
    stream.set_read_timeout(Some(WAIT))?;
    let (token, length) = (app.token()?, body.len());
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Auth-Token: {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    let status = head.split(' ').nth(1).context("a status")?.parse()?;
    let head = head.to_ascii_lowercase();
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null), head))
}

fn a_key_is_set_read_listed_and_deleted(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    let _up = app.up()?;
    for (name, value) in [("app.region", "eu"), ("app.zone", "b"), ("ann: x/y", "odd"), ("e", "")] {
        kv(&app, &["set", name, value])?;
        assert_eq!(kv(&app, &["get", name])?, value);
    }
    kv(&app, &["set", "app.zone", "c"])?;
    kv(&app, &["set", "mine", "stanley's", "--scope", "user"])?;
    kv(&app, &["set", "mine", "ann's", "--scope", "user", "--user", "ann"])?;
    let names = |arguments: &[&str]| -> anyhow::Result<Vec<String>> {
        let listed = app.json(&[&["kv", "list"], arguments].concat())?;
        let listed = listed.as_array().cloned().unwrap_or_default();
        let shown = |key: &Value| format!("{}={}", text(key, "/name"), text(key, "/value"));
        Ok(listed.iter().map(shown).collect())
    };
    let all = ["ann: x/y=odd", "app.region=eu", "app.zone=c", "e="];
    assert_eq!(names(&[])?, all);
    assert_eq!(names(&["--prefix", "app."])?, ["app.region=eu", "app.zone=c"]);
    assert_eq!(names(&["--scope", "user"])?, ["mine=stanley's"]);
    assert_eq!(names(&["--scope", "user", "--user", "ann"])?, ["mine=ann's"]);
    assert_eq!(names(&["--scope", "all"])?.len(), 5);
    assert_eq!(names(&["--limit", "2"])?, ["ann: x/y=odd", "app.region=eu"]);

    kv(&app, &["delete", "app.region"])?;
    for (arguments, code, part) in [
        (&["get", "app.region"][..], 1, "there is no key"),
        (&["delete", "app.region"], 1, "there is no key"),
        (&["set", "", "x"], 1, "there is nothing"),
        (&["set", "x", "y", "--scope", "elsewhere"], 2, "allowed scopes"),
        (&["set", "e", "x", "--revision", "0"], 1, "is at revision"),
        (&["increment", "app.zone"], 2, "not a whole number"),
        (&["set", "x", "plain", "--encrypted"], 2, "cannot be used"),
        (&["set", &"n".repeat(400), "x"], 2, "384 bytes"),
        (&["set", "large", &"x".repeat(65_537)], 1, "65536 at most"),
    ] {
        let (status, said) = refused(&app, arguments)?;
        ensure!(status == Some(code) && said.contains(part), "{arguments:?}: {status:?} {said}");
    }
    assert_eq!(kv(&app, &["increment", "count", "--by", "5"])?, "5");
    assert_eq!(kv(&app, &["increment", "count", "--by", "-7"])?, "-2");
    Ok(())
}

fn stackstorms_client_finds_its_keys(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    let _up = app.up()?;
    let body = json!({
        "id": "sensor:last", "name": "sensor:last", "value": "7", "scope": "st2kv.system",
        "user": null, "secret": null, "ttl": null,
    });
    let (status, stored, _) = send(&app, "PUT", "/v1/keys/sensor:last", &body.to_string())?;
    assert_eq!(
        (status, text(&stored, "/value"), text(&stored, "/name")),
        (200, "7", "sensor:last")
    );
    assert_eq!(text(&stored, "/uid"), "key_value_pair:st2kv.system:sensor:last");
    assert_eq!(text(&stored, "/id").len(), 24);
    let (status, found, _) =
        send(&app, "GET", "/v1/keys/sensor:last/?decrypt=False&scope=st2kv.system&user=None", "")?;
    assert_eq!((status, &found), (200, &stored));
    let missing = send(&app, "GET", "/v1/keys/sensor:first/?decrypt=True", "")?;
    assert_eq!(missing.0, 404);
    ensure!(text(&missing.1, "/faultstring").contains("sensor:first"), "{}", missing.1);

    let secret = json!({"name": "pin", "value": "4711-0815", "secret": true, "ttl": 3600});
    let (_, pin, _) = send(&app, "PUT", "/api/v1/keys/pin", &secret.to_string())?;
    assert_eq!((is(&pin, "/secret"), is(&pin, "/encrypted")), (true, true));
    ensure!(!text(&pin, "/value").contains("4711"), "{pin}");
    ensure!(text(&pin, "/expire_timestamp").ends_with('Z'), "{pin}");
    let (_, listed, head) = send(&app, "GET", "/v1/keys/?limit=1&offset=0&decrypt=True", "")?;
    assert_eq!(text(&listed, "/0/value"), "4711-0815");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    ensure!(head.contains("x-total-count: 2") && head.contains("x-limit: 1"), "{head}");
    let (_, listed, _) = send(&app, "GET", "/v1/keys?prefix=sensor:&limit=-1", "")?;
    assert_eq!(text(&listed, "/0/name"), "sensor:last");
    // Sealed elsewhere with the same key, and stored as it is.
    let copy = json!({"name": "copy", "value": text(&pin, "/value"), "encrypted": true});
    assert_eq!(send(&app, "PUT", "/v1/keys/copy", &copy.to_string())?.0, 200);
    let (_, copy, _) = send(&app, "GET", "/v1/keys/copy?decrypt=1", "")?;
    assert_eq!((text(&copy, "/value"), is(&copy, "/encrypted")), ("4711-0815", false));

    for (path, body, part) in [
        ("/v1/keys/x", r#"{"name": "x"}"#, "'value' is a required property"),
        ("/v1/keys/x", r#"{"name": "x", "value": 5}"#, "is not of type 'string'"),
        ("/v1/keys/x", r#"{"value": "", "ttl": "soon"}"#, "is not of type 'integer'"),
        ("/v1/keys/x?decrypt=maybe", r#"{"value": "", "secret": 1}"#, "is not of type 'boolean'"),
        ("/v1/keys/x", "nothing", "cannot be read"),
    ] {
        let (status, fault, _) = send(&app, "PUT", path, body)?;
        ensure!(status == 400, "{body}: {status} {fault}");
        ensure!(text(&fault, "/faultstring").contains(part), "{body}: {fault}");
    }
    assert_eq!(send(&app, "DELETE", "/v1/keys/sensor:last/?scope=system", "")?.0, 204);
    assert_eq!(send(&app, "DELETE", "/v1/keys/sensor:last/", "")?.0, 404);
    Ok(())
}

fn a_key_goes_when_its_time_is_over(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    let _up = app.up()?;
    kv(&app, &["set", "long", "x", "--ttl", "3600"])?;
    kv(&app, &["set", "short", "x", "--ttl", "1"])?;
    eventually("the end of the key", WAIT, || {
        Ok((refused(&app, &["get", "short"])?.0 == Some(1)).then_some(()))
    })?;
    // Somebody takes it away: what is kept of it has no value any more.
    eventually("its last entry", WAIT, || {
        let entries = app.json(&["log", "show", "STATE", "--subject", "state.kv.system.short"])?;
        let last = entries.as_array().and_then(|entries| entries.last()).cloned();
        Ok(last.filter(|entry| entry.pointer("/body/value") == Some(&Value::Null)).map(|_| ()))
    })?;
    assert_eq!(kv(&app, &["get", "long"])?, "x");
    kv(&app, &["set", "short", "again", "--revision", "0"])?;
    assert_eq!(kv(&app, &["get", "short"])?, "again");
    Ok(())
}

const LOGIN: &str = "
name: login
runner_type: local-shell-script
entry_point: login.sh
parameters:
  password: {type: string, secret: true, position: 0}
  line: {type: string, position: 1}
";

const ENTER: &str = "
name: enter
enabled: true
trigger: {type: vault.enter}
criteria:
  trigger.word: {type: eq, pattern: '{{ st2kv.system.word | decrypt_kv }}'}
action:
  ref: vault.login
  parameters:
    password: '{{ st2kv.system.password | decrypt_kv }}'
    line: 'login -p {{ st2kv.system.password | decrypt_kv }}'
";

/// A secret that is opened by a filter with another spelling, and changed.
const ODD: &str = "
name: odd
enabled: true
trigger: {type: vault.enter}
criteria:
  trigger.word:
    type: neq
    pattern: \"{{ [st2kv.system.password] | map('decrypt' ~ '_kv') | first | upper }}\"
action:
  ref: vault.quiet
  parameters:
    a: \"{{ [st2kv.system.password] | map('decrypt' ~ '_kv') | first | upper }}\"
    b: '{{ a }}'
";

const QUIET: &str = "
name: quiet
runner_type: noop
parameters:
  a: {type: string}
  b: {type: string}
";

/// A rule whose failure would tell the secret.
const BROKEN: &str = "
name: broken
enabled: true
trigger: {type: vault.enter}
action:
  ref: core.pause
  parameters: {max_pause: '{{ st2kv.system.password | decrypt_kv }}'}
";

#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn a_secret_reaches_the_action_and_is_nowhere_in_clear(on: On) -> anyhow::Result<()> {
    const SECRET: &str = "swordfish-from-the-datastore";
    let app = App::new(on)?;
    app.write("vault/actions/login.yaml", LOGIN)?;
    // Outside the data folder.
    let seen = app.path("seen");
    let script = format!("#!/bin/sh\necho \"$1 $2\" >> {}\n", seen.display());
    app.write("vault/actions/login.sh", &script)?;
    app.write("vault/rules/enter.yaml", ENTER)?;
    app.write("vault/rules/broken.yaml", BROKEN)?;
    app.write("vault/actions/quiet.yaml", QUIET)?;
    app.write("vault/rules/odd.yaml", ODD)?;
    let mut up = app.up()?;
    kv(&app, &["set", "word", "sesame-sesame", "--encrypt"])?;
    let mut set = app.command();
    set.args(["kv", "set", "password", "-", "--encrypt"]).stdin(std::process::Stdio::piped());
    let mut set = set.spawn()?;
    set.stdin.take().context("its input")?.write_all(format!("{SECRET}\n").as_bytes())?;
    ensure!(set.wait()?.success(), "kv set from standard input");
    assert_eq!(kv(&app, &["get", "password", "--decrypt"])?, SECRET);
    ensure!(kv(&app, &["get", "password"])?.starts_with("v1:"), "it is sealed");

    // The word of the event is the one secret that the event itself tells.
    let event = app.event("vault.enter", r#"{"word": "sesame-sesame"}"#)?;
    let execution = app.execution("vault.login", "succeeded")?;
    assert_eq!(std::fs::read_to_string(&seen)?, format!("{SECRET} login -p {SECRET}\n"));
    assert_eq!(text(&execution, "/parameters/password"), "********");
    assert_eq!(text(&execution, "/parameters/line"), "********");
    let failed = eventually("the failure", WAIT, || {
        let failed = app.json(&["rule", "enforcements", "vault.broken"])?;
        Ok((text(&failed, "/0/status") == "failed").then_some(failed))
    })?;
    ensure!(text(&failed, "/0/failure_reason").contains("which is secret"), "{failed}");
    let odd = app.execution("vault.quiet", "succeeded")?;
    assert_eq!(odd.get("parameters"), Some(&json!({"a": "********", "b": "********"})));
    let changed = SECRET.to_uppercase();
    // By hand, and again: what was made with a secret stays one.
    let by_hand = "cmd=test -n '{{ st2kv.system.password | decrypt_kv }}'";
    ensure!(app.run(&["run", "core.local", by_hand])?.status.success(), "run by hand");
    let first = app.execution("core.local", "succeeded")?;
    app.json(&["execution", "rerun", text(&first, "/id")])?;
    eventually("both", WAIT, || {
        let done = app.executions(&["--action", "core.local", "--status", "succeeded"])?;
        Ok((done.len() == 2).then_some(()))
    })?;
    let id = text(&execution, "/id");
    for asked in [
        &["execution", "list", "-o", "json"][..],
        &["log", "replay"],
        &["log", "explain", &event],
        &["log", "explain", id],
        &["rule", "test", "vault.enter", "--event", &event],
        &["rule", "test", "vault.broken", "--event", &event],
        &["rule", "test", "vault.odd", "--event", &event],
        &["rule", "enforcements"],
        &["execution", "get", id],
        &["kv", "list"],
        &["log", "export", "STATE"],
        &["log", "export", "LOG"],
        &["log", "export", "EVENTS"],
    ] {
        let told = app.run(asked)?;
        for said in [&told.stdout, &told.stderr] {
            let said = String::from_utf8_lossy(said);
            ensure!(!said.contains(SECRET), "{asked:?}: {said}");
            ensure!(!said.contains(&changed), "{asked:?}: {said}");
        }
    }
    let verdict = app.json(&["rule", "test", "vault.enter", "--event", &event])?;
    assert_eq!(verdict.pointer("/matches"), Some(&json!(true)));
    assert_eq!(text(&verdict, "/criteria/0/pattern"), "********");
    assert_eq!(up.stop()?, Some(0));
    ensure!(!is_within(&app.data(), SECRET)?, "the data folder holds it in clear");
    ensure!(!is_within(&app.data(), &changed)?, "the data folder holds it, changed");
    ensure!(!up.said().contains(SECRET), "the server says it");
    Ok(())
}

fn a_rule_reads_keys_as_they_are_now(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    app.write(
        "shop/rules/greet.yaml",
        "name: greet\nenabled: true\ntrigger: {type: shop.seen}\ncriteria:\n  \
         trigger.region: {type: eq, pattern: '{{ st2kv.system.shop.region | string }}'}\n\
         action:\n  ref: core.local\n  parameters:\n    \
         cmd: 'echo {{ trigger.n }} {{ st2kv.system.shop.greeting }} {{ st2kv.user.me }}'\n",
    )?;
    let _up = app.up()?;
    let told = |n: u32, region: &str| {
        app.event("shop.seen", &json!({"n": n, "region": region}).to_string())
    };
    let said = |count: usize| -> anyhow::Result<Vec<String>> {
        eventually("what it says", WAIT, || {
            let done = app.executions(&["--rule", "shop.greet", "--status", "succeeded"])?;
            let mut said: Vec<String> =
                done.iter().map(|e| text(e, "/result/stdout").to_owned()).collect();
            said.sort();
            Ok((said.len() == count).then_some(said))
        })
    };
    told(0, "eu")?;
    kv(&app, &["set", "shop.region", "eu"])?;
    kv(&app, &["set", "shop.greeting", "hello"])?;
    kv(&app, &["set", "me", "ann", "--scope", "user"])?;
    told(1, "eu")?;
    assert_eq!(said(1)?, ["1 hello ann"]);
    kv(&app, &["set", "shop.greeting", "salut"])?;
    kv(&app, &["delete", "me", "--scope", "user"])?;
    told(2, "eu")?;
    kv(&app, &["set", "shop.region", "us"])?;
    told(3, "eu")?;
    told(4, "us")?;
    let said = said(3)?;
    assert_eq!(
        said.iter().map(|line| line.trim()).collect::<Vec<_>>(),
        ["1 hello ann", "2 salut", "4 salut"]
    );
    // An action that is asked for by hand reads them as well.
    let ran = app.run(&["run", "core.local", "cmd=echo {{ st2kv.system.shop.region }}"])?;
    assert_eq!(String::from_utf8(ran.stdout)?, "us\n");
    Ok(())
}

fn a_change_of_a_key_fires_a_rule(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    let words = ["create", "update", "value_change", "delete"];
    for word in words {
        let said = if word == "value_change" {
            "{{ trigger.old_object.value }} {{ trigger.new_object.value }}"
        } else {
            "{{ trigger.object.name }} {{ trigger.object.value }} {{ trigger.object.scope }}"
        };
        app.write(
            &format!("watch/rules/{word}.yaml"),
            &format!(
                "name: {word}\nenabled: true\ntrigger: {{type: core.st2.key_value_pair.{word}}}\n\
                 action: {{ref: core.local, parameters: {{cmd: 'echo {said}'}}}}\n"
            ),
        )?;
    }
    let _up = app.up()?;
    kv(&app, &["set", "a", "1"])?;
    kv(&app, &["set", "a", "1"])?;
    kv(&app, &["set", "a", "2"])?;
    kv(&app, &["delete", "a"])?;
    kv(&app, &["set", "mine", "3", "--scope", "user"])?;
    let said = |word: &str, count: usize| -> anyhow::Result<Vec<String>> {
        eventually(word, WAIT, || {
            let rule = format!("watch.{word}");
            let done = app.executions(&["--rule", &rule, "--status", "succeeded"])?;
            let mut said: Vec<String> =
                done.iter().map(|e| text(e, "/result/stdout").to_owned()).collect();
            said.sort();
            Ok((said.len() >= count).then_some(said))
        })
    };
    assert_eq!(said("create", 2)?, ["a 1 st2kv.system", "stanley:mine 3 st2kv.user"]);
    assert_eq!(said("update", 2)?, ["a 1 st2kv.system", "a 2 st2kv.system"]);
    assert_eq!(said("value_change", 1)?, ["1 2"]);
    assert_eq!(said("delete", 1)?, ["a 2 st2kv.system"]);
    Ok(())
}

fn keys_outlive_the_process(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    let mut up = app.up()?;
    kv(&app, &["set", "plain", "kept"])?;
    kv(&app, &["set", "sealed", "kept too", "--encrypt"])?;
    kv(&app, &["set", "gone", "x"])?;
    kv(&app, &["delete", "gone"])?;
    up.kill()?;
    let mut up = app.up()?;
    kv(&app, &["set", "late", "x"])?;
    assert_eq!(up.stop()?, Some(0));
    let _up = app.up()?;
    assert_eq!(kv(&app, &["get", "plain"])?, "kept");
    assert_eq!(kv(&app, &["get", "sealed", "--decrypt"])?, "kept too");
    let listed = app.json(&["kv", "list"])?;
    let names: Vec<&str> =
        listed.as_array().into_iter().flatten().map(|key| text(key, "/name")).collect();
    assert_eq!(names, ["late", "plain", "sealed"]);
    Ok(())
}

/// Counts up as somebody does who only knows how to compare and set.
fn count_by_hand(app: &App) -> anyhow::Result<()> {
    eventually("a turn", WAIT, || {
        let (value, revision) = match app.json(&["kv", "get", "n"]) {
            Ok(key) => {
                let revision = key.get("revision").context("a revision")?.to_string();
                (text(&key, "/value").parse()?, revision)
            }
            Err(_none) => (0_u32, "0".to_owned()),
        };
        let next = (value + 1).to_string();
        let set = app.run(&["kv", "set", "n", &next, "--revision", &revision])?;
        Ok(set.status.success().then_some(()))
    })
}

fn racing_clients_lose_nothing(on: On) -> anyhow::Result<()> {
    const EACH: usize = 8;
    let app = App::new(on)?;
    let _up = app.up()?;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let app = &app;
                scope.spawn(move || -> anyhow::Result<()> {
                    for _turn in 0..EACH {
                        if client % 2 == 0 {
                            kv(app, &["increment", "n"])?;
                        } else {
                            count_by_hand(app)?;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().expect("a client broke"))
    })?;
    assert_eq!(kv(&app, &["get", "n"])?, (4 * EACH).to_string());
    Ok(())
}

#[test]
fn two_hosts_see_the_same_keys() -> anyhow::Result<()> {
    let app = App::new(On::Nats)?;
    app.write(
        "shop/rules/say.yaml",
        "name: say\nenabled: true\ntrigger: {type: shop.say}\n\
         action: {ref: core.local, parameters: {cmd: 'echo {{ st2kv.system.word }}'}}\n",
    )?;
    let packs = app.path("packs").display().to_string();
    let front = ["--pack-source", "--packs", &packs, "--listen", "127.0.0.1:0"];
    let _one = app.serve("data", "web,ledger,sensors", &front)?;
    // Secrets are opened where the key is.
    std::fs::create_dir(app.path("two"))?;
    std::fs::copy(app.data().join("key"), app.path("two").join("key"))?;
    let _two = app.serve("two", "web,rules,actions", &["--listen", "127.0.0.1:0"])?;
    let two = app.path("two").display().to_string();
    let there = |arguments: &[&str]| kv(&app, &[&["--data", &two], arguments].concat());

    kv(&app, &["set", "word", "first"])?;
    assert_eq!(there(&["get", "word"])?, "first");
    there(&["set", "secret", "sealed there", "--encrypt"])?;
    assert_eq!(kv(&app, &["get", "secret", "--decrypt"])?, "sealed there");
    for turn in 1..=4 {
        assert_eq!(kv(&app, &["increment", "n"])?, (2 * turn - 1).to_string());
        assert_eq!(there(&["increment", "n"])?, (2 * turn).to_string());
    }
    // What templates and lists read comes a moment later.
    let listed = |arguments: &[&str]| -> anyhow::Result<String> {
        let all = kv(&app, &[arguments, &["list", "-o", "json"]].concat())?;
        let all: Value = serde_json::from_str(&all)?;
        Ok(all.as_array().into_iter().flatten().map(|key| text(key, "/value")).collect())
    };
    eventually("both lists", WAIT, || {
        let (here, there) = (listed(&[])?, listed(&["--data", &two])?);
        Ok((here == there && here.starts_with("8v1:") && here.ends_with("first")).then_some(()))
    })?;
    kv(&app, &["set", "word", "second"])?;
    eventually("a rule that reads it on the other host", WAIT, || {
        app.event("shop.say", "{}")?;
        let said = app.executions(&["--rule", "shop.say", "--status", "succeeded"])?;
        let found = said.iter().any(|e| text(e, "/result/stdout") == "second");
        Ok(found.then_some(()))
    })
}
