//! Reads the rows of one file of frames, frame by frame, in either direction.

use std::ops::ControlFlow;

use super::{codec::FrameDecoder, segment_file::PURPOSE};
use crate::{
    clock::Timestamp,
    envelope::{FILE_HEADER_BYTES, FrameFile, FrameHeader, FrameKind, FrameOpener, Keyring, Step},
    query_log::{
        catalog::Segment,
        filter::Order,
        record::{EachRow, LogRow, RowView},
        segment_error::SegmentError,
        segment_name::SegmentId,
    },
};

/// The binary search stops at this distance: one read of a chunk covers it.
const SEEK_BYTES_MIN: u64 = if cfg!(test) { 4096 } else { 512 * 1024 };

#[derive(Debug)]
pub(crate) enum ReadStep {
    /// The rows of a frame, in the order of the file.
    Frame(Vec<LogRow>),
    /// Bytes that are no frame, or a frame that cannot be decrypted.
    Damaged,
    /// No more rows in this direction.
    Edge,
}

/// One segment, open for reading up to its committed length.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: FrameFile,
    opener: FrameOpener,
    pub(crate) id: SegmentId,
    body: Vec<u8>,
}

impl SegmentReader {
    pub(crate) fn open(segment: &Segment, keyring: &Keyring) -> Result<Self, SegmentError> {
        let limit = segment.bytes();
        if limit < FILE_HEADER_BYTES {
            return Err(SegmentError::Gone);
        }
        let file = FrameFile::open(&segment.path, Some(limit))?;
        if !has_id(&file, segment.id) {
            return Err(SegmentError::Unreadable);
        }
        let key = keyring.get(segment.id.hour).ok_or(SegmentError::NoKey)?;
        let opener = FrameOpener::new(&key, file.header());
        Ok(Self { file, opener, id: segment.id, body: Vec::new() })
    }

    /// The offset where the committed rows end.
    pub(crate) const fn end(&self) -> u64 {
        self.file.limit()
    }

    pub(crate) fn extend(&mut self, limit: u64) {
        debug_assert!(limit >= self.end(), "committed offsets only grow");
        self.file.extend(limit);
    }

    /// The rows of the next frame from `offset` on, in this order; moves the offset past the frame.
    pub(crate) fn next(
        &mut self,
        order: Order,
        offset: &mut u64,
    ) -> Result<ReadStep, SegmentError> {
        loop {
            let step = match order {
                Order::Asc => self.file.after(*offset)?,
                Order::Desc => self.file.before(*offset)?,
            };
            let (from, to) = match step {
                Step::Edge => return Ok(ReadStep::Edge),
                Step::Damage { from, to } => (from, to),
                Step::Frame { offset, end, .. } => (offset, end),
            };
            *offset = if order == Order::Asc { to } else { from };
            let Step::Frame { header, .. } = step else {
                return Ok(ReadStep::Damaged);
            };
            // The end frame has no rows and is not damaged.
            if header.kind == FrameKind::Content {
                self.file.read_body(from, &header, &mut self.body)?;
                let rows = open_frame(&self.opener, &header, &mut self.body, self.id);
                return Ok(rows.map_or(ReadStep::Damaged, ReadStep::Frame));
            }
        }
    }

    /// Passes every row to `each`, as it is decoded, until `each` breaks. False after damage; `each` may then have got the
    /// first rows of the damaged frame.
    pub(crate) fn visit(&mut self, each: &mut EachRow<'_>) -> Result<bool, SegmentError> {
        let mut next = FILE_HEADER_BYTES;
        loop {
            let (offset, header) = match self.file.after(next)? {
                Step::Edge => return Ok(true),
                Step::Damage { .. } => return Ok(false),
                Step::Frame { offset, end, header } => {
                    next = end;
                    (offset, header)
                }
            };
            if header.kind == FrameKind::End {
                continue;
            }
            self.file.read_body(offset, &header, &mut self.body)?;
            let body = &mut self.body;
            match visit_frame(&self.opener, &header, body, self.id, each) {
                None => return Ok(false),
                Some(ControlFlow::Break(())) => return Ok(true),
                Some(ControlFlow::Continue(())) => {}
            }
        }
    }

    /// Finds the rows around `at` by binary search. Every row before the first offset is earlier than `at`, every row from
    /// the second on is later. Each offset is the start of a frame, or an end of the rows.
    pub(crate) fn seek(&mut self, at: Timestamp) -> Result<(u64, u64), SegmentError> {
        let (mut from, mut to) = (FILE_HEADER_BYTES, self.end());
        let mut high = to;
        while high - from > SEEK_BYTES_MIN {
            let middle = from + (high - from) / 2;
            match self.base_after(middle)? {
                Some((offset, base)) if base <= at && offset < high => from = offset,
                Some((offset, base)) if base > at => (high, to) = (middle, to.min(offset)),
                // No frame after the middle can be decrypted, so the search continues in the first half.
                _ => high = middle,
            }
        }
        Ok((from, to))
    }

    /// The offset of the first frame at or after `offset`, and the instant of its first row. None if it has no rows.
    fn base_after(&mut self, mut offset: u64) -> Result<Option<(u64, Timestamp)>, SegmentError> {
        loop {
            match self.file.after(offset)? {
                Step::Damage { to, .. } => offset = to,
                Step::Frame { offset, header, .. } if header.kind == FrameKind::Content => {
                    self.file.read_body(offset, &header, &mut self.body)?;
                    let content = self.opener.open(&header, &mut self.body);
                    let decoder = content.and_then(FrameDecoder::new);
                    return Ok(decoder.map(|decoder| (offset, decoder.at())));
                }
                Step::Frame { .. } | Step::Edge => return Ok(None),
            }
        }
    }
}

pub(crate) fn has_id(file: &FrameFile, id: SegmentId) -> bool {
    let header = file.header();
    (header.purpose, header.hour, header.number) == (PURPOSE, id.hour, id.number)
}

/// Decrypts and decodes one frame. None unless every row is as it was written.
pub(crate) fn open_frame(
    opener: &FrameOpener,
    header: &FrameHeader,
    body: &mut [u8],
    id: SegmentId,
) -> Option<Vec<LogRow>> {
    let mut rows = Vec::with_capacity(header.items as usize);
    let mut push = |view: &RowView<'_>| match view.row() {
        Some(row) => {
            rows.push(row);
            ControlFlow::Continue(())
        }
        // Unreachable: the decoder has checked the address.
        None => ControlFlow::Break(()),
    };
    let visited = visit_frame(opener, header, body, id, &mut push)?;
    visited.is_continue().then_some(rows)
}

/// Decrypts one frame and passes its rows to `each`, until `each` breaks. None if the frame is not as it was written; only
/// its end shows that.
fn visit_frame(
    opener: &FrameOpener,
    header: &FrameHeader,
    body: &mut [u8],
    id: SegmentId,
    each: &mut EachRow<'_>,
) -> Option<ControlFlow<()>> {
    let mut decoder = FrameDecoder::new(opener.open(header, body)?)?;
    if !id.hour.contains(decoder.at()) {
        return None;
    }
    let mut rows = 0;
    while !decoder.is_at_end() {
        if each(&decoder.next_view()?).is_break() {
            return Some(ControlFlow::Break(()));
        }
        rows += 1;
    }
    (rows == header.items).then_some(ControlFlow::Continue(()))
}
