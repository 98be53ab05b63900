//! The read-back detects every mistake of the writer in this list.

use proptest::prelude::*;

pub(crate) use super::super::writer::planted::{Mistake, set};
use super::{super::row::Row, support::*};
use crate::{limits, query_log::Filter};

/// Exchanges a field of two rows that differ in it.
fn exchange<T: Copy + PartialEq>(rows: &mut [Row], field: fn(&mut Row) -> &mut T) {
    for second in 1..rows.len() {
        let (a, b) = (*field(&mut rows[0]), *field(&mut rows[second]));
        if a != b {
            (*field(&mut rows[0]), *field(&mut rows[second])) = (b, a);
            return;
        }
    }
}

/// Each mistake: its name, and the change of the rows.
pub(crate) const MISTAKES: &[(&str, Mistake)] = &[
    ("the client's number is one too large", |rows| {
        let last = rows.iter().map(|row| row.client).max().unwrap_or(0);
        let row = rows.iter_mut().find(|row| row.client < last);
        row.into_iter().for_each(|row| row.client += 1);
    }),
    ("the client's number is none", |rows| {
        rows.last_mut().into_iter().for_each(|row| row.client += 1_000_000);
    }),
    ("took_us of two rows is exchanged", |rows| exchange(rows, |row| &mut row.took_us)),
    ("the id of two rows is exchanged", |rows| exchange(rows, |row| &mut row.id)),
    ("the handle of two rows is exchanged", |rows| exchange(rows, |row| &mut row.handle)),
    ("the client of two rows is exchanged", |rows| exchange(rows, |row| &mut row.client)),
    ("outcome of two rows is exchanged", |rows| exchange(rows, |row| &mut row.outcome)),
    ("one bit of the status", |rows| {
        rows.last_mut().into_iter().for_each(|row| row.outcome ^= 1);
    }),
    ("one microsecond", |rows| rows.first_mut().into_iter().for_each(|row| row.at ^= 1)),
    ("a column is one row off", |rows| {
        for row in (1..rows.len()).rev() {
            rows[row].took_us = rows[row - 1].took_us;
        }
    }),
    ("the last page is not there", |rows| {
        rows.truncate(rows.len().saturating_sub(limits::LOG_SEALED_PAGE_ROWS));
    }),
    ("a page is there twice, in place of another", |rows| {
        let page = limits::LOG_SEALED_PAGE_ROWS;
        if rows.len() >= 2 * page {
            rows.copy_within(..page, page);
        }
    }),
    ("two rows stand in the wrong order", |rows| {
        if rows.len() > 4 {
            rows.swap(3, 4);
        }
    }),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_mistake_of_the_writer_is_detected(rows in rows(400), rows_max in 30..500usize) {
        prop_assume!(rows.len() > 20);
        for (name, mistake) in MISTAKES {
            set(Some(*mistake));
            let changed = seal_within(&rows, rows_max, 16);
            set(None);
            let (parts, written, _) = changed.unwrap();
            // The reader refuses a row group without rows.
            let Ok(sealed) = parts.open() else { continue };
            let found = sealed.digest(SEED).unwrap();
            let is_sound = found.sum == written.sum && found.sorted && found.damaged_rows == 0;
            let mut stored: Vec<_> = sealed.scan(&Filter::default()).map(Result::unwrap).collect();
            let mut is_same = stored.is_sorted_by_key(|row| (handle(row).cloned(), row.at));
            stored.sort_by_key(|row| row.at);
            is_same &= stored == rows;
            // Random rows may be equal in the changed field, so that a mistake changes nothing.
            prop_assert!(is_same || !is_sound, "{}", name);
        }
    }
}
