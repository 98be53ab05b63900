//! Rows as they are committed: each exactly once, in the order in which they were written, across segments.

use super::{Order, ReadError, Sources};
use crate::{
    clock::Timestamp,
    query_log::{
        catalog::{Form, Segment, SegmentState},
        cursor::Cursor,
        filter::Filter,
        frames::segment_reader::{ReadStep, SegmentError, SegmentReader},
        record::LogRow,
        sealer::sealed_file,
        segment::Wanted,
    },
};
/// A place in what this process has written. Means nothing to another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailPosition {
    ordinal: u64,
    offset: u64,
    /// Rows of this segment up to this instant have been seen: where to go on once the offset means nothing, since the
    /// segment was sealed.
    seen: Timestamp,
}

impl TailPosition {
    pub(in crate::query_log) const fn new(ordinal: u64, offset: u64, seen: Timestamp) -> Self {
        Self { ordinal, offset, seen }
    }
}

/// Follows the log.
#[derive(Debug)]
pub struct Tail {
    sources: Sources,
    filter: Filter,
    position: TailPosition,
    open: Option<(u64, SegmentReader)>,
    damaged: u64,
}

impl Tail {
    pub(in crate::query_log) const fn new(
        sources: Sources,
        filter: Filter,
        position: TailPosition,
    ) -> Self {
        Self { sources, filter, position, open: None, damaged: 0 }
    }

    /// Where reading goes on.
    #[must_use]
    pub const fn position(&self) -> TailPosition {
        self.position
    }

    /// Damaged places that were skipped so far.
    #[must_use]
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The rows committed since the last call: at most about `rows_max`, rounded up to a whole frame, so that a slow
    /// follower does not hold much. Empty if there is nothing new.
    ///
    /// # Errors
    /// If a segment cannot be read; the next call tries again.
    pub fn next_rows(&mut self, rows_max: usize) -> Result<Vec<(Cursor, LogRow)>, ReadError> {
        let mut found = Vec::new();
        while found.len() < rows_max {
            let Some(segment) = self.sources.catalog.first_from(self.position.ordinal) else {
                break;
            };
            if segment.ordinal != self.position.ordinal {
                self.position = TailPosition::new(segment.ordinal, 0, Timestamp::EPOCH);
            }
            // Asked before the bytes: once it is not active any more, the bytes are the last.
            let ended = segment.state() != SegmentState::Active;
            let read = match segment.form {
                Form::Frames => self.read_frames(&segment, rows_max, &mut found),
                Form::Sealed => self.read_sealed(&segment, rows_max, &mut found),
            };
            match read {
                // It was sealed while it was read: the next turn finds it in its new form.
                Err(SegmentError::Gone) if self.was_sealed(&segment) => continue,
                Err(SegmentError::Io(source)) => {
                    return Err(ReadError { segment: segment.id, source });
                }
                _ => {}
            }
            if found.len() >= rows_max || !ended {
                break;
            }
            self.position = TailPosition::new(segment.ordinal + 1, 0, Timestamp::EPOCH);
        }
        let horizon = self.sources.horizon();
        found.retain(|(_, row)| row.at > horizon && self.filter.matches(row));
        Ok(found)
    }

    fn was_sealed(&self, segment: &Segment) -> bool {
        let now = self.sources.catalog.get(segment.id);
        segment.form == Form::Frames && now.is_some_and(|now| now.form == Form::Sealed)
    }

    fn read_frames(
        &mut self,
        segment: &Segment,
        rows_max: usize,
        found: &mut Vec<(Cursor, LogRow)>,
    ) -> Result<(), SegmentError> {
        let limit = segment.bytes();
        if self.open.as_ref().is_none_or(|open| open.0 != segment.ordinal) {
            self.open = None;
            let reader = SegmentReader::open(segment, &self.sources.keyring)?;
            self.open = Some((segment.ordinal, reader));
        }
        let Some((_, reader)) = &mut self.open else {
            return Ok(());
        };
        reader.extend(limit);
        while found.len() < rows_max {
            match reader.after(&mut self.position.offset)? {
                ReadStep::Edge => break,
                ReadStep::Damaged => self.damaged += 1,
                ReadStep::Frame(rows) => {
                    self.position.seen = rows.last().map_or(self.position.seen, |row| row.at);
                    found.extend(rows.into_iter().map(|row| (Cursor::new(reader.id, row.at), row)));
                }
            }
        }
        Ok(())
    }

    fn read_sealed(
        &mut self,
        segment: &Segment,
        rows_max: usize,
        found: &mut Vec<(Cursor, LogRow)>,
    ) -> Result<(), SegmentError> {
        self.open = None;
        let sealed = sealed_file::open(segment, &self.sources.keyring)?;
        let (filter, order, stop, mut known) = (&Filter::default(), Order::Asc, &|| false, None);
        while found.len() < rows_max {
            let from = Some(self.position.seen);
            let wanted = Wanted { filter, order, from, rows_max, stop };
            let mut window = sealed.window(&wanted, &mut known)?;
            self.position.seen = window.read_to.unwrap_or(self.position.seen);
            let rows = std::iter::from_fn(|| window.rows.pop());
            found.extend(rows.map(|row| (Cursor::new(segment.id, row.at), row)));
            if !window.more {
                break;
            }
        }
        Ok(())
    }
}
