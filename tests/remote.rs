//! Actions on other hosts: a real `sshd` on loopback, with keys of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{App, On, eventually, is_running};

/// How long things may take.
const WAIT: Duration = Duration::from_secs(60);
/// A host: an `sshd` that lets two keys in. Ended when dropped.
struct Host {
    folder: TempDir,
    port: u16,
    /// Of the key that has one.
    passphrase: String,
    child: Child,
}

impl Host {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        // Nobody else's: a test looks for it among all processes.
        let passphrase = format!("open {}", folder.path().display());
        for (name, passphrase) in [("host_key", ""), ("plain", ""), ("locked", passphrase.as_str())]
        {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
                .arg(at(name))
                .stdin(Stdio::null())
                .status()?;
            ensure!(made.success(), "ssh-keygen is needed (tests/run installs it)");
        }
        let keys = fs::read_to_string(at("plain.pub"))? + &fs::read_to_string(at("locked.pub"))?;
        fs::write(at("authorized_keys"), keys)?;
        // sshd is started as root on some machines, and then wants this folder.
        fs::create_dir_all("/run/sshd").unwrap_or(());
        let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = taken.local_addr()?.port();
        drop(taken);
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\nPermitRootLogin yes\n\
             MaxStartups 100\nAcceptEnv none\n",
            at("host_key").display(),
            at("authorized_keys").display(),
        );
        fs::write(at("config"), config)?;
        let log = fs::File::create(at("log"))?;
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stderr(log)
            .spawn()
            .context("sshd is needed (tests/run installs it)")?;
        let mut host = Self { folder, port, passphrase, child };
        eventually("sshd", WAIT, || {
            if let Some(status) = host.child.try_wait()? {
                anyhow::bail!("{status}: {}", fs::read_to_string(host.at("log"))?);
            }
            Ok(std::net::TcpStream::connect(("127.0.0.1", host.port)).ok().map(drop))
        })?;
        Ok(host)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn named(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.child.kill().unwrap_or(());
        self.child.wait().map(drop).unwrap_or(());
    }
}

/// Runs an action to its end.
fn run(app: &App, arguments: &[String]) -> anyhow::Result<Value> {
    let said = app.command().args(["-o", "json", "run"]).args(arguments).output()?;
    serde_json::from_slice(&said.stdout)
        .with_context(|| String::from_utf8_lossy(&said.stderr).into_owned())
}

fn key(path: &Path) -> String {
    format!("private_key={}", path.display())
}

#[test]
fn commands_run_on_hosts_and_the_result_has_stackstorms_shape() -> anyhow::Result<()> {
    let (host, app) = (Host::start()?, App::new(On::Embedded)?);
    let _up = app.up()?;
    let hosts = format!("hosts={}", host.named());
    let plain = key(&host.at("plain"));
    let material = format!("private_key={}", fs::read_to_string(host.at("plain"))?);
    let locked = key(&host.at("locked"));
    let opened = format!("passphrase={}", host.passphrase);
    let succeeded = |stdout: Value| {
        json!({
            "stdout": stdout, "stderr": "", "return_code": 0, "succeeded": true, "failed": false,
        })
    };
    let rows: [(&[&str], &str, Value); 7] = [
        (&["cmd=echo '{\"a\": 1}'", &plain], "succeeded", succeeded(json!({"a": 1}))),
        (
            &["cmd=pwd; cat; echo it\\'s", &material, "cwd=/usr"],
            "succeeded",
            succeeded(json!("/usr\nit's")),
        ),
        (&["cmd=echo opened", &locked, &opened], "succeeded", succeeded(json!("opened"))),
        (
            &["cmd=echo \"$A $ST2_ACTION_PACK_NAME\"", &plain, "env={\"A\": \"x 'y' $z\"}"],
            "succeeded",
            succeeded(json!("x 'y' $z core")),
        ),
        (
            &["cmd=echo out; echo err >&2; exit 3", &plain],
            "failed",
            json!({
                "stdout": "out", "stderr": "err", "return_code": 3, "succeeded": false,
                "failed": true,
            }),
        ),
        (&["cmd=cat <<X\nhere\nX", &plain], "succeeded", succeeded(json!("here"))),
        // Through the host itself, which knows the key of the way as well.
        (
            &["cmd=echo through", &plain, "bastion_host=BASTION"],
            "succeeded",
            succeeded(json!("through")),
        ),
    ];
    for (arguments, status, expected) in rows {
        let arguments = arguments
            .iter()
            .map(|text| text.replace("BASTION", &format!("localhost:{}", host.port)));
        let arguments: Vec<String> =
            ["core.remote".to_owned(), hosts.clone()].into_iter().chain(arguments).collect();
        let done = run(&app, &arguments)?;
        assert_eq!(done["status"], status, "{arguments:?}: {done}");
        assert_eq!(done["result"], json!({"127.0.0.1": expected}), "{arguments:?}");
    }
    // Keys and passphrases are nowhere afterwards.
    let left: Vec<_> =
        fs::read_dir(app.data().join("ssh"))?.flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["known_hosts"]);
    Ok(())
}

#[test]
fn hosts_that_cannot_be_reached_are_told_apart() -> anyhow::Result<()> {
    let (host, app) = (Host::start()?, App::new(On::Embedded)?);
    let _up = app.up()?;
    let plain = key(&host.at("plain"));
    let both = format!("hosts={},127.0.0.1:1", host.named());
    let done = run(&app, &["core.remote".into(), both, "cmd=echo hi".into(), plain.clone()])?;
    assert_eq!(done["status"], "failed");
    assert_eq!(done["result"][host.named()]["stdout"], "hi", "{done}");
    assert_eq!(done["result"]["127.0.0.1:1"]["failed"], true, "{done}");
    let none = ["core.remote".into(), "hosts=127.0.0.1:1".into(), "cmd=id".into(), plain.clone()];
    let done = run(&app, &none)?;
    assert_eq!(done["result"]["return_code"], 255, "{done}");
    assert_eq!(done["result"]["succeeded"], false, "{done}");
    ensure!(done["result"]["error"].as_str().context("why")?.contains("refused"), "{done}");
    // A wrong password is an end, not a question that nobody answers.
    let hosts = format!("hosts={}", host.named());
    let wrong = ["core.remote".into(), hosts.clone(), "cmd=id".into(), "password=no way".into()];
    let done = run(&app, &wrong)?;
    ensure!(done["result"]["error"].as_str().context("why")?.contains("denied"), "{done}");
    // A host whose key is another one than before is not spoken to.
    let known = app.data().join("ssh/known_hosts");
    let stranger = fs::read_to_string(host.at("plain.pub"))?;
    fs::write(&known, format!("[127.0.0.1]:{} {stranger}", host.port))?;
    let changed = ["core.remote".into(), hosts, "cmd=id".into(), plain];
    let done = run(&app, &changed)?;
    ensure!(done["result"]["error"].as_str().context("why")?.contains("HOST"), "{done}");
    Ok(())
}

#[test]
fn what_runs_elsewhere_ends_with_its_time_and_its_cancellation() -> anyhow::Result<()> {
    let (host, app) = (Host::start()?, App::new(On::Embedded)?);
    let _up = app.up()?;
    let (hosts, plain) = (format!("hosts={}", host.named()), key(&host.at("plain")));
    let told = "cmd=echo begun; sleep 4711";
    let base = ["core.remote".to_owned(), hosts, plain];
    let late = run(&app, &[&base[..], &[told.into(), "timeout=2".into()]].concat())?;
    assert_eq!(late["status"], "timeout", "{late}");
    assert_eq!(late["result"]["127.0.0.1"]["return_code"], -9, "{late}");
    assert_eq!(late["result"]["127.0.0.1"]["stdout"], "begun", "{late}");
    let gone =
        || eventually("its end there", WAIT, || Ok((!is_running("sleep\u{0}4711")?).then_some(())));
    gone()?;
    let asked: Vec<String> = [&base[..], &[told.into(), "--async".into()]].concat();
    let said = app.command().args(["-o", "json", "run"]).args(asked).output()?;
    let id =
        serde_json::from_slice::<Value>(&said.stdout)?["id"].as_str().context("id")?.to_owned();
    eventually("its start there", WAIT, || Ok(is_running("sleep\u{0}4711")?.then_some(())))?;
    app.json(&["execution", "cancel", &id])?;
    app.execution("core.remote", "canceled")?;
    gone()
}

#[test]
fn scripts_are_copied_with_their_libraries_run_and_removed() -> anyhow::Result<()> {
    let (host, app) = (Host::start()?, App::new(On::Embedded)?);
    app.write(
        "far/actions/tell.yaml",
        "name: tell\nrunner_type: run-remote-script\nentry_point: tell.sh\nparameters:\n  \
         what: {type: string, position: 0}\n  loud: {type: boolean}\n",
    )?;
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\nstat -c %a tell.sh\ncat lib/deep/words\n\
                  printf '%s|' \"$@\"\npwd\n";
    app.write("far/actions/tell.sh", script)?;
    app.write("far/actions/lib/deep/words", "from the library\n")?;
    let _up = app.up()?;
    let place = tempfile::tempdir()?;
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))?;
    let arguments = [
        "far.tell".to_owned(),
        format!("hosts={}", host.named()),
        key(&host.at("plain")),
        format!("dir={}", place.path().display()),
        "what=it's".to_owned(),
        "loud=true".to_owned(),
    ];
    let done = run(&app, &arguments)?;
    assert_eq!(done["status"], "succeeded", "{done}");
    let id = done["id"].as_str().context("an id")?;
    let expected = format!("744\nfrom the library\n--loud|it's|{}/{id}", place.path().display());
    assert_eq!(done["result"]["127.0.0.1"]["stdout"], expected, "{done}");
    assert_eq!(fs::read_dir(place.path())?.count(), 0, "nothing is left there");
    Ok(())
}

#[test]
fn nothing_secret_is_on_a_command_line() -> anyhow::Result<()> {
    let (host, app) = (Host::start()?, App::new(On::Embedded)?);
    let _up = app.up()?;
    let secret = format!("hush-{}", host.port);
    let arguments = [
        "run".to_owned(),
        "--async".to_owned(),
        "core.remote".to_owned(),
        format!("hosts={}", host.named()),
        key(&host.at("locked")),
        format!("passphrase={}", host.passphrase),
        format!("sudo_password={secret}"),
        "cmd=sleep 4712".to_owned(),
    ];
    let asked = app.command().args(["-o", "json"]).args(arguments).output()?;
    let asked: Value = serde_json::from_slice(&asked.stdout)?;
    eventually("its start", WAIT, || Ok(is_running("sleep\u{0}4712")?.then_some(())))?;
    for text in [&secret, &host.passphrase] {
        ensure!(!is_running(text)?, "{text} is on a command line");
        ensure!(!asked.to_string().contains(text), "{asked}");
    }
    let id = asked["id"].as_str().context("an id")?;
    app.json(&["execution", "cancel", id])?;
    app.execution("core.remote", "canceled").map(drop)
}

#[test]
fn winrm_says_what_to_use_instead() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("win/actions/dir.yaml", "name: dir\nrunner_type: winrm-cmd\n")?;
    let _up = app.up()?;
    let arguments = ["win.dir", "host=h", "username=u", "password=p", "cmd=dir"];
    let done = run(&app, &arguments.map(str::to_owned))?;
    assert_eq!(done["status"], "failed");
    ensure!(done["result"]["error"].as_str().context("why")?.contains("OpenSSH"), "{done}");
    Ok(())
}
