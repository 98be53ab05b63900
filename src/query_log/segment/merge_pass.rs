//! One pass over the source: collects the rows of the next row group.
//!
//! The writer reads a segment with more rows than the buffer holds several times. Each pass keeps the smallest rows that are
//! not written yet. Their upper bound is not known beforehand: when the buffer is full, the pass drops the rows above a
//! quantile, and from then on skips every row above it. If handles continue to come as before, the quantile fills nine tenths
//! of the buffer at the end of the pass. The pass always keeps at least half of the buffer. So a segment of n buffers takes
//! at most 2n + 1 passes, whatever the distribution of its handles.

use std::cmp::Ordering;

use super::{
    clients::HashedClient,
    sort_buffer::{SortBuffer, SortKey},
};
use crate::query_log::record::RowView;

pub(super) struct MergePass {
    /// Rows up to this key are written.
    after: Option<SortKey>,
    /// Rows behind this key are left to the next pass.
    cut: Option<SortKey>,
    total: u64,
    seen: u64,
    pub(super) has_rest: bool,
}

impl MergePass {
    pub(super) const fn new(after: Option<SortKey>, total: u64) -> Self {
        Self { after, cut: None, total, seen: 0, has_rest: false }
    }

    /// Offers the next row to the buffer, which takes, skips or leaves it. `at` is in microseconds into the hour.
    pub(super) fn offer(
        &mut self,
        at: u32,
        row: &RowView<'_>,
        client: &HashedClient,
        buffer: &mut SortBuffer,
    ) {
        self.seen += 1;
        let is_behind = |key: &SortKey| key.compare(row.handle, at) == Ordering::Greater;
        if !self.after.as_ref().is_none_or(is_behind) {
            return;
        }
        if self.cut.as_ref().is_some_and(is_behind) {
            self.has_rest = true;
            return;
        }
        if buffer.is_full() {
            self.cut = buffer.cut(self.rows_to_keep(buffer.rows.len())).or(self.cut.take());
            self.has_rest = true;
            if self.cut.as_ref().is_some_and(is_behind) {
                return;
            }
        }
        buffer.push(at, row, client);
    }

    fn rows_to_keep(&self, buffered: usize) -> usize {
        let buffered = buffered as u64;
        let expected = buffered * 9 / 10 * self.seen.min(self.total) / self.total.max(1);
        // At most `buffered`, which is a usize.
        expected.max(buffered / 2) as usize
    }
}
