//! A `tar.gz` of somebody into a folder of ours.
//!
//! The archive is an enemy's until proven otherwise. Entries are read raw, so that no long name is
//! held in memory without a bound; links are made when all files are written, so that nothing is
//! ever written through one; sizes are counted while unpacking, not believed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use hearken_proto::definition::is_safe_path;
use tar::{Archive, Entry, PaxExtensions};

use super::tree::{self, BYTES_MAX, ENTRIES_MAX};

/// Bytes of a name that does not fit into a header: longer than a path may be.
const NAME_BYTES_MAX: u64 = 8 << 10;
/// Bytes of a header and a padding: what an entry takes beside its content.
const ENTRY_BYTES: u64 = 2048;
/// How every gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How much may come out of an archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Files, folders and links.
    pub(super) entries: usize,
    /// Bytes of files.
    pub(super) bytes: u64,
}

/// Unpacks `archive` into `folder`, which must not exist. Answers what is wrong otherwise.
pub(super) fn unpack(archive: &Path, folder: &Path) -> Result<(), String> {
    unpack_within(archive, folder, Room { entries: ENTRIES_MAX, bytes: BYTES_MAX })
}

/// The same, with another bound.
pub(super) fn unpack_within(archive: &Path, folder: &Path, room: Room) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let mut file = File::open(archive).map_err(text)?;
    let mut start = [0; 2];
    let is_gzip = file.read(&mut start).map_err(text)? == 2 && start == GZIP;
    let file = File::open(archive).map_err(text)?;
    fs::create_dir_all(folder).map_err(text)?;
    let mut unpacking = Unpacking { folder, room, entries: 0, bytes: 0, links: BTreeMap::new() };
    if is_gzip {
        unpacking.all(MultiGzDecoder::new(file))?;
    } else {
        unpacking.all(file)?;
    }
    unpacking.make_links()?;
    tree::check(folder)
}

/// What is known of the next entry from those before it.
#[derive(Default)]
struct Said {
    /// Its path.
    path: Option<Vec<u8>>,
    /// Where it leads.
    link: Option<Vec<u8>>,
}

/// An archive being unpacked.
struct Unpacking<'a> {
    /// Where to.
    folder: &'a Path,
    /// How much may come.
    room: Room,
    /// Entries so far.
    entries: usize,
    /// Bytes so far.
    bytes: u64,
    /// Links to be made in the end, and where they lead.
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Unpacking<'_> {
    fn all(&mut self, stream: impl Read) -> Result<(), String> {
        let entries = u64::try_from(self.room.entries).unwrap_or(u64::MAX);
        let bytes = entries.saturating_mul(ENTRY_BYTES).saturating_add(self.room.bytes);
        let mut archive = Archive::new(stream.take(bytes));
        let entries = archive.entries().map_err(broken)?.raw(true);
        let mut said = Said::default();
        for entry in entries {
            let mut entry = entry.map_err(broken)?;
            self.entries += 1;
            if self.entries > self.room.entries {
                return Err(format!("it has more than {} entries", self.room.entries));
            }
            let kind = entry.header().entry_type();
            if kind.is_gnu_longname() {
                said.path = Some(name(&mut entry)?);
            } else if kind.is_gnu_longlink() {
                said.link = Some(name(&mut entry)?);
            } else if kind.is_pax_local_extensions() {
                extensions(&mut entry, &mut said)?;
            } else if !kind.is_pax_global_extensions() {
                self.entry(&mut entry, &std::mem::take(&mut said))?;
            }
        }
        if self.entries == 0 {
            return Err("it is no tar archive, or an empty one".to_owned());
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut Entry<'_, impl Read>, said: &Said) -> Result<(), String> {
        let path = said.path.clone().unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let Some(path) = inside(&path)? else { return Ok(()) };
        let place = self.folder.join(&path);
        let shown = path.display();
        let kind = entry.header().entry_type();
        let failed = |error: io::Error| format!("{shown} cannot be unpacked: {error}");
        if kind.is_dir() {
            return fs::create_dir_all(&place).map_err(failed);
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        if kind.is_file() || kind.is_contiguous() {
            let mode = entry.header().mode().unwrap_or(0o644) & 0o755 | 0o600;
            return self.file(entry, &place, mode).map_err(failed);
        }
        let leads = said.link.clone().or_else(|| Some(entry.header().link_name_bytes()?.into()));
        let leads = PathBuf::from(String::from_utf8_lossy(&leads.unwrap_or_default()).as_ref());
        if kind.is_symlink() {
            let from = path.parent().unwrap_or(Path::new("")).to_owned();
            if !tree::stays_inside(&from, &leads) {
                return Err(format!("the link {shown} leads out of it, to {leads:?}"));
            }
            self.links.insert(place, leads);
            return Ok(());
        }
        if kind.is_hard_link() {
            let Some(original) = inside(leads.to_string_lossy().as_bytes())? else {
                return Err(format!("the link {shown} leads nowhere"));
            };
            let original = File::open(self.folder.join(original)).map_err(failed)?;
            return self.file(original, &place, 0o755).map_err(failed);
        }
        Err(format!("{shown} is neither a file, a folder nor a link"))
    }

    /// Writes a file, and counts what it really has.
    fn file(&mut self, content: impl Read, place: &Path, mode: u32) -> io::Result<()> {
        // A later entry of the same name wins, as with tar.
        if place.symlink_metadata().is_ok_and(|known| known.is_file()) {
            fs::remove_file(place)?;
        }
        self.links.remove(place);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(place)?;
        let room = self.room.bytes - self.bytes;
        let written = io::copy(&mut content.take(room + 1), &mut file)?;
        if written > room {
            let limit = self.room.bytes >> 20;
            return Err(io::Error::other(format!("more than {limit} MiB come out of it")));
        }
        self.bytes += written;
        Ok(())
    }

    fn make_links(&self) -> Result<(), String> {
        for (place, leads) in &self.links {
            let shown = place.strip_prefix(self.folder).unwrap_or(place).display();
            symlink(leads, place).map_err(|error| format!("the link {shown}: {error}"))?;
        }
        Ok(())
    }
}

/// The path of an entry, as far as it is one inside; nothing when it is the top itself.
fn inside(path: &[u8]) -> Result<Option<PathBuf>, String> {
    let shown = String::from_utf8_lossy(path).into_owned();
    let Ok(path) = std::str::from_utf8(path) else {
        return Err(format!("the name {shown:?} is not UTF-8"));
    };
    let mut parts = Vec::new();
    for part in path.split('/') {
        if !matches!(part, "" | ".") {
            parts.push(part);
        }
    }
    let joined = parts.join("/");
    if path.starts_with('/') {
        return Err(format!("the path {shown:?} is absolute"));
    }
    if joined.is_empty() {
        return Ok(None);
    }
    if !is_safe_path(&joined) {
        return Err(format!(
            "the path {shown:?} leads out, is too long or too deep, or has control characters"
        ));
    }
    Ok(Some(PathBuf::from(joined)))
}

/// The name that an entry holds as its content.
fn name(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, String> {
    let mut name = bounded(entry)?;
    while name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// The names that a list of extensions holds.
fn extensions(entry: &mut Entry<'_, impl Read>, said: &mut Said) -> Result<(), String> {
    let bytes = bounded(entry)?;
    for extension in PaxExtensions::new(&bytes) {
        let extension = extension.map_err(broken)?;
        match extension.key_bytes() {
            b"path" => said.path = Some(extension.value_bytes().to_vec()),
            b"linkpath" => said.link = Some(extension.value_bytes().to_vec()),
            b"size" => return Err("an entry is larger than a pack may be".to_owned()),
            _ => {}
        }
    }
    Ok(())
}

fn bounded(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    entry.take(NAME_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() as u64 > NAME_BYTES_MAX {
        return Err(format!("a name in it is longer than {NAME_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

fn broken(error: io::Error) -> String {
    format!("it cannot be read as a tar archive: {error}")
}
