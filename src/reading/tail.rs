//! Records as they are committed.

use super::records::{ReadingError, Records};
use crate::{
    api::{Call as _, RecordFilter},
    audit::{Audited, Call, Filters},
    query_log::{Cursor, Filter, LogReader, LogRow, Order, Tail},
};

/// Records read at one look; more wait for the reader.
const ROWS_AT_ONCE: usize = 1_000;

/// Notes the call as made by the operator `by`, and follows the log from now on.
pub fn follow(
    records: &Records,
    by: &str,
    request: &RecordFilter,
) -> Result<(Follower, Audited), ReadingError> {
    let filter = request.resolve(records.now())?;
    let filters = Filters::of(&filter).in_case(request.case());
    let (reader, audited) = records.read(by, Call::Tail, &filters)?;
    let position = match records.dispatch() {
        Some(_) => Position::Server(Box::new(reader.tail(reader.position(), &filter))),
        None => Position::Files { filter, after: newest(&reader)? },
    };
    Ok((Follower { records: records.clone(), position }, audited))
}

/// Follows the log.
pub struct Follower {
    records: Records,
    position: Position,
}

enum Position {
    /// The writer says how far the log is committed.
    Server(Box<Tail>),
    /// Files have no writer to ask: each look searches behind the last record seen.
    Files { filter: Filter, after: Option<Cursor> },
}

impl Follower {
    /// The records since the last call, and whether the call reached the end of the log. If it did not, call again at
    /// once, even if no record matched.
    pub fn next_rows(&mut self, audited: &Audited) -> Result<(Vec<LogRow>, bool), ReadingError> {
        match &mut self.position {
            Position::Server(tail) => {
                let from = tail.position();
                let rows = tail.next_rows(ROWS_AT_ONCE)?;
                let is_at_end = tail.position() == from;
                Ok((rows.into_iter().map(|(_, row)| row).collect(), is_at_end))
            }
            Position::Files { filter, after } => {
                let Some(reader) = self.records.reopened(audited)? else {
                    return Ok((Vec::new(), true));
                };
                let mut rows = Vec::new();
                for found in reader.search(filter, Order::Asc, *after).take(ROWS_AT_ONCE) {
                    let (cursor, row) = found?;
                    *after = Some(cursor);
                    rows.push(row);
                }
                let is_at_end = rows.len() < ROWS_AT_ONCE;
                Ok((rows, is_at_end))
            }
        }
    }
}

fn newest(reader: &LogReader) -> Result<Option<Cursor>, ReadingError> {
    let newest = reader.search(&Filter::default(), Order::Desc, None).next();
    Ok(newest.transpose()?.map(|(cursor, _)| cursor))
}
