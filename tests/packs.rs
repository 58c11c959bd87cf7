//! Packs from elsewhere: fetched, put in place, loaded, removed; by verbs and by actions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::harness::{App, On, eventually};

const WAIT: Duration = Duration::from_secs(30);

const ACTION: &str = "name: say\nrunner_type: local-shell-cmd\nparameters:\n  cmd: {default: echo VERSION, immutable: true}\n";
const RULE: &str = "name: r\nenabled: true\ntrigger: {type: shop.came}\naction: {ref: shop.say}\n";

/// Writes the files of a pack that says which version it is.
fn pack(folder: &Path, version: &str) -> anyhow::Result<()> {
    for (path, content) in [
        ("pack.yaml", format!("ref: shop\nname: shop\nversion: {version}\n")),
        ("actions/say.yaml", ACTION.replace("VERSION", version)),
        ("rules/r.yaml", RULE.to_owned()),
    ] {
        let place = folder.join(path);
        fs::create_dir_all(place.parent().context("a folder")?)?;
        fs::write(place, content)?;
    }
    Ok(())
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@localhost"]);
    let output = command.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {arguments:?}: {said}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A repository with the tag v1.0.0, the branch next, and main after both.
fn repository(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    git(folder, &["init", "--quiet", "--initial-branch=main"])?;
    for (version, then) in [("1.0.0", ["tag", "v1.0.0"]), ("2.0.0", ["branch", "next"])] {
        pack(folder, version)?;
        git(folder, &["add", "--all"])?;
        git(folder, &["commit", "--quiet", "--message", version])?;
        git(folder, &then)?;
    }
    pack(folder, "3.0.0")?;
    git(folder, &["commit", "--quiet", "--all", "--message", "3.0.0"])?;
    Ok(())
}

fn ok(output: &Output) -> anyhow::Result<String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn refused(output: &Output, code: i32, why: &str) -> anyhow::Result<()> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{}: {errors}", output.status);
    ensure!(errors.contains(why), "{why:?} is not in {errors}");
    Ok(())
}

fn installed(app: &App) -> anyhow::Result<String> {
    Ok(fs::read_to_string(app.data().join("packs/shop/pack.yaml"))?)
}

/// Names in the folder of packs, those of the work in progress included.
fn names(app: &App) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(app.data().join("packs"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| name != ".lock" && name != ".records");
    names.sort();
    Ok(names)
}

#[test]
fn a_version_is_a_branch_a_tag_or_a_commit() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let repository_folder = app.path("stackstorm-shop");
    repository(&repository_folder)?;
    let url = format!("file://{}", repository_folder.display());
    let commit = git(&repository_folder, &["rev-parse", "v1.0.0"])?;
    for (version, expected) in
        [("next", "2.0.0"), ("v1.0.0", "1.0.0"), ("1.0.0", "1.0.0"), (&*commit, "1.0.0")]
    {
        let rows = app.json(&["pack", "install", &format!("{url}={version}")])?;
        ensure!(rows.pointer("/0/version") == Some(&expected.into()), "{rows}");
        ensure!(installed(&app)?.contains(expected), "{version}");
        ensure!(!app.data().join("packs/shop/.git").exists());
    }
    let known = rows_of(&app, "shop")?;
    ensure!(known.get("commit").and_then(Value::as_str) == Some(&*commit), "{known}");
    refused(
        &app.run(&["pack", "install", &format!("{url}=none")])?,
        1,
        "no branch, tag or commit",
    )?;
    ensure!(installed(&app)?.contains("1.0.0") && names(&app)? == ["shop"]);
    Ok(())
}

fn rows_of(app: &App, pack: &str) -> anyhow::Result<Value> {
    let record = app.data().join(format!("packs/.records/{pack}.json"));
    Ok(serde_json::from_slice(&fs::read(record)?)?)
}

#[test]
fn a_name_is_looked_up_in_the_index() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    repository(&app.path("repository"))?;
    refused(&app.run(&["pack", "install", "shop"])?, 1, "none is configured")?;
    let index = app.path("index.json");
    let url = app.path("repository").display().to_string();
    let packs = serde_json::json!({"packs": {
        "shop": {"repo_url": url, "version": "1.0.0"}, "evil": {"repo_url": "ext::sh -c id"},
    }});
    fs::write(&index, packs.to_string())?;
    let run = |spec: &str| {
        let mut command = app.command();
        command.env("HEARKEN_PACKS_INDEX", &index).args(["pack", "install", spec]).output()
    };
    ok(&run("shop")?)?;
    ensure!(installed(&app)?.contains("1.0.0"));
    ok(&run("shop=next")?)?;
    ensure!(installed(&app)?.contains("2.0.0"));
    refused(&run("evil")?, 1, "would make git run a program")?;
    refused(&run("other")?, 1, "it has no pack \"other\"")?;
    Ok(())
}

#[test]
fn hostile_specs_are_usage_errors() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    for spec in ["ext::sh -c id", "ssh://-oProxyCommand=id/x", "ftp://host/x", "no/such/folder"] {
        refused(&app.run(&["pack", "install", spec])?, 2, "names no pack")?;
    }
    ensure!(!app.data().join("packs").exists());
    Ok(())
}

#[test]
fn rules_run_only_when_asked_for_and_what_is_removed_is_gone() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    pack(&app.path("shop"), "1.0.0")?;
    let mut server = app.up()?;
    let folder = app.path("shop").display().to_string();
    let in_force = |what: &'static str| {
        let listed = app.json(&[what, "list", "--pack", "shop"])?;
        anyhow::Ok(listed.as_array().map_or(0, Vec::len))
    };
    let until = |actions: usize, rules: usize| {
        eventually(&format!("{actions} actions and {rules} rules"), WAIT, || {
            let found = (in_force("action")?, in_force("rule")?);
            Ok((found == (actions, rules)).then_some(()))
        })
    };
    ok(&app.run(&["pack", "download", &folder])?)?;
    ensure!(names(&app)? == ["shop"] && in_force("action")? == 0);
    ok(&app.run(&["pack", "install", &folder])?)?;
    until(1, 0)?;
    ok(&app.run(&["pack", "load", "shop", "--register", "rules"])?)?;
    until(1, 1)?;
    let said = ok(&app.run(&["run", "shop.say"])?)?;
    ensure!(said.trim() == "1.0.0", "{said}");
    pack(&app.path("shop"), "1.1.0")?;
    ok(&app.run(&["pack", "install", &folder, "--register", "all"])?)?;
    eventually("the new version", WAIT, || {
        let said = ok(&app.run(&["run", "shop.say"])?)?;
        Ok((said.trim() == "1.1.0").then_some(()))
    })?;
    ok(&app.run(&["pack", "unload", "shop"])?)?;
    until(0, 0)?;
    ok(&app.run(&["pack", "load", "shop"])?)?;
    until(1, 0)?;
    ok(&app.run(&["pack", "remove", "shop"])?)?;
    until(0, 0)?;
    ensure!(names(&app)?.is_empty() && !app.data().join("packs/.records/shop.json").exists());
    refused(&app.run(&["pack", "remove", "shop"])?, 1, "no pack \"shop\" is installed")?;
    server.stop()?;
    Ok(())
}

/// A git that fetches half and waits: what is killed is killed in the middle.
#[test]
fn an_installation_that_is_killed_leaves_nothing_half_done() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    repository(&app.path("repository"))?;
    // With a version, since a folder without one is copied and not cloned.
    let url = format!("file://{}=main", app.path("repository").display());
    ok(&app.run(&["pack", "install", &url.replace("=main", "=1.0.0")])?)?;
    let bin = app.path("bin");
    fs::create_dir(&bin)?;
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\nmkdir -p \"$last/actions\"\ntouch {}\nexec sleep 600\n",
        app.path("half").display()
    );
    let fake = bin.join("git");
    fs::write(&fake, script)?;
    fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let mut command = app.command();
    command.env("PATH", path).args(["pack", "install", &url]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    eventually("half of it", WAIT, || Ok(app.path("half").exists().then_some(())))?;
    child.kill()?;
    child.wait()?;
    ensure!(names(&app)?.len() == 2 && installed(&app)?.contains("1.0.0"));
    // The next start puts it in order, and so would the next installation.
    let mut server = app.up()?;
    ensure!(names(&app)? == ["shop"], "{:?}", names(&app)?);
    ok(&app.run(&["pack", "install", &url])?)?;
    ensure!(names(&app)? == ["shop"] && installed(&app)?.contains("3.0.0"));
    server.stop()?;
    Ok(())
}

/// A wheel by hand: a zip of three files, none of them compressed.
fn wheel(folder: &Path) -> anyhow::Result<PathBuf> {
    let script = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as out:
    out.writestr("tinyprices.py", "PRICE = 7\n")
    out.writestr("tinyprices-1.0.dist-info/METADATA",
                 "Metadata-Version: 2.1\nName: tinyprices\nVersion: 1.0\n")
    out.writestr("tinyprices-1.0.dist-info/WHEEL",
                 "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    out.writestr("tinyprices-1.0.dist-info/RECORD", "")
"#;
    fs::create_dir_all(folder)?;
    let place = folder.join("tinyprices-1.0-py3-none-any.whl");
    ok(&Command::new("python3").args(["-c", script]).arg(&place).output()?)?;
    Ok(place)
}

#[test]
fn requirements_are_installed_once_and_failing_ones_stop_nothing() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    wheel(&app.path("wheels"))?;
    let shop = app.path("shop");
    pack(&shop, "1.0.0")?;
    fs::write(shop.join("requirements.txt"), "# prices\ntinyprices>=1.0\n")?;
    let install = |find: &str| {
        let mut command = app.command();
        command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", app.path(find));
        anyhow::Ok(command.args(["-o", "json", "pack", "install"]).arg(&shop).output()?)
    };
    let environment = |output: &Output| {
        let rows: Value = serde_json::from_str(&ok(output)?)?;
        let found = rows.pointer("/0/environment").cloned();
        found.with_context(|| rows.to_string())
    };
    // Without a place to get it from, the pack is there all the same.
    let output = install("nowhere")?;
    ensure!(environment(&output)?.get("state") == Some(&"failed".into()));
    let link = app.data().join("virtualenvs/shop/current");
    ensure!(names(&app)? == ["shop"] && !link.exists());
    let output = install("wheels")?;
    ensure!(environment(&output)?.get("state") == Some(&"ready".into()));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(told.contains("installing what shop requires: tinyprices>=1.0"), "{told}");
    let python = link.join("bin/python");
    let said = ok(&Command::new(&python)
        .args(["-c", "import tinyprices as t; print(t.PRICE)"])
        .output()?)?;
    ensure!(said.trim() == "7");
    let built = fs::read_link(&link)?;
    // The same requirements again: nothing is built, so no place is needed.
    let output = install("nowhere")?;
    ensure!(environment(&output)?.get("state") == Some(&"ready".into()));
    ensure!(fs::read_link(&link)? == built);
    ok(&app.run(&["pack", "remove", "shop"])?)?;
    ensure!(!app.data().join("virtualenvs/shop").exists());
    Ok(())
}

#[test]
fn actions_install_packs_of_a_repository_of_many() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let many = app.path("contrib");
    repository(&many)?;
    for name in ["docker", "sensu", "nagios"] {
        let folder = many.join("packs").join(name);
        pack(&folder, "0.1.0")?;
        fs::write(folder.join("pack.yaml"), "")?;
    }
    git(&many, &["rm", "-r", "--quiet", "actions", "rules", "pack.yaml"])?;
    git(&many, &["add", "--all"])?;
    git(&many, &["commit", "--quiet", "--message", "many"])?;
    let mut server = app.up()?;
    let url = format!("repo_url=file://{}", many.display());
    let run = |more: &[&str]| app.json(&[&["run"], more].concat());
    let done =
        run(&["packs.install", "packs=docker,sensu", &url, "branch=main", "register=rules"])?;
    ensure!(done.pointer("/result/stdout/1/pack") == Some(&"sensu".into()), "{done}");
    ensure!(names(&app)? == ["docker", "sensu"]);
    eventually("the rules of sensu", WAIT, || {
        let rules = app.json(&["rule", "list", "--pack", "sensu"])?;
        Ok(rules.as_array().filter(|rules| rules.len() == 1).map(|_| ()))
    })?;
    // The modern convention: each is a source of its own.
    pack(&app.path("shop"), "1.0.0")?;
    let shop = format!("packs={}", app.path("shop").display());
    run(&["packs.install", &shop])?;
    ensure!(rows_of(&app, "shop")?.get("register") == Some(&"content".into()));
    run(&["packs.load", "packs=shop", "register=all"])?;
    ensure!(rows_of(&app, "shop")?.get("register") == Some(&"all".into()));
    eventually("the pack in force", WAIT, || {
        let known = app.run(&["-o", "json", "run", "packs.get", "pack=shop"])?;
        Ok(known.status.success().then_some(()))
    })?;
    run(&["packs.unload", "packs=docker"])?;
    ensure!(rows_of(&app, "docker")?.get("register") == Some(&"none".into()));
    run(&["packs.uninstall", "packs=docker,sensu"])?;
    ensure!(names(&app)? == ["shop"]);
    run(&["packs.restart_component", "servicename=sensor_container"])?;
    let listed = run(&["packs.list"])?;
    ensure!(listed.pointer("/result/stdout").is_some_and(Value::is_array), "{listed}");
    server.stop()?;
    Ok(())
}

#[test]
fn a_new_pack_checks_clean_and_passes_its_cases() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let folder = app.path("shop");
    let given = folder.display().to_string();
    ok(&app.run(&["pack", "new", &given])?)?;
    ok(&app.run(&["pack", "check", &given])?)?;
    let said = ok(&app.run(&["pack", "test", &given])?)?;
    ensure!(said.contains("2 cases, 0 failed"), "{said}");
    refused(&app.run(&["pack", "new", &given])?, 2, "is there already")?;
    refused(&app.run(&["pack", "new", "Not-A-Name"])?, 2, "cannot name a pack")?;
    let cases = folder.join("cases/greet.yaml");
    let text = fs::read_to_string(&cases)?;
    for (from, to, why) in [
        ("parameters: {who: Ada}", "parameters: {who: Bob}", "expected and not made"),
        ("requests: []", "requests: [{action: shop.hello}]", "expected and not made"),
        ("- action: shop.hello\n      parameters: {who: Ada}", "[]", "not expected"),
        ("payload: {}", "payloads: {}", "event has \"payloads\""),
        ("event: {trigger: shop.arrived, payload: {}}", "", "it says no event"),
    ] {
        ensure!(text.contains(from), "{from}");
        fs::write(&cases, text.replacen(from, to, 1))?;
        let output = app.run(&["pack", "test", &given])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.code() == Some(1) && said.contains(why), "{why}: {said}");
    }
    Ok(())
}
