//! Unreadable blocks of bytes cost only the rows in them, and never produce a wrong row.

use proptest::prelude::*;

use super::support::*;
use crate::query_log::{Filter, LogRow, Order, segment_error::SegmentError};

/// Checks a damaged segment: it gives a subset of the right rows, and counts the others.
fn check(parts: &Parts, rows: &[LogRow], filters: &[Filter]) -> u64 {
    let sealed = parts.open().unwrap();
    let digest = sealed.digest(SEED).unwrap();
    assert!(digest.sorted);
    assert_eq!(digest.sum.records + digest.damaged_rows, rows.len() as u64);
    let scan = |filter: &Filter| {
        let mut scan = sealed.scan(filter);
        let mut found: Vec<LogRow> = scan.by_ref().map(Result::unwrap).collect();
        found.sort_by_key(|row| row.at);
        (found, scan.damaged_rows())
    };
    for filter in filters {
        let wanted = expected(rows, filter, Order::Asc, None);
        let (found, damaged) = scan(filter);
        assert!(found.iter().all(|row| wanted.contains(row)), "a row that never was");
        assert!((wanted.len() - found.len()) as u64 <= damaged, "lost rows that are not counted");
        for order in [Order::Asc, Order::Desc] {
            let mut wanted = wanted.clone();
            if order == Order::Desc {
                wanted.reverse();
            }
            let (all, damaged) = page_through(&sealed, filter, order, None, 7);
            let mut rest = wanted.iter();
            assert!(all.iter().all(|row| rest.any(|other| other == row)), "wrong or out of order");
            // A scan loses a page's rows together, a slice only those it needed.
            assert!(found.iter().all(|row| all.contains(row)), "less than a scan finds");
            assert!(wanted.len() == all.len() || damaged > 0, "lost rows that are not counted");
        }
    }
    digest.damaged_rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn damage_costs_only_the_rows_it_hits(rows in rows(250), filters in prop::collection::vec(filters(), 1..3), block in 1..400u64, first in 0..200u64) {
        let mut parts = seal(&rows, 100);
        for part in 0..3 {
            let bytes = parts.parts[part].len() as u64;
            let mut lossless = true;
            for start in (first.min(bytes)..bytes).step_by(usize::try_from(bytes / 16 + 1).unwrap()) {
                parts.damaged = Some((part, start..start + block));
                lossless &= check(&parts, &rows, &filters) == 0;
            }
            // The footer has a copy.
            prop_assert!(part == 0 || lossless);
        }
    }

    /// Changed bytes behind the authentication, as only a fault of this program makes them. The reader may then give wrong
    /// rows or an empty slice, but it must neither panic nor stand still.
    #[test]
    fn no_bytes_make_it_panic(rows in rows(120), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), whole in 0..3usize) {
        let mut parts = seal(&rows, 60);
        for (place, mask) in flips {
            for part in if whole == 2 { 1..3 } else { whole..whole + 1 } {
                let bytes = &mut parts.parts[part];
                let place = place.index(bytes.len());
                bytes[place] ^= mask;
            }
        }
        if let Ok(sealed) = parts.open() {
            let digest = sealed.digest(SEED).unwrap();
            prop_assert!(digest.sum.records + digest.damaged_rows <= sealed.records());
            for_each_slice(&sealed, &Filter::default(), Order::Desc, None, 9, |slice| {
                while slice.rows.pop().is_some() {}
            });
        }
    }
}

#[test]
fn without_footer_and_copy_it_is_unreadable() {
    let mut parts = seal(&[], 10);
    assert_eq!(parts.open().unwrap().records(), 0);
    parts.parts[1].clear();
    assert_eq!(parts.open().unwrap().records(), 0);
    parts.parts[2].clear();
    assert!(matches!(parts.open(), Err(SegmentError::Unreadable)));
}
