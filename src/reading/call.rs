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

/// A call with one answer.
pub trait Answer: Call + Send + 'static {
    /// Whether it reads much. A server answers few such calls at once.
    const IS_COSTLY: bool = true;
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

    /// Notes the call as made by the operator `by`.
    fn begin(&self, records: &Records, by: &str) -> Result<Reading<Self::Row>, ReadingError>;
}

/// Takes a row; false if nobody wants more.
type Take<'a, R> = &'a mut dyn FnMut(R) -> bool;

/// Reads rows to the end and says what is missing; nothing if it was stopped before.
type Read<R> = Box<dyn FnOnce(&Stop, Take<'_, R>) -> Result<Option<Outcome>, ReadingError> + Send>;

/// A call that is noted and whose rows are not read yet.
pub struct Reading<R> {
    /// Counts the records that are given.
    pub audited: Audited,
    /// Reads them, uncounted.
    pub read: Read<R>,
}

impl<R: Row> Reading<R> {
    pub(super) fn new(
        audited: Audited,
        read: impl FnOnce(&Stop, Take<'_, R>) -> Result<Option<Outcome>, ReadingError> + Send + 'static,
    ) -> Self {
        Self { audited, read: Box::new(read) }
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
        let Self { mut audited, read } = self;
        let outcome = read(stop, &mut |row| {
            audited.add(row.is_record().into());
            take(row)
        })?;
        let outcome = outcome.ok_or(ReadingError::Stopped)?;
        audited.finish();
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
