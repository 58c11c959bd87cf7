//! Policies: who waits, who is let in, who is tried again, on both buses and over several runners.
//!
//! What ran, and when, is told by the scripts themselves: they append to files beside the packs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, Started, eventually, on_both};

/// The lease of a runner, and a look or two after it, fit into it.
const WAIT: Duration = Duration::from_secs(120);

on_both!(
    two_at_once_and_everybody_in_turn,
    one_too_many_is_canceled,
    equal_attributes_wait_for_each_other,
    a_rate_is_kept_and_everybody_starts,
    a_failure_is_tried_again_after_a_pause,
    a_retry_outlives_the_process,
    a_place_comes_back_from_a_runner_that_was_killed,
    nobody_is_lost_while_everything_is_killed,
    who_waits_can_be_canceled,
    two_policies_are_kept_together,
    a_policy_that_goes_lets_everybody_in,
    a_large_result_is_kept_whole,
    the_end_of_an_action_is_a_fact,
);

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// An installation with the action `p.work`, a shell script with the parameters `n` and `of`.
fn working(on: On, script: &str) -> anyhow::Result<App> {
    let app = App::new(on)?;
    app.write(
        "p/actions/work.yaml",
        "name: work\nrunner_type: local-shell-script\nentry_point: work.sh\nparameters:\n  \
         n: {type: integer, default: 100, position: 0}\n  \
         of: {type: string, default: x, position: 1}\n",
    )?;
    let folder = app.path("seen");
    std::fs::create_dir_all(&folder)?;
    let script = format!("#!/bin/sh\ncd {} || exit 9\n{script}", folder.display());
    app.write("p/actions/work.sh", &script)?;
    Ok(app)
}

fn policy(app: &App, name: &str, policy_type: &str, parameters: &Value) -> anyhow::Result<()> {
    let policy = json!({
        "name": name, "resource_ref": "p.work", "policy_type": policy_type,
        "parameters": parameters,
    });
    app.write(&format!("p/policies/{name}.yaml"), &policy.to_string())
}

fn ask(app: &App, arguments: &[&str]) -> anyhow::Result<String> {
    let asked = app.run(&[&["run", "p.work", "--async"], arguments].concat())?;
    ensure!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    Ok(String::from_utf8(asked.stdout)?.trim().to_owned())
}

fn lines(app: &App, file: &str) -> Vec<String> {
    let content = std::fs::read_to_string(app.path("seen").join(file)).unwrap_or_default();
    content.lines().map(str::to_owned).collect()
}

fn touch(app: &App, file: &str) -> anyhow::Result<()> {
    Ok(std::fs::write(app.path("seen").join(file), "")?)
}

/// Waits until so many executions of `p.work` are `status`.
fn are(app: &App, status: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    eventually(&format!("{count} {status}"), WAIT, || {
        let mut found = app.executions(&["--action", "p.work", "--status", status])?;
        // A listing is asked for page by page, and what happens in between shifts the pages.
        let mut seen = BTreeSet::new();
        found.retain(|execution| seen.insert(text(execution, "/id").to_owned()));
        Ok((found.len() == count).then_some(found))
    })
}

fn statuses(execution: &Value) -> Vec<&str> {
    let log = execution.get("log").and_then(Value::as_array).map(Vec::as_slice);
    log.unwrap_or_default().iter().map(|step| text(step, "/status")).collect()
}

fn first_of(executions: &[Value]) -> anyhow::Result<&Value> {
    executions.first().context("an execution")
}

/// One process, or on a nats-server a front and two runners.
fn start(app: &App) -> anyhow::Result<Vec<Started>> {
    if app.nats.is_none() {
        return Ok(vec![app.up()?]);
    }
    let packs = app.path("packs").display().to_string();
    let front = ["--pack-source", "--packs", &packs, "--listen", "127.0.0.1:0"];
    Ok(vec![
        app.serve("data", "web,ledger,rules,sensors", &front)?,
        app.serve("one", "actions", &[])?,
        app.serve("two", "actions", &[])?,
    ])
}

/// Says who is there, counts who else is, and stays until it may go.
const COUNTED: &str = "\
touch in.$1.$$
ls in.* | wc -l >> counted
echo $1 >> order
while [ ! -e go ]; do sleep 0.02; done
sleep 0.05
ls in.* | wc -l >> counted
rm in.$1.$$
";

fn two_at_once_and_everybody_in_turn(on: On) -> anyhow::Result<()> {
    let app = working(on, COUNTED)?;
    policy(&app, "two", "action.concurrency", &json!({"threshold": 2}))?;
    let _running = start(&app)?;
    for n in 1..=12 {
        ask(&app, &[&format!("n={n}")])?;
        // The first two are in before the others come, so that those are in order.
        if n == 2 {
            eventually("both", WAIT, || Ok((lines(&app, "order").len() == 2).then_some(())))?;
        }
    }
    let waiting = are(&app, "delayed", 10)?;
    assert_eq!(statuses(first_of(&waiting)?), ["requested", "delayed"]);
    touch(&app, "go")?;
    let done = are(&app, "succeeded", 12)?;
    let counted = lines(&app, "counted");
    assert_eq!(counted.len(), 24);
    ensure!(counted.iter().all(|count| matches!(count.trim(), "1" | "2")), "{counted:?}");
    let order: Vec<u32> =
        lines(&app, "order").iter().map(|n| n.parse()).collect::<Result<_, _>>()?;
    // Two start at once, and either may say so first.
    for three in order.windows(3) {
        ensure!(three.first() < three.last(), "{order:?}");
    }
    let delayed = done.iter().filter(|e| statuses(e).contains(&"delayed")).count();
    assert_eq!(delayed, 10);
    Ok(())
}

fn one_too_many_is_canceled(on: On) -> anyhow::Result<()> {
    let app = working(on, COUNTED)?;
    policy(&app, "one", "action.concurrency", &json!({"threshold": 1, "action": "cancel"}))?;
    let _running = start(&app)?;
    ask(&app, &[])?;
    eventually("the first", WAIT, || Ok((!lines(&app, "order").is_empty()).then_some(())))?;
    ask(&app, &["n=1"])?;
    let canceled = are(&app, "canceled", 1)?;
    let why = text(first_of(&canceled)?, "/result/error");
    assert_eq!(why, "policy p.one: 1 are running already");
    touch(&app, "go")?;
    are(&app, "succeeded", 1)?;
    ask(&app, &["n=2"])?;
    are(&app, "succeeded", 2)?;
    assert_eq!(lines(&app, "order"), ["100", "2"]);
    Ok(())
}

fn equal_attributes_wait_for_each_other(on: On) -> anyhow::Result<()> {
    let app = working(on, "echo $2 >> order\nwhile [ ! -e go.$2 ]; do sleep 0.02; done\n")?;
    let parameters = json!({"threshold": 1, "attributes": ["of"]});
    policy(&app, "each", "action.concurrency.attr", &parameters)?;
    let _running = start(&app)?;
    for of in ["x", "x", "y", "z", "y"] {
        // The default counts as given.
        if of == "x" {
            ask(&app, &[])?
        } else {
            ask(&app, &[&format!("of={of}")])?
        };
    }
    let waiting = are(&app, "delayed", 2)?;
    are(&app, "running", 3)?;
    let mut of: Vec<&str> = waiting.iter().map(|e| text(e, "/parameters/of")).collect();
    of.sort_unstable();
    assert_eq!(of, ["", "y"]);
    touch(&app, "go.y")?;
    are(&app, "succeeded", 2)?;
    assert_eq!(lines(&app, "order").iter().filter(|of| *of == "x").count(), 1);
    touch(&app, "go.x")?;
    touch(&app, "go.z")?;
    are(&app, "succeeded", 5)?;
    Ok(())
}

fn a_rate_is_kept_and_everybody_starts(on: On) -> anyhow::Result<()> {
    let app = working(on, "exit 0\n")?;
    policy(&app, "slow", "action.rate", &json!({"limit": 3, "period": "2s"}))?;
    let _running = start(&app)?;
    for n in 0..9 {
        ask(&app, &[&format!("n={n}")])?;
    }
    let done = are(&app, "succeeded", 9)?;
    ensure!(done.iter().any(|e| statuses(e).contains(&"delayed")), "nobody waited");
    // The first was let in after it was asked for, the last before it started, and two periods lie
    // between them: true however late anything comes.
    let asked = done.iter().map(asked).collect::<Result<Vec<_>, _>>()?;
    let started = done.iter().map(started).collect::<Result<Vec<_>, _>>()?;
    let first = asked.iter().copied().min_by(f64::total_cmp).context("some")?;
    let last = started.iter().copied().max_by(f64::total_cmp).context("some")?;
    ensure!(last - first >= 4.0, "nine starts took {} s", last - first);
    Ok(())
}

/// When an execution was asked for, in seconds of its day.
fn asked(execution: &Value) -> anyhow::Result<f64> {
    seconds(text(execution, "/log/0/timestamp"))
}

/// When it started.
fn started(execution: &Value) -> anyhow::Result<f64> {
    seconds(text(execution, "/start_timestamp"))
}

fn seconds(time: &str) -> anyhow::Result<f64> {
    let clock = time.split(['T', 'Z']).nth(1).context("a time")?;
    let mut seconds = 0.0;
    for part in clock.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>()?;
    }
    Ok(seconds)
}

fn a_failure_is_tried_again_after_a_pause(on: On) -> anyhow::Result<()> {
    let app = working(on, "echo $1 >> tries\n[ $(wc -l < tries) -ge 3 ]\n")?;
    let parameters = json!({"retry_on": "failure", "max_retry_count": 2, "delay": 1});
    policy(&app, "again", "action.retry", &parameters)?;
    let _running = start(&app)?;
    let first = ask(&app, &["n=7"])?;
    let done = are(&app, "succeeded", 1)?;
    let failed = are(&app, "failed", 2)?;
    assert_eq!(lines(&app, "tries"), ["7", "7", "7"]);
    assert_eq!(statuses(first_of(&done)?), ["requested", "delayed", "running", "succeeded"]);
    let second = failed.iter().find(|e| text(e, "/id") != first).context("the second")?;
    assert_eq!(text(second, "/context/rerun_of"), first);
    assert_eq!(text(first_of(&done)?, "/context/rerun_of"), text(second, "/id"));
    let pause = started(first_of(&done)?)? - asked(first_of(&done)?)?;
    ensure!(pause >= 1.0, "it waited {pause} s");
    Ok(())
}

fn a_retry_outlives_the_process(on: On) -> anyhow::Result<()> {
    let app = working(on, "echo $1 >> tries\n[ -e good ]\n")?;
    let parameters = json!({"retry_on": "failure", "max_retry_count": 1, "delay": 3});
    policy(&app, "again", "action.retry", &parameters)?;
    let mut running = start(&app)?;
    ask(&app, &[])?;
    are(&app, "delayed", 1)?;
    for started in &mut running {
        started.kill()?;
    }
    drop(running);
    touch(&app, "good")?;
    let _running = start(&app)?;
    are(&app, "succeeded", 1)?;
    assert_eq!(lines(&app, "tries").len(), 2);
    Ok(())
}

fn a_place_comes_back_from_a_runner_that_was_killed(on: On) -> anyhow::Result<()> {
    let app = working(on, "echo $1 >> order\nwhile [ ! -e go ]; do sleep 0.02; done\n")?;
    policy(&app, "one", "action.concurrency", &json!({"threshold": 1}))?;
    let mut running = start(&app)?;
    ask(&app, &["n=1"])?;
    eventually("the first", WAIT, || Ok((!lines(&app, "order").is_empty()).then_some(())))?;
    for n in 2..5 {
        ask(&app, &[&format!("n={n}")])?;
    }
    are(&app, "delayed", 3)?;
    for started in &mut running {
        started.kill()?;
    }
    drop(running);
    touch(&app, "go")?;
    let _running = start(&app)?;
    are(&app, "abandoned", 1)?;
    are(&app, "succeeded", 3)?;
    assert_eq!(lines(&app, "order"), ["1", "2", "3", "4"]);
    Ok(())
}

fn nobody_is_lost_while_everything_is_killed(on: On) -> anyhow::Result<()> {
    const ASKED: usize = 40;
    let app = working(on, "echo $1 >> order\nsleep 0.1\n")?;
    policy(&app, "two", "action.concurrency", &json!({"threshold": 2}))?;
    policy(&app, "fast", "action.rate", &json!({"limit": 3, "period": "200ms"}))?;
    let each = json!({"threshold": 1, "attributes": ["of"]});
    policy(&app, "each", "action.concurrency.attr", &each)?;
    let mut up = app.up()?;
    for n in 1..=ASKED {
        ask(&app, &[&format!("n={n}"), &format!("of={}", n % 3)])?;
    }
    let ended = |app: &App| -> anyhow::Result<(usize, usize)> {
        let all: BTreeMap<String, Value> = app
            .executions(&["--action", "p.work"])?
            .into_iter()
            .map(|execution| (text(&execution, "/id").to_owned(), execution))
            .collect();
        let are = |status: &str| all.values().filter(|e| text(e, "/status") == status).count();
        Ok((are("succeeded"), are("abandoned")))
    };
    // Each time after some more have ended, so that every kill meets another moment.
    for kills in 1..=4 {
        eventually("some more", WAIT, || {
            let (succeeded, abandoned) = ended(&app)?;
            Ok((succeeded + abandoned >= kills * 6).then_some(()))
        })?;
        up.kill()?;
        up = app.up()?;
    }
    let (succeeded, abandoned) = eventually("all of them", WAIT, || {
        let (succeeded, abandoned) = ended(&app)?;
        Ok((succeeded + abandoned == ASKED).then_some((succeeded, abandoned)))
    })?;
    ensure!(abandoned <= 4 * 2, "{succeeded} succeeded, {abandoned} were abandoned");
    let mut order = lines(&app, "order");
    order.sort_unstable();
    let starts = order.len();
    order.dedup();
    assert_eq!(order.len(), starts, "one started twice");
    // Nobody is left in a gate: another one runs at once.
    ask(&app, &["n=99"])?;
    eventually("the next", WAIT, || Ok((ended(&app)?.0 == succeeded + 1).then_some(())))
}

#[test]
fn a_place_comes_back_although_its_runner_does_not() -> anyhow::Result<()> {
    let app = working(On::Nats, "echo $1 >> order\nwhile [ ! -e go ]; do sleep 0.02; done\n")?;
    policy(&app, "one", "action.concurrency", &json!({"threshold": 1}))?;
    let mut running = start(&app)?;
    ask(&app, &["n=1"])?;
    let held = are(&app, "running", 1)?;
    ask(&app, &["n=2"])?;
    are(&app, "delayed", 1)?;
    // Whoever holds it ends for good; the other one finds out by its silence.
    let holder = text(&held[0], "/runner_id").to_owned();
    for (name, started) in ["data", "one", "two"].iter().zip(&mut running) {
        let claims = std::fs::read_to_string(app.path(name).join("runs/claims"));
        if claims.is_ok_and(|claims| claims.contains(&holder)) {
            started.kill()?;
        }
    }
    are(&app, "abandoned", 1)?;
    touch(&app, "go")?;
    are(&app, "succeeded", 1)?;
    assert_eq!(lines(&app, "order"), ["1", "2"]);
    Ok(())
}

fn who_waits_can_be_canceled(on: On) -> anyhow::Result<()> {
    let app = working(on, COUNTED)?;
    policy(&app, "one", "action.concurrency", &json!({"threshold": 1}))?;
    let _running = start(&app)?;
    ask(&app, &["n=1"])?;
    eventually("the first", WAIT, || Ok((!lines(&app, "order").is_empty()).then_some(())))?;
    let second = ask(&app, &["n=2"])?;
    are(&app, "delayed", 1)?;
    ask(&app, &["n=3"])?;
    are(&app, "delayed", 2)?;
    ensure!(app.run(&["execution", "cancel", &second])?.status.success());
    are(&app, "canceled", 1)?;
    touch(&app, "go")?;
    are(&app, "succeeded", 2)?;
    assert_eq!(lines(&app, "order"), ["1", "3"]);
    Ok(())
}

fn two_policies_are_kept_together(on: On) -> anyhow::Result<()> {
    let app = working(on, COUNTED)?;
    policy(&app, "many", "action.concurrency", &json!({"threshold": 3}))?;
    let each = json!({"threshold": 1, "attributes": ["of"]});
    policy(&app, "each", "action.concurrency.attr", &each)?;
    policy(&app, "slow", "action.rate", &json!({"limit": 4, "period": 1}))?;
    touch(&app, "go")?;
    let _running = start(&app)?;
    for n in 1..=16 {
        ask(&app, &[&format!("n={n}"), &format!("of={}", n % 5)])?;
    }
    are(&app, "succeeded", 16)?;
    let counted = lines(&app, "counted");
    ensure!(counted.iter().all(|n| n.trim().parse::<u32>().is_ok_and(|n| n <= 3)), "{counted:?}");
    let mut order = lines(&app, "order");
    order.sort_by_key(|n| n.parse::<u32>().unwrap_or(u32::MAX));
    let all: Vec<String> = (1..=16).map(|n| n.to_string()).collect();
    assert_eq!(order, all, "each ran once");
    Ok(())
}

fn a_policy_that_goes_lets_everybody_in(on: On) -> anyhow::Result<()> {
    let app = working(on, "echo $1 >> order\nwhile [ ! -e go ]; do sleep 0.02; done\n")?;
    policy(&app, "one", "action.concurrency", &json!({"threshold": 1}))?;
    let _running = start(&app)?;
    for n in 0..3 {
        ask(&app, &[&format!("n={n}")])?;
    }
    are(&app, "delayed", 2)?;
    std::fs::remove_file(app.path("packs").join("p/policies/one.yaml"))?;
    are(&app, "running", 3)?;
    touch(&app, "go")?;
    are(&app, "succeeded", 3)?;
    Ok(())
}

fn a_large_result_is_kept_whole(on: On) -> anyhow::Result<()> {
    let app = working(on, "head -c 150000 /dev/zero | tr '\\0' a\nexit 3\n")?;
    let _running = start(&app)?;
    let id = ask(&app, &[])?;
    are(&app, "failed", 1)?;
    let execution = app.json(&["execution", "get", &id])?;
    assert_eq!(execution.pointer("/result/return_code"), Some(&json!(3)));
    let digest = execution.pointer("/result/$blob").and_then(Value::as_str);
    let Some(digest) = digest else {
        // Whoever shows an execution may put the whole in its place.
        assert_eq!(text(&execution, "/result/stdout").len(), 150_000);
        return Ok(());
    };
    if on == On::Embedded {
        let kept = std::fs::read(app.data().join("blobs").join(digest))?;
        let kept: Value = serde_json::from_slice(&kept)?;
        assert_eq!(text(&kept, "/stdout").len(), 150_000);
        assert_eq!(kept.pointer("/return_code"), Some(&json!(3)));
    }
    Ok(())
}

fn the_end_of_an_action_is_a_fact(on: On) -> anyhow::Result<()> {
    let app = working(on, "echo hello $2; [ $1 = 100 ]\n")?;
    app.write(
        "p/actions/secret.yaml",
        "name: secret\nrunner_type: noop\nparameters:\n  \
         word: {type: string, secret: true, required: true}\n",
    )?;
    app.write(
        "p/rules/ended.yaml",
        "name: ended\nenabled: true\ntrigger: {type: core.st2.generic.actiontrigger}\n\
         criteria:\n  trigger.action_ref: {type: regex, pattern: '^p\\.'}\n\
         action:\n  ref: core.local\n  parameters:\n    \
         cmd: echo '{{ trigger.action_ref }} {{ trigger.status }} {{ trigger.runner_ref }} \
         {{ trigger.parameters }} {{ trigger.execution_id }}'\n",
    )?;
    // One data folder: a secret is sealed with the key of the one that takes it.
    let _up = app.up()?;
    let good = ask(&app, &[])?;
    let bad = ask(&app, &["n=1"])?;
    ensure!(app.run(&["run", "p.secret", "word=abracadabra"])?.status.success());
    let heard = eventually("three facts", WAIT, || {
        let found = app.executions(&["--rule", "p.ended", "--status", "succeeded"])?;
        Ok((found.len() == 3).then_some(found))
    })?;
    let said: Vec<&str> = heard.iter().map(|e| text(e, "/result/stdout")).collect();
    for (status, id) in [("succeeded", good), ("failed", bad)] {
        let start = format!("p.work {status} local-shell-script");
        let told = |said: &&str| said.starts_with(&start) && said.ends_with(&id);
        ensure!(said.iter().any(told), "{said:?}");
    }
    let all = said.join("\n");
    ensure!(all.contains("p.secret succeeded noop") && all.contains("********"), "{all}");
    ensure!(!all.contains("abracadabra"), "{all}");
    let chain = app.json(&["log", "explain", text(first_of(&heard)?, "/id")])?;
    assert_eq!(text(&chain, "/event/trigger"), "core.st2.generic.actiontrigger");
    Ok(())
}

#[test]
fn a_policy_that_is_wrong_is_told_by_its_line() -> anyhow::Result<()> {
    let app = working(On::Embedded, "exit 0\n")?;
    app.write(
        "p/policies/bad.yaml",
        "name: bad\nresource_ref: p.work\npolicy_type: action.concurrency\nparameters:\n  \
         threshold: 0\n",
    )?;
    policy(&app, "lost", "action.concurrency", &json!({"threshold": 1}))?;
    let lost = app.path("packs").join("p/policies/lost.yaml");
    let content = std::fs::read_to_string(&lost)?.replace("p.work", "p.nothing");
    std::fs::write(Path::new(&lost), content)?;
    let up = app.up()?;
    let said = up.said();
    ensure!(said.contains("policies/bad.yaml:5"), "{said}");
    ensure!(said.contains("policies/lost.yaml:") && said.contains("p.nothing"), "{said}");
    ask(&app, &[])?;
    are(&app, "succeeded", 1)?;
    Ok(())
}
