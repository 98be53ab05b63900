//! The number of matching rows in each part of an hour. A search counts once, then reads each slice of time in one go.

use super::{client_table::ClientSet, footer::Bounds};
use crate::query_log::filter::Order;

/// Slots in an hour, of 55 ms each: at a rate of 100,000 rows a second a slot has some thousand rows.
const SLOTS: u64 = if cfg!(test) { 64 } else { 65_536 };
const HOUR_MICROS: u64 = 3_600_000_000;

#[derive(Debug)]
pub(crate) struct TimeHistogram {
    /// Rows in each slot. A quarter of a megabyte.
    counts: Vec<u32>,
    pub(super) rows: u64,
    /// The matching clients of each row group, if the filter needs them and they are read.
    pub(super) clients: Vec<Option<ClientSet>>,
    /// Rows for which damage hides whether they match.
    pub(super) damaged_rows: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Microseconds into the hour: from the first, before the second.
    pub(super) micros: Bounds<u64>,
    pub(super) rows: usize,
    /// Whether matching rows lie behind it, in the order of the search.
    pub(super) more: bool,
}

impl TimeHistogram {
    pub(super) fn new(clients: Vec<Option<ClientSet>>) -> Self {
        Self { counts: vec![0; SLOTS as usize], rows: 0, clients, damaged_rows: 0 }
    }

    /// Counts a row, `at` microseconds into the hour.
    pub(super) fn count(&mut self, at: u32) {
        // Only damage can show a row outside of the hour.
        if let Some(count) = self.counts.get_mut(slot(at.into())) {
            *count = count.saturating_add(1);
        }
        self.rows += 1;
    }

    /// The next part of `within`, in this order, with at most `rows_max` rows, or with the rows of one slot.
    pub(super) fn next_span(&self, order: Order, within: Bounds<u64>, rows_max: usize) -> Span {
        let (first, last) = (slot(within.0), slot(within.1.saturating_sub(1)));
        let last = last.min(self.counts.len() - 1);
        let slots: Box<dyn Iterator<Item = usize>> = match order {
            Order::Asc => Box::new(first..=last),
            Order::Desc => Box::new((first..=last).rev()),
        };
        let (mut rows, mut full_at, mut more) = (0, None, false);
        for slot in slots {
            let count = self.counts[slot] as usize;
            if full_at.is_none() && rows > 0 && rows + count > rows_max {
                full_at = Some(slot);
            }
            if full_at.is_some() {
                more |= count > 0;
            } else {
                rows += count;
            }
        }
        let micros = match (full_at, order) {
            (None, _) => within,
            (Some(slot), Order::Asc) => (within.0, start(slot)),
            (Some(slot), Order::Desc) => (start(slot + 1), within.1),
        };
        Span { micros, rows, more }
    }
}

fn slot(micros: u64) -> usize {
    // The product is below 2^48.
    (micros.min(u64::from(u32::MAX)) * SLOTS / HOUR_MICROS) as usize
}

const fn start(slot: usize) -> u64 {
    (slot as u64 * HOUR_MICROS).div_ceil(SLOTS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Span after span, every instant comes once and in order, and no span has more than it may unless one slot does.
        #[test]
        fn spans_cover_every_instant_once(
            mut ats in prop::collection::vec(0..3_600_000_000_u32, 0..200),
            bounds in (0..3_600_000_001_u64, 0..3_600_000_001_u64),
            rows_max in 1..50_usize,
            is_asc: bool,
        ) {
            let order = if is_asc { Order::Asc } else { Order::Desc };
            let mut rest = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
            ats.retain(|at| (rest.0..rest.1).contains(&u64::from(*at)));
            let mut survey = TimeHistogram::new(Vec::new());
            ats.iter().for_each(|at| survey.count(*at));
            let mut seen = 0;
            for _ in 0..=SLOTS {
                let span = survey.next_span(order, rest, rows_max);
                let (from, to) = span.micros;
                prop_assert!(rest.0 <= from && to <= rest.1);
                let inside: Vec<u32> =
                    ats.iter().copied().filter(|at| (from..to).contains(&u64::from(*at))).collect();
                let slots: std::collections::BTreeSet<usize> =
                    inside.iter().map(|at| slot((*at).into())).collect();
                prop_assert!(inside.len() <= rows_max || slots.len() == 1);
                seen += inside.len();
                match order {
                    Order::Asc => rest.0 = to,
                    Order::Desc => rest.1 = from,
                }
                let left = ats.iter().any(|at| (rest.0..rest.1).contains(&u64::from(*at)));
                prop_assert_eq!(span.more, left);
                if !span.more {
                    break;
                }
                prop_assert!(!inside.is_empty(), "a span of nothing, and more behind it");
            }
            prop_assert_eq!(seen, ats.len());
        }
    }

    #[test]
    fn a_slot_begins_at_its_first_microsecond() {
        for number in 0..SLOTS as usize {
            let first = start(number);
            assert_eq!(slot(first), number);
            assert!(number == 0 || slot(first - 1) == number - 1);
        }
    }
}
