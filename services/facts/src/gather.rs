//! Gathering several facts within their bounds.
//!
//! Facts are found out on a thread of [`crate::patience`], one after another: one that hangs costs
//! its own time and is then passed over until it comes back. Those of the window come last, so that
//! it passes behind the others; each name is gathered once, however often it is asked for.

use std::io::{self, Write};

use serde_json::Value;

use crate::patience::{self, Item};
use crate::table::{self, Fact};
use crate::{Context, Unavailable};

/// A fact and what was found out.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// Its name.
    pub name: String,
    /// What it is, or why nobody knows.
    pub outcome: Result<Value, Unavailable>,
}

/// Gathers the facts of these names, each once, in the order of their first mention.
#[must_use]
pub fn gather(names: &[&str], context: &Context) -> Vec<Gathered> {
    let mut wanted: Vec<&str> = Vec::new();
    for name in names {
        if !wanted.contains(name) {
            wanted.push(name);
        }
    }
    let known: Vec<&'static Fact> = wanted.iter().filter_map(|name| table::find(name)).collect();
    if known.iter().any(|fact| fact.is_sampled()) {
        context.start_window();
    }
    let (mut facts, sampled): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|fact| !fact.is_sampled());
    facts.extend(sampled);
    let mut outcomes = outcomes(facts.clone(), context);
    let mut gathered = Vec::with_capacity(wanted.len());
    for name in wanted {
        let place = facts.iter().position(|fact| fact.name == name);
        let outcome = match place.and_then(|place| outcomes.get_mut(place)) {
            Some(outcome) => outcome.take().unwrap_or(Err(Unavailable::Broken)),
            None => Err(Unavailable::Unknown { name: name.to_owned() }),
        };
        gathered.push(Gathered { name: name.to_owned(), outcome });
    }
    gathered
}

fn outcomes(
    facts: Vec<&'static Fact>,
    context: &Context,
) -> Vec<Option<Result<Value, Unavailable>>> {
    let item = |fact: &'static Fact| {
        let patience = context.bounds.fact_time;
        if fact.is_sampled() {
            // The window ends by itself, and two runs have two.
            let patience = patience.saturating_add(context.sampling.duration());
            return Item { key: None, patience, input: fact };
        }
        Item { key: Some(format!("fact {}", fact.name)), patience, input: fact }
    };
    let items = facts.into_iter().map(item).collect();
    let (context, deadline) = (context.clone(), context.deadline);
    let found = patience::each(items, deadline, move |fact: &&'static Fact| {
        (fact.gather)(&context).and_then(|value| bounded(fact.name, value, &context))
    });
    found.into_iter().map(|outcome| Some(outcome.and_then(|told| told))).collect()
}

/// Refuses a fact that is too large as JSON.
fn bounded(name: &str, value: Value, context: &Context) -> Result<Value, Unavailable> {
    let limit = context.bounds.fact_bytes;
    let mut room = Room { left: limit };
    if serde_json::to_writer(&mut room, &value).is_err() {
        let what = format!("the fact {name}");
        return Err(Unavailable::TooLarge { what, limit, unit: "bytes" });
    }
    Ok(value)
}

/// Counts what would be written, and stops where there is no more room.
#[derive(Debug)]
struct Room {
    left: usize,
}

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or(io::Error::from(io::ErrorKind::StorageFull))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use std::time::{Duration, Instant};

    fn codes(gathered: &[Gathered]) -> Vec<String> {
        let code = |one: &Gathered| match &one.outcome {
            Ok(value) => format!("{} {value}", one.name),
            Err(unavailable) => format!("{} {}", one.name, unavailable.code()),
        };
        gathered.iter().map(code).collect()
    }

    #[test]
    fn each_name_is_gathered_once_in_order_and_a_gap_stops_nothing() {
        let machine =
            Machine::with(&[("proc/uptime", "1.50 2.00\n"), ("proc/sys/kernel/hostname", "h1\n")]);
        let names = ["cpu", "uptime", "nothing", "host", "uptime"];
        let gathered = gather(&names, &machine.context());
        assert_eq!(
            codes(&gathered),
            ["cpu missing", "uptime 1.5", "nothing unknown", "host \"h1\""]
        );
    }

    #[test]
    fn a_fact_that_is_too_large_is_refused_whole() {
        let machine = Machine::with(&[("proc/sys/kernel/hostname", "abcd\n")]);
        let mut context = machine.context();
        context.bounds.fact_bytes = 6;
        assert_eq!(codes(&gather(&["host"], &context)), ["host \"abcd\""]);
        context.bounds.fact_bytes = 5;
        assert_eq!(codes(&gather(&["host"], &context)), ["host too_large"]);
    }

    #[test]
    fn a_file_that_hangs_costs_one_fact_and_is_left_alone_until_it_answers() {
        let machine = Machine::with(&[("proc/sys/kernel/hostname", "h1\n")]);
        let fifo = machine.path().join("proc/sys/kernel/random/boot_id");
        std::fs::create_dir_all(fifo.parent().unwrap()).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
        let mut context = machine.context();
        // Long enough for the one that answers, however busy the machine is.
        context.bounds.fact_time = Duration::from_secs(2);
        let names = ["boot_id", "host"];
        assert_eq!(codes(&gather(&names, &context)), ["boot_id timeout", "host \"h1\""]);
        context.bounds.fact_time = Duration::from_secs(60);
        assert_eq!(codes(&gather(&names, &context)), ["boot_id stuck", "host \"h1\""]);
        // Somebody writes after all, so the thread comes back.
        std::fs::write(&fifo, "1-2\n").unwrap();
        std::fs::remove_file(&fifo).unwrap();
        machine.write("proc/sys/kernel/random/boot_id", "3-4\n");
        let mut told = codes(&gather(&["boot_id"], &context));
        while told == ["boot_id stuck"] {
            std::thread::yield_now();
            told = codes(&gather(&["boot_id"], &context));
        }
        assert_eq!(told, ["boot_id \"3-4\""]);
    }

    #[test]
    fn after_the_deadline_every_fact_says_so() {
        let machine = Machine::with(&[("proc/uptime", "1.50 2.00\n")]);
        let mut context = machine.context();
        context.deadline = Some(Instant::now());
        assert_eq!(
            codes(&gather(&["uptime", "host"], &context)),
            ["uptime timeout", "host timeout"]
        );
    }
}
