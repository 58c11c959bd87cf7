//! Compressing on all cores, in order, with a bound on memory.
//!
//! What is written is cut into blocks; each block becomes a gzip member or a zstd frame of its own,
//! and a file of many of them is as good a `.gz` or `.zst` as one of one. Blocks go to the workers
//! in turn and come back in the same turn, so nothing has to be sorted. Every channel holds two
//! blocks: whoever writes faster than the disk waits.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::plan::Compression;

/// Bytes of a block for gzip: smaller ones compress worse (128 KiB: 2 % more), larger ones cost
/// memory.
const GZIP_BLOCK_BYTES: usize = 1 << 20;
/// Bytes of a block for zstd, which looks further back.
const ZSTD_BLOCK_BYTES: usize = 4 << 20;
/// Blocks that wait at each end of a worker.
const WAITING_MAX: usize = 2;
/// More workers than this do not make a disk faster.
const WORKERS_MAX: usize = 8;

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Its length.
    pub(crate) bytes: u64,
    /// SHA-256 of it, in hex.
    pub(crate) sha256: String,
}

/// A stream that is compressed into a file.
#[derive(Debug)]
pub(crate) struct Packer {
    block: Vec<u8>,
    block_bytes: usize,
    lanes: Vec<SyncSender<Vec<u8>>>,
    turn: usize,
    writer: JoinHandle<io::Result<Packed>>,
}

impl Packer {
    /// Compresses into `file`.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(crate) fn new(file: File, compression: Compression) -> io::Result<Self> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with(file, compression, workers.min(WORKERS_MAX))
    }

    fn with(file: File, compression: Compression, workers: usize) -> io::Result<Self> {
        let mut lanes = Vec::with_capacity(workers);
        let mut outputs = Vec::with_capacity(workers);
        for _worker in 0..workers {
            let (lane, blocks) = sync_channel(WAITING_MAX);
            let (done, output) = sync_channel(WAITING_MAX);
            Builder::new()
                .name("compress".to_owned())
                .spawn(move || work(compression, &blocks, &done))?;
            lanes.push(lane);
            outputs.push(output);
        }
        let writer = Builder::new().name("archive".to_owned());
        let writer = writer.spawn(move || write(file, &outputs))?;
        let block_bytes = match compression {
            Compression::Gzip { .. } => GZIP_BLOCK_BYTES,
            Compression::Zstd { .. } => ZSTD_BLOCK_BYTES,
        };
        Ok(Self { block: Vec::with_capacity(block_bytes), block_bytes, lanes, turn: 0, writer })
    }

    /// Writes what is left and waits until it is on disk.
    ///
    /// # Errors
    /// What kept it from being written.
    pub(crate) fn finish(mut self) -> io::Result<Packed> {
        // When the writer is gone it says why.
        self.pass().unwrap_or(());
        self.lanes.clear();
        let broken = |_| io::Error::other("the thread that writes the archive has ended");
        self.writer.join().map_err(broken)?
    }

    fn pass(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(self.block_bytes));
        let lane = self.lanes.get(self.turn).ok_or(io::ErrorKind::BrokenPipe)?;
        self.turn = (self.turn + 1) % self.lanes.len();
        lane.send(block).map_err(|_block| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.block_bytes - self.block.len();
        let taken = bytes.get(..bytes.len().min(room)).unwrap_or(bytes);
        self.block.extend_from_slice(taken);
        if self.block.len() == self.block_bytes {
            self.pass()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses blocks until there are no more, or nobody wants them.
fn work(
    compression: Compression,
    blocks: &Receiver<Vec<u8>>,
    done: &SyncSender<io::Result<Vec<u8>>>,
) {
    let mut zstd = match compression {
        Compression::Gzip { .. } => None,
        Compression::Zstd { level } => Some(zstd::bulk::Compressor::new(level)),
    };
    while let Ok(block) = blocks.recv() {
        let compressed = match (&mut zstd, compression) {
            (Some(Ok(compressor)), _) => compressor.compress(&block),
            (Some(Err(error)), _) => Err(io::Error::new(error.kind(), error.to_string())),
            (None, Compression::Gzip { level }) => gzip(&block, level),
            (None, Compression::Zstd { level }) => zstd::bulk::compress(&block, level),
        };
        if done.send(compressed).is_err() {
            return;
        }
    }
}

fn gzip(block: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let room = Vec::with_capacity(block.len() / 2);
    let mut encoder = GzEncoder::new(room, flate2::Compression::new(level));
    encoder.write_all(block)?;
    encoder.finish()
}

/// Writes blocks as their turn comes.
fn write(mut file: File, outputs: &[Receiver<io::Result<Vec<u8>>>]) -> io::Result<Packed> {
    let mut digest = Sha256::new();
    let mut bytes = 0_u64;
    for output in outputs.iter().cycle() {
        // The first lane without a block is the one whose turn never came.
        let Ok(block) = output.recv() else { break };
        let block = block?;
        file.write_all(&block)?;
        digest.update(&block);
        bytes += u64::try_from(block.len()).unwrap_or_default();
    }
    file.sync_all()?;
    Ok(Packed { bytes, sha256: hex(&digest.finalize()) })
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to memory cannot fail.
        write!(text, "{byte:02x}").unwrap_or(());
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn text(bytes: usize) -> Vec<u8> {
        let lines = (0_u64..).map(|number| format!("line {number} {}\n", number * 2_654_435_761));
        lines.flat_map(String::into_bytes).take(bytes).collect()
    }

    fn pack(content: &[u8], compression: Compression, workers: usize) -> (Vec<u8>, Packed) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packed");
        let mut packer = Packer::with(File::create(&path).unwrap(), compression, workers).unwrap();
        packer.write_all(content).unwrap();
        let packed = packer.finish().unwrap();
        (std::fs::read(path).unwrap(), packed)
    }

    #[test]
    fn what_was_packed_is_what_was_written_however_many_worked_at_it() {
        for bytes in [1, GZIP_BLOCK_BYTES, 3 * GZIP_BLOCK_BYTES + 7] {
            let content = text(bytes);
            for workers in [1, 2, 3] {
                let (gzip, packed) = pack(&content, Compression::GZIP, workers);
                assert_eq!(packed.bytes, gzip.len() as u64);
                let mut found = Vec::new();
                flate2::read::MultiGzDecoder::new(&gzip[..]).read_to_end(&mut found).unwrap();
                assert!(found == content, "{bytes} bytes, {workers} workers");
                let (zstd, _) = pack(&content, Compression::ZSTD, workers);
                assert!(zstd::decode_all(&zstd[..]).unwrap() == content, "{bytes}, {workers}");
            }
        }
    }

    #[test]
    fn a_disk_that_is_full_is_told() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut packer = Packer::with(full, Compression::GZIP, 2).unwrap();
        let mut written = Ok(());
        for _block in 0..50 {
            written = written.and_then(|()| packer.write_all(&text(GZIP_BLOCK_BYTES)));
        }
        assert!(written.is_err());
        let error = packer.finish().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
