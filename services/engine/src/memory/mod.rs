//! Rules that remember: repeats, windows, absences, throttles and cooldowns.
//!
//! A fold over one stream of events: what a rule does depends on the definitions at each place and
//! on the events before, and on nothing else, so that every host, every restart and every replay
//! comes to the same decisions. [`Memory`] is all there is to keep; it can be written down after
//! any event and taken up again.
//!
//! A match passes the fields of its rule in this order: `dedupe`, then `window` or `absence`, then
//! `throttle`, then `cooldown`. "Within a period" always means less than the period later: what
//! comes exactly a period later is outside. What is remembered about requests (`throttle`,
//! `cooldown`) counts from when they are decided.
//!
//! Time is the newest log time seen and never runs backwards. What has run out is forgotten as soon
//! as time has come there. Everything has a bound: keys, their length, counts, and the size of a
//! request that waits.
//!
//! Judging rules that do not remember is [`crate::judge`]'s work, and storing a memory is that of
//! the service that keeps it.

mod decide;
mod gates;
mod kept;
mod keyed;
mod moment;
mod outage;
mod recent;
mod state;

pub use state::{Decision, Memory};
