//! One commit: what waits is sealed, written, and as durable as configured before anybody hears of it.
//!
//! ```text
//! pending records -> frames (one hour each) -> sealed -> one write -> [fdatasync] -> readers may see -> askers are woken
//! ```
//!
//! At the turn of the hour a commit ends one segment and begins the next. Any error poisons: the segment is given up
//! (after a failed fsync nobody knows what is on disk, and asking again lies), everybody in flight hears `Unwritable`,
//! and a fresh segment is tried after [`crate::limits::LOG_RETRY_PAUSE`].

use super::{
    pending::Records,
    segment_file::{SegmentFile, SegmentMaker, WriteError},
};
use crate::clock::{Hour, Timestamp};

/// The writing side, used by one thread at a time.
#[derive(Debug)]
pub(in crate::query_log) struct Committer {
    maker: SegmentMaker,
    active: Option<SegmentFile>,
    /// What is being committed, and the buffer for the next time.
    pub(in crate::query_log) taken: Records,
}

impl Committer {
    pub(in crate::query_log) fn new(maker: SegmentMaker) -> Self {
        Self { maker, active: None, taken: Records::default() }
    }

    /// Writes what was taken. After an error there is no active segment any more.
    pub(in crate::query_log) fn write(&mut self, now: Timestamp) -> Result<(), WriteError> {
        let Self { maker, active, taken } = self;
        let written = write_frames(maker, active, taken, now);
        if written.is_err()
            && let Some(failed) = active.take()
        {
            maker.give_up(failed.segment());
        }
        written
    }

    /// Tries a fresh segment, after an error.
    pub(in crate::query_log) fn revive(
        &mut self,
        hour: Hour,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        if self.active.is_none() {
            self.active = Some(self.maker.create(hour, now)?);
        }
        Ok(())
    }

    /// Forgets the active segment without ending it, as a crash would.
    #[cfg(test)]
    pub(in crate::query_log) fn forget(&mut self) {
        self.active = None;
    }

    /// The hour of the active segment.
    pub(in crate::query_log) fn active_hour(&self) -> Option<Hour> {
        self.active.as_ref().map(SegmentFile::hour)
    }

    /// Ends the active segment, if there is one.
    pub(in crate::query_log) fn finish(&mut self) -> Result<(), WriteError> {
        self.active.take().map_or(Ok(()), |active| active.finish().map_err(WriteError::Io))
    }
}

fn write_frames(
    maker: &SegmentMaker,
    active: &mut Option<SegmentFile>,
    records: &Records,
    now: Timestamp,
) -> Result<(), WriteError> {
    for (frame, content) in records.frames() {
        let fits =
            |segment: &SegmentFile| segment.hour() == frame.hour && segment.has_room(frame.records);
        if !active.as_ref().is_some_and(fits) {
            if let Some(mut full) = active.take() {
                if let Err(error) = full.commit() {
                    maker.give_up(full.segment());
                    return Err(error.into());
                }
                full.finish()?;
            }
            *active = Some(maker.create(frame.hour, now)?);
        }
        if let Some(segment) = active {
            segment.seal(frame.records, content);
        }
    }
    active.as_mut().map_or(Ok(()), |segment| segment.commit().map_err(WriteError::Io))
}
