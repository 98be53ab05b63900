//! Records that wait for the next commit, encoded as they come: the critical section of an append.

use std::{borrow::Borrow, mem, sync::Arc};

use super::{
    append_ack::{AppendAck, AppendError, CommitGroup},
    codec::{self, RECORD_BYTES_MAX},
    wakeup::Wakeup,
};
use crate::{
    clock::{Clock, Hour, Timestamp},
    limits,
    query_log::{log_clock::LogClock, record::Record},
};

/// A frame in the making: a run of records of one hour.
#[derive(Clone, Copy, Debug)]
pub(in crate::query_log) struct PendingFrame {
    pub(in crate::query_log) hour: Hour,
    /// Where its content starts in the bytes; it ends where the next starts.
    pub(in crate::query_log) start: usize,
    pub(in crate::query_log) records: u32,
    pub(in crate::query_log) last: Timestamp,
}

/// Encoded records, cut into frames.
#[derive(Debug, Default)]
pub(in crate::query_log) struct Records {
    pub(in crate::query_log) bytes: Vec<u8>,
    pub(in crate::query_log) frames: Vec<PendingFrame>,
    pub(in crate::query_log) count: usize,
}

impl Records {
    pub(in crate::query_log) fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
        self.count = 0;
    }

    /// Each frame with its content.
    pub(in crate::query_log) fn frames(&self) -> impl Iterator<Item = (&PendingFrame, &[u8])> {
        let ends = self.frames.iter().skip(1).map(|frame| frame.start).chain([self.bytes.len()]);
        let content = |(frame, end): (&'_ PendingFrame, usize)| self.bytes.get(frame.start..end);
        self.frames.iter().zip(ends).map(move |pair| (pair.0, content(pair).unwrap_or_default()))
    }

    fn push(&mut self, at: Timestamp, record: &Record) {
        let fits = |frame: &&mut PendingFrame| {
            frame.hour == at.hour()
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
                self.frames.push(PendingFrame { hour: at.hour(), start, records: 1, last: at });
                codec::start_frame(&mut self.bytes, at);
                0
            }
        };
        codec::encode(&mut self.bytes, delta_us, record);
        self.count += 1;
    }
}

/// The buffer that appends go to.
pub(in crate::query_log) struct Pending {
    records: Records,
    batch: Arc<CommitGroup>,
    time: LogClock,
    accepting: bool,
    closed: bool,
    wakeup: Arc<Wakeup>,
}

impl Pending {
    pub(in crate::query_log) fn new(time: LogClock, wakeup: Arc<Wakeup>) -> Self {
        let batch = CommitGroup::new(&wakeup);
        Self { records: Records::default(), batch, time, accepting: true, closed: false, wakeup }
    }

    /// Takes `records` in, all or none. True if they are the first since the last commit.
    pub(in crate::query_log) fn append<R: Borrow<Record>>(
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
            self.records.push(at, record.borrow());
        }
        Ok(AppendAck::new(Arc::clone(&self.batch)))
    }

    /// Hands over what waits, and takes an empty buffer for what comes next. None if nothing waits.
    pub(in crate::query_log) fn take(&mut self, spare: &mut Records) -> Option<Arc<CommitGroup>> {
        if self.records.count == 0 {
            return None;
        }
        spare.clear();
        mem::swap(&mut self.records, spare);
        Some(mem::replace(&mut self.batch, CommitGroup::new(&self.wakeup)))
    }

    /// Accepts nothing more for now; what waits is handed back to be told.
    pub(in crate::query_log) fn refuse(&mut self) -> Arc<CommitGroup> {
        self.accepting = false;
        self.records.clear();
        mem::replace(&mut self.batch, CommitGroup::new(&self.wakeup))
    }

    /// Accepts again, unless closed for good.
    pub(in crate::query_log) fn accept(&mut self) {
        self.accepting = !self.closed;
    }

    /// Accepts nothing ever again; what waits stays, to be committed.
    pub(in crate::query_log) fn close(&mut self) {
        self.closed = true;
        self.accepting = false;
    }

    pub(in crate::query_log) const fn is_accepting(&self) -> bool {
        self.accepting
    }

    pub(in crate::query_log) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The log's present time.
    pub(in crate::query_log) fn now(&self, clock: &dyn Clock) -> Timestamp {
        self.time.peek(clock)
    }
}
