//! The rows of one segment that a search asks for, in its order, read piece by piece.
//!
//! A segment may be sealed while a search reads its frames. Then the frames are gone, and the search goes on in the sealed
//! file behind the last row that it has read: the rows are the same, and so is their order.

use std::collections::VecDeque;

use super::{Job, Order};
use crate::{
    clock::Timestamp,
    query_log::{
        catalog::{Form, Segment},
        cursor::Cursor,
        frames::segment_reader::{ReadStep, SegmentError, SegmentReader},
        record::LogRow,
        sealer::sealed_file,
        segment::{RowBatch, TimeHistogram, Wanted},
        segment_name::SegmentId,
    },
};
/// Rows of one segment, read up to some place.
#[derive(Debug)]
pub(in crate::query_log) struct SegmentRows {
    pub(in crate::query_log) id: SegmentId,
    reading: Reading,
    /// Every row up to this instant (in the search's order, itself included) has been read.
    read_to: Option<Timestamp>,
    /// Those of a frame.
    rows: VecDeque<LogRow>,
    /// Those of a sealed file.
    batch: Option<RowBatch>,
    /// What the last window has learned for the next.
    survey: Option<TimeHistogram>,
    done: bool,
    /// Damaged places met since the last time that somebody asked.
    damaged: u64,
    /// A sealed file says again at each piece what is damaged in it.
    told: bool,
}

#[derive(Debug)]
enum Reading {
    /// Frames, and the offset where reading goes on.
    Frames(Box<SegmentReader>, u64),
    /// A sealed file is opened for each piece, so that nothing is held open while nobody reads.
    Sealed,
}

impl SegmentRows {
    /// Opens the segment where the search begins in it.
    pub(in crate::query_log) fn open(segment: &Segment, job: &Job) -> Result<Self, SegmentError> {
        let reading = match segment.form {
            Form::Sealed => Reading::Sealed,
            Form::Frames => {
                let mut reader = SegmentReader::open(segment, &job.sources.keyring)?;
                let (from, to) = reader.seek(job.bound())?;
                let offset = match job.order {
                    Order::Asc => from,
                    Order::Desc => to,
                };
                Reading::Frames(Box::new(reader), offset)
            }
        };
        let (id, read_to) =
            (segment.id, job.after.and_then(|after| read_before(after, segment.id, job.order)));
        Ok(Self {
            id,
            reading,
            read_to,
            rows: VecDeque::new(),
            batch: None,
            survey: None,
            done: false,
            damaged: 0,
            told: false,
        })
    }

    /// The place of the next row, if one is at hand.
    pub(in crate::query_log) fn next_place(&self) -> Option<Cursor> {
        let at = match &self.batch {
            Some(batch) => batch.next_at(),
            None => self.rows.front().map(|row| row.at),
        };
        at.map(|at| Cursor::new(self.id, at))
    }

    pub(in crate::query_log) fn pop(&mut self) -> Option<(Cursor, LogRow)> {
        let row = match &mut self.batch {
            Some(batch) => batch.pop(),
            None => self.rows.pop_front(),
        };
        row.map(|row| (Cursor::new(self.id, row.at), row))
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.batch.as_ref().is_none_or(RowBatch::is_empty)
    }

    /// Nothing is at hand, and nothing more will come.
    pub(in crate::query_log) fn is_used_up(&self) -> bool {
        self.done && self.is_empty()
    }

    /// Damaged places met since the last call.
    pub(in crate::query_log) fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
    }

    /// Reads on until a row is at hand, or there is none; at most about `rows_max` rows at a time.
    pub(in crate::query_log) fn refill(
        &mut self,
        job: &Job,
        rows_max: usize,
    ) -> Result<(), SegmentError> {
        while self.is_empty() && !self.done {
            if job.is_over() {
                self.done = true;
                return Ok(());
            }
            let read = match &self.reading {
                Reading::Frames(..) => self.read_frame(job),
                Reading::Sealed => self.read_window(job, rows_max),
            };
            match read {
                Err(SegmentError::Gone) if self.was_sealed(job) => self.reading = Reading::Sealed,
                Err(error) => {
                    self.done = true;
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Whether the frames that are gone are in a sealed file now.
    fn was_sealed(&self, job: &Job) -> bool {
        let now = job.sources.catalog.get(self.id);
        matches!(self.reading, Reading::Frames(..))
            && now.is_some_and(|now| now.form == Form::Sealed)
    }

    fn read_frame(&mut self, job: &Job) -> Result<(), SegmentError> {
        let Reading::Frames(reader, offset) = &mut self.reading else {
            return Ok(());
        };
        let read = match job.order {
            Order::Asc => reader.after(offset)?,
            Order::Desc => reader.before(offset)?,
        };
        match read {
            ReadStep::Edge => self.done = true,
            ReadStep::Damaged => self.damaged += 1,
            ReadStep::Frame(rows) => {
                let edge = match job.order {
                    Order::Asc => rows.last(),
                    Order::Desc => rows.first(),
                };
                self.read_to = edge.map(|row| row.at).or(self.read_to);
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

    fn read_window(&mut self, job: &Job, rows_max: usize) -> Result<(), SegmentError> {
        let segment = job.sources.catalog.get(self.id).ok_or(SegmentError::Gone)?;
        let sealed = sealed_file::open(&segment, &job.sources.keyring)?;
        // Its room is given back first: the next window is as large.
        (self.rows, self.batch) = (VecDeque::new(), None);
        let (filter, order, stop) = (&job.filter, job.order, &|| job.is_over());
        let wanted = Wanted { filter, order, from: self.read_to, rows_max, stop };
        let window = sealed.window(&wanted, &mut self.survey)?;
        self.done = !window.more || window.stopped;
        self.read_to = window.read_to;
        if window.damaged_rows > 0 && !self.told {
            self.told = true;
            self.damaged += 1;
        }
        self.batch = Some(window.rows);
        Ok(())
    }
}

/// The instant up to which `after` has read a segment, itself included: rows of one instant are ordered by file.
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
