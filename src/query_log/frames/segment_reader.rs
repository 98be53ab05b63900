//! Reads the rows of one segment, frame by frame, in either direction.

use std::{io, ops::ControlFlow};

use super::{codec::FrameDecoder, row_view::RowView, segment_file::PURPOSE};
use crate::envelope::{
    FILE_HEADER_BYTES, FrameFile, FrameFileError, FrameHeader, FrameKind, FrameOpener, Keyring,
    Step,
};
use crate::{
    clock::Timestamp,
    query_log::{catalog::Segment, record::LogRow, segment_name::SegmentId},
};
/// Less than this is read through instead of searched: a chunk is read at once anyway.
const SEEK_BYTES_MIN: u64 = if cfg!(test) { 4096 } else { 512 * 1024 };

/// Why a segment gives no rows.
#[derive(Debug)]
pub(in crate::query_log) enum SegmentError {
    /// It is not there any more, or has nothing yet.
    Gone,
    /// Its key is not in the keyring.
    NoKey,
    /// Its head is damaged, or is another segment's.
    Unreadable,
    Io(io::Error),
}

impl From<io::Error> for SegmentError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Gone } else { Self::Io(error) }
    }
}

impl From<FrameFileError> for SegmentError {
    fn from(error: FrameFileError) -> Self {
        match error {
            FrameFileError::Io(error) => error.into(),
            FrameFileError::Header(_) => Self::Unreadable,
        }
    }
}

/// What one step of reading met.
#[derive(Debug)]
pub(in crate::query_log) enum ReadStep {
    /// The rows of a frame, in the order of the file.
    Frame(Vec<LogRow>),
    /// Bytes that are not a frame, or a frame that does not open.
    Damaged,
    /// Nothing more in this direction.
    Edge,
}

/// One segment, open for reading up to what is committed.
#[derive(Debug)]
pub(in crate::query_log) struct SegmentReader {
    file: FrameFile,
    opener: FrameOpener,
    pub(in crate::query_log) id: SegmentId,
    body: Vec<u8>,
}

impl SegmentReader {
    pub(in crate::query_log) fn open(
        segment: &Segment,
        keyring: &Keyring,
    ) -> Result<Self, SegmentError> {
        let limit = segment.bytes();
        if limit < FILE_HEADER_BYTES {
            return Err(SegmentError::Gone);
        }
        let file = FrameFile::open(&segment.path, Some(limit))?;
        if !belongs(&file, segment.id) {
            return Err(SegmentError::Unreadable);
        }
        let key = keyring.get(segment.id.hour).ok_or(SegmentError::NoKey)?;
        let opener = FrameOpener::new(&key, file.header());
        Ok(Self { file, opener, id: segment.id, body: Vec::new() })
    }

    /// Where the rows end at present.
    pub(in crate::query_log) const fn end(&self) -> u64 {
        self.file.limit()
    }

    /// Sees what was committed since.
    pub(in crate::query_log) fn extend(&mut self, limit: u64) {
        self.file.extend(limit);
    }

    /// The rows from `offset` on; moves it behind them.
    pub(in crate::query_log) fn after(
        &mut self,
        offset: &mut u64,
    ) -> Result<ReadStep, SegmentError> {
        loop {
            let step = self.file.after(*offset)?;
            *offset = match step {
                Step::Frame { end, .. } => end,
                Step::Damage { to, .. } => to,
                Step::Edge => return Ok(ReadStep::Edge),
            };
            if let Some(rows) = self.rows(step)? {
                return Ok(rows);
            }
        }
    }

    /// Gives every row to `each`, as it is decoded, until that breaks off. False if it met damage; rows of a damaged frame may
    /// have been given before that was seen.
    pub(in crate::query_log) fn visit(
        &mut self,
        each: &mut dyn FnMut(&RowView<'_>) -> ControlFlow<()>,
    ) -> Result<bool, SegmentError> {
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

    /// The rows before `end`; moves it before them.
    pub(in crate::query_log) fn before(&mut self, end: &mut u64) -> Result<ReadStep, SegmentError> {
        loop {
            let step = self.file.before(*end)?;
            *end = match step {
                Step::Frame { offset, .. } => offset,
                Step::Damage { from, .. } => from,
                Step::Edge => return Ok(ReadStep::Edge),
            };
            if let Some(rows) = self.rows(step)? {
                return Ok(rows);
            }
        }
    }

    /// Narrows down where rows around `at` are, without reading the rest. Every row before the first offset is earlier,
    /// every row from the second offset on is later; both are where a frame starts, or an end of the rows.
    pub(in crate::query_log) fn seek(&mut self, at: Timestamp) -> Result<(u64, u64), SegmentError> {
        let (mut from, mut to) = (FILE_HEADER_BYTES, self.end());
        let mut unsearched = to;
        while unsearched - from > SEEK_BYTES_MIN {
            let middle = from + (unsearched - from) / 2;
            match self.base_after(middle)? {
                Some((offset, base)) if base <= at && offset < unsearched => from = offset,
                Some((offset, base)) if base > at => (unsearched, to) = (middle, to.min(offset)),
                // Nothing that opens behind the middle: then the first half says.
                _ => unsearched = middle,
            }
        }
        Ok((from, to))
    }

    /// The first frame that starts at or after `offset`, with the instant of its first row; none if it has no rows.
    fn base_after(&mut self, mut offset: u64) -> Result<Option<(u64, Timestamp)>, SegmentError> {
        loop {
            match self.file.after(offset)? {
                Step::Damage { to, .. } => offset = to,
                Step::Frame { offset, header, .. } if header.kind == FrameKind::Content => {
                    self.file.read_body(offset, &header, &mut self.body)?;
                    let content = self.opener.open(&header, &mut self.body);
                    let decoder = content.and_then(|content| FrameDecoder::new(content).ok());
                    return Ok(decoder.map(|decoder| (offset, decoder.base())));
                }
                Step::Frame { .. } | Step::Edge => return Ok(None),
            }
        }
    }

    /// None for the end frame, which has no rows and is no damage either.
    fn rows(&mut self, step: Step) -> Result<Option<ReadStep>, SegmentError> {
        let Step::Frame { offset, header, .. } = step else {
            return Ok(Some(ReadStep::Damaged));
        };
        if header.kind == FrameKind::End {
            return Ok(None);
        }
        self.file.read_body(offset, &header, &mut self.body)?;
        let rows = open_frame(&self.opener, &header, &mut self.body, self.id);
        Ok(Some(rows.map_or(ReadStep::Damaged, ReadStep::Frame)))
    }
}

/// Whether the file's head says what its name says.
pub(in crate::query_log) fn belongs(file: &FrameFile, id: SegmentId) -> bool {
    let header = file.header();
    (header.purpose, header.hour, header.number) == (PURPOSE, id.hour, id.number)
}

/// Decrypts and decodes one frame; none if it is not exactly what was written, in all its rows.
pub(in crate::query_log) fn open_frame(
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
        // Not with an address that the decoder has let through.
        None => ControlFlow::Break(()),
    };
    let visited = visit_frame(opener, header, body, id, &mut push)?;
    visited.is_continue().then_some(rows)
}

/// Decrypts one frame and gives its rows to `each`, until that breaks off; none if it is not exactly what was written, which
/// is known only at its end.
fn visit_frame(
    opener: &FrameOpener,
    header: &FrameHeader,
    body: &mut [u8],
    id: SegmentId,
    each: &mut dyn FnMut(&RowView<'_>) -> ControlFlow<()>,
) -> Option<ControlFlow<()>> {
    let mut decoder = FrameDecoder::new(opener.open(header, body)?).ok()?;
    if decoder.base().hour() != id.hour {
        return None;
    }
    let mut rows = 0;
    while let Some(view) = decoder.next_view() {
        if each(&view.ok()?).is_break() {
            return Some(ControlFlow::Break(()));
        }
        rows += 1;
    }
    (rows == header.items).then_some(ControlFlow::Continue(()))
}
