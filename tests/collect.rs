//! `hearken collect`: what CaLink's users and careful people expect of an archive.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::harness::{App, On};

/// The configuration of CaLink's manual.
const MANUAL: &str = "
[info]
system=host,os,version
resources=loadavg

[files]
var_log_dirs=engines,.
etc_files=foo.log

[commands]
list_root_directory=ls -lha ./

[output]
commands=CaLink-commands-log
";

/// A folder that stands for a machine, and one for what is written.
struct Site {
    app: App,
}

impl Site {
    fn new() -> anyhow::Result<Self> {
        let app = App::new(On::Embedded)?;
        for folder in ["usr/var/log/engines", "out"] {
            std::fs::create_dir_all(app.path(folder))?;
        }
        Ok(Self { app })
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.app.path(file);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(&path, content)?;
        Ok(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.app.command();
        command.args(["-o", "json", "collect"]).args(arguments);
        command
    }

    /// Gathers what `config` says into `out`.
    fn gather(&self, config: &Path, more: &[&str]) -> anyhow::Result<(Value, Output)> {
        let mut command = self.command(&[]);
        command.arg(config).arg("--prefix").arg(self.app.path("usr"));
        command.arg("--out").arg(self.app.path("out")).args(more);
        let output = command.output()?;
        let report = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
        Ok((report, output))
    }

    fn items(&self, report: &Value) -> anyhow::Result<Vec<Value>> {
        let shown = self.command(&["show", archive(report)?]).output()?;
        let shown: Value = serde_json::from_slice(&shown.stdout).with_context(|| said(&shown))?;
        Ok(shown.pointer("/items").and_then(Value::as_array).context("items")?.clone())
    }
}

fn archive(report: &Value) -> anyhow::Result<&str> {
    report.pointer("/archive").and_then(Value::as_str).context("an archive")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What came of each source: its flags, or `stored`.
fn told(items: &[Value]) -> BTreeMap<String, String> {
    let text = |item: &Value, at: &str| {
        item.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let files = items.iter().filter(|item| text(item, "/kind") == "file");
    let one = |item: &Value| {
        let source = text(item, "/source");
        let name = source.rsplit('/').next().unwrap_or_default().to_owned();
        let flag = text(item, "/flags/0");
        (name, if flag.is_empty() { "stored".to_owned() } else { flag })
    };
    files.map(one).collect()
}

/// The lines of a program's output.
fn lines(program: &str, arguments: &[&str], archive: &str) -> anyhow::Result<Vec<String>> {
    let output = Command::new(program).args(arguments).arg(archive).output()?;
    ensure!(output.status.success(), "{program}: {}", said(&output));
    Ok(String::from_utf8(output.stdout)?.lines().map(ToOwned::to_owned).collect())
}

#[test]
fn the_manual_of_calink_gives_what_it_says() -> anyhow::Result<()> {
    let site = Site::new()?;
    for name in ["engines/a.log", "engines/b.log", "one.log", "two.log"] {
        site.write(&format!("usr/var/log/{name}"), format!("{name}\n"))?;
    }
    let config = site.write("calink.ini", MANUAL)?;
    let (report, output) = site.gather(&config, &[])?;
    // A file that is missing is told, and stops nothing.
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let base = archive(&report)?.strip_suffix(".tar.gz").context("its ending")?;
    let name = base.rsplit('/').next().unwrap_or_default();
    let (stem, time) = name.rsplit_once('-').context("a time")?;
    ensure!(stem.starts_with("CaLink-") && time.parse::<u64>().is_ok(), "{name}");

    let facts = std::fs::read_to_string(format!("{base}.json"))?;
    assert_eq!((facts.lines().count(), facts.ends_with('\n')), (1, true));
    ensure!(facts.starts_with("{\"resources\": {\"loadavg\": {\"average\": {\"1\": "), "{facts}");
    let facts: Value = serde_json::from_str(&facts)?;
    for (at, is_right) in [
        ("/system/host", Value::is_string as fn(&Value) -> bool),
        ("/system/os", Value::is_string),
        ("/system/version", Value::is_string),
        ("/resources/loadavg/average/15", Value::is_f64),
        ("/resources/loadavg/entities/current", Value::is_u64),
        ("/resources/loadavg/entities/total", Value::is_u64),
        ("/resources/loadavg/last_pid", Value::is_u64),
        ("/timestamp", Value::is_string),
    ] {
        ensure!(facts.pointer(at).is_some_and(is_right), "{at} in {facts}");
    }
    let log = site.app.path("out/CaLink-commands-log-commands.log");
    let log = std::fs::read_to_string(log)?;
    ensure!(log.starts_with("\nlist root directory: ls -lha ./:\ntotal "), "{log}");

    let names = lines("tar", &["tzf"], archive(&report)?)?;
    let expected = ["engines/a.log", "engines/b.log", "one.log", "two.log"];
    let log = format!("{}/usr/var/log", site.app.path("").display());
    let log = log.trim_start_matches('/').replace("//", "/");
    let expected: Vec<String> = expected.iter().map(|name| format!("{log}/{name}")).collect();
    assert_eq!(names.get(2..6), Some(expected.as_slice()), "{names:?}");
    assert_eq!((names.len(), names.last().map(String::as_str)), (7, Some("manifest.json")));
    let told = said(&output);
    for line in [
        "[MainThread  ] [INFO ]   + Retrieving informations..",
        "[MainThread  ] [INFO ]          + Getting load average informations",
        "[MainThread  ] [INFO ]   + Creating json file CaLink-",
        "[MainThread  ] [INFO ]          + Executing command ls -lha ./",
        "[MainThread  ] [INFO ]          - get_files: File ",
        "/one.log to the archive",
    ] {
        ensure!(told.contains(line), "{line} in {told}");
    }
    Ok(())
}

#[test]
fn every_tar_opens_it_and_nothing_in_it_leads_out() -> anyhow::Result<()> {
    let site = Site::new()?;
    let long = format!("usr/var/log/{}/name", "long".repeat(50));
    for name in ["usr/var/log/a.log", "usr/var/log/empty", &long] {
        site.write(name, if name.ends_with("empty") { "" } else { "text\n" })?;
    }
    std::fs::set_permissions(
        site.app.path("usr/var/log/a.log"),
        std::fs::Permissions::from_mode(0o6755),
    )?;
    let config = site.write("c.ini", "[files]\nvar_log_dirs=.\n")?;
    let python = "import sys,tarfile; print(*tarfile.open(sys.argv[1]).getnames(), sep='\\n')";
    for compress in ["gzip", "zstd"] {
        let (report, _) = site.gather(&config, &["--compress", compress])?;
        let path = archive(&report)?;
        let mode = std::fs::metadata(path)?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let gnu = lines("tar", &["--auto-compress", "-tf"], path)?;
        assert_eq!(gnu.len(), 6, "{gnu:?}");
        ensure!(gnu.iter().all(|name| !name.starts_with('/') && !name.contains("..")), "{gnu:?}");
        if compress == "gzip" {
            assert_eq!(lines("python3", &["-c", python], path)?, gnu);
        }
        if Command::new("bsdtar").arg("--version").output().is_ok() {
            assert_eq!(lines("bsdtar", &["-tf"], path)?, gnu);
        }
        let modes = lines("tar", &["--auto-compress", "-tvf"], path)?;
        ensure!(
            modes.iter().all(|line| !line.contains('s') || !line.starts_with("-rws")),
            "{modes:?}"
        );
        let intact = site.command(&["verify", path]).output()?;
        ensure!(intact.status.success(), "{}", String::from_utf8_lossy(&intact.stdout));
        // One byte that is not what it was.
        let mut bytes = std::fs::read(path)?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 0xff;
        }
        let broken = site.write("broken", bytes)?;
        let verified = site.command(&["verify", &broken.to_string_lossy()]).output()?;
        ensure!(!verified.status.success(), "nobody saw the change");
    }
    Ok(())
}

#[test]
fn a_hostile_tree_is_gathered_within_its_bounds() -> anyhow::Result<()> {
    let site = Site::new()?;
    let at = |name: &str| site.app.path(&format!("usr/var/log/{name}"));
    ensure!(Command::new("mkfifo").arg(at("pipe")).status()?.success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket"))?;
    symlink("/dev/zero", at("endless"))?;
    symlink(at(""), at("loop"))?;
    symlink("/etc/passwd", at("outside.log"))?;
    site.write("usr/var/log/id_rsa", "a key")?;
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff\xfe\n.log");
    std::fs::write(at("").join(odd), "odd\n")?;
    let sparse = std::fs::File::create(at("sparse"))?;
    sparse.set_len(100 << 30)?;
    for number in 0..3_000 {
        site.write(&format!("usr/var/log/many/{number}"), "x")?;
    }
    // It grows for as long as the run takes, and another is cut again and again.
    let growing = std::fs::File::create(at("growing.log"))?;
    let mut writer = Command::new("yes").arg("a line of a log").stdout(growing).spawn()?;
    let shrinking = at("shrinking.log").display().to_string();
    let loop_of = format!("while :; do yes | head -c 300000 > {shrinking}; : > {shrinking}; done");
    let mut cutter = Command::new("sh").args(["-c", &loop_of]).spawn()?;
    let config = site.write("c.ini", "[files]\nvar_log_dirs=.\n")?;
    let gathered = site.gather(&config, &["--profile", "normal"]);
    for child in [&mut writer, &mut cutter] {
        child.kill()?;
        child.wait()?;
    }
    let (report, output) = gathered?;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = told(&site.items(&report)?);
    let expected = [
        ("pipe", "special"),
        ("socket", "special"),
        ("endless", "link"),
        ("loop", "link"),
        ("outside.log", "link"),
        ("id_rsa", "secret"),
        ("sparse", "sparse"),
        ("odd%FF%FE%0A.log", "stored"),
        ("2999", "stored"),
    ];
    for (name, flag) in expected {
        assert_eq!(told.get(name).map(String::as_str), Some(flag), "{name}");
    }
    let is_held = ["stored", "grew", "truncated"];
    ensure!(told.get("growing.log").is_some_and(|flag| is_held.contains(&flag.as_str())));
    ensure!(told.contains_key("shrinking.log"));
    let verified = site.command(&["verify", archive(&report)?]).output()?;
    ensure!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    Ok(())
}

#[test]
fn no_secret_is_in_the_archive() -> anyhow::Result<()> {
    let site = Site::new()?;
    let secret = "hunter2-and-the-rest";
    let lines = [
        format!("db_password = {secret}"),
        format!("{{\"token\": \"{secret}\"}}"),
        format!("https://ann:{secret}@example.org/"),
        format!("Authorization: Basic {secret}"),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----"),
    ];
    let kept = "author = hunter1\ncompass: north\n";
    let text = format!("{kept}{}\n", lines.join("\n"));
    site.write("usr/var/log/a.log", &text)?;
    let config = site.write(
        "c.yaml",
        serde_json::to_string(&serde_json::json!({
            "facts": {"more": ["ps"]},
            "files": [{"path": site.app.path("usr/var/log")}],
            "commands": [
                {"name": "shown", "run": ["echo", format!("password={secret}")]},
                {"name": "read", "run": format!("cat {}/a.log; env", site.app.path("usr/var/log").display())},
            ],
            "output": {"keep_plain": true},
        }))?,
    )?;
    let mut sleeping = Command::new("sh")
        .args(["-c", "sleep 60; : \"$@\"", "sh", "--password", secret])
        .env("API_TOKEN", secret)
        .spawn()?;
    let gathered = site.gather(&config, &[]);
    sleeping.kill()?;
    sleeping.wait()?;
    let (report, output) = gathered?;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let all = Command::new("tar").args(["xzOf", archive(&report)?]).output()?;
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    ensure!(all.contains(kept) && all.contains("--password"), "nothing was looked at");
    let lines: Vec<&str> = all.lines().filter(|line| line.contains(secret)).collect();
    let lines: Vec<String> = lines.iter().map(|line| line.chars().take(200).collect()).collect();
    ensure!(lines.is_empty(), "a secret is in the archive: {lines:?}");
    ensure!(!said(&output).contains(secret), "a secret is in what was said");
    ensure!(text.len() == usize::try_from(stored(&site.items(&report)?)?)?, "a length has changed");
    Ok(())
}

/// Bytes stored of the one file.
fn stored(items: &[Value]) -> anyhow::Result<u64> {
    let file = items.iter().find(|item| item.pointer("/kind") == Some(&Value::from("file")));
    file.and_then(|file| file.pointer("/stored")?.as_u64()).context("a file")
}

#[test]
fn what_cannot_be_done_is_told_by_the_exit_code() -> anyhow::Result<()> {
    let site = Site::new()?;
    let bad = site.write("bad.ini", "[info]\nnonsense\n")?;
    let good = site.write("good.ini", "[info]\nsystem=host\n")?;
    let nowhere = site.app.path("no/such/folder").display().to_string();
    let (bad, good) = (bad.display().to_string(), good.display().to_string());
    for (arguments, code, expected) in [
        (vec![bad.as_str()], 2, "line 2: \"nonsense\" is no section"),
        (vec!["/no/such/file.ini"], 2, "the configuration cannot be read"),
        (vec![good.as_str(), "--out", &nowhere], 4, "cannot write anything in"),
        (vec!["show", &good], 2, "cannot be read as an archive"),
    ] {
        let output = site.command(&arguments).output()?;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        ensure!(said(&output).contains(expected), "{expected} in {}", said(&output));
    }
    // Two runs within one second have two archives, and neither leaves anything half done.
    for _run in 0..2 {
        site.gather(Path::new(&good), &[])?;
    }
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(site.app.path("out"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    assert_eq!(names.len(), 6, "{names:?}");
    ensure!(names.iter().all(|name| name.starts_with("CaLink-")), "{names:?}");
    Ok(())
}
