//! One gate: who is in, who waits, and who is next.
//!
//! Pure decisions over [`Gate`]; whoever stores one compares and sets, so every decision here is
//! made once. A gate of a concurrency policy keeps an execution until it has ended. A gate of a
//! rate, or of a moment to wait for, keeps one that was granted only until it comes for its place:
//! there the execution itself tells the rest.
//!
//! Invariants: never more in than the threshold; never more starts in any window than the rate;
//! nobody passes somebody who was asked for earlier and may start; whoever was let in is let in
//! again when it asks again.
//!
//! A rate is kept by the clocks of the hosts that ask: clocks that are apart by a second can let
//! the window be a second shorter.

use std::time::Duration;

use hearken_proto::Timestamp;
use hearken_proto::record::{Gate, Holder, Waiter};

use crate::definition::policy::Excess;
use crate::definition::{Policy, PolicyKind};

/// The most executions that wait in one entity: with what it holds beside them, half of what one
/// message takes.
pub const WAITING_MAX: usize = 10_000;

/// What a gate is to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most executions that are in at once.
    pub running_max: Option<u32>,
    /// The most starts in a period.
    pub rate: Option<(u32, Duration)>,
}

/// What a gate says to an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass; the moment at which it was let in.
    Admitted(i64),
    /// It waits for its turn.
    Waits,
    /// There is no room: so many are in already.
    Refused(usize),
    /// Too many wait already.
    Full,
}

impl Limits {
    /// Nobody is let in, and nothing is forgotten: for a policy that is not known here yet.
    pub const CLOSED: Self = Self { running_max: Some(0), rate: None };

    /// Those of `policy`. One that is gone or switched off keeps nobody.
    #[must_use]
    pub fn of(policy: Option<&Policy>) -> Self {
        let Some(policy) = policy.filter(|policy| policy.enabled) else { return Self::default() };
        match policy.kind {
            PolicyKind::Concurrency { threshold, .. } => {
                Self { running_max: Some(threshold), rate: None }
            }
            PolicyKind::Rate { limit, period, .. } => {
                Self { running_max: None, rate: Some((limit, period)) }
            }
            PolicyKind::Retry { .. } | PolicyKind::Unknown(_) => Self::default(),
        }
    }

    /// Whether executions are in until they have ended.
    #[must_use]
    pub const fn holds_to_the_end(&self) -> bool {
        self.running_max.is_some()
    }
}

/// Asks for an execution to pass. Asking again changes nothing.
pub fn admit(
    gate: &mut Gate,
    limits: Limits,
    execution: &Waiter,
    excess: Excess,
    now: Timestamp,
) -> Verdict {
    let now = moment(gate, limits, now);
    let Waiter(key, requested, not_before) = execution;
    if let Some(at) = gate.running.iter().position(|Holder(holder, _)| holder == key) {
        let Holder(_, since) = gate.running.remove(at);
        if limits.holds_to_the_end() {
            // Anew: whoever looks after places sees that this one is being taken.
            gate.running.push(Holder(key.clone(), now));
        }
        return Verdict::Admitted(since);
    }
    gate.waiting.retain(|Waiter(other, ..)| other != key);
    let place = gate.waiting.partition_point(|Waiter(other, time, _)| {
        (*time, other.as_str()) < (*requested, key.as_str())
    });
    let passes_nobody = gate.waiting.iter().take(place).all(|Waiter(.., until)| *until > now);
    if *not_before <= now && passes_nobody && has_room(gate, limits, now) {
        if limits.holds_to_the_end() {
            gate.running.push(Holder(key.clone(), now));
        }
        start(gate, limits, now);
        return Verdict::Admitted(now);
    }
    match excess {
        Excess::Cancel => {
            let starts = gate.starts.len();
            Verdict::Refused(if limits.rate.is_some() { starts } else { gate.running.len() })
        }
        Excess::Delay if gate.waiting.len() >= WAITING_MAX => Verdict::Full,
        Excess::Delay => {
            gate.waiting.insert(place, execution.clone());
            Verdict::Waits
        }
    }
}

/// Takes an execution out, whether it was in or waited. With `start`, the start that was counted
/// at that moment did not happen.
pub fn leave(gate: &mut Gate, key: &str, start: Option<i64>) {
    gate.running.retain(|Holder(holder, _)| holder != key);
    gate.waiting.retain(|Waiter(waiter, ..)| waiter != key);
    if let Some(start) = start
        && let Some(at) = gate.starts.iter().rposition(|counted| *counted == start)
    {
        gate.starts.remove(at);
    }
}

/// Lets in everybody for whom there is room now; answers their keys.
pub fn grant(gate: &mut Gate, limits: Limits, now: Timestamp) -> Vec<String> {
    let now = moment(gate, limits, now);
    let mut granted = Vec::new();
    let mut at = 0;
    while has_room(gate, limits, now) {
        let Some(Waiter(.., not_before)) = gate.waiting.get(at) else { break };
        if *not_before > now {
            at += 1;
            continue;
        }
        let Waiter(key, ..) = gate.waiting.remove(at);
        gate.running.push(Holder(key.clone(), now));
        start(gate, limits, now);
        granted.push(key);
    }
    granted
}

/// When [`grant`] will let somebody in although nobody leaves; none when it will not.
#[must_use]
pub fn next(gate: &Gate, limits: Limits) -> Option<Timestamp> {
    let not_before = gate.waiting.iter().map(|Waiter(.., not_before)| *not_before).min()?;
    if limits.running_max.is_some_and(|max| gate.running.len() >= max as usize) {
        return None;
    }
    let room = limits.rate.and_then(|(limit, period)| {
        let oldest = gate.starts.len().checked_sub(limit as usize)?;
        gate.starts.get(oldest).map(|start| start.saturating_add(nanos(period)))
    });
    Some(Timestamp::from_nanos(not_before.max(room.unwrap_or(i64::MIN))))
}

/// Forgets starts that no window holds any more; answers whether the gate is out of use.
pub fn tidy(gate: &mut Gate, limits: Limits, now: Timestamp) -> bool {
    moment(gate, limits, now);
    if limits.rate.is_none() && limits != Limits::CLOSED {
        gate.starts.clear();
    }
    *gate == Gate::default()
}

/// The moment to decide at: time does not go back, whatever the clock of a host says.
fn moment(gate: &mut Gate, limits: Limits, now: Timestamp) -> i64 {
    let last = gate.starts.last().copied().unwrap_or(i64::MIN);
    let now = now.nanos().max(last);
    if let Some((_, period)) = limits.rate {
        gate.starts.retain(|start| start.saturating_add(nanos(period)) > now);
    }
    now
}

fn has_room(gate: &Gate, limits: Limits, now: i64) -> bool {
    let is_below = |max: u32| gate.running.len() < max as usize;
    let is_slow = |(limit, period): (u32, Duration)| {
        let recent = gate.starts.iter().rev().filter(|s| s.saturating_add(nanos(period)) > now);
        recent.count() < limit as usize
    };
    limits.running_max.is_none_or(is_below) && limits.rate.is_none_or(is_slow)
}

fn start(gate: &mut Gate, limits: Limits, now: i64) {
    if limits.rate.is_some() {
        gate.starts.push(now);
    }
}

fn nanos(period: Duration) -> i64 {
    i64::try_from(period.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO: Limits = Limits { running_max: Some(2), rate: None };
    const RATE: Limits = Limits { running_max: None, rate: Some((3, Duration::from_nanos(100))) };

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn waiter(key: &str, requested: i64) -> Waiter {
        Waiter(key.to_owned(), requested, 0)
    }

    fn ask(gate: &mut Gate, limits: Limits, key: &str, requested: i64, now: i64) -> Verdict {
        admit(gate, limits, &waiter(key, requested), Excess::Delay, at(now))
    }

    #[test]
    fn the_third_of_two_waits_and_comes_in_when_one_leaves() {
        let mut gate = Gate::default();
        assert_eq!(ask(&mut gate, TWO, "a", 1, 10), Verdict::Admitted(10));
        assert_eq!(ask(&mut gate, TWO, "b", 2, 11), Verdict::Admitted(11));
        assert_eq!(ask(&mut gate, TWO, "d", 4, 12), Verdict::Waits);
        assert_eq!(ask(&mut gate, TWO, "c", 3, 13), Verdict::Waits);
        assert_eq!(ask(&mut gate, TWO, "a", 1, 14), Verdict::Admitted(10), "asked again");
        assert_eq!(ask(&mut gate, TWO, "c", 3, 14), Verdict::Waits, "asked again");
        assert_eq!(gate.waiting.len(), 2);
        assert_eq!(next(&gate, TWO), None);
        assert!(grant(&mut gate, TWO, at(15)).is_empty());
        leave(&mut gate, "b", None);
        // Asked for earlier comes first, whoever came first.
        assert_eq!(ask(&mut gate, TWO, "d", 4, 16), Verdict::Waits, "somebody is before it");
        assert_eq!(grant(&mut gate, TWO, at(16)), ["c"]);
        assert_eq!(ask(&mut gate, TWO, "c", 3, 17), Verdict::Admitted(16));
        leave(&mut gate, "a", None);
        leave(&mut gate, "d", None);
        leave(&mut gate, "c", None);
        assert!(tidy(&mut gate, TWO, at(20)));
    }

    #[test]
    fn one_too_many_is_refused_where_the_policy_says_so() {
        let mut gate = Gate::default();
        for key in ["a", "b"] {
            admit(&mut gate, TWO, &waiter(key, 1), Excess::Cancel, at(1));
        }
        let verdict = admit(&mut gate, TWO, &waiter("c", 1), Excess::Cancel, at(1));
        assert_eq!(verdict, Verdict::Refused(2));
        assert!(gate.waiting.is_empty());
    }

    #[test]
    fn a_rate_lets_the_next_in_when_the_window_has_moved_on() {
        let mut gate = Gate::default();
        for (key, now) in [("a", 0), ("b", 10), ("c", 20)] {
            assert_eq!(ask(&mut gate, RATE, key, now, now), Verdict::Admitted(now));
        }
        assert_eq!(ask(&mut gate, RATE, "d", 30, 30), Verdict::Waits);
        assert_eq!(ask(&mut gate, RATE, "e", 31, 31), Verdict::Waits);
        assert_eq!(next(&gate, RATE), Some(at(100)));
        assert!(grant(&mut gate, RATE, at(99)).is_empty());
        assert_eq!(grant(&mut gate, RATE, at(100)), ["d"]);
        assert_eq!(next(&gate, RATE), Some(at(110)));
        // It comes for its place; should that come to nothing, the start is given back.
        assert_eq!(ask(&mut gate, RATE, "d", 30, 105), Verdict::Admitted(100));
        assert!(gate.running.is_empty());
        leave(&mut gate, "d", Some(100));
        assert_eq!(grant(&mut gate, RATE, at(105)), ["e"]);
    }

    #[test]
    fn who_must_not_start_yet_holds_nobody_up() {
        let limits = Limits::default();
        let mut gate = Gate::default();
        let early = Waiter("a".into(), 1, 500);
        assert_eq!(admit(&mut gate, limits, &early, Excess::Delay, at(1)), Verdict::Waits);
        assert_eq!(ask(&mut gate, limits, "b", 2, 2), Verdict::Admitted(2));
        assert_eq!(next(&gate, limits), Some(at(500)));
        assert!(grant(&mut gate, limits, at(499)).is_empty());
        assert_eq!(grant(&mut gate, limits, at(500)), ["a"]);
        // A host whose clock is behind does not send it back.
        let verdict = admit(&mut gate, limits, &early, Excess::Delay, at(400));
        assert_eq!(verdict, Verdict::Admitted(500));
        assert!(tidy(&mut gate, limits, at(501)));
    }

    #[test]
    fn a_gate_whose_policy_is_not_known_yet_stays_as_it_is() {
        let mut gate = Gate::default();
        for key in ["a", "b", "c", "d"] {
            ask(&mut gate, RATE, key, 1, 1);
        }
        let before = gate.clone();
        assert!(grant(&mut gate, Limits::CLOSED, at(1000)).is_empty());
        assert!(!tidy(&mut gate, Limits::CLOSED, at(1000)));
        assert_eq!((gate.clone(), next(&gate, Limits::CLOSED)), (before, None));
        // Once it is known to be gone, everybody comes in.
        assert_eq!(grant(&mut gate, Limits::default(), at(1000)), ["d"]);
        leave(&mut gate, "d", None);
        assert!(tidy(&mut gate, Limits::default(), at(1000)));
    }

    #[test]
    fn waiting_has_an_end() {
        let mut gate = Gate::default();
        for n in 0..WAITING_MAX {
            gate.waiting.push(waiter(&format!("{n:05}"), 0));
        }
        assert_eq!(ask(&mut gate, Limits::CLOSED, "x", 1, 1), Verdict::Full);
        let bytes = hearken_proto::codec::encode(&gate).expect("it has a form").len();
        assert!(bytes < 512 << 10, "{bytes}");
    }

    /// What happens to a gate: who asks, who ends, and how time passes.
    #[derive(Clone, Debug)]
    enum Step {
        Ask(usize),
        End(usize),
        Pass(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..24_usize).prop_map(Step::Ask),
            3 => (0..24_usize).prop_map(Step::End),
            2 => (0..60_i64).prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 0..200)
    }

    /// Plays `steps` and then lets everything end; answers the starts in their order.
    fn play(limits: Limits, steps: &[Step]) -> Vec<(usize, i64)> {
        let mut gate = Gate::default();
        let mut now = 1;
        let mut state = [0; 24];
        let mut starts = Vec::new();
        let mut record = |gate: &Gate, key: usize, now: i64, state: &mut [i32; 24]| {
            if state[key] == 1 {
                state[key] = 2;
                starts.push((key, now));
            }
            let running = state.iter().filter(|state| **state == 2).count();
            assert!(limits.running_max.is_none_or(|max| running <= max as usize), "{gate:?}");
        };
        let ends = (0..400).map(|n| if n % 2 == 0 { Step::End(n / 2 % 24) } else { Step::Pass(9) });
        for step in steps.iter().cloned().chain(ends) {
            match step {
                Step::Ask(key) if state[key] < 2 => {
                    state[key] = 1;
                    // Those with a lower number were asked for earlier.
                    let requested = i64::try_from(key).expect("small");
                    let verdict = ask(&mut gate, limits, &format!("{key:02}"), requested, now);
                    if let Verdict::Admitted(_) = verdict {
                        record(&gate, key, now, &mut state);
                    }
                }
                Step::End(key) if state[key] == 2 => {
                    state[key] = 3;
                    leave(&mut gate, &format!("{key:02}"), None);
                }
                Step::Pass(nanos) => now += nanos,
                Step::Ask(_) | Step::End(_) => {}
            }
            let first = gate.waiting.first().map(|Waiter(key, ..)| key.clone());
            let promised = next(&gate, limits).is_some_and(|next| next.nanos() <= now);
            let granted = grant(&mut gate, limits, at(now));
            assert!(!promised || !granted.is_empty(), "nobody came in when it was time");
            assert!(granted.first().is_none_or(|key| Some(key) == first.as_ref()), "{granted:?}");
            assert!(granted.is_sorted(), "{granted:?}");
            for key in granted {
                let key: usize = key.parse().expect("a number");
                let requested = i64::try_from(key).expect("small");
                ask(&mut gate, limits, &format!("{key:02}"), requested, now);
                record(&gate, key, now, &mut state);
            }
        }
        assert!(gate.waiting.is_empty(), "somebody starved: {gate:?}");
        assert!(state.iter().all(|state| *state != 1), "somebody was forgotten");
        starts
    }

    proptest! {
        #[test]
        fn never_more_than_the_threshold_are_in_and_nobody_starves(
            max in 1..4_u32, steps in steps(),
        ) {
            play(Limits { running_max: Some(max), rate: None }, &steps);
        }

        #[test]
        fn no_window_ever_has_more_starts_than_the_rate(
            limit in 1..4_u32, period in 1..80_u64, steps in steps(),
        ) {
            let period = Duration::from_nanos(period);
            let starts = play(Limits { running_max: None, rate: Some((limit, period)) }, &steps);
            for (_, start) in &starts {
                let end = start + nanos(period);
                let within = starts.iter().filter(|(_, s)| (*start..end).contains(s)).count();
                prop_assert!(within <= limit as usize, "{starts:?}");
            }
        }
    }
}
