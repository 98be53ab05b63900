//! The buffer of encoded records that the next commit writes. An append encodes its records inside this critical section.

use std::{borrow::Borrow, mem, sync::Arc};

use super::{
    append_ack::{AppendAck, AppendError, CommitGroup},
    codec::{self, RECORD_BYTES_MAX},
    flusher::Wakeup,
};
use crate::{
    clock::{Clock, Era, Hour, Timestamp},
    limits,
    query_log::{log_clock::LogClock, record::Record},
};

/// A frame of the next commit: consecutive records of one hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingFrame {
    /// The offset of its content in the buffer. The content ends where that of the next frame starts.
    start: usize,
    pub(crate) records: u32,
    pub(crate) hour: Hour,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

/// Encoded records, divided into frames.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    frames: Vec<PendingFrame>,
    count: usize,
}

impl Records {
    fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
        self.count = 0;
    }

    pub(crate) fn frames(&self) -> impl Iterator<Item = (&PendingFrame, &[u8])> {
        let ends = self.frames.iter().skip(1).map(|frame| frame.start).chain([self.bytes.len()]);
        let content = |(frame, end): (&'_ PendingFrame, usize)| self.bytes.get(frame.start..end);
        self.frames.iter().zip(ends).map(move |pair| (pair.0, content(pair).unwrap_or_default()))
    }

    fn push(&mut self, (at, era): (Timestamp, Era), record: &Record) {
        let hour = at.hour(era);
        let fits = |frame: &&mut PendingFrame| {
            frame.hour == hour
                && frame.last <= at
                && self.bytes.len() - frame.start + RECORD_BYTES_MAX <= limits::LOG_FRAME_BYTES_MAX
        };
        let delta_us = match self.frames.last_mut().filter(fits) {
            Some(frame) => {
                let delta_us = at.as_micros() - frame.last.as_micros();
                frame.records += 1;
                frame.last = at;
                delta_us
            }
            None => {
                let start = self.bytes.len();
                self.frames.push(PendingFrame { start, records: 1, hour, first: at, last: at });
                codec::start_frame(&mut self.bytes, at);
                0
            }
        };
        codec::encode(&mut self.bytes, delta_us, record);
        self.count += 1;
    }
}

/// The buffer that appends write to, and whether they may.
pub(crate) struct Pending {
    records: Records,
    group: Arc<CommitGroup>,
    time: LogClock,
    accepting: bool,
    closed: bool,
    wakeup: Arc<Wakeup>,
}

impl Pending {
    pub(crate) fn new(time: LogClock, wakeup: Arc<Wakeup>) -> Self {
        let group = CommitGroup::new(&wakeup);
        Self { records: Records::default(), group, time, accepting: true, closed: false, wakeup }
    }

    /// Appends all of `records`, or none.
    pub(crate) fn append<R: Borrow<Record>>(
        &mut self,
        clock: &dyn Clock,
        records: impl ExactSizeIterator<Item = R>,
    ) -> Result<AppendAck, AppendError> {
        if !self.accepting {
            return Err(AppendError::Unwritable);
        }
        if self.records.count + records.len() > limits::LOG_QUEUE_RECORDS_MAX {
            return Err(AppendError::Overloaded);
        }
        if records.len() == 0 {
            return Ok(AppendAck::of_nothing(&self.wakeup));
        }
        let mut first = true;
        for record in records {
            let at = if mem::take(&mut first) { self.time.next(clock) } else { self.time.follow() };
            self.records.push((at, self.time.era()), record.borrow());
        }
        Ok(AppendAck::new(Arc::clone(&self.group)))
    }

    /// No record of this era that is appended from now on has an earlier instant.
    pub(crate) fn not_before(&mut self, floor: Timestamp, clock: &dyn Clock) {
        self.time.not_before(floor, clock);
    }

    /// Moves the pending records into `spare`, whose buffer then holds the next ones. None if no record is pending.
    pub(crate) fn take_group(&mut self, spare: &mut Records) -> Option<Arc<CommitGroup>> {
        if self.records.count == 0 {
            return None;
        }
        // Each record of the group must be in exactly one frame, or its ack would resolve without it.
        let in_frames: usize = self.records.frames.iter().map(|frame| frame.records as usize).sum();
        assert_eq!(in_frames, self.records.count, "the frames hold all pending records");
        spare.clear();
        mem::swap(&mut self.records, spare);
        Some(mem::replace(&mut self.group, CommitGroup::new(&self.wakeup)))
    }

    /// The group of the pending records, if there are any.
    pub(crate) fn group(&self) -> Option<Arc<CommitGroup>> {
        (self.records.count > 0).then(|| Arc::clone(&self.group))
    }

    /// Refuses appends until [`Self::accept`] and drops the pending records. The caller must resolve their group.
    pub(crate) fn refuse(&mut self) -> Arc<CommitGroup> {
        self.accepting = false;
        self.records.clear();
        mem::replace(&mut self.group, CommitGroup::new(&self.wakeup))
    }

    /// Accepts appends again, unless the log is closed.
    pub(crate) fn accept(&mut self) {
        self.accepting = !self.closed;
    }

    /// Refuses appends for good. The pending records stay and can be committed.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.accepting = false;
    }

    /// Whether it refuses appends only until [`Self::accept`].
    pub(crate) const fn may_reopen(&self) -> bool {
        !self.accepting && !self.closed
    }

    /// The hour of a record that would be appended now.
    pub(crate) fn hour(&self, clock: &dyn Clock) -> Hour {
        self.time.hour(clock)
    }
}
