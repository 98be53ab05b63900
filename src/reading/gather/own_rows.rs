//! [`OwnRows`]: the rows of this node's own log, of which some are read ahead.

use std::collections::VecDeque;

use crate::limits;

/// The rows of a search in this node's own log. What could not be read up to the last row that was read counts, given or not.
pub(super) struct OwnRows<S: Iterator> {
    /// The first rows, until they are given.
    first: VecDeque<S::Item>,
    search: S,
}

impl<S: Iterator<Item = Result<R, E>>, R, E> OwnRows<S> {
    /// Reads this node's share of a page that so many `nodes` give together, as far as it is found while `goes_on`: the merge then waits for
    /// the first rows of the others, which read meanwhile. One row is read in any case, and without a page no more.
    pub(super) fn begin(
        search: S,
        (page, nodes): (Option<usize>, usize),
        goes_on: impl Fn() -> bool,
    ) -> Self {
        // An answer line by line may have a limit without bounds.
        let share = page.unwrap_or(1).min(limits::LOG_PAGE_RECORDS_MAX).div_ceil(nodes);
        let mut rows = Self { first: VecDeque::new(), search };
        for row in rows.search.by_ref() {
            let is_row = row.is_ok();
            rows.first.push_back(row);
            if !is_row || share <= rows.first.len() || !goes_on() {
                break;
            }
        }
        rows
    }

    /// What reads the rows.
    pub(super) const fn search(&self) -> &S {
        &self.search
    }

    /// The next row; none if there is no more.
    pub(super) fn next(&mut self) -> Option<Result<R, E>> {
        self.first.pop_front().or_else(|| self.search.next())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many rows of so many are read ahead, with time for all of them. All are given once, in their order.
    fn ahead_of(rows: usize, page: Option<usize>, nodes: usize) -> usize {
        ahead_in_time(rows, (page, nodes), usize::MAX)
    }

    /// The same with time for so many.
    fn ahead_in_time(rows: usize, page: (Option<usize>, usize), time: usize) -> usize {
        let read = Cell::new(0);
        let search = (0..rows).map(|row| {
            read.set(row + 1);
            if row == 700 { Err(row) } else { Ok(row) }
        });
        let mut own = OwnRows::begin(search, page, || read.get() < time);
        let ahead = read.get();
        for row in 0..rows {
            assert_eq!(own.next(), Some(if row == 700 { Err(row) } else { Ok(row) }));
        }
        assert_eq!(own.next(), None);
        ahead
    }

    #[test]
    fn a_node_reads_its_share_of_a_page_and_one_row_without_a_page() {
        assert_eq!(ahead_of(600, Some(100), 3), 34);
        assert_eq!(ahead_of(600, Some(100), 1), 100);
        assert_eq!(ahead_of(20, Some(100), 3), 20, "there are no more");
        assert_eq!(ahead_of(600, None, 3), 1);
    }

    #[test]
    fn rare_rows_are_not_waited_for() {
        assert_eq!(ahead_in_time(600, (Some(100), 3), 7), 7);
        assert_eq!(ahead_in_time(600, (Some(100), 3), 0), 1);
    }

    #[test]
    fn a_limit_without_bounds_is_no_page() {
        assert_eq!(ahead_of(600, Some(usize::MAX), 3), limits::LOG_PAGE_RECORDS_MAX.div_ceil(3));
    }

    #[test]
    fn nothing_is_read_behind_an_error() {
        assert_eq!(ahead_of(900, Some(1_000), 1), 701);
    }
}
