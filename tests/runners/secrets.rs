//! Secrets reach the action, and nothing else that is stored, shown or sent holds them.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{WAIT, run, text};
use crate::harness::{App, On, eventually, is_within, on_both};

const MASK: &str = "********";

const LOGIN: &str = "
name: login
runner_type: local-shell-script
entry_point: login.sh
parameters:
  user: {type: string, position: 0}
  password: {type: string, secret: true, position: 1}
  login: {type: object, properties: {pin: {type: string, secret: true}}}
  line: {type: string, default: 'login -p {{ password }}', position: 2}
";

/// One half of the secret comes with the event and one is the rule's, so that the whole of it is
/// nowhere but in the parameter.
const RULE: &str = "
name: enter
enabled: true
trigger: {type: vault.enter}
action:
  ref: vault.login
  parameters: {user: 'rule', password: '{{ trigger.half }}-and-the-rest'}
";

/// What is made of a secret, by defaults and by a rule, is nowhere written as the secret is.
const DERIVED: &str = "
name: derived
runner_type: noop
parameters:
  password: {type: string, secret: true}
  auth: {type: string, default: '{{ password | upper }}'}
  url: {type: string, default: 'https://u:{{ auth | urlencode }}@h/'}
  note: {type: string}
";

const DERIVE: &str = "
name: derive
enabled: true
trigger: {type: vault.enter}
action:
  ref: vault.derived
  parameters: {password: '{{ trigger.half }}-and-the-rest', note: '{{ [url] | tojson }}'}
";

const PASS: &str = "
name: pass
runner_type: noop
parameters:
  o: {type: object}
  s: {type: string}
  n: {type: string}
";

const PASSED: &str = "
name: passed
enabled: true
trigger: {type: vault.passed}
action:
  ref: vault.pass
  parameters: {o: '{{ trigger.o }}', s: '{{ trigger.s }}', n: '1'}
";

/// An action that cannot be rendered, with a secret in the rule.
const BROKEN: &str = "
name: broken
enabled: true
trigger: {type: vault.enter}
action:
  ref: vault.login
  parameters: {user: '{{ trigger.missing }}', password: 'written-in-the-rule'}
";

fn vault(on: On) -> anyhow::Result<App> {
    let app = App::new(on)?;
    app.write("vault/actions/login.yaml", LOGIN)?;
    // Outside the data folder.
    let seen = app.path("seen");
    // What has a name comes before what has a place.
    let script = format!(
        "#!/bin/sh\ncase $1 in --login=*) shift ;; esac\necho \"$1 $2 $3\" >> {}\n",
        seen.display()
    );
    app.write("vault/actions/login.sh", &script)?;
    app.write("vault/rules/enter.yaml", RULE)?;
    app.write("vault/rules/broken.yaml", BROKEN)?;
    app.write("vault/actions/derived.yaml", DERIVED)?;
    app.write("vault/rules/derive.yaml", DERIVE)?;
    app.write("vault/actions/pass.yaml", PASS)?;
    app.write("vault/rules/passed.yaml", PASSED)?;
    Ok(app)
}

/// What the action was given so far.
fn seen(app: &App) -> Vec<String> {
    let text = std::fs::read_to_string(app.path("seen")).unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}

fn exported(app: &App) -> anyhow::Result<String> {
    let mut all = String::new();
    for stream in ["EVENTS", "LOG", "STATE"] {
        let output = app.run(&["log", "export", stream])?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        all.push_str(&String::from_utf8(output.stdout)?);
    }
    Ok(all)
}

fn a_secret_reaches_the_action_and_nobody_else(on: On) -> anyhow::Result<()> {
    let app = vault(on)?;
    let mut up = app.up()?;
    let (secret, plain) = ("correct-horse-battery", "plain-as-day");
    let login = format!("login={{\"pin\": \"{secret}-2\", \"note\": \"n\"}}");
    let password = format!("password={secret}");
    let user = format!("user={plain}");
    let asked = run(&app, &["vault.login", &user, &password, &login])?;
    assert_eq!(text(&asked, "/status"), "succeeded", "{asked}");
    let expected = json!({"user": plain, "password": MASK, "login": MASK, "line": MASK});
    assert_eq!(asked.get("parameters"), Some(&expected));
    let event = app.event("vault.enter", r#"{"half": "open"}"#)?;
    eventually("both", WAIT, || Ok((seen(&app).len() == 2).then_some(())))?;
    let by_rule = "open-and-the-rest";
    assert_eq!(
        seen(&app),
        [
            format!("{plain} {secret} login -p {secret}"),
            format!("rule {by_rule} login -p {by_rule}")
        ]
    );
    let ruled = eventually("the rule's execution", WAIT, || {
        let found = app.executions(&["--rule", "vault.enter", "--status", "succeeded"])?;
        Ok(found.into_iter().next())
    })?;
    let derived = run(&app, &["vault.derived", &password])?;
    let derived_by_rule = eventually("the derived one", WAIT, || {
        let found = app.executions(&["--rule", "vault.derive", "--status", "succeeded"])?;
        Ok(found.into_iter().next())
    })?;
    let expected = json!({"password": MASK, "auth": MASK, "url": MASK, "note": MASK});
    assert_eq!(derived_by_rule.get("parameters"), Some(&expected));
    // What people are shown.
    let mut shown = String::new();
    for execution in [&asked, &ruled, &derived, &derived_by_rule] {
        let id = text(execution, "/id");
        for verb in [["execution", "get", id], ["log", "explain", id]] {
            for form in [&["-o", "json"][..], &[]] {
                let output = app.run(&[form, &verb].concat())?;
                ensure!(output.status.success(), "{verb:?}");
                shown.push_str(&String::from_utf8(output.stdout)?);
            }
        }
    }
    let chain = app.json(&["log", "explain", &event])?;
    shown.push_str(&chain.to_string());
    let rules = chain.pointer("/rules").and_then(Value::as_array).context("rules")?;
    let enter = rules.iter().find(|rule| text(rule, "/rule") == "vault.enter").context("enter")?;
    assert_eq!(text(enter, "/parameters/password"), MASK);
    assert_eq!(text(enter, "/parameters/line"), MASK);
    let enforcement = chain.pointer("/enforcements").context("enforcements")?.to_string();
    ensure!(enforcement.contains("vault.broken") && enforcement.contains(MASK), "{enforcement}");
    // What is stored, in words and in bytes.
    let exported = exported(&app)?;
    ensure!(exported.contains(plain) && exported.contains("$sealed"), "the export is empty");
    up.stop()?;
    let (upper, upper_by_rule) = (secret.to_uppercase(), by_rule.to_uppercase());
    for hidden in [secret, by_rule, "written-in-the-rule", &upper, &upper_by_rule] {
        ensure!(!shown.contains(hidden), "{hidden} is shown: {shown}");
        ensure!(!exported.contains(hidden), "{hidden} is in the export");
    }
    for hidden in [secret, by_rule, &upper, &upper_by_rule] {
        ensure!(!is_within(&app.data(), hidden)?, "{hidden} is in the data folder");
        ensure!(!up.said().contains(hidden), "{hidden} is in the server's log");
    }
    let key = app.data().join("key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key)?.permissions());
    assert_eq!(mode & 0o777, 0o600);
    let key = std::fs::read_to_string(key)?;
    ensure!(key.len() == 64 && !exported.contains(&key));
    Ok(())
}

fn what_was_asked_with_a_secret_can_be_asked_again(on: On) -> anyhow::Result<()> {
    let app = vault(on)?;
    let mut up = app.up()?;
    let once = ["vault.login", "password=first-secret", "--idempotency-key", "k"];
    let first = run(&app, &once)?;
    let again = run(&app, &once)?;
    assert_eq!(text(&first, "/id"), text(&again, "/id"));
    let other =
        app.run(&["run", "vault.login", "password=other-secret", "--idempotency-key", "k"])?;
    ensure!(!other.status.success());
    ensure!(String::from_utf8_lossy(&other.stderr).contains("idempotency key"));
    let id = text(&first, "/id");
    ensure!(app.run(&["execution", "rerun", id])?.status.success());
    eventually("the second", WAIT, || Ok((seen(&app).len() == 2).then_some(())))?;
    ensure!(app.run(&["execution", "rerun", id, "password=third-secret"])?.status.success());
    eventually("the third", WAIT, || Ok((seen(&app).len() == 3).then_some(())))?;
    let passwords: Vec<String> = seen(&app)
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap_or_default().to_owned())
        .collect();
    assert_eq!(passwords, ["first-secret", "first-secret", "third-secret"]);
    // With another key nothing is guessed.
    up.stop()?;
    std::fs::write(app.data().join("key"), "0".repeat(64))?;
    let _up = app.up()?;
    let lost = app.run(&["execution", "rerun", id])?;
    let why = String::from_utf8_lossy(&lost.stderr).into_owned();
    ensure!(!lost.status.success() && why.contains("another installation's key"), "{why}");
    ensure!(app.run(&["execution", "rerun", id, "password=fourth", "line=x"])?.status.success());
    eventually("the fourth", WAIT, || Ok((seen(&app).len() == 4).then_some(())))?;
    Ok(())
}

fn what_was_rendered_once_is_data_when_it_is_asked_again(on: On) -> anyhow::Result<()> {
    let app = vault(on)?;
    let _up = app.up()?;
    let done = app.run(&["kv", "set", "pw", "opened-by-nobody", "--encrypt"])?;
    ensure!(done.status.success());
    let evil = "{% endraw %}{{ 6 * 7 }} {{ st2kv.system.pw | decrypt_kv }}";
    let o = json!({"x": evil, "l": [{evil: evil}]});
    app.event("vault.passed", &json!({"o": o, "s": evil}).to_string())?;
    let of_action = ["--action", "vault.pass", "--status", "succeeded"];
    let first =
        eventually("the first", WAIT, || Ok(app.executions(&of_action)?.into_iter().next()))?;
    assert_eq!(first.get("parameters"), Some(&json!({"o": o, "s": evil, "n": "1"})));
    let id = text(&first, "/id");
    // What is given anew is a template, as it is for whoever asks for a run.
    let again = app.json(&["execution", "rerun", id, "n={{ 1 + 1 }}"])?;
    assert_eq!(again.get("parameters"), Some(&json!({"o": o, "s": evil, "n": "2"})));
    let thrice = app.json(&["execution", "rerun", text(&again, "/id")])?;
    assert_eq!(thrice.get("parameters"), again.get("parameters"));
    Ok(())
}

on_both!(
    a_secret_reaches_the_action_and_nobody_else,
    what_was_asked_with_a_secret_can_be_asked_again,
    what_was_rendered_once_is_data_when_it_is_asked_again,
);

#[test]
fn a_runner_with_another_key_says_so() -> anyhow::Result<()> {
    let app = vault(On::Nats)?;
    let packs = app.path("packs").display().to_string();
    let front = ["--pack-source", "--packs", &packs, "--listen", "127.0.0.1:0"];
    let _front = app.serve("data", "web,ledger,rules", &front)?;
    let mut runner = app.serve("runner", "actions", &[])?;
    let failed = run(&app, &["vault.login", "password=some-secret"])?;
    assert_eq!(text(&failed, "/status"), "failed", "{failed}");
    let why = text(&failed, "/result/error");
    ensure!(why.contains("\"password\"") && why.contains("copy <data>/key"), "{why}");
    assert_eq!(seen(&app), Vec::<String>::new());
    // What it says is all there is to do.
    runner.stop()?;
    std::fs::copy(app.data().join("key"), app.path("runner").join("key"))?;
    let _runner = app.serve("runner", "actions", &[])?;
    let mended = run(&app, &["vault.login", "password=some-secret"])?;
    assert_eq!(text(&mended, "/status"), "succeeded", "{mended}");
    forged(&app)
}

/// Requests that nobody of ours made, straight on the server.
fn forged(app: &App) -> anyhow::Result<()> {
    let key = std::fs::read_to_string(app.data().join("key"))?;
    let name = hearken_kit::Sealer::from_hex(&key)?.key_id().to_owned();
    let digest = text(&app.json(&["pack", "get", "vault"])?, "/digest").to_owned();
    let sealed = [
        (format!("v1:{name}:AAAA"), "was changed"),
        (format!("v1:{name}:%"), "was changed"),
        (format!("v9:{name}:AAAA"), "not known here"),
        ("nonsense".to_owned(), "not known here"),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (index, (sealed, expected)) in sealed.iter().enumerate() {
        let id = format!("65000000{index:016x}");
        let request = json!({
            "execution": id, "action": "vault.login", "digest": digest, "secret": ["password"],
            "parameters": {"password": {"$sealed": sealed}}, "requested_at": now(app)?,
        });
        runtime.block_on(async {
            let client = async_nats::connect(app.gateway()?).await?;
            let subject = "hearken.request.action.any.vault.login";
            client.publish(subject, request.to_string().into()).await?;
            anyhow::Ok(client.flush().await?)
        })?;
        let failed = eventually("the forged request", WAIT, || {
            let found = app.json(&["execution", "get", &id])?;
            Ok((text(&found, "/status") == "failed").then_some(found))
        })?;
        ensure!(text(&failed, "/result/error").contains(expected), "{expected}: {failed}");
        assert_eq!(text(&failed, "/parameters/password"), MASK);
    }
    Ok(())
}

/// A moment of this installation's clock.
fn now(app: &App) -> anyhow::Result<Value> {
    let listed = app.executions(&[])?;
    listed.first().and_then(|e| e.get("end_timestamp")).cloned().context("an execution")
}
