//! The ledger: keeps every entry for ever and answers questions about them.
//!
//! On the embedded bus it reads the very log that the bus writes, so nothing is written twice. On
//! a NATS server, which keeps days, it copies the streams into a log of its own, with the same
//! sequences, times and ids. Either way a question is answered by [`History`] from one local log.
//!
//! Not here: what entries mean beyond executions. A verdict of a rule is recomputed by whoever
//! shows it, from the definitions that the request names.

mod copy;
mod enforcements;
mod executions;
mod history;

use bytes::Bytes;
use hearken_kit::bus::{Bus, Heard, Tail};
use hearken_kit::{Shutdown, Tasks};
use hearken_log::Log;
use hearken_proto::question::{Answer, Question};
use hearken_proto::{Stream, Subject};
use tracing::warn;

pub use history::History;

/// Questions answered at a time; others wait in the subscription's own bounded queue.
const ANSWERING_MAX: usize = 8;
/// Members of this group share the questions.
const GROUP: &str = "ledger";

/// What the ledger is started with.
#[derive(Debug)]
pub struct Config {
    /// The log it answers from: the bus's own, or the copy.
    pub log: Log,
    /// Whether the log is a copy that this service fills from the bus.
    pub copies: bool,
}

/// Why the ledger ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus failed.
    #[error("the ledger lost the bus")]
    Bus(#[from] hearken_kit::bus::Error),
    /// Its log failed.
    #[error("the ledger cannot use its log")]
    Log(#[from] hearken_log::Error),
    /// A part of it broke.
    #[error("a part of the ledger broke")]
    Task(#[from] hearken_kit::tasks::Panicked),
    /// Copying a stream ended, with the reason in the log.
    #[error("the ledger no longer follows the bus")]
    Behind,
}

/// The subject on which questions are asked.
#[must_use]
pub fn address(bus: &Bus) -> String {
    bus.subject(&Subject::Control { service: GROUP.to_owned(), host: "any".to_owned() })
}

/// Runs until `shutdown` is requested or the log fails.
///
/// # Errors
/// [`Error`].
pub async fn run(config: Config, bus: Bus, shutdown: Shutdown) -> Result<(), Error> {
    let history = History::new(config.log.clone(), bus.prefix());
    let mut tasks = Tasks::new();
    if config.copies {
        for stream in Stream::ALL.into_iter().filter(|stream| *stream != Stream::Samples) {
            let (bus, log) = (bus.clone(), config.log.clone());
            tasks.spawn("copy", async move {
                if let Err(error) = copy::follow(&bus, &log, stream).await {
                    tracing::error!(stream = stream.name(), %error, "copying the stream ended");
                }
            });
        }
    }
    let questions = bus.tail(&address(&bus), Some(GROUP)).await?;
    let copy = config.copies.then_some(config.log);
    let mut service = Service { bus, history, copy, questions, answering: Tasks::new() };
    loop {
        let input = tokio::select! {
            biased;
            () = shutdown.requested() => break,
            Some(ended) = tasks.next() => Input::Ended(ended?),
            question = service.questions.next(), if service.answering.len() < ANSWERING_MAX => {
                Input::Question(question)
            }
            Some(answered) = service.answering.next() => Input::Answered(answered?),
        };
        match input {
            Input::Ended(_copy) => return Err(Error::Behind),
            Input::Question(None) => break,
            Input::Question(Some(heard)) => service.answer(heard),
            Input::Answered(_name) => {}
        }
    }
    tasks.abort().await;
    Ok(())
}

enum Input {
    Ended(&'static str),
    Question(Option<Heard>),
    Answered(&'static str),
}

struct Service {
    bus: Bus,
    history: History,
    /// The log that is filled from the bus, when it is one.
    copy: Option<Log>,
    questions: Tail,
    answering: Tasks,
}

impl Service {
    /// Answers in a task of its own: verifying a long log takes a while.
    fn answer(&mut self, heard: Heard) {
        let Some(reply) = heard.reply else { return };
        let (bus, history) = (self.bus.clone(), self.history.clone());
        let copy = self.copy.clone();
        self.answering.spawn("answer", async move {
            if let Some(log) = copy {
                copy::catch_up(&bus, &log).await;
            }
            let answer = ask(history, heard.message.body).await;
            let body = serde_json::to_vec(&answer).unwrap_or_default();
            let Err(error) = bus.answer(&reply, body.into()).await else { return };
            warn!(%error, "an answer could not be sent");
            // Mostly it is too large. Whoever asked learns that now, not when he tires of waiting.
            let failed = Answer::Failed { reason: format!("the answer cannot be sent: {error}") };
            let body = serde_json::to_vec(&failed).unwrap_or_default();
            if let Err(error) = bus.answer(&reply, body.into()).await {
                warn!(%error, "nor could the reason be sent");
            }
        });
    }
}

async fn ask(history: History, body: Bytes) -> Answer {
    let question: Question = match serde_json::from_slice(&body) {
        Ok(question) => question,
        Err(error) => return Answer::Failed { reason: format!("not a question: {error}") },
    };
    let answered = tokio::task::spawn_blocking(move || history.answer(&question)).await;
    match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Failed { reason: error.to_string() },
        Err(_panicked) => Answer::Failed { reason: "the ledger broke over it".to_owned() },
    }
}
