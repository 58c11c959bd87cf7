//! Threads as mail programs build them.
//!
//! `threads` is Jamie Zawinski's algorithm up to where headers end: ids of `References`, or else of
//! `In-Reply-To`, are linked in their order, ids that nobody has are empty places, loops are
//! refused. `conversations` is what Gmail does since 2019: mails belong together if their ids are
//! connected and their subjects are the same but for `Re:`.

use std::collections::{BTreeMap, BTreeSet};

use hearken_engine::notice::Mail;

#[derive(Default)]
struct Container {
    mail: Option<usize>,
    parent: Option<String>,
}

fn references(mail: &Mail) -> Vec<String> {
    if mail.references.is_empty() {
        mail.in_reply_to.iter().cloned().collect()
    } else {
        mail.references.clone()
    }
}

fn root<'a>(table: &'a BTreeMap<String, Container>, id: &'a str) -> &'a str {
    let mut at = id;
    while let Some(parent) = table.get(at).and_then(|container| container.parent.as_deref()) {
        at = parent;
    }
    at
}

/// Links `child` below `parent`, unless it has one already or a loop would come of it.
fn link(table: &mut BTreeMap<String, Container>, parent: &str, child: &str, anew: bool) {
    let has = table.get(child).is_some_and(|container| container.parent.is_some());
    let mut at = Some(parent.to_owned());
    while let Some(id) = at {
        if id == child {
            return;
        }
        at = table.get(&id).and_then(|container| container.parent.clone());
    }
    if (!has || anew)
        && let Some(container) = table.get_mut(child)
    {
        container.parent = Some(parent.to_owned());
    }
}

/// Mails by thread, each as places in the list.
pub(crate) fn threads(mails: &[&Mail]) -> Vec<BTreeSet<usize>> {
    let mut table: BTreeMap<String, Container> = BTreeMap::new();
    for (at, mail) in mails.iter().enumerate() {
        table.entry(mail.message_id.clone()).or_default().mail = Some(at);
        let references = references(mail);
        for id in &references {
            table.entry(id.clone()).or_default();
        }
        for (parent, child) in references.iter().zip(references.iter().skip(1)) {
            link(&mut table, parent, child, false);
        }
        if let Some(parent) = references.last() {
            link(&mut table, parent, &mail.message_id, true);
        }
    }
    let mut threads: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (id, container) in &table {
        if let Some(mail) = container.mail {
            threads.entry(root(&table, id)).or_default().insert(mail);
        }
    }
    threads.into_values().collect()
}

/// The subject without what stands before it in answers.
pub(crate) fn base_subject(subject: &str) -> &str {
    let mut base = subject.trim();
    while let Some(rest) = base.strip_prefix("Re:") {
        base = rest.trim_start();
    }
    base
}

pub(crate) fn conversations(mails: &[&Mail]) -> usize {
    let mut found = BTreeSet::new();
    for (at, thread) in threads(mails).iter().enumerate() {
        let members = thread.iter().filter_map(|mail| mails.get(*mail));
        found.extend(members.map(|mail| (at, base_subject(&mail.subject))));
    }
    found.len()
}

#[test]
fn the_algorithm_sees_what_there_is() {
    let mail = |id: &str, references: &[&str]| Mail {
        message_id: id.to_owned(),
        in_reply_to: None,
        references: references.iter().map(|id| (*id).to_owned()).collect(),
        subject: "s".to_owned(),
        date: hearken_proto::Timestamp::EPOCH,
        headers: Vec::new(),
        text: String::new(),
        html: None,
    };
    let sizes = |mails: &[Mail]| {
        let mails: Vec<&Mail> = mails.iter().collect();
        let mut sizes: Vec<usize> = threads(&mails).iter().map(BTreeSet::len).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&[mail("a", &[]), mail("b", &[])]), [1, 1]);
    assert_eq!(sizes(&[mail("b", &["a"]), mail("a", &[])]), [2]);
    // A mail that nobody has holds two together.
    assert_eq!(sizes(&[mail("b", &["a"]), mail("c", &["a"])]), [2]);
    assert_eq!(sizes(&[mail("a", &["b"]), mail("b", &["a"])]), [2]);
    assert_eq!(sizes(&[mail("c", &["a", "b"]), mail("d", &["x", "b"])]), [2]);
}
