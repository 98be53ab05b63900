//! Rows as they are committed: each exactly once, in the order of writing, across segments.

use super::job::{ReadError, Sources};
use crate::{
    clock::Timestamp,
    query_log::{
        catalog::{Form, Segment, SegmentState},
        cursor::Cursor,
        filter::{Filter, Order},
        frames::segment_reader::{ReadStep, SegmentReader},
        record::LogRow,
        sealer::sealed_file,
        segment::SliceRequest,
        segment_error::SegmentError,
    },
};

/// A position in the rows of this process. Another process cannot use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailPosition {
    ordinal: u64,
    offset: u64,
    /// The follower has rows of this segment up to this instant. It replaces the offset once the segment is sealed.
    read_to: Timestamp,
}

impl TailPosition {
    pub(crate) const fn new(ordinal: u64, offset: u64, read_to: Timestamp) -> Self {
        Self { ordinal, offset, read_to }
    }
}

/// Follows the log.
#[derive(Debug)]
pub struct Tail {
    sources: Sources,
    filter: Filter,
    position: TailPosition,
    open: Option<SegmentReader>,
    damaged: u64,
}

impl Tail {
    pub(crate) const fn new(sources: Sources, filter: Filter, position: TailPosition) -> Self {
        Self { sources, filter, position, open: None, damaged: 0 }
    }

    /// The position of the next row.
    pub const fn position(&self) -> TailPosition {
        self.position
    }

    /// Damaged places that the tail has skipped so far.
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The rows committed since the last call, at most `rows_max` rounded up to a whole frame: so a slow follower holds little
    /// memory. Empty if there is no new row. After an error the next call tries again.
    pub fn next_rows(&mut self, rows_max: usize) -> Result<Vec<(Cursor, LogRow)>, ReadError> {
        let mut found = Vec::new();
        while found.len() < rows_max {
            let Some(segment) = self.sources.catalog.first_from(self.position.ordinal) else {
                break;
            };
            if segment.ordinal != self.position.ordinal {
                self.start_at(segment.ordinal);
            }
            // Read the state before the length: the length of a segment that is not active is final.
            let ended = segment.state() != SegmentState::Active;
            let read = match segment.form {
                Form::Frames => self.read_frames(&segment, rows_max, &mut found),
                Form::Sealed => self.read_sealed(&segment, rows_max, &mut found),
            };
            match read {
                // The segment was sealed during the read. The next iteration finds the sealed file.
                Err(SegmentError::Gone)
                    if segment.form == Form::Frames
                        && self.sources.catalog.is_sealed(segment.id) =>
                {
                    continue;
                }
                Err(error) => _ = self.sources.is_lost(segment.id, error)?,
                Ok(()) => {}
            }
            if found.len() >= rows_max || !ended {
                break;
            }
            self.start_at(segment.ordinal + 1);
        }
        found.retain(|(cursor, row)| {
            row.at > self.sources.horizon(cursor.hour().era()) && self.filter.matches(row)
        });
        Ok(found)
    }

    /// Continues at the start of the segment with this ordinal. A file that was created again after an error has the id of the
    /// one before, but another ordinal and another key, so no reader may survive.
    fn start_at(&mut self, ordinal: u64) {
        (self.position, self.open) = (TailPosition::new(ordinal, 0, Timestamp::EPOCH), None);
    }

    fn read_frames(
        &mut self,
        segment: &Segment,
        rows_max: usize,
        found: &mut Vec<(Cursor, LogRow)>,
    ) -> Result<(), SegmentError> {
        let reader = match self.open.take() {
            Some(reader) => reader,
            None => SegmentReader::open(segment, &self.sources.keyring)?,
        };
        let reader = self.open.insert(reader);
        reader.extend(segment.bytes());
        while found.len() < rows_max {
            match reader.next(Order::Asc, &mut self.position.offset)? {
                ReadStep::Edge => break,
                ReadStep::Damaged => self.damaged += 1,
                ReadStep::Frame(rows) => {
                    self.position.read_to = rows.last().map_or(self.position.read_to, |row| row.at);
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
        let (filter, order, stop) = (&Filter::default(), Order::Asc, &|| false);
        let mut histogram = None;
        while found.len() < rows_max {
            let from = Some(self.position.read_to);
            let request = SliceRequest { filter, order, from, rows_max, stop };
            let mut slice = sealed.time_slice(&request, &mut histogram)?;
            self.position.read_to = slice.read_to.unwrap_or(self.position.read_to);
            let rows = std::iter::from_fn(|| slice.rows.pop());
            found.extend(rows.map(|row| (Cursor::new(segment.id, row.at), row)));
            if !slice.more {
                break;
            }
        }
        Ok(())
    }
}
