//! The test suite of the whole: real processes, a real nats-server, a real disk.
//!
//! What can be decided by a function is tested beside it; here is what needs the wiring.

mod harness;

// One line each: what the file holds true.
mod badpacks; // Packs that are broken or mean harm: told, and nothing else suffers.
mod bundled; // What comes with Hearken: core, linux, and what they tell rules.
mod bus; // What the bus promises, on both buses.
mod cli; // Help, errors, exit codes and output formats.
mod collect; // The state of a machine in one archive.
mod datastore; // Keys: by command line, HTTP and rules; sealed, raced for, on several hosts.
mod explain; // What rules and the log say of themselves: verdicts, waits, repeats, order.
mod faults; // The promises while processes are killed.
mod flow; // From a fact to an outcome and back to the reason, on both buses.
mod gateway; // Stock clients on the listener.
mod hostile; // Bad input and bad actions: a clear outcome, and the next good event works.
mod inquiries; // Questions to people: heard of, answered once, run out.
mod memory; // Rules that remember, and history decided again.
mod oracles; // Python, Jinja2 and the engine agree on generated cases.
mod packs; // Packs from elsewhere: fetched, put in place, loaded, removed.
mod packtests; // The tests that packs bring, in Python and as cases.
mod policies; // Policies: who waits, who is let in, who is tried again, on both buses.
mod python; // Python actions: what they get, what they return, how they end.
mod remote; // Actions on other hosts, over a real sshd.
mod runners; // What runners promise, and that secrets reach the action and nobody else.
mod sensors; // Sensors of packs: what they tell, how they break, who sees it.
mod sharing; // Several processes on one nats-server: sharing, credentials, reconnecting.
mod st2client; // StackStorm's own client, unmodified.
mod tickets; // What an action shows to the HTTP API.
mod tidy; // The rules of the house.
mod webhooks; // Facts that others post, signed or not, and slow clients.
