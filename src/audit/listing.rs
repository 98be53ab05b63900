//! Lists the calls that were noted, each with its end.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    chain::{AuditError, Chain},
    entry::{Call, End, Entry, What},
    files::FileName,
    filters::{Filters, HANDLE},
    fingerprint::{Noted, Recogniser},
    state::AuditState,
};
use crate::{clock::Timestamp, handle::Handle, vocabulary::ProblemCode};

/// Which calls are listed. Everything named must hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Begun from this instant on.
    pub since: Option<Timestamp>,
    /// Begun before this instant.
    pub until: Option<Timestamp>,
    /// By this operator, or `local:` and a user's number, or for an operator through another node: `ann@b`.
    pub operator: Option<String>,
    /// That named this handle, in hours whose keys exist.
    pub handle: Option<Handle>,
}

impl Wanted {
    /// The filters that the audit log notes for this listing itself.
    pub fn filters(&self) -> Filters {
        let Self { since, until, operator, handle } = self;
        let filters = Filters::none().plain("since", *since).plain("until", *until);
        let filters = filters.plain("operator", operator.as_deref());
        match handle {
            Some(handle) => filters.handle(handle),
            None => filters,
        }
    }
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct Listed {
    /// The number of its first entry.
    pub n: u64,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who made it. `ann@b` is the operator ann, for whom the node b asked this one.
    #[schema(example = "ann")]
    pub operator: String,
    /// Which call it was. A later version may know more.
    #[schema(value_type = Call)]
    pub call: String,
    /// What it asked for.
    #[schema(example = json!({"route": "sms", "handle": {"hour": 495368, "fingerprint": "5f0c1d7be2a9446c8b3a90e1d4c7f62a"}}))]
    pub filters: BTreeMap<String, Noted>,
    /// The case that the operator named; null if it named none.
    #[serde(default)]
    #[schema(required, example = "INC-4711")]
    pub case: Option<String>,
    /// How many records it gave; null if it is under way, or its process was killed.
    #[schema(required)]
    pub records: Option<u64>,
    /// Whether it was completed, rather than broken off.
    #[schema(required)]
    pub whole: Option<bool>,
    /// The problem that it was refused with; null if it was not refused. A later version may know more.
    #[serde(default)]
    #[schema(value_type = Option<ProblemCode>, required)]
    pub refused: Option<String>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub ended_at: Option<Timestamp>,
}

/// The calls that are wanted, oldest first. Memory holds the ends of all calls, 40 bytes each.
#[derive(Debug)]
pub struct Listing {
    shared: Arc<AuditState>,
    wanted: Wanted,
    files: VecDeque<(FileName, u64)>,
    ready: VecDeque<Listed>,
    ends: HashMap<u64, (Timestamp, End)>,
}

impl Listing {
    pub(super) fn new(shared: &Arc<AuditState>, wanted: Wanted) -> Result<Self, AuditError> {
        let files = shared.chain.snapshot()?;
        let mut ends = HashMap::new();
        for file in &files {
            for entry in entries(&shared.chain, *file)? {
                if let What::End(end) = entry.what {
                    ends.insert(end.of, (entry.at, end));
                }
            }
        }
        let (shared, ready) = (Arc::clone(shared), VecDeque::new());
        Ok(Self { shared, wanted, files: files.into(), ready, ends })
    }

    /// Fills in the calls of one day.
    fn read(&mut self, file: (FileName, u64)) -> Result<(), AuditError> {
        let handle = self.wanted.handle.as_ref().map(|handle| handle.canonical().into_owned());
        let mut named =
            handle.as_deref().map(|handle| Recogniser::new(&self.shared.keyring, HANDLE, handle));
        for entry in entries(&self.shared.chain, file)? {
            let Entry { n, at, what: What::Begin { operator, call, filters, case }, .. } = entry
            else {
                continue;
            };
            let wanted = &self.wanted;
            let is_wanted = wanted.since.is_none_or(|since| at >= since)
                && wanted.until.is_none_or(|until| at < until)
                && wanted.operator.as_ref().is_none_or(|wanted| is_by(&operator, wanted))
                && named
                    .as_mut()
                    .is_none_or(|named| filters.get(HANDLE).is_some_and(|noted| named.is(noted)));
            if is_wanted {
                let end = self.ends.get(&n);
                self.ready.push_back(Listed {
                    n,
                    at,
                    operator,
                    call,
                    filters,
                    case,
                    records: end.map(|(_, end)| end.records),
                    whole: end.map(|(_, end)| end.whole),
                    refused: end.and_then(|(_, end)| end.refused.clone()),
                    ended_at: end.map(|(at, _)| *at),
                });
            }
        }
        Ok(())
    }
}

/// Whether a call is one of `wanted`: of `ann` also the calls that other nodes make for it, `ann@b`.
fn is_by(operator: &str, wanted: &str) -> bool {
    operator == wanted || operator.split_once('@').is_some_and(|(name, _)| name == wanted)
}

impl Iterator for Listing {
    type Item = Result<Listed, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(listed) = self.ready.pop_front() {
                return Some(Ok(listed));
            }
            let file = self.files.pop_front()?;
            if let Err(error) = self.read(file) {
                return Some(Err(error));
            }
        }
    }
}

/// The entries of a file; none if it has expired meanwhile. Lines that are no entries are skipped: `verify` reports them.
fn entries(chain: &Chain, file: (FileName, u64)) -> Result<Vec<Entry>, AuditError> {
    let mut entries = Vec::new();
    for line in chain.lines(file)?.into_iter().flatten() {
        entries.extend(Entry::read(&line?));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_for_an_operator_through_other_nodes_are_its_own() {
        let by =
            |wanted| ["ann", "ann@b", "anna@b", "b@ann"].map(|operator| is_by(operator, wanted));
        assert_eq!(by("ann"), [true, true, false, false]);
        assert_eq!(by("ann@b"), [false, true, false, false]);
    }
}
