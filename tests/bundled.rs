//! The packs that come with Hearken: their actions run, their sensor follows files, and rules hear
//! the triggers that Hearken publishes by itself.

#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what is not there")]

mod host;
mod mail;
mod triggers;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use self::host::Host;
use crate::harness::{App, On, eventually};

/// The start of interpreters is among what is waited for.
const WAIT: Duration = Duration::from_secs(60);

/// What packs rely on: the names of StackStorm's actions, their runners, and their own parameters.
const ACTIONS: &str = include_str!("bundled/actions.txt");

/// Runs an action to its end.
fn run(app: &App, arguments: &[&str]) -> anyhow::Result<Value> {
    let said = app.command().args(["-o", "json", "run"]).args(arguments).output()?;
    let errors = || format!("{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).with_context(errors)
}

/// Writes a program that anybody may start.
fn program(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::create_dir_all(path.parent().context("a folder")?)?;
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

#[test]
fn every_action_that_packs_rely_on_is_there() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let listed = app.json(&["action", "list"])?;
    let listed = listed.as_array().context("a list")?;
    for line in ACTIONS.lines() {
        let (reference, wanted) = line.split_once(' ').context("a name")?;
        ensure!(listed.iter().any(|action| action["ref"] == reference), "no {reference}");
        let action = app.json(&["action", "get", reference])?;
        let own = action["parameters"].as_object().context("parameters")?;
        let own = own.iter().filter(|(_, parameter)| parameter["from"] != "runner");
        let mut names: Vec<&str> = own.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let runner = action["runner_type"].as_str().context("a runner")?;
        let found = [&[runner], names.as_slice()].concat().join(" ");
        ensure!(found == wanted, "{reference}: {found} is not {wanted}");
    }
    Ok(())
}

#[test]
fn python_actions_of_core_return_what_stackstorms_do() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    for (kind, version) in [("uuid_type=uuid4", '4'), ("uuid_type=uuid1", '1')] {
        let made = run(&app, &["core.uuid", kind])?;
        let text = made["result"]["result"].as_str().with_context(|| made.to_string())?;
        ensure!(text.len() == 36 && text.chars().nth(14) == Some(version), "{made}");
    }
    let waited = run(&app, &["core.pause", "max_pause=1", "random=true"])?;
    assert_eq!((&waited["status"], &waited["result"]["result"]), (&json!("succeeded"), &json!(1)));
    let none = run(&app, &["core.pause", "max_pause=0", "random=true"])?;
    assert_eq!(none["result"]["result"], 0, "{none}");
    for action in ["core.winrm_cmd", "core.winrm_ps_cmd"] {
        let refused = run(&app, &[action, "host=h", "username=u", "password=p", "cmd=dir"])?;
        let why = refused["result"]["error"].as_str().context("why")?;
        ensure!(refused["status"] == "failed" && why.contains("OpenSSH"), "{refused}");
    }
    Ok(())
}

/// An installation, a host, and what reaches it.
struct Far {
    app: App,
    host: Host,
    _up: crate::harness::Started,
}

impl Far {
    fn start() -> anyhow::Result<Self> {
        let (app, host) = (App::new(On::Embedded)?, Host::start()?);
        fs::create_dir(app.path("there"))?;
        let up = app.up()?;
        Ok(Self { app, host, _up: up })
    }

    /// Runs an action on the host; `@` is a folder there.
    fn run(&self, arguments: &[&str]) -> anyhow::Result<(String, Value)> {
        let there = format!("{}/", self.app.path("there").display());
        let hosts = format!("hosts=127.0.0.1:{}", self.host.port);
        let key = format!("private_key={}", self.host.key().display());
        let mut all: Vec<String> =
            arguments.iter().map(|argument| argument.replace('@', &there)).collect();
        all.extend([hosts, key]);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let done = run(&self.app, &all)?;
        let status = done["status"].as_str().context("a status")?.to_owned();
        Ok((status, done["result"]["127.0.0.1"].clone()))
    }

    /// Runs an action that succeeds, and answers what it printed.
    fn printed(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let (status, result) = self.run(arguments)?;
        ensure!(status == "succeeded", "{arguments:?}: {result}");
        Ok(result["stdout"].clone())
    }

    /// Names of what is in the folder there.
    fn names(&self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.app.path("there"))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }
}

#[test]
fn files_are_copied_moved_and_removed_and_no_name_is_a_command() -> anyhow::Result<()> {
    let far = Far::start()?;
    for name in ["a1", "a2", "a b", "$(touch owned);x"] {
        fs::write(far.app.path("there").join(name), name)?;
    }
    fs::create_dir(far.app.path("there/to"))?;
    for (arguments, added) in [
        (["linux.cp", "source=@a? @nothing*", "destination=@to"], "failed"),
        (["linux.cp", "source=@a\\ b", "destination=@c"], "succeeded"),
        (["linux.cp", "source=@$(touch owned);x", "destination=@d"], "failed"),
        (["linux.cp", "source=@$(touch\\ owned);x", "destination=@`e`"], "succeeded"),
        (["linux.cp", "source=-t @to @a1", "destination=@d"], "failed"),
        (["linux.mv", "source=@a1", "destination=@it's"], "succeeded"),
        (["linux.rm", "target=@a?", "force=true"], "succeeded"),
        (["linux.rm", "target=@missing", "verbose=false"], "failed"),
        (["linux.file_touch", "file=@now; touch owned", "env={}"], "succeeded"),
    ] {
        let (status, result) = far.run(&arguments)?;
        ensure!(status == added, "{arguments:?}: {result}");
    }
    let expected = ["$(touch owned);x", "`e`", "a b", "c", "it's", "now; touch owned", "to"];
    let names = far.names()?;
    assert_eq!(
        names.iter().filter(|name| !expected.contains(&name.as_str())).count(),
        0,
        "{names:?}"
    );
    let mut copied = far.printed(&["core.remote", "cmd=ls @to"])?;
    assert_eq!(copied.take(), json!("a1\na2"));
    assert_eq!(
        far.printed(&["linux.cp", "source=@to", "destination=@u", "recursive=true", "args=-r"])?,
        ""
    );
    let gone = far.printed(&["linux.rm", "target=@u", "recursive=true"])?;
    ensure!(gone.as_str().context("what is gone")?.contains("removed directory"), "{gone}");
    // To the same host, as another server.
    let key = format!("keyfile={}", far.host.key().display());
    let way = format!("args=-q -o BatchMode=yes -o StrictHostKeyChecking=no -P {}", far.host.port);
    far.printed(&[
        "linux.scp",
        "source=@c",
        "destination=@far",
        "dest_server=127.0.0.1",
        &key,
        &way,
    ])?;
    far.printed(&["linux.scp", "source=@c", "destination=@near", "verbose=false"])?;
    for name in ["far", "near"] {
        assert_eq!(fs::read_to_string(far.app.path("there").join(name))?, "a b");
    }
    Ok(())
}

#[test]
fn hosts_are_looked_at() -> anyhow::Result<()> {
    let far = Far::start()?;
    let all = far.printed(&["linux.check_loadavg"])?;
    for minutes in ["1", "5", "15"] {
        let load = all[minutes].as_str().with_context(|| all.to_string())?;
        ensure!(load.parse::<f64>()? >= 0.0, "{all}");
    }
    let one = far.printed(&["linux.check_loadavg", "period=15"])?;
    ensure!(one.is_number(), "{one}");
    let mut sleeper = Command::new("sleep").arg("4715").stdin(Stdio::null()).spawn()?;
    let pid = sleeper.id().to_string();
    let found = far.run(&["linux.check_processes", "criteria=slee[p] 4715", "args=pidlist"])?.1;
    assert_eq!(found["stdout"], json!({ pid.as_str(): "sleep 4715" }), "{found}");
    assert_eq!(found["stderr"].to_string(), pid, "{found}");
    let by_pid = ["linux.check_processes", "search=pid", &format!("criteria={pid}")];
    assert_eq!(far.printed(&by_pid)?, json!({ pid.as_str(): "sleep 4715" }));
    let (status, broken) = far.run(&["linux.check_processes", "criteria=("])?;
    ensure!(status == "failed", "{broken}");
    ensure!(broken["stderr"].as_str().context("why")?.contains("is no expression"), "{broken}");
    let ended = far.printed(&["linux.pkill", "process=^slee[p]$"])?;
    ensure!(ended.as_str().context("which")?.contains(&format!("pid {pid}")), "{ended}");
    sleeper.wait()?;
    let none = far.run(&["linux.pkill", "process=no'such; touch @owned"])?;
    assert_eq!((none.0.as_str(), &none.1["return_code"]), ("failed", &json!(1)), "{none:?}");
    ensure!(far.names()?.is_empty(), "{:?}", far.names()?);
    // Its only parameter is the host.
    let key = format!("private_key={}", far.host.key().display());
    let host = format!("hostname=127.0.0.1:{}", far.host.port);
    let told = run(&far.app, &["linux.diag_loadavg", &host, &key])?;
    assert_eq!(told["status"], "succeeded", "{told}");
    ensure!(told.to_string().contains("== processes in state R"), "{told}");
    let memory = far.printed(&["linux.vmstat", "args=-s"])?;
    ensure!(memory.as_str().context("a table")?.contains("total memory"), "{memory}");
    Ok(())
}

/// Programs that not every host has are told what StackStorm's actions tell them.
#[test]
fn programs_are_given_their_arguments() -> anyhow::Result<()> {
    let far = Far::start()?;
    let echo = "#!/bin/sh\necho \"$(basename \"$0\") $*\"\n";
    for name in ["lsof", "netstat", "rsync", "traceroute", "sudo"] {
        program(&far.app.path("bin").join(name), echo)?;
    }
    let netstat = "#!/bin/sh\necho \"tcp 12/x\"\necho \"tcp 123/y\"\necho \"tcp 7/z\"\n";
    program(&far.app.path("bin/other/netstat"), netstat)?;
    let path = |folder: &str| {
        let folder = far.app.path(folder);
        format!("env={{\"PATH\": \"{}:/usr/bin:/bin\"}}", folder.display())
    };
    let (bin, other) = (path("bin"), path("bin/other"));
    for (arguments, expected) in [
        (&["linux.lsof", "args=-i :80", &bin][..], "lsof -i :80"),
        (&["linux.lsof_pids", "pids=[7, \"12\"]", "sudo=false", &bin], "lsof -p 7\nlsof -p 12"),
        (&["linux.lsof_pids", "pids=7; id", "sudo=false", &bin], "lsof -p 7"),
        (&["linux.netstat", &bin], "netstat "),
        (&["linux.netstat", "args=-tln", &bin], "netstat -tln"),
        (&["linux.netstat_grep", "pids=[12, 7]", &other], "tcp 12/x\ntcp 7/z"),
        (
            &["linux.rsync", "source=@a;b @c?", "dest_server=u@h", "destination=/x y", &bin],
            "rsync -avz -e ssh -o BatchMode=yes -o ConnectTimeout=30 -- @a;b @c? u@h:/x y",
        ),
        (&["linux.traceroute", "host=example.org", &bin], "traceroute -q 3 -m 30 example.org"),
        (
            &["linux.traceroute", "host=h", "hops=2", "queries_to_hop=1", &bin],
            "traceroute -q 1 -m 2 h",
        ),
    ] {
        let there = format!("{}/", far.app.path("there").display());
        assert_eq!(far.printed(arguments)?, expected.replace('@', &there), "{arguments:?}");
    }
    for (arguments, why) in [
        (&["linux.traceroute", "host=-x", &bin][..], "no host is called so"),
        (&["linux.service", "act=status", "service=x;y"], ""),
        (&["linux.service", "act=status", "service=../x"], "neither an action nor a service"),
        (&["linux.service", "act=status"], "usage: "),
    ] {
        let (status, result) = far.run(arguments)?;
        ensure!(status == "failed", "{arguments:?}: {result}");
        ensure!(result["stderr"].as_str().context("why")?.contains(why), "{arguments:?}: {result}");
    }
    Ok(())
}

#[test]
fn a_name_server_is_asked_and_a_host_waited_for() -> anyhow::Result<()> {
    let (app, host) = (App::new(On::Embedded)?, Host::start()?);
    let _up = app.up()?;
    // No dig, or one that is asked for what is no name.
    let odd = run(&app, &["linux.dig", "hostname=-f/etc/passwd"])?;
    assert_eq!(
        (&odd["status"], &odd["result"]["result"]),
        (&json!("failed"), &json!("'-f/etc/passwd' is no name"))
    );
    let answers = "#!/bin/sh\nprintf '%s\\n' \"$*\" 1.2.3.4 '' '\"x\"'\n";
    program(&app.path("bin/dig"), answers)?;
    let path = format!("env={{\"PATH\": \"{}:/usr/bin:/bin\"}}", app.path("bin").display());
    for (arguments, expected) in [
        (&["hostname=h"][..], json!(["+short h A", "1.2.3.4", "\"x\""])),
        (
            &["hostname=h", "nameserver=ns", "queryopts=short,tcp", "querytype=TXT", "count=1"],
            json!(["@ns +short +tcp h TXT"]),
        ),
    ] {
        let asked = run(&app, &[&["linux.dig", &path], arguments].concat())?;
        assert_eq!(asked["result"]["result"], expected, "{asked}");
    }
    let port = format!("port={}", host.port);
    let key = format!("keyfile={}", host.key().display());
    let wait = ["linux.wait_for_ssh", "hostname=127.0.0.1", "retries=2", "sleep_delay=0"];
    let there = run(&app, &[&wait[..], &[&port, &key]].concat())?;
    assert_eq!(
        (&there["status"], &there["result"]["result"]),
        (&json!("succeeded"), &json!(true)),
        "{there}"
    );
    for more in [&["port=1"][..], &[&port, "password=no way"]] {
        let absent = run(&app, &[&wait[..], more].concat())?;
        let said = absent["result"]["stderr"].as_str().context("why")?;
        ensure!(said.contains("attempt 2 failed"), "{absent}");
        ensure!(said.contains("Exceeded max retries (2)"), "{absent}");
        ensure!(!absent.to_string().contains("no way"), "{absent}");
    }
    Ok(())
}

/// Lines that a rule has heard of a file, in order.
fn heard(app: &App, count: usize) -> anyhow::Result<Vec<String>> {
    eventually(&format!("{count} lines"), WAIT, || {
        let arguments = ["log", "show", "EVENTS", "--subject", "event.linux.file_watch.line"];
        let shown = app.json(&[&arguments[..], &["--limit", "1000"]].concat())?;
        let shown = shown.as_array().cloned().unwrap_or_default();
        let line = |entry: &Value| entry["body"]["line"].as_str().map(str::to_owned);
        let lines: Vec<String> = shown.iter().filter_map(line).collect();
        Ok((lines.len() >= count).then_some(lines))
    })
}

#[test]
fn a_rule_hears_the_lines_of_a_file_whatever_becomes_of_it() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let log = app.path("app.log");
    let add = |path: &Path, text: &str| -> anyhow::Result<()> {
        let mut file = fs::File::options().create(true).append(true).open(path)?;
        Ok(std::io::Write::write_all(&mut file, text.as_bytes())?)
    };
    let rule = |name: &str| {
        format!(
            "name: {name}\nenabled: true\n\
             trigger: {{type: linux.file_watch.line, parameters: {{file_path: {}}}}}\n\
             action: {{ref: core.echo, parameters: {{message: '{{{{ trigger.file_name }}}} {{{{ \
             trigger.line }}}} {{{{ trigger.file_path }}}}'}}}}\n",
            app.path(name).display()
        )
    };
    add(&log, "before\n")?;
    let _up = app.up()?;
    app.write("watch/rules/app.yaml", &rule("app.log"))?;
    // The rule takes a moment; a line a time tells when the sensor has it.
    let mut tries = 0;
    eventually("the first line", WAIT, || {
        tries += 1;
        add(&log, &format!("try {tries}\n"))?;
        std::thread::sleep(Duration::from_millis(300));
        Ok((!heard(&app, 0)?.is_empty()).then_some(()))
    })?;
    let first = heard(&app, 1)?;
    ensure!(first.iter().all(|line| line.starts_with("try ")), "{first:?}");
    let begun = tries - first[0].trim_start_matches("try ").parse::<usize>()? + 1;
    heard(&app, begun)?;
    add(&log, "whole\npart")?;
    heard(&app, begun + 1)?;
    add(&log, "ly \n")?;
    heard(&app, begun + 2)?;
    // Rotation: the writer keeps the old file for a moment.
    fs::rename(&log, app.path("app.log.1"))?;
    add(&log, "new\n")?;
    heard(&app, begun + 3)?;
    add(&app.path("app.log.1"), "late\n")?;
    heard(&app, begun + 4)?;
    // Cut, and too long.
    fs::write(&log, "cut\n")?;
    heard(&app, begun + 5)?;
    add(&log, &format!("{}\nafter\n", "x".repeat(100_000)))?;
    let lines = heard(&app, begun + 7)?;
    let tail = &lines[begun..];
    assert_eq!(tail[..5], ["whole", "partly", "new", "late", "cut"]);
    assert_eq!((tail[5].len(), tail[6].as_str()), (64 << 10, "after"));
    // A file that is not there yet, and a rule that goes.
    app.write("watch/rules/late.yaml", &rule("late.log"))?;
    fs::remove_file(app.path("packs/watch/rules/app.yaml"))?;
    let listens = || -> anyhow::Result<Vec<String>> {
        let rules = app.json(&["rule", "list", "--pack", "watch"])?;
        Ok(rules.as_array().into_iter().flatten().map(|rule| rule["name"].to_string()).collect())
    };
    eventually("the other rule", WAIT, || Ok((listens()? == ["\"late.log\""]).then_some(())))?;
    add(&app.path("late.log"), "first of all\n")?;
    heard(&app, begun + 8)?;
    add(&log, "nobody listens\n")?;
    add(&app.path("late.log"), "last\n")?;
    let lines = heard(&app, begun + 9)?;
    assert_eq!(lines[begun + 7..], ["first of all", "last"]);
    let said = format!("late.log last {}", app.path("late.log").display());
    eventually("the rule", WAIT, || {
        let done = app.executions(&["--action", "core.echo", "--status", "succeeded"])?;
        Ok(done.iter().any(|done| done["result"]["stdout"] == said.as_str()).then_some(()))
    })
}
