//! Who may publish and subscribe to what: the table of `proto/README.md`, as functions.
//!
//! The embedded listener asks these functions; on a nats-server the same rows are its account
//! permissions. Pure: who somebody is has been found out before.
//!
//! Invariant: nobody without credentials can request anything. A request is work for runners, so
//! the only thing a stranger on this machine may do is to tell a fact.

use crate::subject;

/// Whose events only services publish: what Hearken says of itself.
pub const OWN_PACK: &str = "hearken";
/// Packs whose events nobody without credentials may publish, unless an installation adds more:
/// rules trust these to come from Hearken itself.
pub const RESERVED_PACKS: [&str; 3] = ["core", "packs", "hearken"];

/// Header under which a cause claimed from outside is kept: a claim is data and enters no id.
pub const CLAIMED_CAUSE: &str = "Hearken-Claimed-Cause";

/// First token of every inbox, as NATS clients name them.
pub const INBOX: &str = "_INBOX";

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// No credentials, from another machine.
    Remote,
    /// No credentials, from this machine (loopback).
    Anonymous,
    /// Whoever holds the installation's token: people, their tools and their programs.
    Token,
    /// A service of Hearken: in this process, or with the service account of a nats-server.
    Service,
}

impl Identity {
    /// Whether a cause that comes with a message is believed. Everybody else only claims one.
    #[must_use]
    pub const fn is_believed(self) -> bool {
        match self {
            Self::Service => true,
            Self::Remote | Self::Anonymous | Self::Token => false,
        }
    }
}

/// Whether `identity` may publish to `subject` in the installation called `prefix`.
///
/// `reserved_packs` are the packs whose events only credentials may publish.
#[must_use]
pub fn may_publish(
    identity: Identity,
    prefix: &str,
    subject: &str,
    reserved_packs: &[String],
) -> bool {
    if !subject::is_literal(subject) {
        return false;
    }
    match identity {
        Identity::Remote => false,
        Identity::Anonymous => event_pack(prefix, subject)
            .is_some_and(|pack| !reserved_packs.iter().any(|reserved| reserved == pack)),
        // A mark decides what is in force: only services write marks.
        Identity::Token => {
            let own = event_pack(prefix, subject) == Some(OWN_PACK);
            !own && !is_of(subject, "$SYS") && !is_of(subject, "$JS")
        }
        Identity::Service => !is_of(subject, "$SYS"),
    }
}

/// Beginnings of the ids that Hearken gives to its own events. Ids are one space per stream: who
/// could use one of these in advance would make a tick or a delivery look like a repetition.
pub const RESERVED_IDS: [&str; 7] =
    ["tick-", "time-", "webhook-", "actiontrigger-", "re-emit-", "sensor-", "inquiry-"];

/// Whether `identity` may give its message this id.
#[must_use]
pub fn may_name(identity: Identity, id: &str) -> bool {
    match identity {
        Identity::Anonymous | Identity::Remote => {
            !RESERVED_IDS.iter().any(|reserved| id.starts_with(reserved))
        }
        Identity::Token | Identity::Service => true,
    }
}

/// Whether `identity` may subscribe to `filter`.
#[must_use]
pub fn may_subscribe(identity: Identity, filter: &str) -> bool {
    if !subject::is_filter(filter) {
        return false;
    }
    match identity {
        Identity::Remote => false,
        Identity::Anonymous => is_own_inbox(filter),
        Identity::Token => !is_of(filter, "$SYS") && !is_of(filter, "$JS"),
        Identity::Service => !is_of(filter, "$SYS"),
    }
}

/// Whether `identity` may ask for an answer at `reply`. Without this rule an acknowledgement
/// could be aimed at a subject that the publisher itself may not publish to.
#[must_use]
pub fn may_ask_at(identity: Identity, reply: &str) -> bool {
    if !subject::is_literal(reply) {
        return false;
    }
    match identity {
        Identity::Remote => false,
        Identity::Anonymous => is_own_inbox(reply),
        Identity::Token => !is_of(reply, "$SYS") && !is_of(reply, "$JS"),
        Identity::Service => !is_of(reply, "$SYS"),
    }
}

/// An inbox is somebody's own when its name is spelt out: names are random, so whoever can spell
/// one has made it, while `_INBOX.>` and `_INBOX.*` would listen to everybody's answers.
fn is_own_inbox(filter: &str) -> bool {
    let mut tokens = filter.split('.');
    tokens.next() == Some(INBOX) && tokens.next().is_some_and(|name| name != "*" && name != ">")
}

/// The pack of an event's subject; an event has a pack and a trigger.
fn event_pack<'a>(prefix: &str, subject: &'a str) -> Option<&'a str> {
    let rest = subject.strip_prefix(prefix)?.strip_prefix(".event.")?;
    rest.split_once('.').map(|(pack, _)| pack)
}

fn is_of(subject: &str, family: &str) -> bool {
    subject.split('.').next() == Some(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYBODY: [Identity; 4] =
        [Identity::Remote, Identity::Anonymous, Identity::Token, Identity::Service];

    fn reserved() -> Vec<String> {
        RESERVED_PACKS.map(str::to_owned).to_vec()
    }

    /// One row: a subject, and whether each of [`EVERYBODY`] may.
    fn check(rows: &[(&str, [bool; 4])], may: impl Fn(Identity, &str) -> bool) {
        for (subject, expected) in rows {
            assert_eq!(EVERYBODY.map(|identity| may(identity, subject)), *expected, "{subject}");
        }
    }

    #[test]
    fn publishing() {
        let nobody = [false; 4];
        let all_but_remote = [false, true, true, true];
        let credentials = [false, false, true, true];
        check(
            &[
                ("hearken.event.shop.order_late", all_but_remote),
                ("hearken.event.shop.order.late", all_but_remote),
                ("hearken.event.cores.a", all_but_remote),
                ("hearken.event.core.st2.webhook", credentials),
                ("hearken.event.packs.installed", credentials),
                ("hearken.event.hearken.incident.opened", [false, false, false, true]),
                ("hearken.event.hearken.definitions", [false, false, false, true]),
                ("hearken.event.shop", credentials),
                ("hearken.event", credentials),
                ("hearken.events.shop.order_late", credentials),
                ("hearkens.event.shop.order_late", credentials),
                ("other.event.shop.order_late", credentials),
                ("hearken.request.action.any.core.local", credentials),
                ("hearken.request.notice.mail", credentials),
                ("hearken.transition.execution.6", credentials),
                ("hearken.result.check.web", credentials),
                ("hearken.state.kv.a", credentials),
                ("hearken.sample.facts.host", credentials),
                ("hearken.deadletter.undecodable", credentials),
                ("hearken.control.actions.any", credentials),
                ("_INBOX.abc", credentials),
                ("anything", credentials),
                ("$JS.API.STREAM.NAMES", [false, false, false, true]),
                ("$JS", [false, false, false, true]),
                ("$SYS.REQ.SERVER.PING", nobody),
                ("hearken.event.shop..late", nobody),
                ("hearken.event.shop.*", nobody),
                ("hearken.event.shop.>", nobody),
                ("hearken.event.shop.a b", nobody),
                ("", nobody),
            ],
            |identity, subject| may_publish(identity, "hearken", subject, &reserved()),
        );
    }

    #[test]
    fn subscribing() {
        let nobody = [false; 4];
        let all_but_remote = [false, true, true, true];
        let credentials = [false, false, true, true];
        check(
            &[
                ("_INBOX.abc", all_but_remote),
                ("_INBOX.abc.*", all_but_remote),
                ("_INBOX.abc.>", all_but_remote),
                ("_INBOX.>", credentials),
                ("_INBOX.*", credentials),
                ("_INBOX.*.a", credentials),
                ("_INBOX", credentials),
                ("_INBOXES.abc", credentials),
                (">", credentials),
                ("*.abc", credentials),
                ("hearken.event.>", credentials),
                ("hearken.event.shop.order_late", credentials),
                ("$JS.>", [false, false, false, true]),
                ("$SYS.>", nobody),
                ("_INBOX.abc..d", nobody),
                ("_INBOX.>.d", nobody),
            ],
            may_subscribe,
        );
    }

    #[test]
    fn answers_go_to_inboxes_only_unless_there_are_credentials() {
        check(
            &[
                ("_INBOX.abc.1", [false, true, true, true]),
                ("hearken.request.action.any.core.local", [false, false, true, true]),
                ("_INBOX", [false, false, true, true]),
                ("$JS.API.X", [false, false, false, true]),
                ("_INBOX.abc.*", [false; 4]),
            ],
            may_ask_at,
        );
    }

    #[test]
    fn another_prefix_is_another_installation() {
        let may = |subject| may_publish(Identity::Anonymous, "site.a", subject, &reserved());
        assert!(may("site.a.event.shop.late"));
        assert!(!may("hearken.event.shop.late"));
        assert!(!may("site.event.shop.late"));
    }

    #[test]
    fn only_services_are_believed() {
        let believed = EVERYBODY.map(Identity::is_believed);
        assert_eq!(believed, [false, false, false, true]);
    }
}
