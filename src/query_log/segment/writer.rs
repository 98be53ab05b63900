//! Rows in the order of time, to parts of a sealed segment.

use std::{io, ops::ControlFlow};

use parquet::{file::metadata::KeyValue, file::writer::SerializedFileWriter};

use super::{
    client::Client,
    clients::Hashed,
    column,
    digest::{RowHasher, RowSum},
    error::WriteError,
    footer,
    group::{Groups, Table},
    merge_pass::Pass,
    part::PartSink,
    sort_buffer::SortBuffer,
};
use crate::{
    clock::{Hour, Timestamp},
    limits,
    query_log::frames::row_view::RowView,
};

/// Rows between two questions whether to stop.
const ROWS_PER_QUESTION: u64 = 4_096;

/// The rows of a segment, again and again.
pub(in crate::query_log) trait RowSource {
    /// What may go wrong.
    type Error;

    /// Gives every row, in the order written, until `each` breaks off. Called once for each pass; every call gives the same
    /// rows.
    fn pass(
        &mut self,
        each: &mut dyn FnMut(&RowView<'_>) -> ControlFlow<()>,
    ) -> Result<(), Self::Error>;
}

/// How to seal.
pub(in crate::query_log) struct WriteOptions<'a> {
    /// Rows that may wait in memory.
    pub(in crate::query_log) rows_max: usize,
    /// Rows in a page.
    pub(in crate::query_log) page_rows: usize,
    /// The seed of the digest.
    pub(in crate::query_log) seed: u64,
    /// Whether to give up, asked every few thousand rows.
    pub(in crate::query_log) stop: &'a dyn Fn() -> bool,
}

impl<'a> WriteOptions<'a> {
    /// With the usual limits.
    pub(in crate::query_log) const fn new(seed: u64, stop: &'a dyn Fn() -> bool) -> Self {
        Self {
            rows_max: limits::LOG_SEAL_ROWS_MAX,
            page_rows: limits::LOG_SEALED_PAGE_ROWS,
            seed,
            stop,
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::query_log) struct Written {
    /// Rows.
    pub(in crate::query_log) records: u64,
    /// The sum over the rows as the source gave them.
    pub(in crate::query_log) sum: RowSum,
    /// The instants of the first and the last row; none if there is no row.
    pub(in crate::query_log) span: Option<(Timestamp, Timestamp)>,
}

/// Writes the rows of `hour` into `sink`. `total` is how many rows to expect; a wrong guess costs passes, nothing else.
///
/// # Errors
/// [`WriteError`]; what is in the sink is of no use then.
pub(in crate::query_log) fn write<S: RowSource>(
    sink: &mut impl PartSink,
    source: &mut S,
    hour: Hour,
    total: u64,
    options: &WriteOptions<'_>,
) -> Result<Written, WriteError<S::Error>> {
    sink.begin_part()?;
    let schema = column::schema()?;
    let properties = column::properties(options.page_rows)?;
    let mut file = SerializedFileWriter::new(Tee { sink, copy: None }, schema, properties)?;
    let hasher = RowHasher::new(options.seed);
    let mut waiting = SortBuffer::new(options.rows_max, total, hasher.clone());
    let mut rows = CheckedSource { source, hour, sum: hasher.sum(), hasher, span: None };
    let (mut tables, mut records, mut after) = (Vec::new(), 0, None);
    loop {
        let mut pass = Pass::new(after.take(), total);
        rows.pass(options.stop, |at, row, client| pass.offer(at, row, client, &mut waiting))?;
        if waiting.rows.is_empty() {
            break;
        }
        waiting.sort();
        records += waiting.rows.len() as u64;
        after = waiting.last();
        #[cfg(test)]
        super::tests::mistake::make(&mut waiting.rows);
        let mut groups =
            Groups { file: &mut file, page_rows: options.page_rows, stop: options.stop };
        tables.push(groups.write(&mut waiting)?);
        if !pass.left {
            break;
        }
    }
    let sum = rows.sum(records)?;
    let span = rows.span;
    finish(file, hour, &tables)?;
    Ok(Written { records, sum, span })
}

fn finish<S: PartSink, E>(
    mut file: SerializedFileWriter<Tee<'_, S>>,
    hour: Hour,
    tables: &[Table],
) -> Result<(), WriteError<E>> {
    for (key, value) in footer::words(hour, tables) {
        file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    file.flush()?;
    let tee = file.inner_mut();
    tee.sink.begin_part()?;
    tee.copy = Some(Vec::new());
    file.finish()?;
    let Tee { sink, copy } = file.inner_mut();
    sink.begin_part()?;
    sink.write_all(copy.as_deref().unwrap_or_default())?;
    sink.flush()?;
    Ok(())
}

/// The source, with what is checked about its rows.
struct CheckedSource<'a, S> {
    source: &'a mut S,
    hour: Hour,
    hasher: RowHasher,
    /// Of the first pass.
    sum: RowSum,
    span: Option<(Timestamp, Timestamp)>,
}

impl<S: RowSource> CheckedSource<'_, S> {
    /// Gives every row to `each`, with its microseconds into the hour and its client.
    fn pass(
        &mut self,
        stop: &dyn Fn() -> bool,
        mut each: impl FnMut(u32, &RowView<'_>, &Hashed),
    ) -> Result<(), WriteError<S::Error>> {
        let (start, end) = (self.hour.start(), self.hour.end());
        let mut fault = None;
        let mut last: Option<Timestamp> = None;
        let mut seen = 0u64;
        let is_first = self.span.is_none();
        let mut client: Option<Hashed> = None;
        let Self { source, hasher, sum, span, .. } = self;
        let given = source.pass(&mut |row| {
            seen += 1;
            let problem = if row.at < start || row.at >= end {
                Some(WriteError::OtherHour)
            } else if last.is_some_and(|last| row.at <= last) {
                Some(WriteError::OutOfOrder)
            } else if seen.is_multiple_of(ROWS_PER_QUESTION) && stop() {
                Some(WriteError::Stopped)
            } else {
                None
            };
            if problem.is_some() {
                fault = problem;
                return ControlFlow::Break(());
            }
            last = Some(row.at);
            let of_row = Client::of(row);
            let client = match client.filter(|client| client.client == of_row) {
                // Rows of a batch come one after another.
                Some(client) => client,
                None => *client.insert(Hashed { client: of_row, hash: hasher.client(&of_row) }),
            };
            if is_first {
                *span = Some((span.map_or(row.at, |span| span.0), row.at));
                hasher.add(sum, &hasher.words(row, client.hash));
            }
            // Less than an hour of microseconds, which a u32 holds.
            each((row.at.as_micros() - start.as_micros()) as u32, row, &client);
            ControlFlow::Continue(())
        });
        given.map_err(WriteError::Source)?;
        fault.map_or(Ok(()), Err)
    }

    /// The sum of the first pass, if all its rows were written.
    fn sum(&self, written: u64) -> Result<RowSum, WriteError<S::Error>> {
        if self.sum.records() == written { Ok(self.sum) } else { Err(WriteError::Changed) }
    }
}

/// Passes bytes on, and keeps a copy of the footer's.
struct Tee<'a, S> {
    sink: &'a mut S,
    copy: Option<Vec<u8>>,
}

impl<S: PartSink> io::Write for Tee<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write_all(bytes)?;
        if let Some(copy) = &mut self.copy {
            copy.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
