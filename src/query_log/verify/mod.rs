//! Reads every segment with its key and says what is not as it should be.

pub(in crate::query_log) mod forgotten;
pub(in crate::query_log) mod verify_sealed;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    envelope::{
        FILE_HEADER_BYTES, FrameFile, FrameFileError, FrameHeader, FrameKind, FrameOpener, Step,
    },
    query_log::{
        catalog::{Form, Segment, SegmentState},
        frames::segment_reader::{belongs, open_frame},
        retention,
        search::Sources,
    },
};
use verify_sealed::ChainReport;

/// Whether a segment's key is in the keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// It is.
    Alive,
    /// It is not, and the hour has expired.
    Destroyed,
    /// It is not, though the hour has not expired.
    Missing,
}

/// What is in one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentReport {
    /// Its name.
    pub segment: String,
    /// What state it is in.
    pub state: SegmentState,
    /// Its key.
    pub key: KeyState,
    /// Frames that are whole, by their checksums; of a sealed segment its chunks that open.
    pub frames: u64,
    /// Records in frames that opened.
    pub records: u64,
    /// Places that are no frame, with whole frames after them; of a sealed segment chunks that do not open.
    pub damaged: u64,
    /// Damaged chunks of a sealed segment of which nothing is lost: their parity gives them back.
    pub rebuilt: u64,
    /// Whole frames that do not open, or do not hold what they say; of a sealed segment 1 if its Merkle root is not that
    /// of its chunks and their parity.
    pub forged: u64,
    /// Records of a sealed segment that cannot be read, by its own count.
    pub lost_records: u64,
    /// Places where frames are missing.
    pub gaps: u64,
    /// Bytes at the end that are no frame.
    pub torn_bytes: u64,
    /// Records that are not later than the one before them.
    pub out_of_order: u64,
    /// It has expired, and is still there.
    pub overdue: bool,
    /// It could not be read to its end.
    pub unreadable: bool,
    /// SHA-256 over name, Merkle root and counts of a sealed segment, in hexadecimal: what its successor names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether everything is as it should be. A torn tail is: it was never acknowledged.
    pub sound: bool,
}

/// What is in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyReport {
    /// Whether everything is as it should be, in the segments and in their chain.
    pub sound: bool,
    /// How the sealed segments hang together.
    pub chain: ChainReport,
    /// Each segment, oldest first.
    pub segments: Vec<SegmentReport>,
}

impl SegmentReport {
    const fn judge(&self) -> bool {
        self.damaged == 0
            && self.forged == 0
            && self.gaps == 0
            && self.lost_records == 0
            && self.out_of_order == 0
            && !self.overdue
            && !self.unreadable
            && matches!(self.key, KeyState::Alive)
    }
}

pub(in crate::query_log) fn verify(sources: &Sources) -> VerifyReport {
    let found = sources.catalog.segments();
    let segments: Vec<_> = found.iter().map(|segment| verify_segment(sources, segment)).collect();
    let chain = verify_sealed::chain(sources, &found);
    let sound = chain.is_sound() && segments.iter().all(|segment| segment.sound);
    VerifyReport { sound, chain, segments }
}

fn verify_segment(sources: &Sources, segment: &Arc<Segment>) -> SegmentReport {
    let (hour, now) = (segment.id.hour, sources.clock.now());
    let born = sources.keyring.hours().get(&hour).copied();
    let overdue = retention::expiry(hour, born, sources.retention, now) <= now;
    let key = match born {
        Some(_) => KeyState::Alive,
        None if overdue => KeyState::Destroyed,
        None => KeyState::Missing,
    };
    let mut report = SegmentReport {
        segment: segment.id.to_string(),
        state: segment.state(),
        key,
        frames: 0,
        records: 0,
        damaged: 0,
        rebuilt: 0,
        forged: 0,
        gaps: 0,
        lost_records: 0,
        torn_bytes: 0,
        out_of_order: 0,
        overdue,
        unreadable: false,
        link: None,
        sound: false,
    };
    let limit = segment.bytes();
    if segment.form == Form::Sealed {
        report.unreadable = !verify_sealed::check(sources, segment, &mut report);
    } else if limit >= FILE_HEADER_BYTES || segment.state() == SegmentState::Unreadable {
        report.unreadable = !walk(sources, segment, limit, &mut report).unwrap_or(false);
    }
    report.sound = report.judge();
    report
}

/// False if the file is another segment's.
fn walk(
    sources: &Sources,
    segment: &Segment,
    limit: u64,
    report: &mut SegmentReport,
) -> Result<bool, FrameFileError> {
    let mut file = FrameFile::open(&segment.path, Some(limit))?;
    if !belongs(&file, segment.id) {
        return Ok(false);
    }
    let opener =
        sources.keyring.get(segment.id.hour).map(|key| FrameOpener::new(&key, file.header()));
    let (mut offset, mut sequence, mut torn) = (FILE_HEADER_BYTES, 0, 0);
    let (mut body, mut last) = (Vec::new(), None);
    loop {
        match file.after(offset)? {
            Step::Frame { offset: at, end, header } => {
                report.damaged += u64::from(torn > 0);
                report.gaps += u64::from(torn == 0 && header.sequence != sequence);
                report.frames += 1;
                (torn, sequence, offset) = (0, header.sequence.saturating_add(1), end);
                if let Some(opener) = &opener {
                    file.read_body(at, &header, &mut body)?;
                    check_frame(opener, &header, &mut body, segment, &mut last, report);
                }
            }
            Step::Damage { from, to } => {
                torn += to - from;
                offset = to;
            }
            Step::Edge => break,
        }
    }
    report.torn_bytes = torn;
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
