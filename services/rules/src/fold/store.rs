//! Where the fold's memory is kept: in STATE, in two slots that take turns.
//!
//! The chunks of the slot that is not in use are written first, then the entry that names the slot,
//! by compare and set. A crash in between leaves the old slot whole. The memory may hold requests
//! that wait, with their secrets, so it is sealed.

use hearken_engine::memory::Memory;
use hearken_kit::bus::Error as BusError;
use hearken_kit::payload;
use hearken_proto::record::FoldState;
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
    /// Another replica has kept something meanwhile.
    Overtaken,
}

/// The kept memory.
#[derive(Debug)]
pub(super) struct Store {
    desk: Desk,
    /// Place of the naming entry in STATE.
    sequence: u64,
    state: FoldState,
}

impl Store {
    pub(super) fn new(desk: Desk) -> Self {
        Self { desk, sequence: 0, state: FoldState::default() }
    }

    /// What was kept last; none when nothing was, or of another life of the event stream.
    pub(super) async fn load(&mut self) -> Result<Option<Kept>, Error> {
        let Some(entry) = self.desk.bus.last(Stream::State, &self.subject("")).await? else {
            return Ok(None);
        };
        self.sequence = entry.sequence;
        let state: FoldState = codec::decode(&entry.headers, &entry.body)
            .map_err(|error| Error::Memory(format!("what is kept cannot be read: {error}")))?;
        self.state = state;
        if self.state.incarnation != self.desk.incarnation {
            warn!("the event stream was made anew: what rules remembered is forgotten");
            return Ok(None);
        }
        let memory = self.read().await?;
        Ok(Some(Kept { place: self.state.place, memory }))
    }

    async fn read(&self) -> Result<Memory, Error> {
        let mut sealed = Vec::new();
        for chunk in 0..self.state.chunks {
            let subject = self.chunk(&self.state.slot, chunk);
            let entry = self.desk.bus.last(Stream::State, &subject).await?;
            let entry = entry.ok_or_else(|| Error::Memory(format!("{subject} is missing")))?;
            sealed.extend_from_slice(&entry.body);
        }
        if sealed.is_empty() {
            return Ok(Memory::default());
        }
        let broken = |error: &dyn std::error::Error| {
            Error::Memory(format!("what is kept cannot be opened: {error}"))
        };
        let sealed: Value = serde_json::from_slice(&sealed).map_err(|error| broken(&error))?;
        let opened = self.desk.sealer.open(&sealed, PLACE).map_err(|error| broken(&error))?;
        serde_json::from_value(opened).map_err(|error| broken(&error))
    }

    /// Keeps `memory` of `place`.
    pub(super) async fn save(&mut self, place: u64, memory: &Memory) -> Result<Saved, Error> {
        if self.sequence > 0 && place == self.state.place {
            return Ok(Saved::Kept);
        }
        let mut state =
            FoldState { incarnation: self.desk.incarnation.clone(), place, ..FoldState::default() };
        if !memory.is_empty() {
            let plain = serde_json::to_value(memory)
                .map_err(|error| Error::Memory(format!("it has no written form: {error}")))?;
            state.digest = id::digest(plain.to_string().as_bytes());
            let sealed = self.desk.sealer.seal(&plain, PLACE);
            let sealed = sealed.map_err(|error| Error::Memory(error.to_string()))?.to_string();
            if sealed.len() > MEMORY_BYTES_MAX {
                warn!(bytes = sealed.len(), "rules remember too much to keep: use fewer keys");
                return Ok(Saved::Kept);
            }
            state.slot = if self.state.slot == "a" { "b" } else { "a" }.to_owned();
            for chunk in sealed.as_bytes().chunks(CHUNK_BYTES) {
                if let Err(error) = self.write(&state, chunk).await {
                    return put_off(error);
                }
                state.chunks += 1;
            }
        }
        let mut message = payload::message(self.subject(""), &state)?;
        message.id = Some(format!("fold-{NAME}-{}-{place}-{}", state.incarnation, self.sequence));
        match self.desk.bus.publish_if(message, self.sequence).await {
            Ok(ack) => {
                self.sequence = ack.sequence;
                self.state = state;
                Ok(Saved::Kept)
            }
            Err(BusError::Conflict) => self.overtaken(&state).await,
            Err(error) => put_off(error),
        }
    }

    async fn write(&self, state: &FoldState, chunk: &[u8]) -> Result<(), BusError> {
        let message = Message {
            subject: self.chunk(&state.slot, state.chunks),
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
        return Ok(Saved::Kept);
    }
    Err(error.into())
}
