//! The pack that is measured, and the events it is about.

use anyhow::Context as _;
use bytes::Bytes;
use hearken_packs::bundle::{Bundle, BundleFile, Sealed};
use hearken_packs::publish::Offer;
use hearken_proto::{Message, Subject};
use tempfile::TempDir;

/// Trigger of every event here.
const TRIGGER: &str = "bench.order";

/// An action that is done at once.
const NOTHING: &str = "name: nothing\nrunner_type: noop\nenabled: true\n";

/// An action that starts a process.
const SCRIPT: &str = "name: script\nrunner_type: local-shell-script\nentry_point: script.sh\n";

/// An action that returns a number, in an interpreter.
const ANSWER: &str = "name: answer\nrunner_type: python-script\nentry_point: answer.py\n";
const ANSWER_CODE: &str = "from st2common.runners.base_action import Action\n\n\n\
                           class Answer(Action):\n    def run(self):\n        return 42\n";

/// One rule of so many has a regular expression, where there are any.
pub(crate) const REGEX_EVERY: u64 = 10;

/// What the rules of the pack are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each is one equality and one comparison.
    Plain,
    /// Each tenth has a regular expression besides, which holds for every event.
    Regex,
    /// Each tenth is a regular expression alone, which holds for no event: it must be tried on
    /// each.
    RegexAlone,
}

impl Shape {
    /// The rule that the event of a number matches, of so many.
    pub(crate) const fn hit(self, number: u64, rules: u64) -> u64 {
        let rule = number % rules;
        // Those that are a regular expression alone match nothing.
        if matches!(self, Self::RegexAlone) && is_tenth(rule) { rule - 1 } else { rule }
    }

    fn criteria(self, rule: u64) -> String {
        let state = state(rule);
        let equality = format!("  trigger.state: {{type: equals, pattern: {state}}}\n");
        let amount = "  trigger.amount: {type: greaterthan, pattern: 100}\n";
        let customer = "  trigger.customer: {type: regex, pattern: '^customer-[0-9]{6}$'}\n";
        match self {
            Self::Regex if is_tenth(rule) => format!("{equality}{customer}{amount}"),
            Self::RegexAlone if is_tenth(rule) => {
                format!("  trigger.note: {{type: regex, pattern: 'order ([a-z]+) {rule}'}}\n")
            }
            Self::Plain | Self::Regex | Self::RegexAlone => format!("{equality}{amount}"),
        }
    }
}

const fn is_tenth(rule: u64) -> bool {
    rule % REGEX_EVERY == REGEX_EVERY - 1
}

/// The state that a rule waits for.
fn state(rule: u64) -> String {
    format!("state-{rule:05}")
}

/// The pack with `rules` rules, each of which asks for `action`.
pub(crate) fn bundle(shape: Shape, rules: u64, action: &str) -> Bundle {
    let file = |path: String, content: String, executable| BundleFile {
        path,
        executable,
        content: content.into_bytes(),
    };
    let mut files = vec![
        file("pack.yaml".to_owned(), "name: bench\nversion: 1.0.0\n".to_owned(), false),
        file("actions/answer.yaml".to_owned(), ANSWER.to_owned(), false),
        file("actions/answer.py".to_owned(), ANSWER_CODE.to_owned(), false),
        file("actions/nothing.yaml".to_owned(), NOTHING.to_owned(), false),
        file("actions/script.yaml".to_owned(), SCRIPT.to_owned(), false),
        file("actions/script.sh".to_owned(), "#!/bin/true\n".to_owned(), true),
    ];
    for number in 0..rules {
        let rule = format!(
            "name: r{number}\nenabled: true\ntrigger: {{type: {TRIGGER}}}\ncriteria:\n{}\
             action: {{ref: bench.{action}}}\n",
            shape.criteria(number),
        );
        files.push(file(format!("rules/r{number}.yaml"), rule, false));
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Bundle { name: "bench".to_owned(), files }
}

/// The pack, ready to be put in force.
pub(crate) fn offer(shape: Shape, rules: u64) -> anyhow::Result<Offer> {
    let sealed = Sealed::new(bundle(shape, rules, "nothing"))?;
    Ok(Offer { sealed, source: "bench".to_owned(), version: None })
}

/// The pack in a folder of packs.
pub(crate) fn folder(shape: Shape, rules: u64, action: &str) -> anyhow::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let packs = tempfile::tempdir()?;
    for file in bundle(shape, rules, action).files {
        let path = packs.path().join("bench").join(&file.path);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(&path, &file.content)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(packs)
}

/// The event of a number: about 200 bytes, 6 members. It is for the rule called `rule`; none is
/// called [`NOBODY`].
pub(crate) fn event(prefix: &str, number: u64, rule: u64) -> Message {
    let body = format!(
        "{{\"order\": {number}, \"amount\": {}, \"state\": \"{}\", \"customer\": \
         \"customer-{:06}\", \"country\": \"fr\", \"note\": \"the parcel of this order has not \
         left the warehouse, the customer was told on the second day\"}}",
        101 + number % 900,
        state(rule),
        number % 100_000,
    );
    Message {
        subject: Subject::event(TRIGGER).under(prefix),
        body: Bytes::from(body),
        ..Message::default()
    }
}

/// No rule's number.
pub(crate) const NOBODY: u64 = 99_999;

/// Where the requests of the pack's rules go.
pub(crate) fn request_subject(prefix: &str) -> String {
    let subject = Subject::ActionRequest {
        pool: "any".to_owned(),
        pack: "bench".to_owned(),
        action: "nothing".to_owned(),
    };
    subject.under(prefix)
}
