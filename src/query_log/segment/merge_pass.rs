//! One pass over the source: which rows wait for the next row group.
//!
//! A segment of more rows than may wait is read several times, each pass keeping the smallest of the rows that are not yet
//! written. Where those end is not known beforehand: when memory is full, the rows behind a quantile are dropped, and all
//! that come behind it from then on. The quantile is such that, if handles go on coming as they did, nine tenths of the
//! budget are used at the end; never less than half of what waits is kept, so a segment of n budgets takes at most 2n + 1
//! passes, however its handles are spread over the hour.

use std::cmp::Ordering;

use super::{
    clients::Hashed,
    sort_buffer::{SortBuffer, SortKey},
};
use crate::query_log::frames::row_view::RowView;

/// What one pass has met.
pub(super) struct Pass {
    /// Rows up to this place are written.
    after: Option<SortKey>,
    /// Rows behind this place wait for another pass.
    cut: Option<SortKey>,
    total: u64,
    seen: u64,
    /// Whether rows are left for another pass.
    pub(super) left: bool,
}

impl Pass {
    pub(super) const fn new(after: Option<SortKey>, total: u64) -> Self {
        Self { after, cut: None, total, seen: 0, left: false }
    }

    /// Meets the next row, of `client`, `at` microseconds into the hour.
    pub(super) fn offer(
        &mut self,
        at: u32,
        row: &RowView<'_>,
        client: &Hashed,
        waiting: &mut SortBuffer,
    ) {
        self.seen += 1;
        let is_behind = |place: &SortKey| place.compare(row.handle, at) == Ordering::Greater;
        if !self.after.as_ref().is_none_or(is_behind) {
            return;
        }
        if self.cut.as_ref().is_some_and(is_behind) {
            self.left = true;
            return;
        }
        if waiting.is_full() {
            self.cut = waiting.cut(self.rows_to_keep(waiting.rows.len())).or(self.cut.take());
            self.left = true;
            if self.cut.as_ref().is_some_and(is_behind) {
                return;
            }
        }
        waiting.push(at, row, client);
    }

    fn rows_to_keep(&self, waiting: usize) -> usize {
        let waiting = waiting as u64;
        let expected = waiting * 9 / 10 * self.seen.min(self.total) / self.total.max(1);
        // At most what waits, which fits.
        expected.max(waiting / 2) as usize
    }
}
