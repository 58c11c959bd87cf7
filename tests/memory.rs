//! Rules that remember, and history decided again: the same log gives the same decisions, after
//! any restart and on any replica.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, eventually, on_both};

const WAIT: Duration = Duration::from_secs(30);
/// Rules of the random pack.
const RULES: u64 = 24;
/// Events of the random history.
const EVENTS: u64 = 240;

on_both!(
    each_memory_holds_back_what_it_should,
    what_is_remembered_survives_a_crash,
    an_absence_is_noticed_after_a_crash,
    a_rule_that_is_edited_begins_anew_and_others_remember,
    history_decided_again_is_the_same_and_other_packs_differ,
);

const NOOP: &str = "name: note\nrunner_type: noop\nparameters: {what: {type: string}}\n";

fn rule(name: &str, trigger: &str, more: &str) -> String {
    format!(
        "name: {name}\nenabled: true\ntrigger: {{type: {trigger}}}\n{more}\n\
         action: {{ref: shop.note, parameters: {{what: '{name} {{{{ trigger.n }}}}'}}}}\n"
    )
}

fn shop(on: On, rules: &[(&str, &str, &str)]) -> anyhow::Result<App> {
    let app = App::new(on)?;
    app.write("shop/pack.yaml", "name: shop\nversion: 1.0.0\n")?;
    app.write("shop/actions/note.yaml", NOOP)?;
    for (name, trigger, more) in rules {
        app.write(&format!("shop/rules/{name}.yaml"), &rule(name, trigger, more))?;
    }
    Ok(app)
}

/// What the rule called `rule` has asked for, sorted, once there are so many.
fn asked(app: &App, rule: &str, count: usize) -> anyhow::Result<Vec<String>> {
    eventually(&format!("{count} requests of {rule}"), WAIT, || {
        let found = app.executions(&["--rule", &format!("shop.{rule}")])?;
        ensure!(found.len() == count, "{} are there", found.len());
        let what = |execution: &Value| {
            execution.pointer("/parameters/what").and_then(Value::as_str).map(str::to_owned)
        };
        let mut what: Vec<String> = found.iter().filter_map(what).collect();
        // They run side by side, in no order.
        what.sort();
        Ok(Some(what))
    })
}

/// How often each field of a rule has held something back.
fn held(app: &App) -> anyhow::Result<BTreeMap<String, u64>> {
    let answer = app.run(&["log", "export", "LOG"])?;
    ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    for line in String::from_utf8(answer.stdout)?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        if let Some(by) = entry.pointer("/body/held_by").and_then(Value::as_str) {
            *held.entry(by.to_owned()).or_default() += 1;
        }
    }
    Ok(held)
}

fn each_memory_holds_back_what_it_should(on: On) -> anyhow::Result<()> {
    let key = "key: '{{ trigger.host }}'";
    let app = shop(
        on,
        &[
            ("dedupe", "m.dedupe", &format!("dedupe: {{period: 1h, {key}}}")),
            ("window", "m.window", &format!("window: {{count: 3, period: 1h, {key}}}")),
            ("throttle", "m.throttle", &format!("throttle: {{limit: 2, period: 1h, {key}}}")),
            ("cooldown", "m.cooldown", "cooldown: {period: 1h}"),
            ("absence", "m.ordered", "absence: {period: 1s, key: '{{ trigger.n }}', of: m.paid}"),
        ],
    )?;
    let up = app.up()?;
    let mut last = String::new();
    for trigger in ["m.dedupe", "m.window", "m.throttle", "m.cooldown"] {
        for (n, host) in [(1, "a"), (2, "b"), (3, "a"), (4, "a"), (5, "a")] {
            last = app.event(trigger, &json!({ "n": n, "host": host }).to_string())?;
        }
    }
    // The first is paid in time, the second never.
    app.event("m.ordered", r#"{"n": 1}"#)?;
    app.event("m.paid", r#"{"n": 1}"#)?;
    app.event("m.ordered", r#"{"n": 2}"#)?;
    assert_eq!(asked(&app, "dedupe", 2)?, ["dedupe 1", "dedupe 2"]);
    assert_eq!(asked(&app, "window", 1)?, ["window 4"]);
    assert_eq!(asked(&app, "throttle", 3)?, ["throttle 1", "throttle 2", "throttle 3"]);
    assert_eq!(asked(&app, "cooldown", 1)?, ["cooldown 1"]);
    assert_eq!(asked(&app, "absence", 1)?, ["absence 2"]);
    let expected = [("absence", 2), ("cooldown", 4), ("dedupe", 3), ("throttle", 2), ("window", 4)];
    let expected: BTreeMap<String, u64> = expected.map(|(by, n)| (by.to_owned(), n)).into();
    eventually("what was held back to be on record", WAIT, || {
        let held = held(&app)?;
        ensure!(held == expected, "{held:?}");
        Ok(Some(()))
    })?;
    let explained = app.json(&["log", "explain", &last])?;
    assert_eq!(
        explained.pointer("/enforcements/0/held_by"),
        Some(&json!("cooldown")),
        "{explained}"
    );
    drop(up);
    Ok(())
}

fn what_is_remembered_survives_a_crash(on: On) -> anyhow::Result<()> {
    let app = shop(
        on,
        &[
            ("dedupe", "m.event", "dedupe: {period: 1h, key: '{{ trigger.host }}'}"),
            ("window", "m.event", "window: {count: 3, period: 1h}"),
        ],
    )?;
    for n in 1..=3 {
        let mut up = app.up()?;
        app.event("m.event", &json!({ "n": n, "host": "a" }).to_string())?;
        if n == 2 {
            // The others end before anything is kept of their event, and it is read again. What is
            // before a change of definitions is not: it must have been kept.
            let edit = rule(&format!("other{n}"), "m.other", "");
            app.write(&format!("shop/rules/other{n}.yaml"), &edit)?;
            eventually("what is remembered to be kept", WAIT, || {
                let kept = app.json(&["log", "show", "STATE", "--subject", "state.fold.rules"])?;
                let newest = kept.as_array().and_then(|kept| kept.last()).context("something")?;
                let place = newest.pointer("/body/place").and_then(Value::as_u64);
                ensure!(place > Some(4), "{newest}");
                Ok(Some(()))
            })?;
        }
        up.kill()?;
    }
    let _up = app.up()?;
    app.event("m.event", r#"{"n": 4, "host": "b"}"#)?;
    assert_eq!(asked(&app, "dedupe", 2)?, ["dedupe 1", "dedupe 4"]);
    assert_eq!(asked(&app, "window", 1)?, ["window 3"]);
    Ok(())
}

fn an_absence_is_noticed_after_a_crash(on: On) -> anyhow::Result<()> {
    let app =
        shop(on, &[("absence", "m.ordered", "absence: {period: 2s, of: {trigger: m.paid}}")])?;
    let mut up = app.up()?;
    app.event("m.ordered", r#"{"n": 1}"#)?;
    up.kill()?;
    let _up = app.up()?;
    assert_eq!(asked(&app, "absence", 1)?, ["absence 1"]);
    Ok(())
}

fn a_rule_that_is_edited_begins_anew_and_others_remember(on: On) -> anyhow::Result<()> {
    let dedupe = "dedupe: {period: 1h}";
    let app = shop(on, &[("one", "m.event", dedupe), ("two", "m.event", dedupe)])?;
    let _up = app.up()?;
    app.event("m.event", r#"{"n": 1}"#)?;
    asked(&app, "two", 1)?;
    app.write("shop/rules/one.yaml", &rule("one", "m.event", "dedupe: {period: 2h}"))?;
    eventually("the edit", WAIT, || {
        let known = app.json(&["rule", "get", "shop.one"])?;
        Ok((known.pointer("/dedupe/period") == Some(&json!("2h"))).then_some(()))
    })?;
    app.event("m.event", r#"{"n": 2}"#)?;
    assert_eq!(asked(&app, "one", 2)?, ["one 1", "one 2"]);
    assert_eq!(asked(&app, "two", 1)?, ["two 1"]);
    Ok(())
}

/// A small generator, so that a failure is repeated by running again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices.get(at).copied().unwrap_or_default()
    }
}

/// Criteria and memory of a rule, at random.
fn random_rule(random: &mut Random) -> String {
    let criteria = random.of(&[
        "criteria: {trigger.n: {type: lessthan, pattern: 150}}",
        "criteria: {trigger.host: {type: equals, pattern: a}}",
        "criteria: {trigger.host: {type: regex, pattern: '^[ab]'}}",
        "criteria: {trigger.odd: {type: equals, pattern: true}, trigger.n: {type: gt, pattern: 20}}",
        "criteria: {any: [{trigger.host: {type: equals, pattern: c}}, {trigger.n: {type: lt, pattern: 9}}]}",
        "criteria: {trigger.missing: {type: greaterthan, pattern: 1}}",
        "",
    ]);
    let period = random.of(&["300ms", "1s", "5s", "1h"]);
    let period = if period == "300ms" { "0.3" } else { period };
    let key = random.of(&["", ", key: '{{ trigger.host }}'", ", key: '{{ trigger.odd }}'"]);
    let count = 2 + random.below(3);
    let memory = match random.below(7) {
        0 => format!("dedupe: {{period: {period}{key}}}"),
        1 => format!("window: {{count: {count}, period: {period}{key}}}"),
        2 => format!("throttle: {{limit: {count}, period: {period}{key}}}"),
        3 => format!("cooldown: {{period: {period}{key}}}"),
        4 => format!(
            "absence: {{period: {period}{key}, of: {{trigger: m.other}}}}\nthrottle: {{limit: 5, period: 1s}}"
        ),
        5 => format!(
            "dedupe: {{period: 0.2{key}}}\nwindow: {{count: {count}, period: {period}}}\ncooldown: {{period: 0.5}}"
        ),
        _ => String::new(),
    };
    format!("{criteria}\n{memory}")
}

fn history_decided_again_is_the_same_and_other_packs_differ(on: On) -> anyhow::Result<()> {
    let mut random = Random(7);
    let app = shop(on, &[])?;
    for n in 0..RULES {
        let (name, rule_text) = (format!("r{n}"), random_rule(&mut random));
        let trigger = random.of(&["m.event", "m.event", "m.other"]);
        app.write(&format!("shop/rules/{name}.yaml"), &rule(&name, trigger, &rule_text))?;
    }
    let mut up = Some(app.up()?);
    for n in 0..EVENTS {
        let payload = json!({
            "n": random.below(200), "host": random.of(&["a", "b", "c"]), "odd": n % 2 == 1,
        });
        app.event(random.of(&["m.event", "m.event", "m.other"]), &payload.to_string())?;
        if n == EVENTS / 3 || n == EVENTS / 2 {
            up.take().context("running")?.kill()?;
            up = Some(app.up()?);
        }
        if n == 2 * EVENTS / 3 {
            // Definitions change in the middle as well.
            app.write("shop/rules/r0.yaml", &rule("r0", "m.event", &random_rule(&mut random)))?;
        }
    }
    // An event that every host has decided about comes after all that were to be decided.
    app.write("shop/rules/last.yaml", &rule("last", "m.last", "dedupe: {period: 1s}"))?;
    eventually("the last rule", WAIT, || Ok(app.json(&["rule", "get", "shop.last"]).ok()))?;
    app.event("m.last", r#"{"n": 0}"#)?;
    asked(&app, "last", 1)?;
    let replayed = app.json(&["log", "replay", "--until", "0s"])?;
    ensure!(replayed.as_array().is_some_and(Vec::is_empty), "{replayed:#}");
    ensure!(held(&app)?.len() > 2, "the random rules held too little back: {:?}", held(&app)?);

    // A rule less, a rule more, and one that asks for something else.
    let other = app.path("other");
    std::fs::create_dir_all(&other)?;
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(app.path("packs/shop"))
        .arg(&other)
        .status()?;
    ensure!(copied.success());
    std::fs::remove_file(other.join("shop/rules/last.yaml"))?;
    std::fs::write(other.join("shop/rules/more.yaml"), rule("more", "m.last", ""))?;
    let packs = other.display().to_string();
    let differs = |app: &App| -> anyhow::Result<Vec<(String, String)>> {
        let rows = app.json(&["log", "replay", "--since", "1h", "--packs", &packs])?;
        let text = |row: &Value, at: &str| row.get(at).and_then(Value::as_str).map(str::to_owned);
        let rows = rows.as_array().context("rows")?.iter();
        let named = rows.map(|row| Some((text(row, "rule")?, text(row, "change")?)));
        let mut named: Vec<(String, String)> = named.collect::<Option<_>>().context("a row")?;
        named.retain(|(rule, _)| rule != "shop.r0");
        Ok(named)
    };
    let expected = vec![
        ("shop.last".to_owned(), "missing".to_owned()),
        ("shop.more".to_owned(), "added".to_owned()),
    ];
    assert_eq!(differs(&app)?, expected);
    // The same without a server, where the log is here.
    drop(up);
    if on == On::Embedded {
        assert_eq!(differs(&app)?, expected);
    }
    Ok(())
}
