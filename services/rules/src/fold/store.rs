//! Where the fold's memory is kept: in STATE, in two slots that take turns.
//!
//! The chunks of the slot that is not in use are written first, then the entry that names the slot,
//! by compare and set. A crash in between leaves the old slot whole, and a replica that was
//! paused in
//! between can spoil one slot, never both. The memory may hold requests that wait, with their
//! secrets, so it is sealed.

use hearken_engine::memory::Memory;
use hearken_kit::bus::Error as BusError;
use hearken_kit::payload;
use hearken_proto::record::{FoldSlot, FoldState};
use hearken_proto::subject::Kind;
use hearken_proto::{Message, Stream, Subject, codec, id};
use serde_json::Value;
use tracing::{error, warn};

use crate::Error;
use crate::outgoing::Desk;

/// Name of the fold.
const NAME: &str = "rules";
/// Bytes in one chunk: a quarter of what a bus takes in one message by default.
const CHUNK_BYTES: usize = 256 << 10;
/// The largest memory that is kept. A larger one is not: a crash then repeats all that came since.
const MEMORY_BYTES_MAX: usize = 64 << 20;
/// What the seal is bound to.
const PLACE: &str = "fold rules";

/// The fold's memory of one place.
#[derive(Debug)]
pub(super) struct Kept {
    pub place: u64,
    pub memory: Memory,
}

/// Whether a memory was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// It is kept, or was already.
    Kept,
    /// It could not be kept now; what was kept before still is.
    NotNow,
    /// Another replica has kept something meanwhile.
    Overtaken,
}

/// The kept memory.
#[derive(Debug)]
pub(super) struct Store {
    desk: Desk,
    /// Place of the naming entry in STATE.
    sequence: u64,
    /// What is kept now.
    in_use: FoldSlot,
    /// Bytes that were written last.
    bytes: usize,
}

impl Store {
    pub(super) fn new(desk: Desk) -> Self {
        Self { desk, sequence: 0, in_use: FoldSlot::default(), bytes: 0 }
    }

    /// What was kept last; none when nothing was, or of another life of the event stream.
    ///
    /// A replica that was paused while it kept something may have written over the slot that is in
    /// use since: then what was kept before is read, and the events since then are folded again.
    /// Where nothing can be read the rules begin anew, which is said, and stops nothing else.
    pub(super) async fn load(&mut self) -> Result<Option<Kept>, Error> {
        let Some(entry) = self.desk.bus.last(Stream::State, &self.subject("")).await? else {
            return Ok(None);
        };
        self.sequence = entry.sequence;
        let state = match codec::decode::<FoldState>(&entry.headers, &entry.body) {
            Ok(state) => state,
            Err(error) => {
                error!(%error, "what rules remember cannot be read: they begin anew");
                return Ok(None);
            }
        };
        if state.incarnation != self.desk.incarnation {
            warn!("the event stream was made anew: what rules remembered is forgotten");
            return Ok(None);
        }
        let last = slot_of(&state);
        for slot in [Some(last), state.before.clone()].into_iter().flatten() {
            match self.read(&slot).await? {
                Ok(memory) => {
                    let place = slot.place;
                    self.in_use = slot;
                    return Ok(Some(Kept { place, memory }));
                }
                Err(why) => error!(place = slot.place, why, "what rules remember cannot be read"),
            }
        }
        error!(place = state.place, "nothing that rules remember can be read: they begin anew");
        Ok(Some(Kept { place: state.place, memory: Memory::default() }))
    }

    /// The memory in `slot`, or why it cannot be had.
    async fn read(&self, slot: &FoldSlot) -> Result<Result<Memory, String>, BusError> {
        if slot.slot.is_empty() {
            return Ok(Ok(Memory::default()));
        }
        let mut sealed = Vec::new();
        for chunk in 0..slot.chunks {
            let subject = self.chunk(&slot.slot, chunk);
            let Some(entry) = self.desk.bus.last(Stream::State, &subject).await? else {
                return Ok(Err(format!("{subject} is missing")));
            };
            sealed.extend_from_slice(&entry.body);
        }
        Ok(self.open(slot, &sealed))
    }

    fn open(&self, slot: &FoldSlot, sealed: &[u8]) -> Result<Memory, String> {
        let sealed: Value = serde_json::from_slice(sealed).map_err(|error| error.to_string())?;
        let opened = self.desk.sealer.open(&sealed, PLACE).map_err(|error| error.to_string())?;
        if digest(&opened) != slot.digest {
            return Err("it is the memory of another place".to_owned());
        }
        serde_json::from_value(opened).map_err(|error| error.to_string())
    }

    /// Keeps `memory` of `place`.
    pub(super) async fn save(&mut self, place: u64, memory: &Memory) -> Result<Saved, Error> {
        if self.sequence > 0 && place == self.in_use.place {
            return Ok(Saved::Kept);
        }
        let mut slot = FoldSlot { place, ..FoldSlot::default() };
        self.bytes = 0;
        if !memory.is_empty() {
            let plain = serde_json::to_value(memory)
                .map_err(|error| Error::Memory(format!("it has no written form: {error}")))?;
            slot.digest = digest(&plain);
            let sealed = self.desk.sealer.seal(&plain, PLACE);
            let sealed = sealed.map_err(|error| Error::Memory(error.to_string()))?.to_string();
            self.bytes = sealed.len();
            if sealed.len() > MEMORY_BYTES_MAX {
                warn!(bytes = sealed.len(), "rules remember too much to keep: use fewer keys");
                return Ok(Saved::NotNow);
            }
            slot.slot = if self.in_use.slot == "a" { "b" } else { "a" }.to_owned();
            for chunk in sealed.as_bytes().chunks(CHUNK_BYTES) {
                if let Err(error) = self.write(&slot, chunk).await {
                    return put_off(error);
                }
                slot.chunks += 1;
            }
        }
        self.name(slot).await
    }

    /// Says that `slot` is in use from now on.
    async fn name(&mut self, slot: FoldSlot) -> Result<Saved, Error> {
        let FoldSlot { place, slot: name, chunks, digest } = slot.clone();
        let state = FoldState {
            incarnation: self.desk.incarnation.clone(),
            place,
            slot: name,
            chunks,
            digest,
            before: Some(self.in_use.clone()),
        };
        let mut message = payload::message(self.subject(""), &state)?;
        message.id = Some(format!("fold-{NAME}-{}-{place}-{}", state.incarnation, self.sequence));
        match self.desk.bus.publish_if(message, self.sequence).await {
            Ok(ack) => {
                self.sequence = ack.sequence;
                self.in_use = slot;
                Ok(Saved::Kept)
            }
            Err(BusError::Conflict) => self.overtaken(&state).await,
            Err(error) => put_off(error),
        }
    }

    /// Bytes that were written last.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    async fn write(&self, slot: &FoldSlot, chunk: &[u8]) -> Result<(), BusError> {
        let message = Message {
            subject: self.chunk(&slot.slot, slot.chunks),
            body: chunk.to_vec().into(),
            ..Message::default()
        };
        self.desk.bus.publish(message).await.map(|_ack| ())
    }

    /// Somebody else has kept something: two replicas that remember differently of one place have
    /// found a fault of ours.
    async fn overtaken(&self, ours: &FoldState) -> Result<Saved, Error> {
        if let Some(entry) = self.desk.bus.last(Stream::State, &self.subject("")).await?
            && let Ok(theirs) = codec::decode::<FoldState>(&entry.headers, &entry.body)
            && theirs.place == ours.place
            && theirs.digest != ours.digest
        {
            error!(place = ours.place, "divergence: two replicas remember differently");
        }
        Ok(Saved::Overtaken)
    }

    fn subject(&self, part: &str) -> String {
        self.desk.bus.subject(&Subject::state(Kind::Fold, &format!("{NAME}{part}")))
    }

    fn chunk(&self, slot: &str, chunk: u32) -> String {
        self.subject(&format!("-{slot}-{chunk}"))
    }
}

/// The next look tries again; until then a crash repeats a little more.
fn put_off(error: BusError) -> Result<Saved, Error> {
    if error.is_transient() || matches!(error, BusError::Full(_)) {
        warn!(%error, "what rules remember could not be kept now");
        return Ok(Saved::NotNow);
    }
    Err(error.into())
}

fn slot_of(state: &FoldState) -> FoldSlot {
    FoldSlot {
        place: state.place,
        slot: state.slot.clone(),
        chunks: state.chunks,
        digest: state.digest.clone(),
    }
}

fn digest(plain: &Value) -> String {
    id::digest(plain.to_string().as_bytes())
}
