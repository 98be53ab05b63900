//! Brings rows into the order of a sealed segment, in place: there is no memory for a second copy of them.
//!
//! Rows are dealt into buckets by the upper bits of the handle that differ, again and again, until a bucket is small enough
//! to be compared in the processor's cache. So the first bits that all numbers of a country share cost one deal.

use super::waiting::Row;

/// Rows that are sorted by comparison.
const FEW: usize = if cfg!(test) { 16 } else { 1_024 };
const BUCKET_BITS: u32 = 10;
const BUCKETS: usize = 1 << BUCKET_BITS;

/// Sorts by (handle, at): rows without a handle, phone numbers, e-mail addresses.
pub(super) fn sort(rows: &mut [Row], texts: &[u8]) {
    let emails = part(rows);
    let (others, emails) = rows.split_at_mut(emails);
    deal(others);
    emails.sort_unstable_by(|a, b| a.compare(b, texts));
}

/// Brings the rows with e-mail addresses behind the others, and says where they begin.
fn part(rows: &mut [Row]) -> usize {
    let (mut from, mut to) = (0, rows.len());
    while from < to {
        if rows[from].email().is_none() {
            from += 1;
        } else {
            to -= 1;
            rows.swap(from, to);
        }
    }
    from
}

/// Sorts rows without e-mail addresses.
fn deal(rows: &mut [Row]) {
    if rows.len() <= FEW {
        rows.sort_unstable_by_key(Row::key);
        return;
    }
    let (least, most) = rows.iter().fold((u64::MAX, 0), |(least, most), row| {
        (least.min(row.handle()), most.max(row.handle()))
    });
    if least == most {
        rows.sort_unstable_by_key(|row| row.at);
        return;
    }
    let shift = (u64::BITS - (most - least).leading_zeros()).saturating_sub(BUCKET_BITS);
    // Below 2^BUCKET_BITS, by the choice of the shift.
    let bucket = |row: &Row| ((row.handle() - least) >> shift) as usize;
    let mut ends = [0; BUCKETS];
    for row in &*rows {
        ends[bucket(row)] += 1;
    }
    let (mut nexts, mut end) = ([0; BUCKETS], 0);
    for (next, count) in nexts.iter_mut().zip(&mut ends) {
        *next = end;
        end += *count;
        *count = end;
    }
    // What lies in a wrong bucket goes to the next place of its own: each swap brings one row home.
    for own in 0..BUCKETS {
        while nexts[own] < ends[own] {
            let home = bucket(&rows[nexts[own]]);
            if home != own {
                rows.swap(nexts[own], nexts[home]);
            }
            nexts[home] += 1;
        }
    }
    let mut rest = rows;
    let mut start = 0;
    for end in ends {
        let (of_bucket, behind) = rest.split_at_mut(end - start);
        deal(of_bucket);
        (rest, start) = (behind, end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn handles() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            (0..5u64).prop_map(|number| 14_155_550_000 + number),
            12_000_000_000..20_000_000_000u64,
            1_000_000..1_000_000_000_000_000u64,
            1..1u64 << 62,
            Just((1 << 63) - 1),
            (0..40u64).prop_map(|start| 1 << 63 | start << 16 | 3),
        ]
    }

    proptest! {
        #[test]
        fn it_sorts(handles in prop::collection::vec(handles(), 0..600)) {
            let texts: Vec<u8> = (0..64u8).map(|n| n.wrapping_mul(37) % 3).collect();
            let numbered = handles.iter().zip(0..);
            // Places in time in no order, each once.
            let mut rows: Vec<Row> =
                numbered.map(|(handle, at)| Row::at(*handle, u32::wrapping_mul(at, 0x9e37_79b1))).collect();
            let mut wanted = rows.clone();
            wanted.sort_by(|a, b| a.compare(b, &texts));
            sort(&mut rows, &texts);
            let places = |rows: &[Row]| rows.iter().map(|row| (row.handle(), row.at)).collect::<Vec<_>>();
            prop_assert_eq!(places(&rows), places(&wanted));
        }
    }
}
