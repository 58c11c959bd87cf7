//! How full memory and swap are, over the window.

use serde_json::{Value, json};

use crate::number::Spread;
use crate::sources::memory::Memory;
use crate::{Context, Unavailable};

/// Percent of the memory that is not available, and its parts now.
pub(crate) fn vmem(context: &Context) -> Result<Value, Unavailable> {
    let samples = context.samples()?;
    let readings = samples.of(|reading| &reading.memory)?;
    let (spread, last) = seen(&readings, Memory::used_percent)?;
    Ok(json!({
        "average": spread.average,
        "minimum": spread.minimum,
        "maximum": spread.maximum,
        "total": last.total,
        "used": last.used(),
        "available": last.available,
        "free": last.free,
        "buffers": last.buffers,
        "cached": last.cached,
    }))
}

/// Percent of the swap in use, its parts now, and what went through it since the start.
pub(crate) fn smem(context: &Context) -> Result<Value, Unavailable> {
    let samples = context.samples()?;
    let readings = samples.of(|reading| &reading.memory)?;
    let (spread, last) = seen(&readings, Memory::swap_used_percent)?;
    // Containers often have no vmstat; what the swap holds is known all the same.
    let paging = samples.of(|reading| &reading.paging).ok();
    let paging = paging.and_then(|readings| readings.last().copied());
    Ok(json!({
        "average": spread.average,
        "minimum": spread.minimum,
        "maximum": spread.maximum,
        "total": last.swap_total,
        "used": last.swap_used(),
        "free": last.swap_free,
        "in": paging.map(|paging| paging.bytes_in),
        "out": paging.map(|paging| paging.bytes_out),
    }))
}

/// A value belongs to the end of its sample, so the first reading counts only where it is alone.
fn seen<'a>(
    readings: &[&'a Memory],
    value: impl Fn(&Memory) -> f64,
) -> Result<(Spread, &'a Memory), Unavailable> {
    let ends = readings.len().saturating_sub(1).max(1);
    let values: Vec<f64> = readings.iter().rev().take(ends).map(|memory| value(memory)).collect();
    Spread::of(&values).zip(readings.last().copied()).ok_or(Unavailable::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_belongs_to_the_end_of_its_sample() {
        let memory = |available| Memory { total: 100, available, ..Memory::default() };
        let readings = [memory(0), memory(50), memory(30)];
        let readings: Vec<_> = readings.iter().collect();
        let (spread, last) = seen(&readings, Memory::used_percent).unwrap();
        assert_eq!(spread, Spread { average: 60.0, minimum: 50.0, maximum: 70.0 });
        assert_eq!(last.available, 30);
        let (alone, _last) = seen(&readings[..1], Memory::used_percent).unwrap();
        assert_eq!(alone, Spread { average: 100.0, minimum: 100.0, maximum: 100.0 });
    }
}
