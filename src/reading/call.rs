//! The two kinds of calls: those with one answer, and those with rows.

use std::sync::Arc;

use serde::Serialize;

use super::{
    outcome::Outcome,
    records::{ReadingError, Records},
};
use crate::{
    api::{Call, Row},
    audit::Audited,
};

/// Asked now and then while a call reads: whether nobody waits for the answer any more.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// A call with one answer. A server answers few at once.
pub trait Answer: Call + Send + 'static {
    /// What it gives.
    type Answer: Serialize + Send + 'static;

    /// Notes the call as made by the operator `by`, and reads.
    fn answer(
        &self,
        records: &Records,
        by: &str,
        stop: &Stop,
    ) -> Result<Self::Answer, ReadingError>;
}

/// A call with any number of rows.
pub trait Rows: Call + Send + 'static {
    /// What each of them is.
    type Row: Row;
    /// Whether it reads a window of time.
    const HAS_WINDOW: bool = true;

    /// Notes the call as made by the operator `by`.
    fn begin(&self, records: &Records, by: &str) -> Result<Reading<Self::Row>, ReadingError>;
}

/// Takes a row; false if nobody wants more.
pub(super) type Take<'a, R> = &'a mut dyn FnMut(R) -> bool;

/// Reads rows to the end and says what is missing; nothing if it was stopped before.
type Read<R> = Box<dyn FnOnce(&Stop, Take<'_, R>) -> Result<Option<Outcome>, ReadingError> + Send>;

/// Counts the records that are given, in the entry of the call. A call that gives none needs no entry.
pub struct Given(Option<Audited>);

impl Given {
    /// Counts records that are about to be given.
    pub fn add(&mut self, records: u64) {
        if let Some(audited) = &mut self.0 {
            audited.add(records);
        }
    }

    /// Notes that the call is complete. Writes to the disk, so call it on a thread that may wait.
    pub fn finish(self) {
        if let Some(audited) = self.0 {
            audited.finish();
        }
    }
}

/// A call that is noted and whose rows are not read yet.
pub struct Reading<R> {
    /// Counts the records that are given.
    pub given: Given,
    /// Reads them, uncounted.
    pub read: Read<R>,
}

impl<R: Row> Reading<R> {
    pub(super) fn new(
        audited: Audited,
        read: impl FnOnce(&Stop, Take<'_, R>) -> Result<Option<Outcome>, ReadingError> + Send + 'static,
    ) -> Self {
        Self { given: Given(Some(audited)), read: Box::new(read) }
    }

    /// Of a call that gives no record: it leaves no entry.
    pub(super) fn unaudited(
        read: impl FnOnce(&Stop, Take<'_, R>) -> Result<Option<Outcome>, ReadingError> + Send + 'static,
    ) -> Self {
        Self { given: Given(None), read: Box::new(read) }
    }

    /// Reads every row on this thread and counts it as given when `take` gets it.
    ///
    /// # Errors
    /// If something cannot be read, or it was stopped; then the entry says that the call broke off.
    pub fn each(
        self,
        stop: &Stop,
        mut take: impl FnMut(R) -> bool,
    ) -> Result<Outcome, ReadingError> {
        let Self { mut given, read } = self;
        let outcome = read(stop, &mut |row| {
            given.add(row.is_record().into());
            take(row)
        })?;
        let outcome = outcome.ok_or(ReadingError::Stopped)?;
        given.finish();
        Ok(outcome)
    }
}

/// Hands `rows` on until there are no more. False if nobody wants more.
pub(super) fn send_rows<T, E: Into<ReadingError>>(
    rows: impl Iterator<Item = Result<T, E>>,
    take: Take<'_, T>,
) -> Result<bool, ReadingError> {
    for row in rows {
        if !take(row.map_err(Into::into)?) {
            return Ok(false);
        }
    }
    Ok(true)
}
