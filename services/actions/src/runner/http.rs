//! The runner http-request: one request to a web server, and its answer as the result.
//!
//! The result has StackStorm's shape: `{status_code, body, parsed, headers}`, the body in its
//! structured form where the server says that it is JSON. 200 to 206 is a success, any other answer
//! a failure, no answer in time a timeout.
//!
//! The client blocks, so a request has a thread of the runtime's pool. A thread cannot be
//! interrupted: a cancellation gives the run up at once, and the thread ends by the request's own
//! time limit. What is bounded is the number of threads, those given up included.
//!
//! Proxies are those of the parameters: `http_proxy` and the like of this process's environment
//! say nothing to an action.

mod answer;
mod exchange;
mod wanted;

use std::time::Duration;

use hearken_proto::Status;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Job, Outcome};
use exchange::Failure;
use wanted::Wanted;

/// Threads that wait for web servers at a time, in this process: far below the 512 that the runtime
/// has for everything that blocks, so that the disk never waits for the web.
static THREADS: Semaphore = Semaphore::const_new(64);
/// How much later than its limit a request may end by itself before it is given up: the client
/// looks at the time at each step, the name resolver does not.
const LATE_MAX: Duration = Duration::from_secs(1);

/// What is said of a run that somebody ended.
const CANCELED: &str = "canceled while it ran";

/// Sends the request that the parameters describe.
pub(crate) async fn run(job: &Job<'_>, parameters: &Map<String, Value>) -> Outcome {
    let wanted = match Wanted::read(job.action, parameters) {
        Ok(wanted) => wanted,
        Err(why) => return Outcome::failed(&why),
    };
    let limit = wanted.timeout;
    let deadline = Instant::now() + limit;
    let asked = async {
        let place = THREADS.acquire().await;
        let exchange = move || {
            let _place = place;
            exchange::run(&wanted, deadline.into_std())
        };
        tokio::task::spawn_blocking(exchange).await
    };
    let answered = tokio::select! {
        biased;
        () = job.cancel.requested() => {
            return Outcome { status: Status::Canceled, ..Outcome::failed(CANCELED) };
        }
        answered = tokio::time::timeout_at(deadline + LATE_MAX, asked) => answered,
    };
    match answered {
        Ok(Ok(Ok(answer))) => answer,
        Ok(Ok(Err(Failure::Refused(why)))) => Outcome::failed(&why),
        Ok(Ok(Err(Failure::TimedOut))) | Err(_) => timed_out(limit),
        Ok(Err(panicked)) => Outcome::failed(&format!("the request broke: {panicked}")),
    }
}

fn timed_out(limit: Duration) -> Outcome {
    let why = format!("no complete answer within {} s", limit.as_secs_f64());
    Outcome { status: Status::Timeout, result: json!({ "error": why }) }
}
