//! The last member of an archive: what is in it, what is not, and why.
//!
//! One JSON document, `collect/1`. Items come as they are gathered and wait in a file without a
//! name beside the archive, so that a million of them cost no memory.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::mask::Counts;

/// The form of the document.
pub const FORMAT: &str = "collect/1";
/// Its name in the archive.
pub const NAME: &str = "manifest.json";

/// One thing that was gathered, or was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// `file`, `command`, `fact`.
    pub kind: String,
    /// Where it is from: a path, a command line, a name.
    pub source: String,
    /// Its name in the archive; none when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Bytes it has at its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Bytes of it in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<u64>,
    /// Permissions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// When it was changed last, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime_ns: Option<i64>,
    /// SHA-256 of what is stored, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What happened to it: `grew`, `shrank`, `truncated`, `masked`, `timed_out`, `denied`,
    /// `missing`, `vanished`, `special`, `link`, `outside`, `duplicate`, `limit`, `secret` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// More about why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a command is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The code it ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

impl Item {
    /// Whether something of what was asked for is not there.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        const GAPS: [&str; 14] = [
            "canceled",
            "unknown",
            "denied",
            "missing",
            "vanished",
            "unreadable",
            "limit",
            "truncated",
            "timed_out",
            "unavailable",
            "sparse",
            "shrank",
            "failed_to_start",
            "outside",
        ];
        self.flags.iter().any(|flag| GAPS.contains(&flag.as_str()))
    }
}

/// Sums over all items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Files in the archive.
    pub files: u64,
    /// Bytes they have at their source.
    pub bytes: u64,
    /// Bytes in the archive, before compression.
    pub stored: u64,
    /// What was asked for and is not there, or not whole.
    pub gaps: u64,
    /// Secrets hidden, by rule.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub masked: std::collections::BTreeMap<String, u64>,
}

/// Everything but the items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`].
    pub format: String,
    /// Names this run.
    pub run: String,
    /// The version of the program.
    pub tool: String,
    /// Where it ran.
    pub host: String,
    /// When it began.
    pub started: String,
    /// When it ended.
    pub ended: String,
    /// Whether everything that was asked for is there.
    pub complete: bool,
    /// Whether secrets were masked.
    pub masked: bool,
    /// Sums.
    pub totals: Totals,
}

/// A whole manifest, as it is read back.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// All but the items.
    #[serde(flatten)]
    pub head: Head,
    /// In the order of the members.
    pub items: Vec<Item>,
}

/// Items, as they come.
#[derive(Debug)]
pub(crate) struct Spool {
    file: BufWriter<File>,
    count: u64,
    /// Sums so far.
    pub(crate) totals: Totals,
}

impl Spool {
    /// An empty one, in a file of `folder` that nobody else sees.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let file = unnamed(folder)?;
        Ok(Self { file: BufWriter::new(file), count: 0, totals: Totals::default() })
    }

    pub(crate) fn add(&mut self, item: &Item) -> io::Result<()> {
        if self.count > 0 {
            self.file.write_all(b",\n")?;
        }
        self.count += 1;
        let totals = &mut self.totals;
        totals.gaps += u64::from(item.is_gap());
        if item.kind == "file" && item.member.is_some() {
            totals.files += 1;
            totals.bytes += item.bytes.unwrap_or_default();
        }
        totals.stored += item.stored.unwrap_or_default();
        serde_json::to_writer(&mut self.file, item).map_err(io::Error::from)
    }

    pub(crate) fn masked(&mut self, counts: &Counts) {
        for (rule, count) in counts {
            *self.totals.masked.entry((*rule).to_owned()).or_default() += count;
        }
    }

    /// The document, to be read from its beginning, and its length.
    pub(crate) fn finish(mut self, head: &Head, folder: &Path) -> io::Result<(File, u64)> {
        self.file.flush()?;
        let mut items = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        items.seek(SeekFrom::Start(0))?;
        let mut whole = unnamed(folder)?;
        let text = serde_json::to_string(head)?;
        let opened = text.strip_suffix('}').unwrap_or(&text);
        whole.write_all(opened.as_bytes())?;
        whole.write_all(b",\"items\":[\n")?;
        io::copy(&mut items, &mut whole)?;
        whole.write_all(b"\n]}\n")?;
        let length = whole.stream_position()?;
        whole.seek(SeekFrom::Start(0))?;
        Ok((whole, length))
    }
}

/// A file of `folder` without a name: it is gone when it is closed.
pub(crate) fn unnamed(folder: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    if let Ok(file) = open(folder, flags, Mode::RUSR | Mode::WUSR) {
        return Ok(File::from(file));
    }
    // Not every file system knows files without a name: one with a name that is taken away at once.
    let path = folder.join(format!(".hearken-{}", hearken_kit::random::hex(8)?));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
