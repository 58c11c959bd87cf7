//! Watching as it happens: one JSON object a line, for as long as there is something to watch.
//!
//! A watcher that is slow is served slowly; what the bus had to drop meanwhile is missing from the
//! stream and present in the final state. There may be [`WATCHERS_MAX`] of them, so that watching
//! leaves connections for everything else.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hearken_kit::bus::{Heard, Tail};
use hearken_proto::question::Shown;
use hearken_proto::subject::{Kind, Subject};
use hearken_proto::{Entry, Execution, Timestamp, codec, id};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::fault::Fault;
use crate::serve::CONNECTIONS_MAX;
use crate::{App, run, view};

/// Watchers at a time: half of the connections.
pub(crate) const WATCHERS_MAX: usize = CONNECTIONS_MAX / 2;
/// Lines waiting for a slow client; then the watcher waits too.
const LINES_MAX: usize = 64;
/// The state is looked up so often, in case a message was dropped.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What to listen to for one execution. Taken before the execution is asked for, so that nothing
/// is missed.
#[derive(Debug)]
pub(crate) struct Ears {
    output: Tail,
    transitions: Tail,
    /// The right to watch.
    _place: OwnedSemaphorePermit,
}

impl Ears {
    /// Listens from now on.
    pub(crate) async fn open(app: &App, execution: &str) -> Result<Self, Fault> {
        let (bus, place) = (&app.0.bus, place(app)?);
        let key = id::execution_key(execution);
        let output = Subject::Output { execution: key.to_owned() };
        let transitions = Subject::transition(Kind::Execution, key);
        Ok(Self {
            output: bus.tail(&bus.subject(&output), None).await?,
            transitions: bus.tail(&bus.subject(&transitions), None).await?,
            _place: place,
        })
    }
}

/// A place among the watchers.
fn place(app: &App) -> Result<OwnedSemaphorePermit, Fault> {
    app.0.watchers.clone().try_acquire_owned().map_err(|_none| {
        let reason = format!("{WATCHERS_MAX} clients are watching already");
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, reason)
            .hint("ask for the execution now and then instead: hearken execution get ID")
    })
}

/// Streams `{"output": …}` and `{"execution": …}` until the execution has ended.
pub(crate) fn execution(app: &App, first: Execution, ears: Ears) -> Response {
    let (tx, rx) = mpsc::channel(LINES_MAX);
    let app = app.clone();
    watch(async move {
        // A client that has gone away ends the watching: that is all there is to do about it.
        let _gone = watch_execution(&app, first, ears, &tx).await;
    });
    lines(rx)
}

struct Gone;

async fn send(tx: &mpsc::Sender<Bytes>, line: &Value) -> Result<(), Gone> {
    tx.send(format!("{line}\n").into()).await.map_err(|_closed| Gone)
}

async fn watch_execution(
    app: &App,
    mut state: Execution,
    mut ears: Ears,
    tx: &mpsc::Sender<Bytes>,
) -> Result<(), Gone> {
    let shutdown = app.0.shutdown.clone();
    let mut look = tokio::time::interval(LOOK_EVERY);
    let execution = state.request.execution.clone();
    loop {
        let shown = view::whole(app, &state).await;
        send(tx, &json!({ "execution": shown })).await?;
        if state.status.is_final() {
            return Ok(());
        }
        let shown = state.status;
        while state.status == shown {
            tokio::select! {
                biased;
                () = shutdown.requested() => return Ok(()),
                heard = ears.output.next() => match heard {
                    Some(heard) => send(tx, &json!({ "output": chunk(&heard) })).await?,
                    None => return Ok(()),
                },
                heard = ears.transitions.next() => match heard {
                    Some(heard) => state = transition(&heard).unwrap_or(state),
                    None => return Ok(()),
                },
                _ = look.tick() => {
                    if let Ok(Some((_, found))) = run::last(&app.0.bus, &execution).await {
                        state = found;
                    }
                }
                () = tx.closed() => return Err(Gone),
            }
        }
    }
}

fn chunk(heard: &Heard) -> Value {
    codec::decode(&heard.message.headers, &heard.message.body).unwrap_or(Value::Null)
}

fn transition(heard: &Heard) -> Option<Execution> {
    codec::decode(&heard.message.headers, &heard.message.body).ok()
}

/// Streams messages of `filter` as they come.
pub(crate) async fn messages(app: &App, filter: &str) -> Result<Response, Fault> {
    let place = place(app)?;
    let mut tail = app.0.bus.tail(filter, None).await?;
    let (tx, rx) = mpsc::channel(LINES_MAX);
    let app = app.clone();
    watch(async move {
        let _place = place;
        loop {
            let heard = tokio::select! {
                biased;
                () = app.0.shutdown.requested() => return,
                () = tx.closed() => return,
                heard = tail.next() => heard,
            };
            let Some(heard) = heard else { return };
            let shown = shown(heard, app.0.clock.now());
            let line = serde_json::to_value(shown).unwrap_or(Value::Null);
            if send(&tx, &line).await.is_err() {
                return;
            }
        }
    });
    Ok(lines(rx))
}

/// A live message has no place yet, and the time is when it was heard.
fn shown(heard: Heard, now: Timestamp) -> Shown {
    let message = heard.message;
    let entry = Entry {
        sequence: 0,
        time: now,
        subject: message.subject,
        id: message.id.unwrap_or_default(),
        cause: message.cause.unwrap_or_default(),
        headers: message.headers,
        body: message.body,
    };
    Shown::new("", &entry)
}

#[expect(
    clippy::disallowed_methods,
    reason = "its owner is the connection: it ends with the client, or with the shutdown"
)]
fn watch(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

fn lines(rx: mpsc::Receiver<Bytes>) -> Response {
    let body = futures_util::stream::unfold(rx, |mut rx| async move {
        let line = rx.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line), rx))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response()
}
