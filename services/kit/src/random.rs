//! Names that nobody can guess and nobody else has.

use std::fs::File;
use std::io::{self, Read as _};

/// `bytes` random bytes from the kernel, as hex digits.
///
/// # Errors
/// When `/dev/urandom` cannot be read.
pub fn hex(bytes: usize) -> io::Result<String> {
    let mut buffer = vec![0; bytes];
    fill(&mut buffer)?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Fills `buffer` with random bytes from the kernel.
///
/// # Errors
/// When `/dev/urandom` cannot be read.
pub fn fill(buffer: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(buffer)
}
