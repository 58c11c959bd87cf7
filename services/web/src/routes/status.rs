//! Whether the process is there, what it is, and its numbers.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::App;
use crate::fault::Fault;

/// The process is there.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// What is in force and where the streams stand.
pub(crate) async fn status(State(app): State<App>) -> Result<Json<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let mut streams = serde_json::Map::new();
    for stream in hearken_proto::Stream::ALL {
        let head = app.0.bus.head(stream).await?;
        streams.insert(stream.name().to_owned(), json!(head.last));
    }
    let packs: serde_json::Map<String, Value> = definitions
        .packs
        .iter()
        .map(|(name, content)| {
            let counted = &content.loaded.definitions;
            let counts = json!({
                "digest": content.digest,
                "actions": counted.actions.len(),
                "rules": counted.rules.len(),
                "problems": content.loaded.problems.len(),
            });
            (name.clone(), counts)
        })
        .collect();
    Ok(Json(json!({
        "about": app.0.about,
        "definitions": definitions.mark,
        "packs": packs,
        "streams": streams,
    })))
}

/// Numbers for Prometheus.
pub(crate) async fn metrics(State(app): State<App>) -> Result<String, Fault> {
    use std::fmt::Write as _;
    let mut text = (app.0.metrics.0)();
    text.push_str("# TYPE hearken_stream_head gauge\n");
    for stream in hearken_proto::Stream::ALL {
        let head = app.0.bus.head(stream).await?;
        // Writing to a text cannot fail.
        let _ok =
            writeln!(text, "hearken_stream_head{{stream=\"{}\"}} {}", stream.name(), head.last);
    }
    let packs = app.0.definitions.current().packs.len();
    let _ok = writeln!(text, "# TYPE hearken_packs gauge\nhearken_packs {packs}");
    Ok(text)
}
