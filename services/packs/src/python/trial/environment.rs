//! The Python that a pack's tests need: what the pack requires, and what its tests do.
//!
//! An installed pack has its environment, and all packs have the base layer. What is missing
//! beyond (`requirements-tests.txt`, and `requirements.txt` of a pack that is only a folder) is
//! installed into an environment of the tests' own, `<data>/trials/<pack>/<hash>`, that sees the
//! others behind it: nothing that runs for real changes because something was tested.
//!
//! Each file of requirements is a step of its own, and `done-NAME` in the environment says that
//! it was taken. A step that fails (there is no network, a library does not build) is told, and
//! tried again by the next run; tests that need nothing of it run all the same.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearken_kit::process::{self, Ending, Spawn, Stragglers};
use rustix::fs::{FlockOperation, flock};

use super::Wanted;
use crate::install::{Environment, Installer};
use crate::python::{self, virtualenv};

/// Where environments of tests are, in the data folder.
const FOLDER: &str = "trials";
/// What packs stand on, beside their environments; no pack is called so.
const BASE: &str = ".base";
/// The files of requirements, the first one for packs that are not installed.
const FILES: [&str; 2] = ["requirements.txt", "requirements-tests.txt"];
/// What runs tests that are written for it; see `trial_pytest.py`.
const PYTEST: &str = "pytest";
/// Bytes of a file of tests that are looked through for it.
const TEST_BYTES_MAX: u64 = 1 << 20;
/// Libraries that requirements of old tests name and today's Python cannot import, whose names
/// are served without: `mock` and `unittest2` by our modules, `nose` by what runs the tests.
const SERVED: [&str; 3] = ["mock", "nose", "unittest2"];
/// Bytes of a file of requirements.
const REQUIREMENTS_BYTES_MAX: u64 = 1 << 20;
/// Digits of a hash, as for the environments of packs.
const HASH_DIGITS: usize = 16;
/// How old the environment for other requirements is before it goes.
const OTHERS_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long making an empty environment may take.
const MAKE_WAIT: Duration = Duration::from_secs(120);
/// How long pip may take: packages that are compiled take minutes.
const PIP_WAIT: Duration = Duration::from_secs(1800);
/// Bytes of what pip says.
const PIP_BYTES_MAX: usize = 1 << 20;
/// The last lines of what a program said, as they stand in a note.
const LINES_MAX: usize = 6;
/// How often, and with which pauses, an environment is asked for that another run builds.
const LOCK_LOOKS: u32 = 3_000;
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// What tests are run with.
#[derive(Debug)]
pub(super) struct Means {
    /// The interpreter.
    pub(super) program: PathBuf,
    /// What is missing, and why.
    pub(super) notes: Vec<String>,
}

/// What is being built.
struct Build<'a> {
    wanted: &'a Wanted,
    /// Its folder.
    place: PathBuf,
    /// The interpreters whose libraries it sees, the first one first.
    behind: Vec<PathBuf>,
    /// One with a pip that installs into other environments. Without it this environment gets a
    /// pip of its own, which takes most of the time that making it takes.
    pip: Option<PathBuf>,
}

/// Finds the interpreter for the tests, and builds what is missing if that is wanted.
pub(super) async fn prepare(
    wanted: &Wanted,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Means, String> {
    let mut notes = Vec::new();
    let mut pip = None;
    if wanted.installs {
        (pip, notes) = set_up(wanted, say).await;
    }
    let own = wanted.is_installed.then(|| virtualenv(&wanted.data, &wanted.pack)).flatten();
    let base = virtualenv(&wanted.data, BASE);
    let behind: Vec<PathBuf> = own.into_iter().chain(base).collect();
    let steps = steps(wanted)?;
    let plain = interpreter(wanted).await?;
    if steps.is_empty() {
        return Ok(Means { program: behind.into_iter().next().unwrap_or(plain), notes });
    }
    let place = place(wanted, &steps, &behind, &plain);
    let build = Build { wanted, place, behind, pip };
    if wanted.installs {
        notes.extend(build.all(&plain, &steps, say).await);
    }
    let made = build.place.join("bin/python");
    let first = build.behind.into_iter().next();
    let program = if made.is_file() { made } else { first.unwrap_or(plain) };
    Ok(Means { program, notes })
}

/// Brings the base layer, and the environment of an installed pack. Answers the interpreter of the
/// former, and what failed.
async fn set_up(
    wanted: &Wanted,
    say: &mut (dyn FnMut(&str) + Send),
) -> (Option<PathBuf>, Vec<String>) {
    let python = wanted.python.clone();
    let mut notes = Vec::new();
    let mut installer = match Installer::open(&wanted.data, "", python, wanted.now, say) {
        Ok(installer) => installer,
        Err(error) => return (None, vec![hearken_kit::chain(&error)]),
    };
    let base = match installer.set_up_base().await {
        Ok(base) => Some(base.join("bin/python")),
        Err(error) => {
            notes.push(hearken_kit::chain(&error));
            None
        }
    };
    if wanted.is_installed && virtualenv(&wanted.data, &wanted.pack).is_none() {
        match installer.set_up(&wanted.pack).await {
            Ok((_, Environment::Failed(why))) => notes.push(why),
            Ok((_, Environment::NotNeeded | Environment::Ready(_))) => {}
            Err(error) => notes.push(hearken_kit::chain(&error)),
        }
    }
    (base, notes)
}

/// The interpreter itself, without any library of packs.
async fn interpreter(wanted: &Wanted) -> Result<PathBuf, String> {
    if let Some(given) = &wanted.python {
        return Ok(given.clone());
    }
    let marker = super::marker("python").ok_or("it cannot be marked")?;
    let found = python::find(&process::environment::path(), &marker).await;
    Ok(found.map_err(|missing| format!("{missing} ({})", missing.hint()))?.program)
}

/// The files of requirements that say something, with what is left of them.
fn steps(wanted: &Wanted) -> Result<Vec<(&'static str, String)>, String> {
    let mut found = Vec::new();
    for name in FILES.into_iter().skip(usize::from(wanted.is_installed)) {
        let path = wanted.folder.join(name);
        let text = match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > REQUIREMENTS_BYTES_MAX => {
                return Err(format!("{name} is larger than any list of requirements"));
            }
            Ok(_) => fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?,
            Err(_) => continue,
        };
        let lines = text.lines().filter(|line| name != FILES[1] || !is_served(line));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        if text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#')) {
            found.push((name, text));
        }
    }
    if super::files(&wanted.folder).iter().any(|file| names_pytest(file)) {
        found.push((PYTEST, format!("{PYTEST}\n")));
    }
    Ok(found)
}

/// Whether a file of tests is written for pytest.
fn names_pytest(file: &Path) -> bool {
    let is_short = fs::metadata(file).is_ok_and(|metadata| metadata.len() <= TEST_BYTES_MAX);
    let beside = file.with_file_name("conftest.py");
    let names = |path: &Path| fs::read(path).is_ok_and(|text| holds(&text, PYTEST.as_bytes()));
    (is_short && names(file)) || names(&beside)
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether a line names a library that need not be installed.
fn is_served(line: &str) -> bool {
    let is_part = |next: char| next.is_ascii_alphanumeric() || "._-".contains(next);
    let line = line.trim();
    let name = line.split(|next| !is_part(next)).next().unwrap_or_default();
    SERVED.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The folder of the environment: by what it is built of.
fn place(wanted: &Wanted, steps: &[(&str, String)], behind: &[PathBuf], plain: &Path) -> PathBuf {
    let mut all = String::new();
    let texts = steps.iter().flat_map(|(name, text)| [(*name).to_owned(), text.clone()]);
    let paths = behind.iter().map(PathBuf::as_path).chain([plain]);
    let paths = paths.map(|path| path.to_string_lossy().into_owned());
    for part in texts.chain(paths) {
        // Writing to a text cannot fail. Lengths, so that no two lists read the same.
        let _ok = write!(all, "{}:{part}", part.len());
    }
    let mut hash = blake3::hash(all.as_bytes()).to_hex().to_string();
    hash.truncate(HASH_DIGITS);
    wanted.data.join(FOLDER).join(&wanted.pack).join(hash)
}

impl Build<'_> {
    /// Takes all steps that have not been taken; what fails is told.
    async fn all(
        &self,
        plain: &Path,
        steps: &[(&str, String)],
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Vec<String> {
        // Held until the end; the kernel lets go of it whatever happens.
        let _lock = match self.lock(say).await {
            Ok(lock) => lock,
            Err(why) => return vec![why],
        };
        if let Err(why) = self.make(plain).await {
            // Half an environment is worse than none.
            fs::remove_dir_all(&self.place).unwrap_or(());
            return vec![why];
        }
        let mut notes = Vec::new();
        for (name, text) in steps {
            let done = self.place.join(format!("done-{name}"));
            if done.is_file() {
                continue;
            }
            let lines = text.lines().map(str::trim);
            let shown: Vec<&str> =
                lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
            say(&format!("installing {} ({name})", shown.join(", ")));
            let taken = self.install(name, text).await;
            match taken.and_then(|()| fs::write(&done, "").map_err(|error| error.to_string())) {
                Ok(()) => {}
                Err(why) => notes.push(format!(
                    "libraries of {name} could not be installed, tests that need them fail: {why}"
                )),
            }
        }
        self.remove_others();
        notes
    }

    /// Waits until no other run builds for this pack.
    async fn lock(&self, say: &mut (dyn FnMut(&str) + Send)) -> Result<File, String> {
        let all = self.place.parent().unwrap_or(&self.place);
        let text = |error: io::Error| format!("{}: {error}", all.display());
        fs::create_dir_all(all).map_err(text)?;
        let mut options = File::options();
        let opened = options.create(true).truncate(false).write(true).open(all.join(".lock"));
        let lock = opened.map_err(text)?;
        for look in 0..LOCK_LOOKS {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(lock),
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(text(error.into())),
            }
            if look == 0 {
                say("another run of these tests installs what they need: waiting for its end");
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        Err(format!("another run works in {} and does not end", all.display()))
    }

    /// Makes the environment unless it is there, with those behind it in sight before pip runs.
    async fn make(&self, plain: &Path) -> Result<(), String> {
        let made = self.place.join("made");
        if made.is_file() {
            // It was used now; see `remove_others`.
            return fs::write(&made, "").map_err(|error| error.to_string());
        }
        if self.place.exists() {
            fs::remove_dir_all(&self.place).map_err(|error| error.to_string())?;
        }
        let doing = "making a virtual environment (Debian has it in python3-venv)";
        let mut make = program(plain, &["-m", "venv", "--system-site-packages"], MAKE_WAIT)?;
        make.arguments.extend(self.pip.as_ref().map(|_pip| "--without-pip".into()));
        make.arguments.push(self.place.clone().into());
        ran(doing, &make).await?;
        // Each is `<environment>/bin/python`.
        let behind = self.behind.iter().filter_map(|program| program.parent()?.parent());
        let lines: String = behind
            .flat_map(libraries)
            .flat_map(|place| [place.to_string_lossy().into_owned(), "\n".to_owned()])
            .collect();
        for library in libraries(&self.place) {
            let shown = library.join("zzz_hearken_behind.pth");
            fs::write(shown, &lines).map_err(|error| error.to_string())?;
        }
        fs::write(&made, "").map_err(|error| error.to_string())
    }

    /// Installs one file of requirements, or what is left of it.
    async fn install(&self, name: &str, text: &str) -> Result<(), String> {
        let own = self.place.join("bin/python");
        let mut pip = program(self.pip.as_ref().unwrap_or(&own), &["-m", "pip"], PIP_WAIT)?;
        if self.pip.is_some() {
            pip.arguments.extend(["--python".into(), own.into()]);
        }
        let quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"];
        pip.arguments.push("install".into());
        pip.arguments.extend(quiet.map(Into::into));
        // Without a network five tries with growing pauses take a minute for each package.
        pip.arguments.extend(["--retries", "1", "--timeout", "15", "-r"].map(Into::into));
        let whole = self.wanted.folder.join(name);
        if fs::read_to_string(&whole).is_ok_and(|whole| whole.trim() == text.trim()) {
            pip.arguments.push(name.into());
        } else {
            let left = self.place.join(name);
            fs::write(&left, text).map_err(|error| error.to_string())?;
            pip.arguments.push(left.into());
        }
        // What the file names beside itself is found where pip runs.
        pip.folder = Some(self.wanted.folder.clone());
        ran("pip install", &pip).await
    }

    /// Removes the environments for other requirements, once nobody has used them for long.
    fn remove_others(&self) {
        let all = self.place.parent().into_iter().flat_map(fs::read_dir).flatten().flatten();
        for other in all.map(|entry| entry.path()).filter(|path| *path != self.place) {
            let used = fs::metadata(other.join("made")).and_then(|metadata| metadata.modified());
            let age = used.map(|at| at.elapsed());
            if matches!(age, Ok(Ok(age)) if age > OTHERS_AGE) {
                // It costs some room until the next run tries again.
                fs::remove_dir_all(&other).unwrap_or(());
            }
        }
    }
}

/// Where an environment keeps its libraries.
fn libraries(environment: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    let places = versions.map(|entry| entry.path().join("site-packages"));
    places.filter(|place| place.is_dir()).collect()
}

/// A program of Python, in the environment of whoever runs this.
fn program(python: &Path, arguments: &[&str], wait: Duration) -> Result<Spawn, String> {
    let marker = super::marker("setup").ok_or("it cannot be marked")?;
    let mut spawn = Spawn::new(python, marker);
    spawn.arguments = arguments.iter().map(Into::into).collect();
    spawn.environment = std::env::vars_os()
        .filter(|(name, _)| !super::NOT_INHERITED.iter().any(|known| name == known))
        .collect();
    spawn.timeout = wait;
    spawn.output_max_bytes = PIP_BYTES_MAX;
    spawn.stragglers = Stragglers::End;
    Ok(spawn)
}

/// Runs a program to its end; what it said last is why it failed.
async fn ran(doing: &str, spawn: &Spawn) -> Result<(), String> {
    let ended = process::run(spawn, std::future::pending(), None).await;
    let why = match &ended.ending {
        Ending::Exited(0) => return Ok(()),
        Ending::FailedToStart(error) => format!("{error} ({})", error.hint()),
        Ending::TimedOut => format!("it took longer than {} s", spawn.timeout.as_secs()),
        Ending::Exited(_) | Ending::Signaled(_) | Ending::Canceled | Ending::Unknown(_) => {
            let said = [&ended.stderr.bytes, &ended.stdout.bytes].map(|bytes| last_lines(bytes));
            let said = said.into_iter().find(|text| !text.is_empty());
            said.unwrap_or_else(|| format!("{:?}", ended.ending))
        }
    };
    Err(format!("{doing} failed: {why}"))
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(LINES_MAX);
    let text = lines.get(from..).unwrap_or_default().join("; ");
    // What programs say may hold what others wrote: it must not steer a terminal.
    text.chars().map(|next| if next.is_control() { ' ' } else { next }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(folder: &Path, is_installed: bool) -> Wanted {
        Wanted {
            data: folder.join("data"),
            pack: "shop".to_owned(),
            folder: folder.to_owned(),
            is_installed,
            only: None,
            python: None,
            installs: true,
            timeout: Duration::from_secs(60),
            now: hearken_proto::Timestamp::default(),
        }
    }

    #[test]
    fn libraries_that_are_served_are_not_installed() {
        for (line, expected) in [
            ("mock", true),
            (" Mock>=1.3.0,<2.0  # old", true),
            ("unittest2 ; python_version < '3'", true),
            ("nose>=1.3.7", true),
            ("requests-mock", false),
            ("mock_open", false),
            ("# mock", false),
            ("-r other.txt", false),
        ] {
            assert_eq!(is_served(line), expected, "{line}");
        }
    }

    #[test]
    fn an_environment_is_known_by_all_that_it_is_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let [own, tests] = FILES.map(|name| folder.path().join(name));
        let (open, installed) = (wanted(folder.path(), false), wanted(folder.path(), true));
        assert_eq!(steps(&open).unwrap(), []);
        fs::write(&own, "six\n").unwrap();
        fs::write(&tests, "# nothing\nmock\n\n").unwrap();
        assert_eq!(steps(&open).unwrap(), [(FILES[0], "six\n".to_owned())]);
        // Its own environment has them.
        assert_eq!(steps(&installed).unwrap(), []);
        fs::write(&tests, "mock\nresponses\n").unwrap();
        assert_eq!(steps(&installed).unwrap(), [(FILES[1], "responses\n".to_owned())]);
        let python = Path::new("/usr/bin/python3");
        let both = steps(&open).unwrap();
        let behind = [PathBuf::from("/a/bin/python")];
        let places = [
            place(&open, &both, &[], python),
            place(&open, &both, &behind, python),
            place(&open, &both[..1], &[], python),
            place(&open, &both, &[], Path::new("/usr/bin/python4")),
        ];
        let different: std::collections::BTreeSet<_> = places.iter().collect();
        assert_eq!(different.len(), places.len());
        assert_eq!(places[0], place(&open, &both, &[], python));
        assert!(places[0].starts_with(open.data.join("trials/shop")));
        fs::create_dir(folder.path().join("tests")).unwrap();
        let test = folder.path().join("tests/test_a.py");
        fs::write(&test, "import unittest").unwrap();
        assert_eq!(steps(&open).unwrap(), both);
        fs::write(&test, "import pytest").unwrap();
        assert_eq!(steps(&open).unwrap().last().unwrap().0, PYTEST);
        let file = File::create(&own).unwrap();
        file.set_len(REQUIREMENTS_BYTES_MAX + 1).unwrap();
        assert!(steps(&open).unwrap_err().contains("larger than any list"));
    }
}
