//! The router itself: who is subscribed, and how one message reaches them.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hearken_proto::{Message, permission, subject};

use super::Subscription;
use super::trie::{Group, Trie};

/// A message on its way to one subscriber.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The message, shared by all who get it.
    pub message: Arc<Message>,
    /// Where an answer is awaited, if one is.
    pub reply: Option<Arc<str>>,
}

/// Passes messages on within this process. Cloning it is cheap; every clone is the same router.
#[derive(Clone)]
pub struct Router {
    shared: Arc<Shared>,
}

struct Shared {
    table: RwLock<Trie<Arc<dyn Sink>>>,
    next_id: AtomicU64,
    closed: AtomicBool,
    dropped: AtomicU64,
    /// A secret of this process, so that inbox names cannot be guessed.
    secret: RandomState,
}

/// Who published a message: connections that asked not to hear themselves are told apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody in this process.
    Process,
    /// The connection with this number.
    Connection(u64),
}

/// What became of one message at one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It is in the queue.
    Taken,
    /// It is in the queue, which is more than half full.
    Crowded,
    /// There is no room for it.
    Full,
    /// This subscriber does not want it.
    Declined,
}

/// Where the messages of one subscription go. Called with the table locked: it must be quick and
/// must not call the router.
pub(crate) trait Sink: Send + Sync {
    /// Takes one message, or says why not.
    fn offer(&self, delivered: &Delivered, origin: Origin) -> Offer;
    /// Says that a message for which there was no room went to nobody else either.
    fn miss(&self);
    /// Says that nothing more will come.
    fn close(&self);
}

/// How a message was passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routed {
    /// How many got it.
    pub(crate) delivered: usize,
    /// How many wanted it and had no room.
    pub(crate) missed: usize,
    /// Whether somebody's queue is filling up: the publisher should slow down.
    pub(crate) crowded: bool,
}

/// Keeps a sink subscribed until it is dropped.
pub(crate) struct Registration {
    router: Router,
    filter: Box<str>,
    group: Option<Box<str>>,
    id: u64,
}

impl Router {
    /// A router without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                table: RwLock::new(Trie::new()),
                next_id: AtomicU64::new(0),
                closed: AtomicBool::new(false),
                dropped: AtomicU64::new(0),
                secret: RandomState::new(),
            }),
        }
    }

    /// Passes `message` on and says how many subscribers got it. Never waits: a subscriber whose
    /// queue is full misses it and is told so.
    pub fn publish(&self, message: &Message, reply: Option<&str>) -> usize {
        let delivered = |message: &Message| Delivered {
            message: Arc::new(message.clone()),
            reply: reply.map(Arc::from),
        };
        if !subject::is_literal(&message.subject) {
            return 0;
        }
        // Most stored messages have no live subscriber: nothing is copied for them.
        let mut copy = None;
        self.pass(&message.subject, Origin::Process, || {
            copy.get_or_insert_with(|| delivered(message)).clone()
        })
        .delivered
    }

    /// Subscribes to `filter`; of the members of one `queue_group` one gets each message.
    ///
    /// A filter that is not one (`a..b`) selects nothing.
    #[must_use]
    pub fn subscribe(&self, filter: &str, queue_group: Option<&str>) -> Subscription {
        Subscription::new(self, filter, queue_group)
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.read().len()
    }

    /// How many messages subscribers missed because their queues were full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Ends every subscription, present and future, once it has given out what it holds.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.read().for_each(&mut |sink| sink.close());
    }

    /// A new subject to await an answer at, which nobody can guess.
    #[must_use]
    pub fn inbox(&self) -> String {
        let id = self.next_id();
        let name = [id.wrapping_mul(2), id.wrapping_mul(2).wrapping_add(1)]
            .map(|half| self.shared.secret.hash_one(half));
        format!("{}.{:016x}{:016x}", permission::INBOX, name[0], name[1])
    }

    /// Passes a message on that the caller has already wrapped. Its subject is a literal one: the
    /// caller has looked.
    pub(crate) fn route(&self, delivered: &Delivered, origin: Origin) -> Routed {
        self.pass(&delivered.message.subject, origin, || delivered.clone())
    }

    /// Subscribes `sink` until the registration is dropped.
    pub(crate) fn register(
        &self,
        filter: &str,
        group: Option<&str>,
        sink: Arc<dyn Sink>,
    ) -> Registration {
        let id = self.next_id();
        if subject::is_filter(filter) {
            self.write().insert(filter, group, id, Arc::clone(&sink));
        }
        // After the insertion, so that either `close` saw the sink or this line sees the closing.
        if self.shared.closed.load(Ordering::Acquire) {
            sink.close();
        }
        Registration {
            router: self.clone(),
            filter: filter.into(),
            group: group.map(Into::into),
            id,
        }
    }

    fn pass(
        &self,
        subject: &str,
        origin: Origin,
        mut delivered: impl FnMut() -> Delivered,
    ) -> Routed {
        let mut routed = Routed::default();
        let table = self.read();
        let mut groups: Vec<(&Group<_>, Vec<&Arc<dyn Sink>>)> = Vec::new();
        table.visit(subject, &mut |interest| {
            for sink in interest.plain() {
                let offer = sink.offer(&delivered(), origin);
                if offer == Offer::Full {
                    sink.miss();
                }
                routed.count(offer);
            }
            for group in interest.groups() {
                let members = group.members.iter().map(|member| &member.value);
                // A group is its name: members under other filters belong to it as well.
                match groups.iter_mut().find(|(known, _)| known.name == group.name) {
                    Some((_, all)) => all.extend(members),
                    None => groups.push((group, members.collect())),
                }
            }
        });
        for (group, members) in groups {
            let first = group.turn().checked_rem(members.len()).unwrap_or(0);
            let members = members.iter().cycle().skip(first).take(members.len());
            routed.count(offer_to_one(members, &delivered(), origin));
        }
        drop(table);
        let missed = u64::try_from(routed.missed).unwrap_or(u64::MAX);
        self.shared.dropped.fetch_add(missed, Ordering::Relaxed);
        routed
    }

    fn next_id(&self) -> u64 {
        self.shared.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn read(&self) -> RwLockReadGuard<'_, Trie<Arc<dyn Sink>>> {
        self.shared.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Trie<Arc<dyn Sink>>> {
        self.shared.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds a member that takes the message; a full one is passed over for one with room, and only
/// when none has any has the first of them missed it.
fn offer_to_one<'a>(
    members: impl Iterator<Item = &'a &'a Arc<dyn Sink>>,
    delivered: &Delivered,
    origin: Origin,
) -> Offer {
    let mut full = None;
    for sink in members {
        match sink.offer(delivered, origin) {
            taken @ (Offer::Taken | Offer::Crowded) => return taken,
            Offer::Full => full = full.or(Some(sink)),
            Offer::Declined => {}
        }
    }
    full.map_or(Offer::Declined, |sink| {
        sink.miss();
        Offer::Full
    })
}

impl Routed {
    /// Whether anybody wanted the message, with room for it or without.
    pub(crate) const fn was_wanted(self) -> bool {
        self.delivered > 0 || self.missed > 0
    }

    const fn count(&mut self, offer: Offer) {
        match offer {
            Offer::Taken => self.delivered += 1,
            Offer::Crowded => {
                self.delivered += 1;
                self.crowded = true;
            }
            // Waiting for somebody who is this far behind would only make others late.
            Offer::Full => self.missed += 1,
            Offer::Declined => {}
        }
    }
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("subscriptions", &self.subscriptions()).finish()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.router.write().remove(&self.filter, self.group.as_deref(), self.id);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("filter", &self.filter).finish_non_exhaustive()
    }
}
