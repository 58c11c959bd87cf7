//! Why a program could not be started: what, where, and what to do about it.
//!
//! The kernel answers a failed start with one number, and the same number for different mistakes.
//! So the place is looked at again, after the failure: that costs nothing when all is well.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::spawn::Spawn;

/// Longest first line of a script that is looked at; the kernel reads 256 bytes.
const INTERPRETER_LINE_MAX: u64 = 256;

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No file of that name, where it was looked for.
    #[error("cannot start {}: no such program", program.display())]
    ProgramMissing {
        /// As given.
        program: OsString,
        /// The `PATH` that was searched; empty when the program was a path itself.
        path: OsString,
    },
    /// The file is there, but not to be executed by us.
    #[error("cannot start {}: it may not be executed", path.display())]
    ProgramNotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The file is neither a program of this machine nor a script that names its interpreter.
    #[error("cannot start {}: it is not a program", path.display())]
    ProgramUnknown {
        /// The file.
        path: PathBuf,
    },
    /// The file is being written.
    #[error("cannot start {}: it is open for writing", path.display())]
    ProgramBusy {
        /// The file.
        path: PathBuf,
    },
    /// The first line of the script names a program that is not there.
    #[error("cannot start {}: its interpreter {interpreter} is missing", path.display())]
    InterpreterMissing {
        /// The script.
        path: PathBuf,
        /// The program its first line names.
        interpreter: String,
    },
    /// The folder to start in cannot be entered.
    #[error(
        "cannot start {} in {}: the folder cannot be entered",
        program.display(),
        folder.display()
    )]
    Folder {
        /// The program.
        program: PathBuf,
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Arguments and environment are more than the kernel takes.
    #[error(
        "cannot start {}: arguments and environment are too long ({bytes} bytes, the longest \
         one {longest_bytes})",
        program.display()
    )]
    TooLong {
        /// The program.
        program: PathBuf,
        /// All of them together.
        bytes: usize,
        /// The longest argument or variable.
        longest_bytes: usize,
    },
    /// More for standard input than is held in memory.
    #[error("cannot start a program with {bytes} bytes of input: the most is {bytes_max}")]
    InputTooLong {
        /// What was given.
        bytes: usize,
        /// What is taken.
        bytes_max: usize,
    },
    /// A variable's name is empty or holds an equals sign.
    #[error("cannot start a program with a variable called {name:?}")]
    VariableName {
        /// The name.
        name: OsString,
    },
    /// An argument, a variable or the program's name holds a NUL byte.
    #[error("cannot start {}: an argument or a variable holds a NUL byte", program.display())]
    NulByte {
        /// The program.
        program: PathBuf,
    },
    /// The machine has no room for another process or its pipes.
    #[error("cannot start {}: no room for another process", program.display())]
    NoRoom {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot start {}", program.display())]
    Other {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl StartError {
    /// What whoever asked for the program could do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::ProgramMissing { path, .. } if path.is_empty() => {
                "give the program's full path, or a PATH in its environment".to_owned()
            }
            Self::ProgramMissing { path, .. } => format!("looked in {}", path.display()),
            Self::ProgramNotExecutable { path } => match path.is_dir() {
                true => "that is a folder: name a file in it".to_owned(),
                false => format!("try: chmod +x {}", path.display()),
            },
            Self::ProgramUnknown { .. } => {
                "a script needs a first line such as #!/bin/sh; a program must be built for this \
                 machine"
                    .to_owned()
            }
            Self::ProgramBusy { .. } => "wait until it is written, then try again".to_owned(),
            Self::InterpreterMissing { interpreter, .. } => {
                format!("install {interpreter}, or correct the script's first line")
            }
            Self::Folder { folder, .. } => {
                format!("create {} or allow this user to enter it", folder.display())
            }
            Self::TooLong { .. } => {
                "hand long values over on standard input or in a file".to_owned()
            }
            Self::InputTooLong { .. } => "hand it over in a file".to_owned(),
            Self::VariableName { .. } => "a name is not empty and holds no =".to_owned(),
            Self::NulByte { .. } => "hand binary values over on standard input".to_owned(),
            Self::NoRoom { .. } => {
                "run fewer at once, or raise the limits on processes and open files".to_owned()
            }
            Self::Other { .. } => "see the system's message".to_owned(),
        }
    }

    /// Whether the same start may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NoRoom { .. } | Self::ProgramBusy { .. })
    }
}

/// Makes out what went wrong from the system's answer and from what is there.
pub(super) fn explain(spawn: &Spawn, path: PathBuf, source: io::Error) -> StartError {
    if source.kind() == io::ErrorKind::InvalidInput && source.raw_os_error().is_none() {
        return StartError::NulByte { program: path };
    }
    let folder = spawn.folder.as_deref();
    if let Some((folder, source)) = folder.and_then(|folder| Some((folder, entering(folder)?))) {
        return StartError::Folder { program: path, folder: folder.to_owned(), source };
    }
    match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => match interpreter(&path) {
            Some(interpreter) => StartError::InterpreterMissing { path, interpreter },
            None => StartError::ProgramMissing { program: path.into(), path: OsString::new() },
        },
        Some(Errno::ACCESS | Errno::PERM | Errno::ISDIR) => {
            StartError::ProgramNotExecutable { path }
        }
        Some(Errno::NOEXEC) => StartError::ProgramUnknown { path },
        Some(Errno::TXTBSY) => StartError::ProgramBusy { path },
        Some(Errno::TOOBIG) => {
            let (bytes, longest_bytes) = lengths(spawn);
            StartError::TooLong { program: path, bytes, longest_bytes }
        }
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => {
            StartError::NoRoom { program: path, source }
        }
        Some(_) | None => StartError::Other { program: path, source },
    }
}

/// Why `folder` cannot be started in; `None` when it can.
fn entering(folder: &Path) -> Option<io::Error> {
    match folder.metadata() {
        Ok(metadata) if !metadata.is_dir() => Some(Errno::NOTDIR.into()),
        Ok(_) => rustix::fs::access(folder, rustix::fs::Access::EXEC_OK).err().map(io::Error::from),
        Err(error) => Some(error),
    }
}

/// The program that the first line of a script names, when that is what is missing.
fn interpreter(path: &Path) -> Option<String> {
    let mut line = Vec::new();
    let file = File::open(path).ok()?;
    BufReader::new(file.take(INTERPRETER_LINE_MAX)).read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8_lossy(&line);
    let program = line.strip_prefix("#!")?.trim_start();
    // A script written on Windows names "/bin/sh\r": show that it does.
    let program = program.trim_end_matches('\n').split([' ', '\t']).next()?;
    let there = Path::new(program).metadata().is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
    (!there).then(|| program.escape_default().to_string())
}

/// Bytes of all arguments and variables, and of the longest of them.
fn lengths(spawn: &Spawn) -> (usize, usize) {
    let arguments = spawn.arguments.iter().map(|argument| argument.as_bytes().len() + 1);
    let variables = spawn.environment.iter().map(|(name, value)| name.len() + value.len() + 2);
    arguments
        .chain(variables)
        .fold((0, 0), |(sum, longest), bytes| (sum + bytes, longest.max(bytes)))
}
