//! What is stored about a stream itself.

use hearken_proto::Timestamp;

use crate::bits::Cursor;
use crate::chain::{Entropy, Hash, Incarnation, Linker};
use crate::error::Error;
use crate::options::StreamOptions;
use crate::row::Place;
use crate::store::{Batch, Store};

/// The record of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its number in keys and file names.
    pub(crate) number: u16,
    /// Its random id.
    pub(crate) incarnation: Incarnation,
    /// The last entry that was dropped from its front: a stream that is empty goes on from there,
    /// and files with older entries are left-overs.
    pub(crate) floor: Place,
    /// The chain after that entry.
    pub(crate) chain: Hash,
}

const VERSION: u8 = 1;
/// The longest name of a stream.
const NAME_BYTES_MAX: usize = 128;
/// The most streams of one log. There are four; a log that is asked for many more is misused.
const STREAMS_MAX: usize = 1024;

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.incarnation);
        out.extend_from_slice(&self.floor.sequence.to_le_bytes());
        out.extend_from_slice(&self.floor.time.nanos().to_le_bytes());
        out.extend_from_slice(&self.chain);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        if cursor.u8()? != VERSION {
            return None;
        }
        let number = u16::from_le_bytes(cursor.array()?);
        let incarnation = cursor.array()?;
        let sequence = cursor.u64()?;
        let time = Timestamp::from_nanos(cursor.i64()?);
        let chain = cursor.array()?;
        Some(Self { number, incarnation, floor: Place { sequence, time }, chain })
    }
}

/// Finds or creates the records of the streams in `options`, in their order.
pub(crate) fn records(
    store: &Store,
    options: &[StreamOptions],
    entropy: &mut Entropy,
) -> Result<Vec<Record>, Error> {
    let mut known = Vec::new();
    for (name, bytes) in store.streams()? {
        let record = Record::decode(&bytes)
            .ok_or_else(|| Error::corrupt(&name, 0, "the record of the stream is malformed"))?;
        known.push((name, record));
    }
    let mut batch = Batch::default();
    let mut records = Vec::with_capacity(options.len());
    for stream in options {
        if let Some((_, record)) = known.iter().find(|(name, _)| *name == stream.name) {
            records.push(record.clone());
            continue;
        }
        if stream.name.is_empty() || stream.name.len() > NAME_BYTES_MAX {
            return Err(Error::Stream(stream.name.clone()));
        }
        let number = u16::try_from(known.len()).ok().filter(|_| known.len() < STREAMS_MAX);
        let number = number.ok_or_else(|| Error::Stream(stream.name.clone()))?;
        let incarnation = entropy.take()?;
        let chain = Linker::new(incarnation).start();
        let record = Record { number, incarnation, floor: Place::default(), chain };
        batch.put_stream(&stream.name, &record.encode());
        known.push((stream.name.clone(), record.clone()));
        records.push(record);
    }
    if !batch.is_empty() {
        store.apply(batch)?;
        store.sync()?;
    }
    Ok(records)
}
