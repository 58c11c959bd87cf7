//! `/proc/meminfo` and the paging counters of `/proc/vmstat`.

use crate::read::Text;
use crate::{Bounds, Roots, Unavailable};

/// What the memory and the swap hold, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All memory.
    pub total: u64,
    /// What nothing uses.
    pub free: u64,
    /// What a program could get without swapping.
    pub available: u64,
    /// Buffers of block devices.
    pub buffers: u64,
    /// Cached pages of files.
    pub cached: u64,
    /// All swap.
    pub swap_total: u64,
    /// Swap that nothing uses.
    pub swap_free: u64,
}

impl Memory {
    /// What is not available.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }

    /// Percent that is not available, from 0 to 100.
    #[must_use]
    pub fn used_percent(&self) -> f64 {
        crate::number::percent(self.used(), self.total).unwrap_or(0.0)
    }

    /// Swap in use.
    #[must_use]
    pub fn swap_used(&self) -> u64 {
        self.swap_total.saturating_sub(self.swap_free)
    }

    /// Percent of the swap in use; 0 where there is no swap.
    #[must_use]
    pub fn swap_used_percent(&self) -> f64 {
        crate::number::percent(self.swap_used(), self.swap_total).unwrap_or(0.0)
    }
}

/// Bytes that went through the swap since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

pub(crate) fn memory(roots: &Roots, bounds: &Bounds) -> Result<Memory, Unavailable> {
    parse_memory(&Text::read(roots.proc.join("meminfo"), bounds.file_bytes)?)
}

fn parse_memory(text: &Text) -> Result<Memory, Unavailable> {
    let mut memory = Memory::default();
    let (mut has_total, mut has_available) = (false, false);
    for row in text.rows() {
        let Some((name, rest)) = row.text.split_once(':') else { continue };
        let place = match name {
            "MemTotal" => {
                has_total = true;
                &mut memory.total
            }
            "MemAvailable" => {
                has_available = true;
                &mut memory.available
            }
            "MemFree" => &mut memory.free,
            "Buffers" => &mut memory.buffers,
            "Cached" => &mut memory.cached,
            "SwapTotal" => &mut memory.swap_total,
            "SwapFree" => &mut memory.swap_free,
            _other => continue,
        };
        // The kernel writes kB and means KiB.
        let kibibytes = rest.trim().strip_suffix("kB").unwrap_or(rest).trim();
        *place = row.parse::<u64>(name, kibibytes)?.saturating_mul(1024);
    }
    if !has_total {
        return Err(text.malformed(1, "no line \"MemTotal\""));
    }
    if !has_available {
        // Linux before 3.14: what can be given up at once is the nearest to it.
        memory.available = memory.free.saturating_add(memory.buffers).saturating_add(memory.cached);
    }
    Ok(memory)
}

pub(crate) fn paging(roots: &Roots, bounds: &Bounds) -> Result<Paging, Unavailable> {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    parse_paging(&Text::read(roots.proc.join("vmstat"), bounds.file_bytes)?, page)
}

fn parse_paging(text: &Text, page: u64) -> Result<Paging, Unavailable> {
    let mut paging = Paging::default();
    for row in text.rows() {
        let Some((name, pages)) = row.text.split_once(' ') else { continue };
        match name {
            "pswpin" => paging.bytes_in = row.parse::<u64>(name, pages)?.saturating_mul(page),
            "pswpout" => paging.bytes_out = row.parse::<u64>(name, pages)?.saturating_mul(page),
            _other => {}
        }
    }
    Ok(paging)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_kb_are_kibibytes() {
        let text = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n\
                    Buffers:   10 kB\nCached:   200 kB\nSwapTotal:  0 kB\nSwapFree: 0 kB\n\
                    HugePages_Total:       0\n";
        let memory = parse_memory(&Text::of("/proc/meminfo", text)).unwrap();
        assert_eq!(memory.total, 1_024_000);
        assert_eq!(memory.used(), 768_000);
        assert!((memory.used_percent() - 75.0).abs() < 1e-9);
        assert!(memory.swap_used_percent().abs() < f64::EPSILON);
    }

    #[test]
    fn an_old_kernel_tells_what_is_available_by_its_parts() {
        let text = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 10 kB\nCached: 200 kB\n";
        let memory = parse_memory(&Text::of("/proc/meminfo", text)).unwrap();
        assert_eq!(memory.available, 310 * 1024);
    }

    #[test]
    fn wrong_text_has_a_place() {
        let rows = [
            ("MemFree: 1 kB\n", "/proc/meminfo:1: no line \"MemTotal\""),
            ("MemTotal: 1 kB\nMemFree: many kB\n", "/proc/meminfo:2: MemFree is \"many\""),
        ];
        for (text, expected) in rows {
            let error = parse_memory(&Text::of("/proc/meminfo", text)).unwrap_err();
            assert_eq!(error.reason(), expected);
        }
    }

    #[test]
    fn paging_is_told_in_bytes() {
        let text = Text::of("/proc/vmstat", "nr_free_pages 5\npswpin 2\npswpout 3\n");
        let paging = parse_paging(&text, 4096).unwrap();
        assert_eq!((paging.bytes_in, paging.bytes_out), (8192, 12288));
    }
}
