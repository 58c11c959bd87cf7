//! What the machine says: processor time, memory, bytes on disk.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};

/// Ticks per second of `/proc/<pid>/stat`: fixed on Linux.
const TICKS: f64 = 100.0;

/// Wall clock and processor time of this process, from its making on.
#[derive(Debug)]
pub(crate) struct Watch {
    wall: Instant,
    processor: Duration,
}

impl Watch {
    /// Starts.
    pub(crate) fn start() -> Self {
        Self { wall: Instant::now(), processor: processor() }
    }

    /// Wall clock and processor time, in seconds.
    pub(crate) fn read(&self) -> (f64, f64) {
        let used = processor().saturating_sub(self.processor);
        (self.wall.elapsed().as_secs_f64(), used.as_secs_f64())
    }
}

fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Processor time of another process, in seconds.
pub(crate) fn processor_of(pid: u32) -> anyhow::Result<f64> {
    Ok(processors_of(pid)?.0)
}

/// The same, and that of its children which have ended.
pub(crate) fn processor_and_children_of(pid: u32) -> anyhow::Result<f64> {
    let (own, children) = processors_of(pid)?;
    Ok(own + children)
}

/// Processor time of a process, of its children that have ended, and of all that it has started and
/// that has not been reaped, in seconds.
pub(crate) fn processor_of_tree(pid: u32) -> anyhow::Result<f64> {
    let mut seconds = processor_and_children_of(pid)?;
    // A thread's children are listed by the thread that started them.
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = std::fs::read_to_string(thread?.path().join("children"))?;
        for child in children.split_whitespace() {
            // One that was reaped meanwhile counts the next time.
            seconds += processor_of_tree(child.parse()?).unwrap_or(0.0);
        }
    }
    Ok(seconds)
}

fn processors_of(pid: u32) -> anyhow::Result<(f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold blanks; the fields after it do not.
    let (_, fields) = stat.rsplit_once(')').context("a process")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> anyhow::Result<f64> { Ok(fields.next().context("ticks")?.parse()?) };
    let (own, children) = (ticks()? + ticks()?, ticks()? + ticks()?);
    Ok((own / TICKS, children / TICKS))
}

/// A field of a file of `/proc/<pid>`, as a number.
pub(crate) fn field(pid: u32, file: &str, name: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).context("the field")?;
    let number = line.trim_start_matches(':').split_whitespace().next().context("a number")?;
    Ok(number.parse()?)
}

/// Bytes that the files under `folder` take on the disk.
pub(crate) fn bytes_on_disk(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            bytes_on_disk(&entry.path())?
        } else {
            // The unit of `st_blocks` is 512 bytes whatever the file system's block is.
            metadata.blocks() * 512
        };
    }
    Ok(bytes)
}
