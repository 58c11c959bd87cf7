//! The pack that is measured, and the events it is about.

use bytes::Bytes;
use hearken_packs::bundle::{Bundle, BundleFile, Sealed};
use hearken_packs::publish::Offer;
use hearken_proto::{Message, Subject};

/// Trigger of every event here.
const TRIGGER: &str = "bench.order";

/// An action that is done at once.
const NOTHING: &str = "name: nothing\nrunner_type: noop\nenabled: true\n";

/// An action that starts a process.
const SCRIPT: &str = "name: script\nrunner_type: local-shell-script\nentry_point: script.sh\n";

/// The pack with `rules` rules, of which the first matches every event; each is one equality and
/// one comparison, and asks for `action`.
pub(crate) fn bundle(rules: usize, action: &str) -> Bundle {
    let file = |path: String, content: String, executable| BundleFile {
        path,
        executable,
        content: content.into_bytes(),
    };
    let mut files = vec![
        file("pack.yaml".to_owned(), "name: bench\nversion: 1.0.0\n".to_owned(), false),
        file("actions/nothing.yaml".to_owned(), NOTHING.to_owned(), false),
        file("actions/script.yaml".to_owned(), SCRIPT.to_owned(), false),
        file("actions/script.sh".to_owned(), "#!/bin/true\n".to_owned(), true),
    ];
    for number in 0..rules {
        let state = if number == 0 { "late".to_owned() } else { format!("state-{number}") };
        let rule = format!(
            "name: r{number}\nenabled: true\ntrigger: {{type: {TRIGGER}}}\ncriteria:\n  \
             trigger.state: {{type: equals, pattern: {state}}}\n  \
             trigger.amount: {{type: greaterthan, pattern: 100}}\n\
             action: {{ref: bench.{action}}}\n"
        );
        files.push(file(format!("rules/r{number}.yaml"), rule, false));
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Bundle { name: "bench".to_owned(), files }
}

/// The pack, ready to be put in force.
pub(crate) fn offer(rules: usize) -> anyhow::Result<Offer> {
    let sealed = Sealed::new(bundle(rules, "nothing"))?;
    Ok(Offer { sealed, source: "bench".to_owned(), version: None })
}

/// The event of a number: about 200 bytes, 6 members.
pub(crate) fn event(prefix: &str, number: u64) -> Message {
    let body = format!(
        "{{\"order\": {number}, \"amount\": {}, \"state\": \"late\", \"customer\": \
         \"customer-{:06}\", \"country\": \"fr\", \"note\": \"the parcel of this order has not \
         left the warehouse, the customer was told on the second day\"}}",
        101 + number % 900,
        number % 100_000,
    );
    Message {
        subject: Subject::event(TRIGGER).under(prefix),
        body: Bytes::from(body),
        ..Message::default()
    }
}

/// Where the requests of the pack's rules go.
pub(crate) fn request_subject(prefix: &str) -> String {
    let subject = Subject::ActionRequest {
        pool: "any".to_owned(),
        pack: "bench".to_owned(),
        action: "nothing".to_owned(),
    };
    subject.under(prefix)
}
