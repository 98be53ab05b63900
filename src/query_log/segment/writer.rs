//! Writes rows, given in the order of time, as the parts of a sealed segment.

use std::{io, ops::ControlFlow};

use parquet::{file::metadata::KeyValue, file::writer::SerializedFileWriter};

use super::{
    clients::HashedClient,
    column,
    digest::{RowHasher, RowSum},
    footer,
    group::{Groups, Table},
    merge_pass::MergePass,
    part::PartSink,
    sort_buffer::SortBuffer,
};
use crate::{
    clock::{Hour, Timestamp},
    limits,
    query_log::{
        record::{EachRow, RowView},
        segment_error::SealError,
    },
};

#[cfg(test)]
#[path = "tests/planted.rs"]
pub(super) mod planted;

/// Rows between two calls of `stop`.
const ROWS_PER_STOP_CHECK: u64 = 4_096;

/// Passes every row of a segment to its argument, in the order of time. The writer calls it several times, and each call
/// must pass the same rows.
type RowSource<'a> = dyn FnMut(&mut EachRow<'_>) -> Result<(), SealError> + 'a;

pub(crate) struct WriteOptions<'a> {
    pub(crate) rows_max: usize,
    pub(crate) page_rows: usize,
    pub(crate) seed: u64,
    /// Whether to stop; called every few thousand rows.
    pub(crate) stop: &'a dyn Fn() -> bool,
}

impl<'a> WriteOptions<'a> {
    /// The limits of production.
    pub(crate) const fn new(seed: u64, stop: &'a dyn Fn() -> bool) -> Self {
        Self {
            rows_max: limits::LOG_SEAL_ROWS_MAX,
            page_rows: limits::LOG_SEALED_PAGE_ROWS,
            seed,
            stop,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The digest of the source's rows.
    pub(crate) sum: RowSum,
    /// The instants of the first and the last row; none without rows.
    pub(crate) span: Option<(Timestamp, Timestamp)>,
}

/// Writes the rows of `hour` into `sink`. `total` is the expected number of rows; a wrong number costs only more passes.
/// After an error the bytes in the sink are useless.
pub(crate) fn write(
    sink: &mut impl PartSink,
    source: &mut RowSource<'_>,
    hour: Hour,
    total: u64,
    options: &WriteOptions<'_>,
) -> Result<Written, SealError> {
    let schema = column::schema()?;
    let properties = column::properties(options.page_rows)?;
    let mut file = SerializedFileWriter::new(Tee { sink, copy: None }, schema, properties)?;
    let hasher = RowHasher::new(options.seed);
    let mut buffer = SortBuffer::new(options.rows_max, total, hasher.clone());
    let mut rows = CheckedSource { source, hour, sum: hasher.sum(), hasher, span: None };
    let (mut tables, mut records, mut after) = (Vec::new(), 0, None);
    loop {
        let mut pass = MergePass::new(after.take(), total);
        rows.for_each_row(options.stop, |at, row, client| {
            pass.offer(at, row, client, &mut buffer)
        })?;
        if buffer.rows.is_empty() {
            break;
        }
        buffer.sort();
        records += buffer.rows.len() as u64;
        after = buffer.last();
        #[cfg(test)]
        planted::apply(&mut buffer.rows);
        let mut groups =
            Groups { file: &mut file, page_rows: options.page_rows, stop: options.stop };
        tables.push(groups.write(&mut buffer)?);
        if !pass.has_rest {
            break;
        }
    }
    let CheckedSource { sum, span, .. } = rows;
    if sum.records != records {
        return Err(SealError::Differs("the frames changed while they were read"));
    }
    finish(file, hour, &tables)?;
    Ok(Written { sum, span })
}

fn finish<S: PartSink>(
    mut file: SerializedFileWriter<Tee<'_, S>>,
    hour: Hour,
    tables: &[Table],
) -> Result<(), SealError> {
    for (key, value) in footer::metadata(hour, tables) {
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

/// The source, and what the writer checks and computes about its rows.
struct CheckedSource<'a, 's> {
    source: &'a mut RowSource<'s>,
    hour: Hour,
    hasher: RowHasher,
    /// The digest of the first pass.
    sum: RowSum,
    span: Option<(Timestamp, Timestamp)>,
}

impl CheckedSource<'_, '_> {
    /// Passes every row to `each`, with its microseconds into the hour and its client.
    fn for_each_row(
        &mut self,
        stop: &dyn Fn() -> bool,
        mut each: impl FnMut(u32, &RowView<'_>, &HashedClient),
    ) -> Result<(), SealError> {
        let (start, end) = (self.hour.start(), self.hour.end());
        let mut fault = None;
        let mut last: Option<Timestamp> = None;
        let mut seen = 0u64;
        let is_first = self.span.is_none();
        let mut client: Option<HashedClient> = None;
        let Self { source, hasher, sum, span, .. } = self;
        source(&mut |row| {
            seen += 1;
            let problem = if row.at < start || row.at >= end {
                Some(SealError::Damaged("a row belongs to another hour"))
            } else if last.is_some_and(|last| row.at <= last) {
                Some(SealError::Damaged("the rows are not in the order of time"))
            } else if seen.is_multiple_of(ROWS_PER_STOP_CHECK) && stop() {
                Some(SealError::Stopped)
            } else {
                None
            };
            if problem.is_some() {
                fault = problem;
                return ControlFlow::Break(());
            }
            last = Some(row.at);
            // Consecutive rows often have the same client.
            let client = match client.filter(|client| client.client == row.client) {
                Some(client) => client,
                None => {
                    let hash = hasher.client(&row.client);
                    *client.insert(HashedClient { client: row.client, hash })
                }
            };
            if is_first {
                *span = Some((span.map_or(row.at, |span| span.0), row.at));
                hasher.add(sum, &hasher.row(row, client.hash));
            }
            // An hour of microseconds fits into a u32.
            each((row.at.as_micros() - start.as_micros()) as u32, row, &client);
            ControlFlow::Continue(())
        })?;
        fault.map_or(Ok(()), Err)
    }
}

/// Writes to the sink, and copies the bytes of the footer.
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
