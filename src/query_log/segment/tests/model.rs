//! For any rows and any filter, a sealed segment answers as a plain list does.

use proptest::prelude::*;

use super::support::*;
use crate::query_log::{Filter, LogRow, Order};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_was_sealed_is_read_back(rows in rows(400), rows_max in 2..150usize, page_rows in 1..40usize) {
        let (parts, written, passes) = seal_within(&rows, rows_max, page_rows).unwrap();
        prop_assert!(passes <= 2 * (2 * rows.len() / rows_max + 2), "{} passes", passes);
        prop_assert_eq!(written.sum.records, rows.len() as u64);
        prop_assert_eq!(written.span, rows.first().map(|row| (row.at, rows[rows.len() - 1].at)));
        prop_assert_eq!(parts.parts.len(), 3);
        let sealed = parts.open().unwrap();
        prop_assert_eq!(sealed.records(), rows.len() as u64);
        let digest = sealed.digest(SEED).unwrap();
        prop_assert_eq!(digest.sum, written.sum);
        prop_assert!(digest.sorted && digest.damaged_rows == 0 && digest.sum.records == rows.len() as u64);
        if !rows.is_empty() {
            prop_assert_ne!(sealed.digest(SEED + 1).unwrap().sum, written.sum);
        }
        let mut wanted = rows;
        wanted.sort_by(|a, b| (handle(a), a.at).cmp(&(handle(b), b.at)));
        let scanned: Vec<LogRow> = sealed.scan(&Filter::default()).map(Result::unwrap).collect();
        prop_assert_eq!(scanned, wanted);
    }

    #[test]
    fn every_filter_finds_what_it_asks_for(rows in rows(400), filters in prop::collection::vec(filters(), 1..8), rows_max in 10..300usize, slice_rows in 1..60usize) {
        let sealed = seal(&rows, rows_max).open().unwrap();
        for filter in &filters {
            let mut scanned: Vec<LogRow> = sealed.scan(filter).map(Result::unwrap).collect();
            scanned.sort_by_key(|row| row.at);
            prop_assert_eq!(scanned, expected(&rows, filter, Order::Asc, None));
            for order in [Order::Asc, Order::Desc] {
                let wanted = expected(&rows, filter, order, None);
                prop_assert_eq!(page_through(&sealed, filter, order, None, slice_rows), (wanted, 0));
            }
        }
    }

    #[test]
    fn a_slice_begins_behind_any_instant(rows in rows(200), filter in filters(), at in 0..3_700_000_000u64, exact: prop::sample::Index) {
        let sealed = seal(&rows, 1_000).open().unwrap();
        let mut instants = vec![crate::clock::Timestamp::from_micros(HOUR.start().as_micros() - 5_000_000 + at)];
        if !rows.is_empty() {
            instants.push(rows[exact.index(rows.len())].at);
        }
        for from in instants {
            for order in [Order::Asc, Order::Desc] {
                let wanted = expected(&rows, &filter, order, Some(from));
                prop_assert_eq!(page_through(&sealed, &filter, order, Some(from), 20), (wanted, 0));
            }
        }
    }
}
