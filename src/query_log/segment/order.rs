//! Sorts rows by (handle, at) in place: there is no memory for a second copy of them.
//!
//! Phone numbers: a recursive radix sort distributes them into buckets by their highest differing bits. It ends where a bucket
//! is small enough for a comparison sort in the processor's cache. So the leading bits that all numbers of a country share
//! cost one step.
//!
//! E-mail addresses: the text is not beside the row, so each comparison of two rows would wait for memory twice. Instead the
//! sort fetches eight bytes of each address, for all rows at once, and sorts them as numbers. Where those are equal it
//! continues with the next eight (multikey quicksort with caching of characters, Ng and Kakehi 2007).

use super::row::Row;

/// At most this many rows are sorted by comparison.
const SMALL: usize = if cfg!(test) { 16 } else { 1_024 };
const BUCKET_BITS: u32 = 10;
const BUCKETS: usize = 1 << BUCKET_BITS;

/// Sorts by (handle, at): rows without a handle, phone numbers, e-mail addresses.
pub(super) fn sort(rows: &mut [Row], texts: &[u8]) {
    let emails = partition(rows);
    let (others, emails) = rows.split_at_mut(emails);
    radix_sort(others);
    let mut keys: Vec<Key> = (0..emails.len()).map(|row| Key { bytes: 0, row }).collect();
    sort_by_text(&mut keys, emails, texts, 0);
    arrange(emails, &mut keys);
}

/// The index of a row with an e-mail address, and eight bytes of the address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    bytes: u64,
    row: usize,
}

const KEY_BYTES: usize = size_of::<u64>();

/// Sorts rows whose addresses have the same first `depth` bytes.
fn sort_by_text(keys: &mut [Key], rows: &[Row], texts: &[u8], depth: usize) {
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
            sort_by_text(same, rows, texts, depth);
        } else {
            // Equal except for zero bytes at the end, so the length decides.
            same.sort_unstable_by_key(|key| (text(key).len(), rows[key.row].at));
        }
    }
}

/// Moves each row to the index of its key. The keys are useless afterwards.
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

/// Moves the rows with e-mail addresses behind the others. Returns the index of the first one.
fn partition(rows: &mut [Row]) -> usize {
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

fn radix_sort(rows: &mut [Row]) {
    if rows.len() <= SMALL {
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
    // Each swap moves one row to the next free index of its bucket.
    for own in 0..BUCKETS {
        while nexts[own] < ends[own] {
            let target = bucket(&rows[nexts[own]]);
            if target != own {
                rows.swap(nexts[own], nexts[target]);
            }
            nexts[target] += 1;
        }
    }
    let mut rest = rows;
    let mut start = 0;
    for end in ends {
        let (of_bucket, behind) = rest.split_at_mut(end - start);
        radix_sort(of_bucket);
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
            let row = |(handle, at): (&u64, u32)| {
                let at = at.wrapping_mul(0x9e37_79b1);
                Row { handle: *handle, id: 0, at, client: 0, took_us: 0, outcome: 0 }
            };
            let mut rows: Vec<Row> = numbered.map(row).collect();
            let mut wanted = rows.clone();
            wanted.sort_by(|a, b| a.compare(b, &texts));
            sort(&mut rows, &texts);
            let places = |rows: &[Row]| rows.iter().map(|row| (row.handle, row.at)).collect::<Vec<_>>();
            prop_assert_eq!(places(&rows), places(&wanted));
        }
    }
}
