//! Putting packs in force: content into the blob store, transitions into LOG, one mark in EVENTS.
//!
//! The mark comes last and names everything at once, so no event is ever judged by half a change.
//! It is compared and set: of two pack sources that publish at once, the second sees the first and
//! decides again.

use std::collections::BTreeMap;

use hearken_kit::bus::{Bus, Error as BusError};
use hearken_kit::payload;
use hearken_proto::record::{DefinitionsState, InForce, PackTransition};
use hearken_proto::subject::Kind;
use hearken_proto::{Stream, Subject};

use crate::Error;
use crate::bundle::Sealed;
use crate::in_force::{last_mark, mark_subject, state_subject};

/// Attempts at writing a mark before giving up: each loss means that another source has won.
const ATTEMPTS_MAX: u32 = 8;

/// A pack to be put in force, and where it was found.
#[derive(Debug)]
pub struct Offer {
    /// Its content.
    pub sealed: Sealed,
    /// The folder, or `bundled`.
    pub source: String,
    /// Version its manifest claims.
    pub version: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Place of the mark in force now.
    pub mark: u64,
    /// Packs whose content is new or gone.
    pub changed: Vec<String>,
}

/// Puts exactly `offers` in force, with the rules as they are switched now.
///
/// # Errors
/// When the bus refuses, or other sources keep winning.
pub async fn publish(bus: &Bus, offers: &[Offer]) -> Result<Published, Error> {
    let mut packs = BTreeMap::new();
    for offer in offers {
        let digest = bus.blob_put(offer.sealed.encoded().to_vec().into()).await?;
        packs.insert(offer.sealed.bundle().name.clone(), digest);
    }
    change(bus, |in_force| InForce { packs: packs.clone(), rules: in_force.rules.clone() }, offers)
        .await
}

/// Switches a rule on or off whatever its file says; `None` goes back to the file.
///
/// # Errors
/// As [`publish`].
pub async fn switch_rule(
    bus: &Bus,
    reference: &str,
    enabled: Option<bool>,
) -> Result<Published, Error> {
    let switch = |in_force: &InForce| {
        let mut next = in_force.clone();
        match enabled {
            Some(enabled) => next.rules.insert(reference.to_owned(), enabled),
            None => next.rules.remove(reference),
        };
        next
    };
    change(bus, switch, &[]).await
}

async fn change(
    bus: &Bus,
    next: impl Fn(&InForce) -> InForce,
    offers: &[Offer],
) -> Result<Published, Error> {
    for _attempt in 0..ATTEMPTS_MAX {
        let (last, before) = last_mark(bus).await?.unwrap_or_default();
        let after = next(&before);
        if last > 0 && after == before {
            return Ok(Published { mark: last, changed: Vec::new() });
        }
        let changed = changed(&before, &after);
        for name in &changed {
            let offer = offers.iter().find(|offer| offer.sealed.bundle().name == *name);
            tell(bus, name, after.packs.get(name).cloned(), offer).await?;
        }
        match mark(bus, last, &after).await {
            Ok(mark) => {
                keep(bus, mark, after).await?;
                return Ok(Published { mark, changed });
            }
            Err(BusError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Contended)
}

fn changed(before: &InForce, after: &InForce) -> Vec<String> {
    let mut names: Vec<String> = after
        .packs
        .iter()
        .filter(|(name, digest)| before.packs.get(*name) != Some(*digest))
        .map(|(name, _)| name.clone())
        .collect();
    names.extend(before.packs.keys().filter(|name| !after.packs.contains_key(*name)).cloned());
    names
}

async fn tell(
    bus: &Bus,
    name: &str,
    digest: Option<String>,
    offer: Option<&Offer>,
) -> Result<(), Error> {
    let transition = PackTransition {
        name: name.to_owned(),
        digest,
        version: offer.and_then(|offer| offer.version.clone()),
        source: offer.map(|offer| offer.source.clone()).unwrap_or_default(),
    };
    let subject = bus.subject(&Subject::transition(Kind::Pack, name));
    bus.publish(payload::message(subject, &transition)?).await?;
    Ok(())
}

/// Writes the mark if the last one is still at `last`.
async fn mark(bus: &Bus, last: u64, in_force: &InForce) -> Result<u64, BusError> {
    let subject = mark_subject(bus);
    // When EVENTS has forgotten the last mark, compare-and-set there starts from nothing again.
    let expected = bus.last(Stream::Events, &subject).await?.map_or(0, |entry| entry.sequence);
    if expected != 0 && expected != last {
        return Err(BusError::Conflict);
    }
    let message = payload::message(subject, in_force)?;
    bus.publish_if(message, expected).await.map(|ack| ack.sequence)
}

/// Keeps the state for the day when EVENTS has forgotten the mark.
async fn keep(bus: &Bus, mark: u64, in_force: InForce) -> Result<(), Error> {
    let state = DefinitionsState { mark, in_force };
    bus.publish(payload::message(state_subject(bus), &state)?).await?;
    Ok(())
}
