//! Packs that are hostile or broken: each is a clear error, and nothing else notices.
//!
//! Archives are written byte by byte, since no program would write them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::harness::{App, On, Started, eventually};

const WAIT: Duration = Duration::from_secs(30);

/// An action of the pack that has to go on working.
const WELL: &str = "name: say\nrunner_type: local-shell-cmd\nparameters:\n  \
                    cmd: {default: echo well, immutable: true}\n";
/// Bytes of a block of an archive.
const BLOCK: usize = 512;

/// One member of an archive: its name, its kind, where it leads, what it holds.
struct Member<'a> {
    name: &'a [u8],
    kind: u8,
    leads: &'a str,
    content: &'a [u8],
    /// The size that it claims, when that is not the size of its content.
    claims: Option<u64>,
}

/// A file.
fn file<'a>(name: &'a str, content: &'a str) -> Member<'a> {
    let (name, content) = (name.as_bytes(), content.as_bytes());
    Member { name, kind: b'0', leads: "", content, claims: None }
}

/// Something that is no file and leads somewhere.
fn other<'a>(name: &'a str, kind: u8, leads: &'a str) -> Member<'a> {
    Member { name: name.as_bytes(), kind, leads, content: b"", claims: None }
}

impl Member<'_> {
    /// Its header and its content, in whole blocks.
    fn bytes(&self) -> Vec<u8> {
        let mut header = vec![0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| {
            for (to, from) in header.iter_mut().skip(at).zip(bytes) {
                *to = *from;
            }
        };
        let size = self.claims.unwrap_or(self.content.len() as u64);
        put(0, self.name);
        put(100, b"0000644\x000000000\x000000000\x00");
        // In base 256, which knows no largest size.
        put(124, b"\x80\0\0\0");
        put(128, &size.to_be_bytes());
        put(136, b"00000000000\x00        ");
        put(156, &[self.kind]);
        put(157, self.leads.as_bytes());
        put(257, b"ustar\x0000");
        put(329, b"0000001\x000000003\x00");
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        for (to, from) in header.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
            *to = from;
        }
        header.extend(self.content);
        header.resize(header.len().next_multiple_of(BLOCK), 0);
        header
    }
}

/// An archive of these members.
fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = members.iter().flat_map(Member::bytes).collect();
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

fn compressed(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut gzip =
        Command::new("gzip").arg("-1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut into = gzip.stdin.take().context("its input")?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || into.write_all(bytes));
        let output = gzip.wait_with_output()?;
        writing.join().map_err(|_| anyhow::anyhow!("writing"))??;
        ensure!(output.status.success(), "gzip: {}", output.status);
        Ok(output.stdout)
    })
}

/// Ten gigabytes of zeros in some megabytes: a gzip file may have any number of parts.
fn bomb() -> anyhow::Result<Vec<u8>> {
    let zeros = Member { claims: Some(10 << 30), ..file("shop/zeros", "") };
    let mut bytes = compressed(&zeros.bytes())?;
    bytes.extend(compressed(&vec![0; 16 << 20])?.repeat(640));
    Ok(bytes)
}

/// A million empty files, a thousand names again and again.
fn crowd() -> anyhow::Result<Vec<u8>> {
    let names: Vec<String> = (0..1000).map(|number| format!("shop/actions/{number}")).collect();
    let members: Vec<u8> = names.iter().flat_map(|name| file(name, "").bytes()).collect();
    Ok(compressed(&members)?.repeat(1000))
}

/// What each archive is called, what it is, and what is said of it.
fn hostile(app: &App) -> anyhow::Result<Vec<(&'static str, Vec<u8>, &'static str)>> {
    let absolute = app.path("evil").display().to_string();
    let outside = app.path("outside").display().to_string();
    let action = file("shop/actions/a.yaml", WELL);
    let tar = |members: &[Member<'_>]| compressed(&archive(members));
    let evil = |name: &str| tar(&[file("shop/actions/a.yaml", WELL), file(name, "evil")]);
    let latin = Member { name: b"shop/caf\xe9", ..file("", "x") };
    let lying = Member { claims: Some(5000), ..file("shop/actions/b.yaml", "x") };
    let named = |name: &str| tar(&[file("shop/pack.yaml", &format!("ref: {name}\n"))]);
    let whole = tar(&[action])?;
    let half = whole.get(..whole.len() / 2).context("half")?.to_vec();
    let through = tar(&[other("shop/out", b'2', &outside), file("shop/out/evil", "evil")])?;
    let within =
        tar(&[other("shop/x", b'2', "actions"), file("shop/actions/a", ""), file("shop/x/b", "")])?;
    let painted = tar(&[other("shop/out", b'2', "/\x1b[2J\nhearken: all is well")])?;
    Ok(vec![
        ("absolute", evil(&absolute)?, "is absolute"),
        ("up", evil("shop/../../../evil")?, "leads out"),
        ("up_at_once", evil("../evil")?, "leads out"),
        (
            "link_out",
            tar(&[other("shop/out", b'2', "../../outside")])?,
            "the link shop/out leads out",
        ),
        ("link_far", tar(&[other("shop/out", b'2', &outside)])?, "the link shop/out leads out"),
        ("link_painted", painted, "leads out of it, to \"/\\u{1b}[2J\\n"),
        ("through_a_link", through, "the link shop/out leads out"),
        ("through_an_inner_link", within, "the link shop/x"),
        ("hard_link", tar(&[other("shop/out", b'1', &outside)])?, "is absolute"),
        ("hard_link_up", tar(&[other("shop/out", b'1', "../outside/kept")])?, "leads out"),
        ("device", tar(&[other("shop/null", b'3', "")])?, "shop/null is neither a file"),
        ("pipe", tar(&[other("shop/pipe", b'6', "")])?, "shop/pipe is neither a file"),
        ("bomb", bomb()?, "more than 512 MiB come out of it"),
        ("crowd", crowd()?, "more than 50000 entries"),
        ("newline", evil("shop/a\nb")?, "has control characters"),
        ("latin", tar(&[latin])?, "is not UTF-8"),
        (
            "file_and_folder",
            tar(&[file("shop/a", ""), file("shop/a/b", "")])?,
            "shop/a/b cannot be",
        ),
        (
            "file_and_link",
            tar(&[file("shop/a", ""), other("shop/a", b'2', "b")])?,
            "the link shop/a",
        ),
        ("truncated", half, "cannot be read as a tar archive"),
        ("claims_more", tar(&[lying])?, "cannot be read as a tar archive"),
        ("words", b"no archive at all, but words of some length. ".repeat(40), "cannot be read"),
        ("nothing", Vec::new(), "it is no tar archive, or an empty one"),
        ("no_pack", tar(&[file("README.md", "words")])?, "there is no pack in"),
        ("name_up", named("../x")?, "\"../x\" cannot name a pack"),
        ("name_hidden", named(".records")?, "\".records\" cannot name a pack"),
        ("name_reserved", named("_global")?, "cannot name a pack"),
        ("name_bundled", named("core")?, "core is a bundled pack"),
    ])
}

/// Writes a pack with one action into `folder`.
fn pack(folder: &Path, action: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder.join("actions"))?;
    fs::write(folder.join("actions/say.yaml"), action)?;
    Ok(())
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The other pack's action works.
fn is_well(app: &App) -> anyhow::Result<()> {
    let output = app.run(&["run", "well.say"])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() && said == "well\n", "{said:?} {}", errors(&output));
    Ok(())
}

/// Everything in these folders, hidden or not.
fn listing(folders: &[&Path]) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            found.insert(path.display().to_string());
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    Ok(found)
}

/// A server with a pack of its own and one that was installed.
fn installation() -> anyhow::Result<(App, Started)> {
    let app = App::new(On::Embedded)?;
    app.write("well/actions/say.yaml", WELL)?;
    pack(&app.path("before"), WELL)?;
    fs::create_dir(app.path("outside"))?;
    fs::write(app.path("outside/kept"), "kept")?;
    let up = app.up()?;
    let before = app.path("before").display().to_string();
    let installed = app.run(&["pack", "install", &before])?;
    ensure!(installed.status.success(), "{}", errors(&installed));
    Ok((app, up))
}

#[test]
fn hostile_archives_are_refused_and_nothing_else_notices() -> anyhow::Result<()> {
    let (app, up) = installation()?;
    is_well(&app)?;
    let archives = app.path("archives");
    fs::create_dir(&archives)?;
    let hostile = hostile(&app)?;
    for (name, bytes, _) in &hostile {
        fs::write(archives.join(format!("{name}.tar.gz")), bytes)?;
    }
    let data = app.data();
    let (packs, environments) = (data.join("packs"), data.join("virtualenvs"));
    let (outside, own) = (app.path("outside"), app.path("packs"));
    let kept: [&Path; 4] = [&packs, &environments, &outside, &own];
    let before = listing(&kept)?;
    // All at once; one waits for the other, and the other pack works meanwhile.
    let mut running = Vec::new();
    for (name, _, why) in &hostile {
        let place = archives.join(format!("{name}.tar.gz")).display().to_string();
        let mut command = app.command();
        command.args(["pack", "install", &place]).stdout(Stdio::piped()).stderr(Stdio::piped());
        running.push((name, why, place, command.spawn()?));
        is_well(&app)?;
    }
    for (name, why, place, child) in running {
        let output = child.wait_with_output()?;
        let said = errors(&output);
        ensure!(output.status.code() == Some(1), "{name}: {} {said}", output.status);
        for words in [&place, *why, "hint: "] {
            ensure!(said.contains(words), "{name}: {words:?} is not in {said}");
        }
        ensure!(!said.contains('\u{1b}') && !said.contains("panicked"), "{name}: {said}");
        ensure!(!said.lines().any(|line| line == "hearken: all is well\""), "{name}: {said}");
    }
    ensure!(listing(&kept)? == before, "{:?}", listing(&kept)?.symmetric_difference(&before));
    let evil = ["evil", "archives/evil", "data/evil", "data/packs/evil"];
    ensure!(evil.iter().all(|place| !app.path(place).exists()));
    is_well(&app)?;
    // What the last one left would be in the way of the next.
    let before = app.path("before").display().to_string();
    ensure!(app.run(&["pack", "install", &before])?.status.success());
    ensure!(!up.said().contains("panicked"), "{}", up.said());
    Ok(())
}

#[test]
fn of_members_with_one_name_the_last_counts() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let (first, last) = (WELL.replace("well", "first"), WELL.replace("well", "last"));
    let members = [file("shop/actions/say.yaml", &first), file("shop/actions/say.yaml", &last)];
    let place = app.path("shop.tar.gz");
    fs::write(&place, compressed(&archive(&members))?)?;
    let installed = app.run(&["pack", "install", &place.display().to_string()])?;
    ensure!(installed.status.success(), "{}", errors(&installed));
    let kept = fs::read_to_string(app.data().join("packs/shop/actions/say.yaml"))?;
    ensure!(kept == last, "{kept}");
    Ok(())
}

/// Files of a broken pack beside one that is good, and what is said of it at which place.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let level = |level: usize| {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{below}]\n")
    };
    let first = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    let laughs = first + &(1..12).map(level).collect::<String>();
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("actions/a.yaml", text("name: a\n  runner_type: [noop\n"), "actions/a.yaml:"),
        ("actions/laughs.yaml", laughs.into_bytes(), "more than"),
        ("rules/deep.yaml", text(&"[".repeat(100_000)), "recursion limit"),
        ("rules/deep.json", text(&"{\"a\":".repeat(100_000)), "nested deeper"),
        ("actions/huge.yaml", vec![b'#'; 100 << 20], "larger than 16 MiB"),
        ("actions/long.yaml", vec![b'#'; 3 << 20], "longer than 2 MiB"),
        ("actions/binary.yaml", vec![0xff, 0, 0x1b, b'['], "not UTF-8 text"),
        ("actions/null.yaml", vec![0; 100], "actions/null.yaml:1"),
        (
            "actions/runner.yaml",
            text("name: a\nrunner_type: bahs\n"),
            "there is no runner \"bahs\"",
        ),
        ("actions/types.yaml", text("name: [a]\nrunner_type: {a: b}\n"), "must be text"),
        ("actions/more.yaml", text("name: a\nrunner_type: noop\nparameters: [a]\n"), "a mapping"),
        ("rules/types.yaml", text("name: r\ntrigger: 5\ncriteria: []\naction: []\n"), "a mapping"),
        ("sensors/types.yaml", text("class_name: 5\nentry_point: [a]\n"), "must be text"),
        ("policies/types.yaml", text("name: p\npolicy_type: action.retry\n"), "resource_ref"),
        ("triggers/types.yaml", text("name: t\npayload_schema: 5\n"), "a mapping"),
        ("actions/twice.yaml", text(WELL), "defines"),
        ("pack.yaml", text("- a list\n"), "a mapping is needed here"),
    ]
}

#[test]
fn broken_packs_say_what_is_wrong_and_the_rest_works() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("well/actions/say.yaml", WELL)?;
    for (number, (path, content, _)) in broken().iter().enumerate() {
        let folder = app.path(&format!("packs/bad{number}"));
        pack(&folder, &WELL.replace("well", "good"))?;
        let place = folder.join(path);
        fs::create_dir_all(place.parent().context("a folder")?)?;
        fs::write(place, content)?;
    }
    for (name, ref_of) in [("first", "same"), ("second", "same"), ("third", "a.b")] {
        app.write(&format!("{name}/pack.yaml"), &format!("ref: {ref_of}\n"))?;
        app.write(&format!("{name}/actions/say.yaml"), WELL)?;
    }
    let mut up = app.up()?;
    is_well(&app)?;
    let root = app.path("packs").display().to_string();
    let checked = app.run(&["pack", "check", &root])?;
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    ensure!(checked.status.code() == Some(1), "{} {}", checked.status, errors(&checked));
    for (number, (path, _, why)) in broken().iter().enumerate() {
        let place = format!("bad{number}/{}", path.split(':').next().unwrap_or_default());
        let of_it = said
            .lines()
            .any(|line| line.contains(&format!("packs/bad{number}/")) && line.contains(why));
        ensure!(of_it, "{why:?} is not said of {place}: {said}");
        // One bad file takes nothing along: what lies beside it is in force.
        let ran = app.run(&["run", &format!("bad{number}.say")])?;
        ensure!(ran.status.success(), "{place}: {}", errors(&ran));
    }
    ensure!(said.contains("first is the pack same as well") && said.contains("\"a.b\""), "{said}");
    ensure!(said.lines().all(|line| line.len() < 4096), "a line is too long");
    let told = up.said();
    ensure!(told.contains("bad0/actions/a.yaml:2"), "{told}");
    ensure!(!told.contains("panicked") && !errors(&checked).contains("panicked"), "{told}");
    is_well(&app)?;
    ensure!(up.stop()? == Some(0));
    Ok(())
}

#[test]
fn an_unknown_runner_is_refused_by_name() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("well/actions/say.yaml", WELL)?;
    app.write("bad/actions/a.yaml", "name: a\nrunner_type: bahs\n")?;
    let _up = app.up()?;
    let ran = app.run(&["-o", "json", "run", "bad.a"])?;
    let execution: Value = serde_json::from_slice(&ran.stdout)?;
    let error = execution.pointer("/result/error").and_then(Value::as_str).context("an error")?;
    ensure!(error.contains("bahs"), "{error}");
    is_well(&app)
}

#[test]
fn a_pack_that_vanishes_while_it_is_read_harms_nothing() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("well/actions/say.yaml", WELL)?;
    let mut up = app.up()?;
    // Some of these are gone when they are listed, some when they are opened, some are half there.
    for round in 0..200 {
        let folder = app.path(&format!("packs/ghost{}", round % 7));
        pack(&folder, WELL)?;
        for number in 0..20 {
            fs::write(folder.join(format!("actions/{number}.yaml")), WELL)?;
        }
        if round % 3 == 0 {
            is_well(&app)?;
        }
        fs::remove_dir_all(&folder)?;
    }
    app.write("late/actions/say.yaml", WELL)?;
    eventually("the pack that stays", WAIT, || {
        Ok(app.run(&["run", "late.say"])?.status.success().then_some(()))
    })?;
    let listed = app.json(&["pack", "list"])?;
    ensure!(!listed.to_string().contains("ghost"), "{listed}");
    is_well(&app)?;
    ensure!(!up.said().contains("panicked"), "{}", up.said());
    ensure!(up.stop()? == Some(0));
    Ok(())
}

/// A pack whose actions delete the folder they are given, then go on.
fn suicidal(folder: &Path) -> anyhow::Result<()> {
    let write = |path: &str, content: &str| -> anyhow::Result<()> {
        let place = folder.join(path);
        fs::create_dir_all(place.parent().context("a folder")?)?;
        fs::write(&place, content)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
        Ok(())
    };
    let shell = "name: shell\nrunner_type: local-shell-script\nentry_point: shell.sh\nparameters:\n  \
                 what: {type: string, position: 0, default: ''}\n";
    write("actions/shell.yaml", shell)?;
    write(
        "actions/shell.sh",
        "#!/bin/sh\nset -eu\nown=$(dirname \"$(dirname \"$0\")\")\nrm -rf \"${1:-$own}\"\necho still here\n",
    )?;
    let python = "name: python\nrunner_type: python-script\nentry_point: python.py\nparameters:\n  \
                  what: {type: string, default: ''}\n";
    write("actions/python.yaml", python)?;
    write("actions/lib/ways.py", "def gone():\n    return 'still here'\n")?;
    write(
        "actions/python.py",
        "import os\nimport shutil\n\nfrom st2common.runners.base_action import Action\n\n\n\
         class Python(Action):\n    def run(self, what):\n        \
         own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))\n        \
         shutil.rmtree(what or own)\n        import ways\n        return ways.gone()\n",
    )?;
    write(
        "actions/loss.yaml",
        &shell.replace("shell", "loss").replace("local-loss", "local-shell"),
    )?;
    write(
        "actions/loss.sh",
        "#!/bin/sh\nset -eu\nrm \"$(dirname \"$0\")/lib/ways.py\"\necho lost\n",
    )
}

/// Runs an action that must succeed and say this.
fn says(app: &App, run: &[&str], expected: &str) -> anyhow::Result<()> {
    let execution = app.json(&[&["run"], run].concat())?;
    let said = ["/result/result", "/result/stdout"].map(|at| execution.pointer(at));
    ensure!(said.contains(&Some(&expected.into())), "{run:?}: {execution:#}");
    Ok(())
}

#[test]
fn an_action_that_deletes_what_it_runs_from_ends_well_and_so_does_the_next() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("well/actions/say.yaml", WELL)?;
    suicidal(&app.path("packs/shop"))?;
    let up = app.up()?;
    // Without a folder it is the pinned content: its own copy, and that of all that follow.
    for action in ["shop.shell", "shop.python", "shop.shell", "shop.loss", "shop.python"] {
        let expected = if action == "shop.loss" { "lost" } else { "still here" };
        if action == "shop.python" {
            // What it imports after that is gone with the folder, and it says so.
            let ran = app.run(&["-o", "json", "run", action])?;
            let execution: Value = serde_json::from_slice(&ran.stdout)?;
            ensure!(execution.get("status") == Some(&"failed".into()), "{execution:#}");
            let errors = execution.pointer("/result/stderr").and_then(Value::as_str);
            ensure!(errors.is_some_and(|text| text.contains("ways")), "{execution:#}");
        } else {
            says(&app, &[action], expected)?;
        }
        is_well(&app)?;
    }
    says(&app, &["shop.shell"], "still here")?;
    ensure!(app.path("packs/shop/actions/shell.sh").exists());
    ensure!(up.said().contains("content has lost files"), "{}", up.said());
    Ok(())
}

/// Installs the pack in a folder. What its Python would import besides is not looked for.
fn install(app: &App, folder: &Path) -> anyhow::Result<()> {
    let mut command = app.command();
    command.args(["pack", "install", "--python", "/no/such/python"]).arg(folder);
    let output = command.output()?;
    ensure!(output.status.success(), "{}", errors(&output));
    Ok(())
}

#[test]
fn an_action_that_deletes_its_pack_is_the_last_of_it() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("well/actions/say.yaml", WELL)?;
    let source = app.path("source/shop");
    suicidal(&source)?;
    let mut up = app.up()?;
    let in_root = app.path("packs/shop");
    let installed = app.data().join("packs/shop");
    for (folder, action) in [
        (&in_root, "shop.shell"),
        (&in_root, "shop.python"),
        (&installed, "shop.shell"),
        (&installed, "shop.python"),
    ] {
        if *folder == in_root {
            suicidal(folder)?;
        } else {
            install(&app, &source)?;
        }
        eventually("the pack in force", WAIT, || {
            Ok(app.run(&["action", "get", action])?.status.success().then_some(()))
        })?;
        let what = format!("what={}", folder.display());
        says(&app, &[action, &what], "still here")?;
        ensure!(!folder.exists());
        // It is gone as a whole, and says so by name.
        eventually("the pack out of force", WAIT, || {
            let ran = app.run(&["run", action, &what])?;
            let refused = errors(&ran).contains(&format!("no action is called {action:?}"));
            Ok((ran.status.code() == Some(2) && refused).then_some(()))
        })?;
        is_well(&app)?;
    }
    // Reinstalling heals it, and what was left of it is in nobody's way.
    install(&app, &source)?;
    eventually("the pack in force", WAIT, || {
        Ok(app.run(&["action", "get", "shop.shell"])?.status.success().then_some(()))
    })?;
    fs::create_dir(app.path("rubbish"))?;
    let what = format!("what={}", app.path("rubbish").display());
    says(&app, &["shop.shell", &what], "still here")?;
    ensure!(app.run(&["pack", "remove", "shop"])?.status.success());
    ensure!(!installed.exists() && !app.data().join("packs/.records/shop.json").exists());
    ensure!(up.stop()? == Some(0));
    Ok(())
}
