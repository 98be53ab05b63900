//! Checks every segment.

use std::sync::Arc;

use data_encoding::HEXLOWER;

use super::{
    chain,
    report::{KeyState, SegmentReport, VerifyReport},
};
use crate::{
    clock::Timestamp,
    envelope::{
        FILE_HEADER_BYTES, FileError, FrameFile, FrameHeader, FrameKind, FrameOpener, Step,
    },
    query_log::{
        catalog::{Form, Segment, SegmentState},
        frames::segment_reader::{has_id, open_frame},
        retention,
        sealer::sealed_file::SealedFile,
        search::Sources,
        segment::Sealed,
        segment_error::SegmentError,
    },
};

pub(crate) fn verify(sources: &Sources) -> VerifyReport {
    let found = sources.catalog.segments();
    let segments: Vec<_> = found.iter().map(|segment| verify_segment(sources, segment)).collect();
    let chain = chain::check(sources, &found);
    let sound = chain.is_sound() && segments.iter().all(|segment| segment.sound);
    VerifyReport { sound, chain, segments }
}

fn verify_segment(sources: &Sources, segment: &Segment) -> SegmentReport {
    let (hour, now) = (segment.id.hour, sources.clock.now());
    let born = sources.keyring.hours().get(&hour).copied();
    let overdue = retention::expiry(hour, born, sources.retention, now) <= now;
    let key = match born {
        Some(_) => KeyState::Alive,
        None if overdue => KeyState::Destroyed,
        None => KeyState::Missing,
    };
    let mut report = SegmentReport::new(segment, key, overdue);
    let limit = segment.bytes();
    if segment.form == Form::Sealed {
        report.unreadable = !check_sealed(sources, segment, &mut report);
    } else if limit >= FILE_HEADER_BYTES || segment.state() == SegmentState::Unreadable {
        let checked = check_frames(sources, segment, limit, &mut report);
        report.unreadable = !checked.unwrap_or(false);
    }
    report.judge();
    report
}

/// Reads a segment of frames to its end. False if the file's header names another segment.
fn check_frames(
    sources: &Sources,
    segment: &Segment,
    limit: u64,
    report: &mut SegmentReport,
) -> Result<bool, FileError> {
    let mut file = FrameFile::open(&segment.path, Some(limit))?;
    if !has_id(&file, segment.id) {
        return Ok(false);
    }
    let key = sources.keyring.get(segment.id.hour);
    let opener = key.map(|key| FrameOpener::new(&key, file.header()));
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
