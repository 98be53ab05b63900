//! Checks that no sealed segment was removed or replaced.

use std::{collections::HashMap, sync::Arc};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::query_log::{
    catalog::{Form, Segment},
    sealer::sealed_file::{Link, SealedFile},
    search::Sources,
    segment_name::SegmentId,
};

/// The chain of the sealed segments: each names the segment sealed before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChainReport {
    /// The link of the segment sealed last, in hexadecimal. `log verify` cannot detect the removal of the newest sealed
    /// segments. To detect it, store this value elsewhere and compare it later.
    #[schema(
        required,
        example = "5f0c1d7be2a9446c8b3a90e1d4c7f62a5f0c1d7be2a9446c8b3a90e1d4c7f62a"
    )]
    pub head: Option<String>,
    /// Segments that a sealed segment names, that have not expired, and whose files are missing.
    pub missing: Vec<String>,
    /// Segments whose link is not the one that their successor names.
    pub replaced: Vec<String>,
    /// Segments that no later segment names, and segments that name no earlier one: a segment between them was removed.
    pub loose: Vec<String>,
}

impl ChainReport {
    /// Whether nothing was removed or replaced. Expired segments may be missing.
    pub const fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.replaced.is_empty() && self.loose.is_empty()
    }
}

/// Follows the chain through the sealed files with readable notes.
pub(super) fn check(sources: &Sources, segments: &[Arc<Segment>]) -> ChainReport {
    let sealed = segments.iter().filter(|segment| segment.form == Form::Sealed);
    let files: HashMap<SegmentId, Option<SealedFile>> = sealed
        .map(|segment| (segment.id, SealedFile::inspect(&segment.path, segment.id).ok()))
        .collect();
    let mut report = ChainReport::default();
    let mut named: HashMap<SegmentId, Link> = HashMap::new();
    let mut beginnings = Vec::new();
    for file in files.values().flatten() {
        match file.note.predecessor {
            Some((id, link)) => drop(named.insert(id, link)),
            None => beginnings.push(file.id),
        }
    }
    for (id, link) in &named {
        match files.get(id) {
            Some(Some(file)) if file.link() == *link => {}
            // The segment's own report shows the damage.
            Some(None) => {}
            Some(Some(_)) => report.replaced.push(id.to_string()),
            None if sources.may_be_destroyed(id.hour) => {}
            None => report.missing.push(id.to_string()),
        }
    }
    let mut ends: Vec<&SealedFile> =
        files.values().flatten().filter(|file| !named.contains_key(&file.id)).collect();
    ends.sort_unstable_by_key(|file| file.id);
    report.head = ends.pop().map(|last| HEXLOWER.encode(&last.link()));
    beginnings.sort_unstable();
    let loose = ends.iter().map(|file| file.id).chain(beginnings.into_iter().skip(1));
    report.loose = loose.map(|id| id.to_string()).collect();
    for list in [&mut report.missing, &mut report.replaced, &mut report.loose] {
        list.sort_unstable();
        list.dedup();
    }
    report
}
