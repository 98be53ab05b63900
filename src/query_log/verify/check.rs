//! Checks every segment, and reports what is wrong.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chain::{self, ChainReport};
use crate::{
    clock::Timestamp,
    envelope::{FILE_HEADER_BYTES, FileError, FrameFile, FrameHeader, FrameKind, FrameOpener},
    query_log::{
        catalog::{Form, Segment, SegmentState},
        frames::segment_reader::{has_id, open_frame},
        recovery::inspect::scan,
        sealer::sealed_file::SealedFile,
        search::Sources,
        segment::Sealed,
        segment_error::SegmentError,
    },
    vocabulary::codes,
};

codes! {
    /// Whether the keyring has a segment's key.
    #[derive(Default)]
    KeyState {
        /// The keyring has it.
        Alive = 1 "alive",
        /// The keyring no longer has it, and the hour has expired.
        Destroyed = 2 "destroyed",
        /// The keyring does not have it, although the hour has not expired.
        #[default]
        Missing = 3 "missing",
    }
}

/// The report of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentReport {
    /// Its name.
    #[schema(example = "0000495368-000000")]
    pub segment: String,
    /// Its state.
    pub state: SegmentState,
    /// The state of its key.
    pub key: KeyState,
    /// Frames with a valid checksum; of a sealed segment, chunks that decrypt.
    pub frames: u64,
    /// Records in frames that decrypt.
    pub records: u64,
    /// Damaged places with whole frames after them; of a sealed segment, chunks that do not decrypt.
    pub damaged: u64,
    /// Damaged chunks of a sealed segment that its parity rebuilds without loss.
    pub rebuilt: u64,
    /// Whole frames that do not decrypt, or whose content does not match their header. Of a sealed segment, 1 if its Merkle
    /// root is not the root of its chunks and their parity.
    pub forged: u64,
    /// Records of a sealed segment that cannot be read, by its own count.
    pub lost_records: u64,
    /// Places where frames are missing.
    pub gaps: u64,
    /// Bytes after the last whole frame.
    pub torn_bytes: u64,
    /// Records that are not later than their predecessor.
    pub out_of_order: u64,
    /// It has expired and still exists.
    pub overdue: bool,
    /// It could not be read to its end.
    pub unreadable: bool,
    /// SHA-256 over name, Merkle root and counts of a sealed segment, in hexadecimal. The next sealed segment names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        nullable = false,
        example = "5f0c1d7be2a9446c8b3a90e1d4c7f62a5f0c1d7be2a9446c8b3a90e1d4c7f62a"
    )]
    pub link: Option<String>,
    /// Whether nothing is wrong. A torn tail is not: its records were never acknowledged.
    pub sound: bool,
}

/// The report of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LogVerification)]
pub struct VerifyReport {
    /// Whether nothing is wrong with any segment or the chain.
    pub sound: bool,
    /// The chain of the sealed segments.
    pub chain: ChainReport,
    /// Each segment, oldest first.
    pub segments: Vec<SegmentReport>,
}

pub(crate) fn verify(sources: &Sources) -> VerifyReport {
    let found = sources.catalog.segments();
    let segments: Vec<_> = found.iter().map(|segment| verify_segment(sources, segment)).collect();
    let chain = chain::check(sources, &found);
    let sound = chain.is_sound() && segments.iter().all(|segment| segment.sound);
    VerifyReport { sound, chain, segments }
}

/// Reads one segment and reports what is wrong with it.
pub(crate) fn verify_segment(sources: &Sources, segment: &Segment) -> SegmentReport {
    let hour = segment.id.hour;
    let overdue = sources.expiry(hour) <= sources.clock.now();
    let key = match sources.keyring.get(hour) {
        Some(_) => KeyState::Alive,
        None if sources.may_be_destroyed(hour) => KeyState::Destroyed,
        None => KeyState::Missing,
    };
    let (name, state) = (segment.id.to_string(), segment.state());
    let mut report =
        SegmentReport { segment: name, state, key, overdue, ..SegmentReport::default() };
    if segment.form == Form::Sealed {
        report.unreadable = !check_sealed(sources, segment, &mut report);
    } else if segment.bytes() >= FILE_HEADER_BYTES || state == SegmentState::Unreadable {
        let checked = check_frames(sources, segment, &mut report);
        report.unreadable = !checked.unwrap_or(false);
    }
    let faults = report.damaged + report.forged + report.gaps + report.lost_records;
    report.sound = faults + report.out_of_order == 0
        && !report.overdue
        && !report.unreadable
        && report.key == KeyState::Alive;
    report
}

/// Reads a segment of frames to its end. False if the file's header names another segment.
fn check_frames(
    sources: &Sources,
    segment: &Segment,
    report: &mut SegmentReport,
) -> Result<bool, FileError> {
    let mut file = FrameFile::open(&segment.path, Some(segment.bytes()))?;
    if !has_id(&file, segment.id) {
        return Ok(false);
    }
    let key = sources.keyring.get(segment.id.hour);
    let opener = key.map(|key| FrameOpener::new(&key, file.header()));
    let (mut body, mut last) = (Vec::new(), None);
    let scan = scan(&mut file, |file, offset, header| {
        report.frames += 1;
        if let Some(opener) = &opener {
            file.read_body(offset, header, &mut body)?;
            check_frame(opener, header, &mut body, segment, &mut last, report);
        }
        Ok(())
    })?;
    (report.damaged, report.gaps) = (scan.damaged, scan.gaps);
    report.torn_bytes = file.limit().saturating_sub(scan.whole);
    Ok(true)
}

fn check_frame(
    opener: &FrameOpener,
    header: &FrameHeader,
    body: &mut [u8],
    segment: &Segment,
    last: &mut Option<Timestamp>,
    report: &mut SegmentReport,
) {
    if header.kind == FrameKind::End {
        report.forged += u64::from(opener.open(header, body).is_none());
        return;
    }
    let Some(rows) = open_frame(opener, header, body, segment.id) else {
        report.forged += 1;
        return;
    };
    report.records += rows.len() as u64;
    for row in rows {
        report.out_of_order += u64::from(last.is_some_and(|last| row.at <= last));
        *last = Some(row.at);
    }
}

/// Reads a sealed segment to its end. False if it cannot be read.
fn check_sealed(sources: &Sources, segment: &Segment, report: &mut SegmentReport) -> bool {
    let mut read = || -> Result<(), SegmentError> {
        let file = SealedFile::inspect(&segment.path, segment.id)?;
        report.link = Some(HEXLOWER.encode(&file.link()));
        report.forged += u64::from(file.file.computed_root()? != file.file.root());
        let reader = match file.reader(&sources.keyring) {
            Ok(reader) => reader,
            // Root and link need no key, so the report has them.
            Err(SegmentError::NoKey) => return Ok(()),
            Err(error) => return Err(error),
        };
        let check = reader.check();
        (report.damaged, report.rebuilt) = (check.damaged, check.rebuilt);
        report.frames = file.file.chunks().saturating_sub(report.damaged);
        let found = Sealed::open(Arc::new(reader), segment.id.hour)?.digest(0)?;
        report.records = found.sum.records;
        report.lost_records = file.note.records.saturating_sub(found.sum.records);
        report.out_of_order = u64::from(!found.sorted);
        Ok(())
    };
    read().is_ok()
}
