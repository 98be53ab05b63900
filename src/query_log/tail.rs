//! Rows as they are committed: each exactly once, in the order in which they were written, across segments.

use super::{
    catalog::SegmentState,
    cursor::Cursor,
    filter::Filter,
    record::LogRow,
    search::{ReadError, Sources},
    segment_reader::{Rows, SegmentError, SegmentReader},
};

/// A place in what this process has written. Means nothing to another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailPosition {
    pub(super) ordinal: u64,
    pub(super) offset: u64,
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
    pub(super) const fn new(sources: Sources, filter: Filter, position: TailPosition) -> Self {
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
                self.position = TailPosition { ordinal: segment.ordinal, offset: 0 };
            }
            // Asked before the bytes: once it is not active any more, the bytes are the last.
            let ended = segment.state() != SegmentState::Active;
            let limit = segment.bytes();
            if self.open.as_ref().is_none_or(|open| open.0 != segment.ordinal) {
                let opened = SegmentReader::open(&segment, &self.sources.keyring);
                self.open = opened.ok().map(|reader| (segment.ordinal, reader));
            }
            if let Some((_, reader)) = &mut self.open {
                reader.extend(limit);
                let read = read_on(
                    reader,
                    &mut self.position.offset,
                    rows_max,
                    &mut found,
                    &mut self.damaged,
                );
                if let Err(SegmentError::Io(source)) = read {
                    return Err(ReadError { segment: segment.id, source });
                }
            }
            if found.len() >= rows_max || !ended {
                break;
            }
            self.position = TailPosition { ordinal: segment.ordinal + 1, offset: 0 };
        }
        let horizon = self.sources.horizon();
        found.retain(|(_, row)| row.at > horizon && self.filter.matches(row));
        Ok(found)
    }
}

fn read_on(
    reader: &mut SegmentReader,
    offset: &mut u64,
    rows_max: usize,
    found: &mut Vec<(Cursor, LogRow)>,
    damaged: &mut u64,
) -> Result<(), SegmentError> {
    while found.len() < rows_max {
        match reader.after(offset)? {
            Rows::Edge => break,
            Rows::Damaged => *damaged += 1,
            Rows::Frame(rows) => {
                let placed = rows
                    .into_iter()
                    .map(|(index, row)| (Cursor::new(reader.id, row.at, index), row));
                found.extend(placed);
            }
        }
    }
    Ok(())
}
