//! What goes to a run and comes back from it, over the socket that it was started with.
//!
//! Both ways a length of eight bytes, the high one first, and so many bytes of JSON.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use hearken_kit::process;
use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Longest result. Large results are kept out of line, so this is a bound on memory: as values it
/// takes up to thirty times the room.
pub(super) const RESULT_BYTES_MAX: u64 = 10 << 20;
/// How long a result is awaited after the end of its process, which wrote it before: the time of
/// reading it.
const LINGER: Duration = Duration::from_secs(1);

/// What an action returned.
#[derive(Debug, PartialEq)]
pub(super) struct Returned {
    /// The value.
    pub(super) result: Value,
    /// Whether it did well, where it said so.
    pub(super) status: Option<bool>,
}

/// What came back over the channel.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// Nothing: the action raised an exception, exited, or was ended.
    Nothing,
    /// What it returned.
    Returned(Returned),
    /// Something that cannot be used, and why.
    Useless(String),
}

/// Tells a run what it is to do, and takes its answer.
pub(super) async fn exchange(mut channel: UnixStream, wanted: Vec<u8>) -> Answer {
    match exchanged(&mut channel, &wanted).await {
        Ok(answer) => answer,
        // The run ended before it had heard all, or in the middle of an answer.
        Err(_) => Answer::Nothing,
    }
}

async fn exchanged(channel: &mut UnixStream, wanted: &[u8]) -> io::Result<Answer> {
    channel.write_all(&(wanted.len() as u64).to_be_bytes()).await?;
    channel.write_all(wanted).await?;
    let length = channel.read_u64().await?;
    if length > RESULT_BYTES_MAX {
        let why = format!("the result has {length} bytes, the most is {RESULT_BYTES_MAX}");
        return Ok(Answer::Useless(why));
    }
    let mut body = Vec::new();
    channel.take(length).read_to_end(&mut body).await?;
    if (body.len() as u64) < length {
        return Ok(Answer::Nothing);
    }
    Ok(match serde_json::from_slice::<Map<String, Value>>(&body) {
        Ok(mut said) => Answer::Returned(Returned {
            status: said.get("status").and_then(Value::as_bool),
            result: said.remove("result").unwrap_or_default(),
        }),
        Err(error) => Answer::Useless(format!("the result cannot be read: {error}")),
    })
}

/// Both at once: the run, and what it says meanwhile.
pub(super) async fn during(
    run: impl Future<Output = process::Outcome>,
    exchange: impl Future<Output = Answer>,
) -> (process::Outcome, Answer) {
    let (mut run, mut exchange) = (pin!(run), pin!(exchange));
    tokio::select! {
        ended = &mut run => {
            let answer = timeout(LINGER, exchange).await;
            (ended, answer.unwrap_or(Answer::Nothing))
        }
        answer = &mut exchange => (run.await, answer),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What becomes of bytes that a run sends back.
    async fn check(said: &[u8], expected: Answer) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let run = async {
            let mut heard = [0; 10];
            theirs.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, *b"\0\0\0\0\0\0\0\x02{}");
            // Nobody listens any more when it is too long.
            theirs.write_all(said).await.unwrap_or(());
            drop(theirs);
        };
        let (answer, ()) = tokio::join!(exchange(ours, b"{}".to_vec()), run);
        assert_eq!(answer, expected, "{said:?}");
    }

    #[tokio::test]
    async fn answers_are_whole_or_none() {
        let body = br#"{"result":[1],"status":null}"#;
        let whole = [&28_u64.to_be_bytes()[..], body].concat();
        let returned = Returned { result: json!([1]), status: None };
        check(&whole, Answer::Returned(returned)).await;
        check(&whole[..20], Answer::Nothing).await;
        check(b"", Answer::Nothing).await;
        let why = "the result has 10485761 bytes, the most is 10485760";
        check(&10_485_761_u64.to_be_bytes(), Answer::Useless(why.to_owned())).await;
        let odd = [&2_u64.to_be_bytes()[..], b"{]"].concat();
        let why = "the result cannot be read: key must be a string at line 1 column 2";
        check(&odd, Answer::Useless(why.to_owned())).await;
    }
}
