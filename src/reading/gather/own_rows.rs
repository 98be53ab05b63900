//! [`OwnRows`]: the rows of this node's own log, of which some are read ahead.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::limits;

/// The rows of a search in this node's own log. What could not be read up to the last row that was read counts, given or not.
pub(super) struct OwnRows<S: Iterator> {
    /// The first rows, until they are given.
    first: VecDeque<S::Item>,
    search: S,
}

impl<S: Iterator<Item = Result<R, E>>, R, E> OwnRows<S> {
    /// Reads this node's share of a page that so many `nodes` give together: the merge then waits for the first rows of the others, which
    /// read meanwhile. One row is read in any case, and without a page no more. The rest may take as long as `rest`.
    pub(super) fn begin(
        mut search: S,
        (page, nodes): (Option<usize>, usize),
        rest: Duration,
    ) -> Self {
        // An answer line by line may have a limit without bounds.
        let share = page.unwrap_or(1).min(limits::LOG_PAGE_RECORDS_MAX).div_ceil(nodes);
        let mut first: VecDeque<_> = search.next().into_iter().collect();
        let began = Instant::now();
        while first.back().is_some_and(Result::is_ok)
            && first.len() < share
            && began.elapsed() < rest
        {
            let Some(row) = search.next() else { break };
            first.push_back(row);
        }
        Self { first, search }
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
        ahead_in(Duration::MAX, rows, page, nodes)
    }

    /// The same within a time.
    fn ahead_in(rest: Duration, rows: usize, page: Option<usize>, nodes: usize) -> usize {
        let read = Cell::new(0);
        let search = (0..rows).map(|row| {
            read.set(row + 1);
            if row == 700 { Err(row) } else { Ok(row) }
        });
        let mut own = OwnRows::begin(search, (page, nodes), rest);
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
        assert_eq!(ahead_in(Duration::ZERO, 600, Some(100), 3), 1);
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
