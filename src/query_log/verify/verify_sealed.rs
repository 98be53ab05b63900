//! Whether sealed segments are what was sealed, and all there.

use std::{collections::HashMap, sync::Arc};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SegmentReport;
use crate::{
    limits,
    query_log::{
        catalog::{Form, Segment},
        frames::segment_reader::SegmentError,
        retention,
        sealer::sealed_file::{Link, SealedFile},
        search::Sources,
        segment::Sealed,
        segment_name::SegmentId,
    },
};

/// How the sealed segments hang together: each names the one sealed before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChainReport {
    /// The link of the segment sealed last, in hexadecimal. Noted elsewhere, it proves later that the newest sealed
    /// segments of today were not cut off: nothing inside the log can.
    pub head: Option<String>,
    /// Segments that a sealed one names, that have not expired, and are not there.
    pub missing: Vec<String>,
    /// Segments that are there, and are not what their successor names.
    pub replaced: Vec<String>,
    /// Segments that no other names, though later ones were sealed, and segments that name none, though earlier ones
    /// were: something was removed between them.
    pub loose: Vec<String>,
}

impl ChainReport {
    /// Whether nothing was removed or replaced. That expired segments are gone is no fault.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.replaced.is_empty() && self.loose.is_empty()
    }
}

/// Follows the chain through the sealed files whose tails can be read.
pub(in crate::query_log) fn chain(sources: &Sources, segments: &[Arc<Segment>]) -> ChainReport {
    let sealed = segments.iter().filter(|segment| segment.form == Form::Sealed);
    let looks =
        sealed.map(|segment| (segment.id, SealedFile::look(&segment.path, segment.id).ok()));
    let files: HashMap<SegmentId, Option<SealedFile>> = looks.collect();
    let mut report = ChainReport::default();
    let mut names: HashMap<SegmentId, Link> = HashMap::new();
    let mut beginnings = Vec::new();
    for file in files.values().flatten() {
        match file.note.predecessor {
            Some((id, link)) => drop(names.insert(id, link)),
            None => beginnings.push(file.id),
        }
    }
    for (id, link) in &names {
        match files.get(id) {
            Some(Some(file)) if file.link() == *link => {}
            // Damaged: told of with the segment itself.
            Some(None) => {}
            Some(Some(_)) => report.replaced.push(id.to_string()),
            None if has_expired(sources, *id) => {}
            None => report.missing.push(id.to_string()),
        }
    }
    let mut ends: Vec<&SealedFile> =
        files.values().flatten().filter(|file| !names.contains_key(&file.id)).collect();
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

/// Only retention destroys a key. It may have done so earlier than the hour's name and today's clock say: the log's time was
/// ahead of a clock that had been set back, or the clock was set back since. An hour whose key is there is due when it is.
fn has_expired(sources: &Sources, id: SegmentId) -> bool {
    let (born, now) = (sources.keyring.hours().get(&id.hour).copied(), sources.clock.now());
    let latest = if born.is_some() { now } else { now.plus(limits::CLOCK_STEP_BACK_MAX) };
    retention::expiry(id.hour, born, sources.retention, latest) <= latest
}

/// Reads a sealed segment to its end. False if it cannot be read.
pub(in crate::query_log) fn check(
    sources: &Sources,
    segment: &Segment,
    report: &mut SegmentReport,
) -> bool {
    let mut read = || -> Result<(), SegmentError> {
        let file = SealedFile::look(&segment.path, segment.id)?;
        report.link = Some(HEXLOWER.encode(&file.link()));
        report.forged += u64::from(file.file.computed_root()? != file.file.root());
        let reader = match file.unlock(&sources.keyring) {
            Ok(reader) => reader,
            // What can be said without a key is said.
            Err(SegmentError::NoKey) => return Ok(()),
            Err(error) => return Err(error),
        };
        let check = reader.check();
        (report.damaged, report.rebuilt) = (check.damaged, check.rebuilt);
        report.frames = file.file.chunks().saturating_sub(report.damaged);
        let found = Sealed::open(Arc::new(reader), segment.id.hour)?.digest(0)?;
        report.records = found.records;
        report.lost_records = file.note.records.saturating_sub(found.records);
        report.out_of_order = u64::from(!found.sorted);
        Ok(())
    };
    read().is_ok()
}
