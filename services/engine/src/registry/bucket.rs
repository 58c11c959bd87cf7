//! The rules that listen to one trigger, by the parameters they ask of it.

use serde_json::Value;

use super::index::Index;
use crate::criteria::Clause;
use crate::definition::RuleKind;

/// All rules of one trigger, by place in the registry.
#[derive(Debug, Default)]
pub(crate) struct Buckets(Vec<Bucket>);

/// A rule that might match an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// Its place in the registry.
    pub(super) place: usize,
    /// The place of a criterion of it that is known to hold.
    pub(super) holds: Option<usize>,
}

/// The rules that remember and listen to one trigger.
#[derive(Debug, Default)]
pub(crate) struct Hearers {
    /// Those whose own trigger it is.
    pub(crate) own: Buckets,
    /// Those whose absence waits for it; all of them stand among the standard rules.
    pub(crate) expecting: Buckets,
}

/// The rules of one trigger with one set of parameters.
#[derive(Debug)]
struct Bucket {
    /// Digest of the parameters; none for rules that ask for none.
    digest: Option<String>,
    standard: Index,
    backstop: Index,
}

impl Buckets {
    /// Adds a rule that asks for parameters of this digest.
    pub(super) fn insert(
        &mut self,
        digest: Option<&str>,
        kind: RuleKind,
        place: usize,
        criteria: &[Clause],
    ) {
        let at = self.0.iter().position(|bucket| bucket.digest.as_deref() == digest);
        let at = at.unwrap_or_else(|| {
            self.0.push(Bucket {
                digest: digest.map(str::to_owned),
                standard: Index::default(),
                backstop: Index::default(),
            });
            self.0.len() - 1
        });
        let bucket = self.0.get_mut(at).expect("the place was just found or made");
        match kind {
            RuleKind::Standard => bucket.standard.insert(place, criteria),
            RuleKind::Backstop => bucket.backstop.insert(place, criteria),
        }
    }

    /// The places of the rules that might match an event: all that could match or fail are among
    /// them.
    pub(crate) fn candidates(
        &self,
        digest: Option<&str>,
        payload: &Value,
        kind: RuleKind,
    ) -> Vec<usize> {
        let found = self.find(digest, payload, kind);
        found.into_iter().map(|candidate| candidate.place).collect()
    }

    /// The same, with what is known of their criteria.
    pub(super) fn find(
        &self,
        digest: Option<&str>,
        payload: &Value,
        kind: RuleKind,
    ) -> Vec<Candidate> {
        let mut found = Vec::new();
        for bucket in &self.0 {
            // Rules that ask for no parameters hear every event of their trigger.
            if bucket.digest.is_some() && bucket.digest.as_deref() != digest {
                continue;
            }
            match kind {
                RuleKind::Standard => bucket.standard.candidates(payload, &mut found),
                RuleKind::Backstop => bucket.backstop.candidates(payload, &mut found),
            }
        }
        found
    }
}
