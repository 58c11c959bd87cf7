//! What one connection is doing: waiting to be spoken to in full, or being served.
//!
//! A seat is silent until a request has arrived whole, and again after its answer. Only then may
//! it be taken back for somebody else ([`crate::serve`]): a request that is being handled never
//! is, nor an answer that may still be on its way out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

/// An answer that was handed over may take so long to be sent.
const SENDING: Duration = Duration::from_secs(1);

/// One connection's place among those that are open.
#[derive(Clone, Debug)]
pub(crate) struct Seat(Arc<Mutex<Doing>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// Nothing that has arrived whole; silent since then, which may be a little ahead.
    Silent(Instant),
    /// A request is being answered.
    Working,
    /// The seat was taken back: nothing starts on it any more.
    Taken,
}

impl Seat {
    /// A seat for a connection that has just been made.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Doing::Silent(Instant::now()))))
    }

    /// A request has arrived whole. False when the seat was taken back before.
    pub(crate) fn work(&self) -> bool {
        self.change(|doing| {
            if *doing != Doing::Taken {
                *doing = Doing::Working;
            }
            *doing == Doing::Working
        })
    }

    /// The answer has been handed over: the seat waits for the next request.
    fn rest(&self) {
        self.change(|doing| {
            if *doing != Doing::Taken {
                *doing = Doing::Silent(Instant::now() + SENDING);
            }
        });
    }

    /// Since when nothing has arrived whole; none while there is work.
    pub(crate) fn silent_since(&self) -> Option<Instant> {
        self.change(|doing| match doing {
            Doing::Silent(since) if *since <= Instant::now() => Some(*since),
            Doing::Silent(_) | Doing::Working | Doing::Taken => None,
        })
    }

    /// Takes the seat back unless there is work.
    pub(crate) fn take(&self) -> bool {
        self.change(|doing| {
            let silent = matches!(doing, Doing::Silent(since) if *since <= Instant::now());
            if silent {
                *doing = Doing::Taken;
            }
            silent
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Doing) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An answer's body, which keeps the seat at work until it has been handed over.
pub(crate) struct Held {
    body: Body,
    seat: Seat,
}

impl Held {
    /// `body`, sent on `seat`.
    pub(crate) const fn new(body: Body, seat: Seat) -> Self {
        Self { body, seat }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.seat.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_seat_is_taken_only_while_nothing_is_at_work() {
        let seat = Seat::new();
        assert!(seat.work());
        assert!(!seat.take(), "it is at work");
        drop(Held::new(Body::empty(), seat.clone()));
        assert!(!seat.take(), "its answer is on its way out");
        tokio::time::advance(SENDING).await;
        assert!(seat.silent_since().is_some());
        assert!(seat.take());
        assert!(!seat.work(), "nothing starts on a seat that was taken");
        drop(Held::new(Body::empty(), seat.clone()));
        tokio::time::advance(SENDING).await;
        assert!(!seat.take(), "a taken seat does not come back");
    }
}
