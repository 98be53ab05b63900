//! The rows of one segment that a search asks for, in its order, read piece by piece.
//!
//! The sealer may replace a segment's frames while a search reads them. Then the search continues in the sealed file behind
//! the last row that it has read: the rows and their order are the same.

use std::collections::VecDeque;

use super::job::Job;
use crate::{
    clock::Timestamp,
    query_log::{
        catalog::{Form, Segment},
        cursor::Cursor,
        filter::Order,
        frames::segment_reader::{ReadStep, SegmentReader},
        record::LogRow,
        sealer::sealed_file,
        segment::{RowBatch, SliceRequest, TimeHistogram},
        segment_error::SegmentError,
        segment_name::SegmentId,
    },
};

/// The rows of one segment, read up to some instant.
pub(super) struct SegmentRows {
    pub(super) id: SegmentId,
    source: Source,
    /// Every row up to this instant, itself included, has been read, in the order of the search.
    read_to: Option<Timestamp>,
    /// Rows of a frame that were read and not given out.
    rows: VecDeque<LogRow>,
    /// Rows of a sealed file that were read and not given out.
    batch: Option<RowBatch>,
    /// The row counts that one time slice computed and the next one uses.
    histogram: Option<TimeHistogram>,
    done: bool,
    /// Damaged places found since the caller last took this number.
    pub(super) damaged: u64,
    /// A sealed file reports the same damage with each piece, so the search counts it once.
    damage_counted: bool,
}

enum Source {
    /// Frames, and the offset of the next one.
    Frames(Box<SegmentReader>, u64),
    /// A sealed file. It is opened for each piece, so that no file stays open while the caller pauses.
    Sealed,
}

impl SegmentRows {
    /// Opens the segment where the search begins.
    pub(super) fn open(segment: &Segment, job: &Job) -> Result<Self, SegmentError> {
        let id = segment.id;
        let source = match segment.form {
            Form::Sealed => Source::Sealed,
            Form::Frames => match open_frames(segment, job) {
                // The sealer has replaced the frames since the catalog listed them.
                Err(SegmentError::Gone) if job.sources.catalog.is_sealed(id) => Source::Sealed,
                opened => opened?,
            },
        };
        Ok(Self {
            id,
            source,
            read_to: job.after.and_then(|after| read_before(after, id, job.order)),
            rows: VecDeque::new(),
            batch: None,
            histogram: None,
            done: false,
            damaged: 0,
            damage_counted: false,
        })
    }

    pub(super) fn next_cursor(&self) -> Option<Cursor> {
        let at = match &self.batch {
            Some(batch) => batch.next_at(),
            None => self.rows.front().map(|row| row.at),
        };
        at.map(|at| Cursor::new(self.id, at))
    }

    pub(super) fn pop(&mut self) -> Option<(Cursor, LogRow)> {
        let row = match &mut self.batch {
            Some(batch) => batch.pop(),
            None => self.rows.pop_front(),
        };
        row.map(|row| (Cursor::new(self.id, row.at), row))
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.batch.as_ref().is_none_or(RowBatch::is_empty)
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.done && self.is_empty()
    }

    /// Reads until a row is in memory or the segment ends; at most about `rows_max` rows at a time.
    pub(super) fn refill(&mut self, job: &Job, rows_max: usize) -> Result<(), SegmentError> {
        while self.is_empty() && !self.done {
            if job.is_over() {
                self.done = true;
                return Ok(());
            }
            let read = match &mut self.source {
                Source::Frames(..) => self.read_frame(job),
                Source::Sealed => self.read_slice(job, rows_max),
            };
            match read {
                Err(SegmentError::Gone)
                    if matches!(self.source, Source::Frames(..))
                        && job.sources.catalog.is_sealed(self.id) =>
                {
                    self.source = Source::Sealed;
                }
                Err(error) => {
                    self.done = true;
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn read_frame(&mut self, job: &Job) -> Result<(), SegmentError> {
        let Source::Frames(reader, offset) = &mut self.source else {
            return Ok(());
        };
        match reader.next(job.order, offset)? {
            ReadStep::Edge => self.done = true,
            ReadStep::Damaged => self.damaged += 1,
            ReadStep::Frame(rows) => {
                let last = match job.order {
                    Order::Asc => rows.last(),
                    Order::Desc => rows.first(),
                };
                self.read_to = last.map(|row| row.at).or(self.read_to);
                let id = self.id;
                let wanted = |row: &LogRow| job.wants(Cursor::new(id, row.at), row);
                self.rows.extend(rows.into_iter().filter(wanted));
                if job.order == Order::Desc {
                    self.rows.make_contiguous().reverse();
                }
            }
        }
        Ok(())
    }

    fn read_slice(&mut self, job: &Job, rows_max: usize) -> Result<(), SegmentError> {
        let segment = job.sources.catalog.get(self.id).ok_or(SegmentError::Gone)?;
        let sealed = sealed_file::open(&segment, &job.sources.keyring)?;
        // Free the memory first: the next slice is as large.
        (self.rows, self.batch) = (VecDeque::new(), None);
        let (filter, order, stop) = (&job.filter, job.order, &|| job.is_over());
        let request = SliceRequest { filter, order, from: self.read_to, rows_max, stop };
        let slice = sealed.time_slice(&request, &mut self.histogram)?;
        self.done = !slice.more || slice.stopped;
        self.read_to = slice.read_to;
        if slice.damaged_rows > 0 && !self.damage_counted {
            self.damage_counted = true;
            self.damaged += 1;
        }
        self.batch = Some(slice.rows);
        Ok(())
    }
}

fn open_frames(segment: &Segment, job: &Job) -> Result<Source, SegmentError> {
    let mut reader = SegmentReader::open(segment, &job.sources.keyring)?;
    let (from, to) = reader.seek(job.start(segment.id.hour))?;
    let offset = if job.order == Order::Asc { from } else { to };
    Ok(Source::Frames(Box::new(reader), offset))
}

/// The instant up to which a search that continues after `after` has read this segment, itself included. Rows of one instant
/// are ordered by file.
fn read_before(after: Cursor, id: SegmentId, order: Order) -> Option<Timestamp> {
    if after.hour() != id.hour {
        return None;
    }
    let (at, own) = (after.at().as_micros(), Cursor::new(id, after.at()));
    let micros = match order {
        Order::Asc if own > after => at.checked_sub(1)?,
        Order::Desc if own < after => at.checked_add(1)?,
        _ => at,
    };
    Some(Timestamp::from_micros(micros))
}
