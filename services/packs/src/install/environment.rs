//! The virtual environments of packs, and the base layer that all of them see.
//!
//! `<data>/virtualenvs/<pack>/<hash>/` is built once per content of `requirements.txt` and version
//! of Python; the link `current` beside it, which the runners follow, is moved when it is complete
//! (`hearken.json` in it says so). It is not built elsewhere and renamed, since programs that pip
//! installs name their interpreter by its path.
//!
//! `<data>/virtualenvs/.base/` is built the same way, of what packs import without saying so. A
//! `.pth` file shows it to every environment before pip runs there, so that pip sees what is there
//! and brings no second version of it. A pack without requirements has a link to it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearken_kit::process::Marker;
use serde_json::json;

use super::Error;
use super::place::{entries, remove_all};
use super::program::{Program, Say};
use crate::python;

/// Where virtual environments are, in the data folder.
const FOLDER: &str = "virtualenvs";
/// The base layer, beside those of packs; no pack is called so.
const BASE: &str = ".base";
/// What packs import without declaring it, as it came with StackStorm.
const BASE_REQUIREMENTS: [&str; 12] = [
    // The first that installs into other environments; every pack's is built with it.
    "pip>=22.3",
    // Has pkg_resources still, which libraries of packs import.
    "setuptools<81",
    "packaging",
    "six",
    "requests",
    "PyYAML",
    "eventlet",
    "python-dateutil",
    "pytz",
    "simplejson",
    "Jinja2",
    "st2client",
];
/// In a complete environment: what it was built of.
const COMPLETE: &str = "hearken.json";
/// The link to the environment in use.
const CURRENT: &str = "current";
/// Digits of the hash: enough for all versions of one pack, short enough for a first line of a
/// script, which the kernel cuts.
const HASH_DIGITS: usize = 16;
/// How long an interpreter may take to tell its version.
const ASK_WAIT: Duration = Duration::from_secs(20);
/// How long making an empty environment may take: seconds, and minutes where much else runs.
const MAKE_WAIT: Duration = Duration::from_secs(600);
/// How long pip may take: packages that are compiled take minutes.
const PIP_WAIT: Duration = Duration::from_secs(1800);
/// Bytes of a file of requirements.
const REQUIREMENTS_BYTES_MAX: u64 = 1 << 20;
/// What an interpreter is asked.
const QUESTION: &str =
    "import sys; sys.stdout.write('%d.%d %s' % (sys.version_info[:2] + (sys.executable,)))";

/// What became of the Python side of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environment {
    /// It has no Python.
    NotNeeded,
    /// It is there.
    Ready(PathBuf),
    /// It could not be built; what needs nothing of it works all the same.
    Failed(String),
}

/// A Python to build with.
#[derive(Clone, Debug)]
pub(super) struct Interpreter {
    /// Where it is.
    program: PathBuf,
    /// As in `3.11`.
    version: String,
}

/// The folder of all environments of a pack.
pub(super) fn folder(data: &Path, pack: &str) -> PathBuf {
    data.join(FOLDER).join(pack)
}

/// The interpreter to build with: `given`, or the first of `PATH` that is new enough.
pub(super) async fn interpreter(given: Option<&Path>) -> Result<Interpreter, String> {
    let program = match given {
        Some(given) => given.to_owned(),
        None => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let marker = Marker::new("packs", "python").ok_or("it cannot be marked")?;
            let found = python::find(&path, &marker).await;
            found.map_err(|missing| format!("{missing} ({})", missing.hint()))?.program
        }
    };
    let ask = Program::new("asking Python for its version", &program, &["-I"], ASK_WAIT);
    let ask = Program { arguments: ["-I", "-S", "-c", QUESTION].map(Into::into).into(), ..ask };
    let said = ask.run(None).await.map_err(|error| error.to_string())?;
    let (version, place) = said
        .text
        .trim()
        .split_once(' ')
        .ok_or_else(|| format!("{} does not tell its version", program.display()))?;
    Ok(Interpreter { program: place.into(), version: version.to_owned() })
}

/// Builds what the pack in `folder` needs, and answers it; nothing is in use before [`switch`].
pub(super) async fn build(
    data: &Path,
    pack: &str,
    folder: &Path,
    interpreter: &Interpreter,
    say: Say<'_>,
) -> Result<PathBuf, String> {
    let base = base(data, interpreter, say).await;
    let requirements = folder.join("requirements.txt");
    let text = requirements_of(&requirements)?;
    if entries_of(&text).next().is_none() {
        return base;
    }
    if let Err(why) = &base {
        (say)(why);
    }
    let place = self::folder(data, pack).join(hash(&text, interpreter));
    if is_complete(&place) {
        return Ok(place);
    }
    let wanted: Vec<&str> = entries_of(&text).collect();
    (say)(&format!("installing what {pack} requires: {}", wanted.join(", ")));
    // What the file names beside itself is found where pip runs.
    let arguments = ["-r", "requirements.txt"].map(str::to_owned);
    let pip = base.ok().map(|base| base.join("bin/python"));
    let make = Make { data, place: &place, folder, interpreter, pip, wanted: &arguments };
    make.make(say).await?;
    Ok(place)
}

/// Builds the base layer unless it is there, and puts it in use.
pub(super) async fn base(
    data: &Path,
    interpreter: &Interpreter,
    say: Say<'_>,
) -> Result<PathBuf, String> {
    let place = folder(data, BASE).join(hash(&BASE_REQUIREMENTS.join("\n"), interpreter));
    if !is_complete(&place) {
        (say)("installing what packs import without saying so (once)");
        let wanted = BASE_REQUIREMENTS.map(str::to_owned);
        let make =
            Make { data, place: &place, folder: data, interpreter, pip: None, wanted: &wanted };
        make.make(say).await.map_err(|why| {
            format!(
                "the Python libraries that packs take for granted could not be installed: {why} \
                 (with a network, try: hearken pack setup)"
            )
        })?;
    }
    switch(data, BASE, &place).map_err(|error| error.to_string())?;
    Ok(place)
}

/// An environment that is to be made.
struct Make<'a> {
    /// The data folder.
    data: &'a Path,
    /// Where it goes.
    place: &'a Path,
    /// Where pip runs.
    folder: &'a Path,
    /// What it is made of.
    interpreter: &'a Interpreter,
    /// A Python with a pip that installs into other environments. Without it this one gets a pip
    /// of its own, which takes most of the time that an environment takes.
    pip: Option<PathBuf>,
    /// What is installed into it.
    wanted: &'a [String],
}

impl Make<'_> {
    /// Makes it and installs into it; when that fails nothing of it is left.
    async fn make(&self, say: Say<'_>) -> Result<(), String> {
        let made = self.attempt(say).await;
        if made.is_err() {
            // A sweep removes what cannot be removed now.
            remove_all(self.place).unwrap_or(());
        }
        made
    }

    async fn attempt(&self, say: Say<'_>) -> Result<(), String> {
        let place = self.place;
        let text = |error: io::Error| format!("{}: {error}", place.display());
        remove_all(place).map_err(|error| error.to_string())?;
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(text)?;
        }
        let arguments = ["-m", "venv", "--system-site-packages"];
        let doing = "making a virtual environment (Debian has it in python3-venv)";
        let mut make = Program::new(doing, &self.interpreter.program, &arguments, MAKE_WAIT);
        make.arguments.extend(self.pip.as_ref().map(|_pip| "--without-pip".into()));
        make.arguments.push(place.into());
        make.run(None).await.map_err(|error| error.to_string())?;
        let library = format!("lib/python{}/site-packages", self.interpreter.version);
        let own = place.join(&library);
        if !place.ends_with(Path::new(BASE).join(place.file_name().unwrap_or_default())) {
            let shared = self::folder(self.data, BASE).join(CURRENT).join(&library);
            let line = format!("{}\n", shared.display());
            fs::write(own.join("zzz_hearken_base.pth"), line).map_err(text)?;
        }
        let pip = self.pip(place.join("bin/python"));
        pip.run(Some(say)).await.map_err(|error| error.to_string())?;
        let said = json!({"python": self.interpreter.version, "wanted": self.wanted});
        fs::write(place.join(COMPLETE), said.to_string()).map_err(text)
    }

    /// pip that installs what is wanted into the environment of `python`.
    fn pip(&self, python: PathBuf) -> Program {
        let program = self.pip.as_ref().unwrap_or(&python);
        let mut pip =
            Program::new("pip install", program, &["-m", "pip"], PIP_WAIT).within(self.folder);
        if self.pip.is_some() {
            pip.arguments.extend(["--python".into(), python.into()]);
        }
        let quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"];
        pip.arguments.push("install".into());
        pip.arguments.extend(quiet.map(Into::into));
        // Without a network five tries with growing pauses take a minute for each package.
        pip.arguments.extend(["--retries", "1", "--timeout", "15"].map(Into::into));
        pip.arguments.extend(self.wanted.iter().map(Into::into));
        pip
    }
}

/// Puts the environment at `place` in use for `pack`; all others but the last one go.
pub(super) fn switch(data: &Path, pack: &str, place: &Path) -> Result<(), Error> {
    let folder = folder(data, pack);
    fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder))?;
    let link = folder.join(CURRENT);
    let before = fs::read_link(&link).ok();
    let target = match place.strip_prefix(&folder) {
        Ok(own) => own.to_owned(),
        Err(_) => Path::new("..").join(BASE).join(CURRENT),
    };
    if before.as_ref() != Some(&target) {
        let beside = folder.join(".current");
        remove_all(&beside)?;
        symlink(&target, &beside).map_err(Error::io("write the link", &beside))?;
        fs::rename(&beside, &link).map_err(Error::io("move the link", &link))?;
    }
    // What still runs from the one before may go on loading from it.
    for (path, name) in entries(&folder)? {
        let is_used = [Some(&target), before.as_ref()].contains(&Some(&PathBuf::from(&name)));
        if is_hash(&name) && !is_used {
            remove_all(&path)?;
        }
    }
    Ok(())
}

/// Removes environments that were never completed.
pub(super) fn sweep(data: &Path) -> Result<(), Error> {
    for (pack, _) in entries(&data.join(FOLDER))? {
        if !pack.is_dir() {
            continue;
        }
        for (path, name) in entries(&pack)? {
            if is_hash(&name) && !is_complete(&path) {
                remove_all(&path)?;
            }
        }
    }
    Ok(())
}

/// Whether the pack in `folder` has Python at all.
pub(super) fn is_needed(folder: &Path) -> bool {
    let is_python = |part: &str| {
        let listed = entries(&folder.join(part)).unwrap_or_default();
        listed.iter().any(|(_, name)| name.ends_with(".py"))
    };
    is_python("actions")
        || is_python("sensors")
        || requirements_of(&folder.join("requirements.txt"))
            .is_ok_and(|text| entries_of(&text).next().is_some())
}

fn requirements_of(path: &Path) -> Result<String, String> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > REQUIREMENTS_BYTES_MAX => {
            Err("requirements.txt is larger than any list of requirements".to_owned())
        }
        Ok(_) => fs::read_to_string(path).map_err(|error| format!("requirements.txt: {error}")),
        Err(_) => Ok(String::new()),
    }
}

/// The lines of a file of requirements that say something.
fn entries_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn is_complete(place: &Path) -> bool {
    place.join(COMPLETE).is_file() && place.join("bin/python").exists()
}

fn is_hash(name: &str) -> bool {
    name.len() == HASH_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hash(requirements: &str, interpreter: &Interpreter) -> String {
    let mut all = String::new();
    for part in [requirements, &interpreter.version, &interpreter.program.to_string_lossy()] {
        // Writing to a text cannot fail. Lengths, so that no two lists read the same.
        let _ok = write!(all, "{}:{part}", part.len());
    }
    let mut hash = blake3::hash(all.as_bytes()).to_hex().to_string();
    hash.truncate(HASH_DIGITS);
    hash
}
