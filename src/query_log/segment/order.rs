//! Brings rows into the order of a sealed segment, in place: there is no memory for a second copy of them.
//!
//! Phone numbers are dealt into buckets by the upper bits that differ, again and again, until a bucket is small enough to be
//! compared in the processor's cache. So the first bits that all numbers of a country share cost one deal.
//!
//! Addresses lie somewhere else than their rows, and to compare two waits for memory twice. So eight bytes of each are
//! fetched at once, for all of them, and sorted as numbers; where those are the same the next eight decide (a multikey
//! quicksort with caching of characters, Ng and Kakehi 2007).

use super::row::Row;

/// Rows that are sorted by comparison.
const FEW: usize = if cfg!(test) { 16 } else { 1_024 };
const BUCKET_BITS: u32 = 10;
const BUCKETS: usize = 1 << BUCKET_BITS;

/// Sorts by (handle, at): rows without a handle, phone numbers, e-mail addresses.
pub(super) fn sort(rows: &mut [Row], texts: &[u8]) {
    let emails = part(rows);
    let (others, emails) = rows.split_at_mut(emails);
    deal(others);
    let mut keys: Vec<Key> = (0..emails.len()).map(|row| Key { bytes: 0, row }).collect();
    refine(&mut keys, emails, texts, 0);
    arrange(emails, &mut keys);
}

/// A row among those with addresses, and some bytes of its address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    bytes: u64,
    row: usize,
}

const KEY_BYTES: usize = size_of::<u64>();

/// Sorts rows whose addresses have the same first `depth` bytes.
fn refine(keys: &mut [Key], rows: &[Row], texts: &[u8], depth: usize) {
    let text = |key: &Key| rows[key.row].email().map_or(&[][..], |range| &texts[range]);
    for key in &mut *keys {
        let rest = text(key).get(depth..).unwrap_or_default();
        let mut bytes = [0; KEY_BYTES];
        let length = rest.len().min(KEY_BYTES);
        bytes[..length].copy_from_slice(&rest[..length]);
        key.bytes = u64::from_be_bytes(bytes);
    }
    keys.sort_unstable();
    let depth = depth + KEY_BYTES;
    for same in keys.chunk_by_mut(|a, b| a.bytes == b.bytes).filter(|same| same.len() > 1) {
        if same.iter().any(|key| text(key).len() > depth) {
            refine(same, rows, texts, depth);
        } else {
            // The same but for zeros at the end, which the length tells apart.
            same.sort_unstable_by_key(|key| (text(key).len(), rows[key.row].at));
        }
    }
}

/// Brings each row to the place of its key, and uses the keys up.
fn arrange(rows: &mut [Row], keys: &mut [Key]) {
    for start in 0..keys.len() {
        let mut to = start;
        loop {
            let from = std::mem::replace(&mut keys[to].row, to);
            if from == start || from == to {
                break;
            }
            rows.swap(to, from);
            to = from;
        }
    }
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
    let (least, most) = rows
        .iter()
        .fold((u64::MAX, 0), |(least, most), row| (least.min(row.handle), most.max(row.handle)));
    if least == most {
        rows.sort_unstable_by_key(|row| row.at);
        return;
    }
    let shift = (u64::BITS - (most - least).leading_zeros()).saturating_sub(BUCKET_BITS);
    // Below 2^BUCKET_BITS, by the choice of the shift.
    let bucket = |row: &Row| ((row.handle - least) >> shift) as usize;
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
            let places = |rows: &[Row]| rows.iter().map(|row| (row.handle, row.at)).collect::<Vec<_>>();
            prop_assert_eq!(places(&rows), places(&wanted));
        }
    }
}
