//! The processes, as rows.

use serde_json::{Value, json};

use crate::sources::process;
use crate::{Context, Unavailable};

/// Every process with its owner, its arguments (masked) and what it uses.
pub(crate) fn ps(context: &Context) -> Result<Value, Unavailable> {
    let rows = process::processes(context)?.into_iter().map(|process| {
        json!({
            "pid": process.pid,
            "ppid": process.ppid,
            "name": process.name,
            "user": process.user,
            "uid": process.uid,
            "state": process.state.to_string(),
            "cmdline": process.cmdline,
            "rss": process.rss,
            "vms": process.vms,
            "threads": process.threads,
            "cpu_seconds": process.cpu_seconds,
            "start_time": process.start_time,
            "start_ticks": process.start_ticks,
        })
    });
    Ok(Value::Array(rows.collect()))
}
