//! One commit: encrypt and write the pending records, and make them as durable as configured, before any ack resolves.
//!
//! At the change of the hour a commit finishes one segment and begins the next.
//!
//! Any error poisons the segment: the log abandons it and never writes it again. After a failed fsync nobody knows what is on
//! disk, and a second fsync may report success falsely. Every pending append fails with `Unwritable`. The log tries a new
//! segment after [`crate::limits::LOG_RETRY_PAUSE`].

use std::time::Instant;

use super::{
    pending::Records,
    segment_file::{SegmentFile, SegmentMaker, WriteError},
};
use crate::clock::Hour;

/// The writing side, used by one thread at a time.
#[derive(Debug)]
pub(crate) struct Committer {
    maker: SegmentMaker,
    pub(in crate::query_log) active: Option<SegmentFile>,
    /// The records of this commit; the buffer is used again for the next.
    pub(crate) records: Records,
}

impl Committer {
    pub(crate) fn new(maker: SegmentMaker) -> Self {
        Self { maker, active: None, records: Records::default() }
    }

    /// Writes `records`. After an error there is no active segment.
    pub(crate) fn write(&mut self) -> Result<(), WriteError> {
        let Self { maker, active, records } = self;
        let began = Instant::now();
        let written = write_frames(maker, active, records);
        maker.durations.commit.observe(began.elapsed());
        if written.is_err()
            && let Some(failed) = active.take()
        {
            maker.abandon(failed.segment());
        }
        written
    }

    /// Creates a new segment after an error.
    pub(crate) fn reopen(&mut self, hour: Hour) -> Result<(), WriteError> {
        if self.active.is_none() {
            self.active = Some(self.maker.create(hour)?);
        }
        Ok(())
    }

    pub(crate) fn active_hour(&self) -> Option<Hour> {
        self.active.as_ref().map(SegmentFile::hour)
    }

    pub(crate) fn finish(&mut self) -> Result<(), WriteError> {
        self.active.take().map_or(Ok(()), |active| active.finish().map_err(WriteError::Io))
    }
}

fn write_frames(
    maker: &SegmentMaker,
    active: &mut Option<SegmentFile>,
    records: &Records,
) -> Result<(), WriteError> {
    for (frame, content) in records.frames() {
        let fits =
            |segment: &SegmentFile| segment.hour() == frame.hour && segment.has_room(frame.records);
        if !active.as_ref().is_some_and(fits) {
            if let Some(mut full) = active.take() {
                if let Err(error) = full.commit() {
                    maker.abandon(full.segment());
                    return Err(error.into());
                }
                full.finish()?;
            }
            *active = Some(maker.create(frame.hour)?);
        }
        if let Some(segment) = active {
            segment.encrypt(frame, content);
        }
    }
    active.as_mut().map_or(Ok(()), |segment| segment.commit().map_err(WriteError::Io))
}
