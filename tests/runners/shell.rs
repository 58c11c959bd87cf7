//! The runners local-shell-cmd and local-shell-script, line by line of what StackStorm promises.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{Server, check, kept, run, text};
use crate::harness::{App, On};

/// Prints its arguments, each on a line. It neither is executable nor says what reads it.
const ARGUMENTS: &str = "printf '%s\\n' \"$@\"\n";

const SCRIPT: &str = "
name: script
runner_type: local-shell-script
entry_point: arguments.sh
parameters:
  named: {type: string}
  flag: {type: boolean}
  off: {type: boolean, default: false}
  list: {type: array}
  second: {type: boolean, default: true, position: 1}
  first: {type: string, position: 0}
  last: {type: string, position: 2}
";

fn pack() -> anyhow::Result<App> {
    let app = App::new(On::Embedded)?;
    app.write("sh/actions/arguments.sh", ARGUMENTS)?;
    app.write("sh/actions/script.yaml", SCRIPT)?;
    for (name, runner, entry_point) in [
        ("old_script", "run-local", "entry_point: arguments.sh\n"),
        ("old_script_too", "run-local-script", "entry_point: arguments.sh\n"),
        ("old_command", "run-local", ""),
        ("underscores", "local_shell_cmd", ""),
    ] {
        let parameters = if entry_point.is_empty() {
            "parameters: {cmd: {default: 'echo old'}}\n"
        } else {
            "parameters: {word: {type: string, default: old, position: 0}}\n"
        };
        let action = format!("name: {name}\nrunner_type: {runner}\n{entry_point}{parameters}");
        app.write(&format!("sh/actions/{name}.yaml"), &action)?;
    }
    Ok(app)
}

fn out(value: impl Into<Value>) -> (&'static str, Value) {
    ("/result/stdout", value.into())
}

#[test]
fn commands_do_what_stackstorm_says() -> anyhow::Result<()> {
    let app = pack()?;
    let _up = app.up()?;
    let here = std::env::current_dir()?.display().to_string();
    let failed = ("/result/failed", json!(true));
    check(
        &app,
        &[
            (&["core.local", "cmd=pwd", "cwd=/usr"], "succeeded", &[out("/usr")]),
            (&["core.local", "cmd=pwd"], "succeeded", &[out(here)]),
            (&["core.local", "cmd=echo $A", "env=A=b c"], "succeeded", &[out("b c")]),
            (
                // Which pack it is nobody else says.
                &["core.local", "cmd=echo $ST2_ACTION_PACK_NAME", "env=ST2_ACTION_PACK_NAME=x"],
                "succeeded",
                &[out("core")],
            ),
            (
                &["core.local", "cmd=echo ${HEARKEN_BUS_DUPLICATE_WINDOW-none}"],
                "succeeded",
                &[out("none")],
            ),
            (&["core.local", "cmd=echo ${ST2_ACTION_DEBUG-none}"], "succeeded", &[out("none")]),
            (&["core.local", r#"cmd=echo '{"a": [1]}'"#], "succeeded", &[out(json!({"a": [1]}))]),
            (&["core.local", "cmd=echo 123"], "succeeded", &[out(123)]),
            (&["core.local", "cmd=echo '{broken'"], "succeeded", &[out("{broken")]),
            (&["core.local", "cmd=printf 'a\\n\\n'"], "succeeded", &[out("a\n")]),
            (&["core.local", "cmd=cat"], "succeeded", &[out("")]),
            (
                &["core.local", "cmd=echo bad >&2; exit 3"],
                "failed",
                &[("/result/return_code", json!(3)), ("/result/stderr", json!("bad")), failed],
            ),
            (
                &["core.local", "cmd=sleep 60", "timeout=1"],
                "timeout",
                &[
                    ("/result/return_code", json!(-9)),
                    ("/result/error", json!("the action took longer than 1 s and was ended")),
                ],
            ),
            (
                &["core.local", "cmd=kill -TERM $$"],
                "abandoned",
                &[("/result/return_code", json!(-15))],
            ),
            (&["core.local", "cmd=kill -KILL $$"], "failed", &[("/result/return_code", json!(-9))]),
            (&["core.local", "cmd=pwd", "cwd=/does/not/exist"], "failed", &[]),
            (&["core.local", "cmd="], "failed", &[]),
            (&["sh.old_command"], "succeeded", &[out("old")]),
            (&["sh.underscores"], "succeeded", &[out("old")]),
        ],
    )?;
    let said = "cmd=echo $ST2_ACTION_EXECUTION_ID $ST2_ACTION_API_URL";
    let told = run(&app, &["core.local", said])?;
    let (id, url) = text(&told, "/result/stdout").split_once(' ').context("both")?;
    assert_eq!(id, text(&told, "/id"));
    ensure!(url.starts_with("http://127.0.0.1:"), "{url}");
    Ok(())
}

#[test]
fn scripts_get_their_arguments_as_stackstorm_says() -> anyhow::Result<()> {
    let app = pack()?;
    let debug = "name: debug\nrunner_type: local-shell-script\nentry_point: debug.sh\n";
    app.write("sh/actions/debug.yaml", debug)?;
    app.write("sh/actions/debug.sh", "#!/bin/sh\necho \"$ST2_ACTION_DEBUG\"\n")?;
    let _up = app.up()?;
    check(
        &app,
        &[
            // What is no text but looks like JSON is JSON, blanks around it and all.
            (&["sh.script"], "succeeded", &[out(1)]),
            (&["sh.script", "first=x"], "succeeded", &[out("x\n1\n")]),
            (
                &["sh.script", "named=a b", "flag=true", "list=x", "first=$HOME", "last=z"],
                "succeeded",
                &[out("--named=a b\n--flag\n--list=['x']\n$HOME\n1\nz")],
            ),
            (
                &["sh.script", "named=n", "kwarg_op=-", "second=false"],
                "succeeded",
                &[out("-named=n\n\n0\n")],
            ),
            (&["sh.script", "cwd=/usr", "timeout=5", "first=f"], "succeeded", &[out("f\n1\n")]),
            (&["sh.old_script"], "succeeded", &[out("old")]),
            (&["sh.old_script_too"], "succeeded", &[out("old")]),
            (&["sh.debug", "debug=true"], "succeeded", &[out("True")]),
            (&["sh.debug"], "succeeded", &[out("")]),
        ],
    )?;
    let refused = run(&app, &["sh.debug", "content_version=abc"])?;
    assert_eq!(text(&refused, "/status"), "failed");
    ensure!(text(&refused, "/result/error").contains("content_version"), "{refused}");
    Ok(())
}

#[test]
fn endless_output_is_cut_and_says_so() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let much = run(&app, &["core.local", "cmd=head -c 50000000 /dev/zero | tr '\\0' x"])?;
    assert_eq!(text(&much, "/status"), "succeeded");
    assert_eq!(much.pointer("/result/stdout_bytes"), Some(&json!(50_000_000)));
    assert_eq!(much.pointer("/result/stdout_truncated"), Some(&json!(true)));
    let kept = kept(&much, "stdout");
    ensure!((2 << 20..3 << 20).contains(&kept), "{kept}");
    let after = run(&app, &["core.local", "cmd=echo still here"])?;
    assert_eq!(text(&after, "/result/stdout"), "still here");
    ensure!(after.pointer("/result/stdout_truncated").is_none());
    Ok(())
}

/// A user of this machine for one test. Removed when dropped, with what it may do.
struct User(String);

impl User {
    fn new(password: &str) -> anyhow::Result<Self> {
        let user = Self(format!("hearken-test-{}", std::process::id()));
        let added = Command::new("useradd").args(["--no-create-home", &user.0]).status()?;
        ensure!(added.success(), "useradd {}", user.0);
        let mut set = Command::new("chpasswd").stdin(Stdio::piped()).spawn()?;
        let mut stdin = set.stdin.take().context("its input")?;
        std::io::Write::write_all(&mut stdin, format!("{}:{password}\n", user.0).as_bytes())?;
        drop(stdin);
        ensure!(set.wait()?.success(), "chpasswd");
        Ok(user)
    }

    fn rights(&self) -> std::path::PathBuf {
        std::path::Path::new("/etc/sudoers.d").join(&self.0)
    }

    fn may(&self, what: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.rights(), format!("{} ALL=(ALL:ALL) {what}\n", self.0))?)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        std::fs::remove_file(self.rights()).unwrap_or(());
        let removed = Command::new("userdel").arg(&self.0).stderr(Stdio::null()).status();
        if !removed.is_ok_and(|status| status.success()) {
            std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("the user {} is left\n", self.0).as_bytes(),
            )
            .unwrap_or(());
        }
    }
}

#[test]
fn sudo_takes_the_right_password_and_no_other() -> anyhow::Result<()> {
    let is_root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
    let has_sudo = Command::new("sudo").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !is_root || !has_sudo {
        let why = "skipped: a user for sudo can only be made by root, where sudo is installed\n";
        std::io::Write::write_all(&mut std::io::stderr(), why.as_bytes())?;
        return Ok(());
    }
    let password = "hunter2-of-a-test";
    let user = User::new(password)?;
    user.may("SETENV: ALL")?;
    let app = App::new(On::Embedded)?;
    app.write("sh/actions/arguments.sh", ARGUMENTS)?;
    app.write("sh/actions/script.yaml", SCRIPT)?;
    let program = app.path("hearken");
    std::fs::copy(crate::harness::HEARKEN, &program)?;
    let folder = app.path("");
    let own = Command::new("chown").args(["-R", &user.0]).arg(&folder).status()?;
    ensure!(own.success(), "chown");
    let mut up = Command::new("setpriv");
    up.args(["--reuid", &user.0, "--regid", &user.0, "--init-groups"]).arg(&program);
    up.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    up.env("HOME", &folder).env("XDG_STATE_HOME", app.path("state")).current_dir(&folder);
    up.arg("--data").arg(app.data()).args(["up", "--listen", "127.0.0.1:0", "--gateway", "off"]);
    up.arg("--packs").arg(app.path("packs"));
    let _server = Server::start(&app, up)?;

    let given = format!("sudo_password={password}");
    let refused = [("/result/return_code", json!(-1)), ("/result/failed", json!(true))];
    let mask = ("/parameters/sudo_password", json!("********"));
    check(
        &app,
        &[
            (&["core.local_sudo", "cmd=id -u"], "failed", &refused),
            (&["core.local_sudo", "cmd=id -u", "sudo_password=wrong-one"], "failed", &refused),
            (&["core.local_sudo", "cmd=id -u", &given], "succeeded", &[out(0), mask]),
            (
                // The environment stays, by `-E`; the shell is bash.
                &[
                    "core.local_sudo",
                    "cmd=echo $ST2_ACTION_PACK_NAME ${BASH_VERSION:+bash}",
                    &given,
                ],
                "succeeded",
                &[out("core bash")],
            ),
            // The password is for sudo alone.
            (&["core.local_sudo", "cmd=cat", &given], "succeeded", &[out("")]),
            (
                &["core.local_sudo", "cmd=exit 1", &given],
                "failed",
                &[("/result/return_code", json!(1))],
            ),
            (
                &["sh.script", "sudo=true", "first=a 'b' $c", &given],
                "succeeded",
                &[out("a 'b' $c\n1\n")],
            ),
        ],
    )?;
    let why = run(&app, &["core.local_sudo", "cmd=id -u", "sudo_password=wrong-one"])?;
    ensure!(text(&why, "/result/error").starts_with("sudo did not accept"), "{why}");
    ensure!(!why.to_string().contains("wrong-one"), "{why}");
    // Where no password is asked for, nobody reads it.
    user.may("NOPASSWD: SETENV: ALL")?;
    check(
        &app,
        &[
            (&["core.local_sudo", "cmd=id -u"], "succeeded", &[out(0)]),
            (&["core.local_sudo", "cmd=cat", &given], "succeeded", &[out("")]),
        ],
    )
}
