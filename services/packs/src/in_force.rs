//! The definitions in force at each place of the event stream, on every host alike.
//!
//! A mark in EVENTS names the digest of every pack; from its place on, events are judged by it. A
//! follower reads the marks, fetches content that it does not have by digest from the bus's blob
//! store, and keeps what it built. So a rule edited on one host is the same rule everywhere, and
//! an event that is judged late, or again, is judged by the rules that stood then.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearken_engine::definition::Action;
use hearken_engine::registry::{Finding, Registry};
use hearken_kit::Shutdown;
use hearken_kit::backoff::until_back;
use hearken_kit::bus::{Bus, Reader};
use hearken_proto::record::{DEFINITIONS_TRIGGER, DefinitionsState, InForce};
use hearken_proto::subject::Kind;
use hearken_proto::{Entry, Stream, Subject, codec};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::Error;
use crate::bundle::{self, Sealed, Upkeep};
use crate::load::{self, Loaded};

/// Registries kept for events that are judged late. Older ones are built again when needed.
const HISTORY_MAX: usize = 16;
/// Contents kept in memory beyond those in force, for requests that pinned an older one.
const CONTENTS_MAX: usize = 256;

/// One state of the definitions.
#[derive(Debug)]
pub struct Definitions {
    /// Place of its mark in EVENTS; 0 when nothing was ever put in force.
    pub mark: u64,
    /// What the mark says.
    pub in_force: InForce,
    /// What it means.
    pub registry: Arc<Registry>,
    /// The packs, by name.
    pub packs: BTreeMap<String, Arc<Content>>,
    /// What is worth knowing about definitions of several packs together.
    pub notices: Vec<String>,
}

/// One pack's content, unpacked and read.
#[derive(Debug)]
pub struct Content {
    /// Its digest.
    pub digest: String,
    /// The folder it was unpacked to.
    pub folder: PathBuf,
    /// What its files mean.
    pub loaded: Arc<Loaded>,
    /// Knows whether the folder is still whole.
    upkeep: Upkeep,
}

/// An action to be run, with the content it belongs to.
#[derive(Clone, Debug)]
pub struct Runnable {
    /// The action.
    pub action: Action,
    /// Root folder of its pack, as it was when the request was made.
    pub folder: PathBuf,
}

/// Follows the marks. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Follower(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bus: Bus,
    data: PathBuf,
    /// Newest last.
    history: watch::Sender<Vec<Arc<Definitions>>>,
    /// What was in force before the oldest of `history`, as far as somebody asked.
    old: Mutex<VecDeque<Old>>,
    contents: Mutex<HashMap<String, Arc<Content>>>,
}

/// Definitions of long ago, and up to which event they hold.
#[derive(Debug)]
struct Old {
    until: u64,
    definitions: Arc<Definitions>,
}

impl Old {
    fn covers(&self, sequence: u64) -> bool {
        self.definitions.mark < sequence && sequence <= self.until
    }
}

/// Reads marks as they come; see [`Follower::start`].
#[derive(Debug)]
pub struct Following {
    follower: Follower,
    reader: Reader,
}

impl Follower {
    /// Reads what is in force now. The second value reads on: its owner runs it.
    ///
    /// # Errors
    /// When the bus cannot be read, or content in force is nowhere to be found.
    pub async fn start(bus: Bus, data: &Path) -> Result<(Self, Following), Error> {
        let follower = Self(Arc::new(Inner {
            bus,
            data: data.to_owned(),
            history: watch::Sender::new(Vec::new()),
            old: Mutex::new(VecDeque::new()),
            contents: Mutex::new(HashMap::new()),
        }));
        let (mark, in_force) = last_mark(&follower.0.bus).await?.unwrap_or_default();
        if let Err(error) = follower.apply(mark, in_force).await {
            error!(mark, %error, "these definitions cannot be put in force here");
            follower.keep_in_force(mark);
        }
        let subject = mark_subject(&follower.0.bus);
        let reader = follower.0.bus.read(Stream::Events, &subject, mark + 1).await?;
        Ok((follower.clone(), Following { follower, reader }))
    }

    /// What is in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Definitions> {
        let history = self.0.history.borrow();
        history.last().map_or_else(|| Arc::new(nothing()), Arc::clone)
    }

    /// Tells when what is in force has changed.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.0.history.subscribe())
    }

    /// Waits until the mark at `sequence` has been read.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn reach(&self, sequence: u64) {
        let mut history = self.0.history.subscribe();
        let reached = |history: &Vec<Arc<Definitions>>| {
            history.last().is_some_and(|definitions| definitions.mark >= sequence)
        };
        // The sender lives in `self`, so waiting can only end with the value.
        let _seen = history.wait_for(reached).await.map(|_history| ());
    }

    /// The definitions in force for the event at `sequence`, as far as marks have been read.
    ///
    /// # Errors
    /// When they are old and cannot be built again.
    pub async fn at(&self, sequence: u64) -> Result<Arc<Definitions>, Error> {
        {
            let history = self.0.history.borrow();
            if let Some(found) = history.iter().rev().find(|d| d.mark < sequence) {
                return Ok(Arc::clone(found));
            }
        }
        if let Some(found) = self.old().iter().find(|old| old.covers(sequence)) {
            return Ok(Arc::clone(&found.definitions));
        }
        self.rebuild(sequence).await
    }

    /// An action as it was when a request pinned `digest`.
    ///
    /// # Errors
    /// When the content is nowhere, or has no such action.
    pub async fn runnable(&self, reference: &str, digest: &str) -> Result<Runnable, Error> {
        let (pack, _name) = reference.split_once('.').unwrap_or(("default", reference));
        let content = self.content(pack, digest).await?;
        let actions = &content.loaded.definitions.actions;
        let action = actions.iter().find(|action| action.reference == reference);
        let action = action.ok_or_else(|| Error::NoAction {
            reference: reference.to_owned(),
            digest: digest.to_owned(),
        })?;
        Ok(Runnable { action: (**action).clone(), folder: content.folder.clone() })
    }

    /// A pack's content, by digest, with all its files in its folder.
    ///
    /// # Errors
    /// When it is nowhere, or cannot be unpacked.
    pub async fn content(&self, pack: &str, digest: &str) -> Result<Arc<Content>, Error> {
        let known = self.contents().get(digest).map(Arc::clone);
        if let Some(content) = known {
            if content.upkeep.is_whole() {
                return Ok(content);
            }
            warn!(pack, digest, "content has lost files and is unpacked anew");
        }
        let get = || self.0.bus.blob_get(digest);
        let blob = until_back("content", get)
            .await?
            .ok_or_else(|| Error::NoContent { pack: pack.to_owned(), digest: digest.to_owned() })?;
        let data = self.0.data.clone();
        let digest = digest.to_owned();
        let content = blocking(move || {
            let sealed = Sealed::open(blob.to_vec(), &digest)?;
            let folder = bundle::unpack(&sealed, &data)?;
            let loaded = load::shared(&sealed);
            let upkeep = Upkeep::new(sealed.bundle(), &folder);
            Ok(Arc::new(Content { digest, folder, loaded, upkeep }))
        })
        .await?;
        let mut contents = self.contents();
        if contents.len() >= CONTENTS_MAX {
            let current = self.current();
            contents.retain(|digest, _| current.packs.values().any(|c| c.digest == *digest));
        }
        contents.insert(content.digest.clone(), Arc::clone(&content));
        Ok(content)
    }

    fn contents(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Content>>> {
        self.0.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn apply(&self, mark: u64, in_force: InForce) -> Result<(), Error> {
        let definitions = self.build(mark, in_force).await?;
        info!(mark, packs = definitions.packs.len(), "definitions in force");
        self.put_in_force(definitions);
        Ok(())
    }

    fn put_in_force(&self, definitions: Definitions) {
        self.0.history.send_modify(|history| {
            history.push(Arc::new(definitions));
            if history.len() > HISTORY_MAX {
                history.remove(0);
            }
        });
    }

    /// What was in force stays so from `mark` on: whoever waits for the mark must see it pass.
    fn keep_in_force(&self, mark: u64) {
        let before = self.current();
        self.put_in_force(Definitions {
            mark,
            in_force: before.in_force.clone(),
            registry: Arc::clone(&before.registry),
            packs: before.packs.clone(),
            notices: before.notices.clone(),
        });
    }

    async fn build(&self, mark: u64, in_force: InForce) -> Result<Definitions, Error> {
        let mut packs = BTreeMap::new();
        for (name, digest) in &in_force.packs {
            packs.insert(name.clone(), self.content(name, digest).await?);
        }
        let loaded = packs.values().map(|content| content.loaded.definitions.clone());
        let (registry, problems) = Registry::new(loaded, &in_force.rules);
        let tell = |finding: &Finding| {
            format!("notice: {} {}: {}", finding.kind, finding.reference, finding.problem.message)
        };
        let notices = problems.iter().map(tell).collect();
        Ok(Definitions { mark, in_force, registry: Arc::new(registry), packs, notices })
    }

    /// Builds what was in force before everything that is remembered.
    async fn rebuild(&self, sequence: u64) -> Result<Arc<Definitions>, Error> {
        let subject = mark_subject(&self.0.bus);
        let collect = || self.0.bus.collect(Stream::Events, &subject, 1);
        let marks = until_back("old marks", collect).await?;
        let after = marks.partition_point(|mark| mark.sequence < sequence);
        let Some(mark) = after.checked_sub(1).and_then(|at| marks.get(at)) else {
            return Ok(Arc::new(nothing()));
        };
        let built = match read(mark) {
            Ok(in_force) => self.build(mark.sequence, in_force).await,
            Err(error) => Err(error),
        };
        let definitions = Arc::new(built.unwrap_or_else(|error| {
            error!(mark = mark.sequence, %error, "these definitions cannot be had any more");
            Definitions { mark: mark.sequence, ..nothing() }
        }));
        let until = marks.get(after).map_or(sequence, |next| next.sequence);
        let mut old = self.old();
        if old.len() >= HISTORY_MAX {
            old.pop_front();
        }
        old.push_back(Old { until, definitions: Arc::clone(&definitions) });
        Ok(definitions)
    }

    fn old(&self) -> MutexGuard<'_, VecDeque<Old>> {
        self.0.old.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells when what is in force has changed.
#[derive(Debug)]
pub struct Changes(watch::Receiver<Vec<Arc<Definitions>>>);

impl Changes {
    /// Waits for the next change.
    ///
    /// # Cancel safety
    /// No change is missed when the future is dropped.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Following {
    /// Reads marks until `shutdown` is requested.
    ///
    /// # Errors
    /// When the bus fails. A mark whose content cannot be read is reported and passed over: what
    /// was in force before stays.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        loop {
            let entry = tokio::select! {
                biased;
                () = shutdown.requested() => return Ok(()),
                entry = self.reader.next() => entry?,
            };
            let applied = match read(&entry) {
                Ok(in_force) => self.follower.apply(entry.sequence, in_force).await,
                Err(error) => Err(error),
            };
            if let Err(error) = applied {
                let mark = entry.sequence;
                error!(mark, %error, "these definitions cannot be put in force here");
                self.follower.keep_in_force(mark);
            }
        }
    }
}

/// The subject of marks.
pub(crate) fn mark_subject(bus: &Bus) -> String {
    bus.subject(&Subject::event(DEFINITIONS_TRIGGER))
}

/// The newest mark: in EVENTS, or in STATE when EVENTS has forgotten it.
pub(crate) async fn last_mark(bus: &Bus) -> Result<Option<(u64, InForce)>, Error> {
    if let Some(entry) = bus.last(Stream::Events, &mark_subject(bus)).await? {
        // One that cannot be read puts nothing in force; the next publisher writes a good one.
        let in_force = read(&entry).unwrap_or_else(|error| {
            error!(mark = entry.sequence, %error, "a mark cannot be read");
            InForce::default()
        });
        return Ok(Some((entry.sequence, in_force)));
    }
    let subject = state_subject(bus);
    let Some(entry) = bus.last(Stream::State, &subject).await? else { return Ok(None) };
    let state: DefinitionsState = codec::decode(&entry.headers, &entry.body)
        .map_err(|source| Error::Unreadable { what: subject, source })?;
    Ok(Some((state.mark, state.in_force)))
}

/// The subject of the state that outlives marks.
pub(crate) fn state_subject(bus: &Bus) -> String {
    bus.subject(&Subject::state(Kind::Definitions, "current"))
}

fn read(entry: &Entry) -> Result<InForce, Error> {
    codec::decode(&entry.headers, &entry.body).map_err(|source| Error::Unreadable {
        what: format!("the mark at {}", entry.sequence),
        source,
    })
}

fn nothing() -> Definitions {
    let (registry, _problems) = Registry::new(Vec::new(), &BTreeMap::new());
    Definitions {
        mark: 0,
        in_force: InForce::default(),
        registry: Arc::new(registry),
        packs: BTreeMap::new(),
        notices: Vec::new(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_panicked| Error::Broken)?
}
