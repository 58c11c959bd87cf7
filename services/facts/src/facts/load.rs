//! How much waits to run: the load, and the kernel's pressure figures.

use serde_json::{Map, Value, json};

use crate::read::{Row, Text};
use crate::sources::load;
use crate::{Context, Unavailable};

/// The five fields of `/proc/loadavg`.
pub(crate) fn loadavg(context: &Context) -> Result<Value, Unavailable> {
    let load = load::load(context)?;
    Ok(json!({
        "average": {"1": load.one, "5": load.five, "15": load.fifteen},
        "entities": {"current": load.entities_current, "total": load.entities_total},
        "last_pid": load.last_pid,
    }))
}

/// Percent of the time in which something waited for a processor, memory or a disk.
pub(crate) fn psi(context: &Context) -> Result<Value, Unavailable> {
    let folder = context.roots.proc.join("pressure");
    let mut resources = Map::new();
    for resource in ["cpu", "memory", "io", "irq"] {
        let path = folder.join(resource);
        if let Some(text) = Text::read_if_there(path, context.bounds.file_bytes)? {
            let mut kinds = Map::new();
            for row in text.rows() {
                let (kind, figures) = pressure(row)?;
                kinds.insert(kind, figures);
            }
            resources.insert(resource.to_owned(), kinds.into());
        }
    }
    if resources.is_empty() {
        return Err(Unavailable::Missing { path: folder });
    }
    Ok(resources.into())
}

/// `some avg10=0.12 avg60=0.07 avg300=0.01 total=1234`, the total in microseconds.
fn pressure(row: Row<'_>) -> Result<(String, Value), Unavailable> {
    let mut words = row.words();
    let kind = words.text("the kind")?.to_owned();
    let mut figures = Map::new();
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(row.malformed(format!("{word:?} has no \"=\"")));
        };
        if name == "total" {
            let seconds = crate::number::float(row.parse::<u64>(name, value)?) / 1e6;
            figures.insert("total_seconds".to_owned(), seconds.into());
        } else {
            figures.insert(name.to_owned(), row.parse::<f64>(name, value)?.into());
        }
    }
    Ok((kind, figures.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn pressure_is_told_for_what_the_kernel_measures() {
        let machine = Machine::with(&[(
            "proc/pressure/cpu",
            "some avg10=1.50 avg60=0.07 avg300=0.01 total=2500000\n",
        )]);
        let expected = json!({"cpu": {"some": {
            "avg10": 1.5, "avg60": 0.07, "avg300": 0.01, "total_seconds": 2.5,
        }}});
        assert_eq!(psi(&machine.context()).unwrap(), expected);
        machine.write("proc/pressure/io", "some avg10\n");
        let error = psi(&machine.context()).unwrap_err();
        assert!(error.reason().ends_with("pressure/io:1: \"avg10\" has no \"=\""), "{error}");
        assert_eq!(psi(&Machine::with(&[]).context()).unwrap_err().code(), "missing");
    }
}
