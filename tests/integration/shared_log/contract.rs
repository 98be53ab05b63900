//! What every engine must do. Each check gets two handles of a log of its own.

use dispatchd::{
    limits::SHARED_LOG_ENTRY_MAX,
    shared_log::{Appended, EngineError, Entry, Head},
};

use super::{
    Log,
    workload::{self, appended},
};

/// Entries that the check of pages and trimming writes.
const ENTRIES: u64 = 20;

/// Makes logs with `fresh`, and checks each promise on one.
pub(super) async fn holds(fresh: impl AsyncFn() -> [Log; 2]) {
    a_log_begins_empty(&fresh().await).await;
    an_entry_that_comes_second_is_not_appended(&fresh().await).await;
    pages_have_no_gaps(&fresh().await).await;
    an_entry_of_the_largest_size_is_taken(&fresh().await).await;
    trimmed_entries_are_told(&fresh().await).await;
    a_node_that_slept_creates_no_old_place_again(&fresh().await).await;
    let [one, other] = fresh().await;
    workload::holds(&[one, other], 8, async || ()).await;
}

/// Appends `count` different entries and returns the heads, from the empty log's on.
async fn filled(log: &Log, count: u64) -> Vec<Head> {
    let mut heads = vec![Head::EMPTY];
    for n in 1..=count {
        let last = heads[heads.len() - 1];
        heads.push(appended(log, last, &entry(n)).await);
    }
    heads
}

/// An entry whose size depends on its number.
fn entry(n: u64) -> Vec<u8> {
    let text = format!("entry {n} ");
    text.repeat(usize::try_from(n % 7).unwrap() * 10 + 1).into_bytes()
}

async fn a_log_begins_empty([one, other]: &[Log; 2]) {
    for log in [one, other] {
        assert_eq!(log.head().await, Ok(Head::EMPTY));
        assert_eq!(log.read(1, 1_000).await, Ok(vec![]));
        assert_eq!(log.trim(5).await, Ok(()));
    }
    let first = appended(one, Head::EMPTY, b"first").await;
    assert_eq!(first, Head::EMPTY.after(b"first"));
    assert_eq!(first.place, 1);
    assert_eq!(other.head().await, Ok(first));
    // No entry is too short.
    let second = appended(other, first, b"").await;
    assert_eq!(one.head().await, Ok(second));
    let entries =
        vec![Entry { place: 1, bytes: b"first".to_vec() }, Entry { place: 2, bytes: vec![] }];
    assert_eq!(one.read(1, 1_000).await, Ok(entries));
}

async fn an_entry_that_comes_second_is_not_appended([one, other]: &[Log; 2]) {
    let first = appended(one, Head::EMPTY, b"first").await;
    // The same call again settles what became of it.
    assert_eq!(one.append(Head::EMPTY, b"first").await, Ok(Appended::Taken(first)));
    assert_eq!(other.append(Head::EMPTY, b"other").await, Ok(Appended::Taken(first)));
    let foreign = Head::EMPTY.after(b"of another history");
    assert_eq!(other.append(foreign, b"other").await, Ok(Appended::Taken(first)));
    let ahead = first.after(b"not there");
    assert_eq!(other.append(ahead, b"other").await, Ok(Appended::Taken(first)));
    assert_eq!(one.read(1, 1_000).await, Ok(vec![Entry { place: 1, bytes: b"first".to_vec() }]));
    let second = appended(other, first, b"other").await;
    assert_eq!(one.head().await, Ok(second));
}

async fn pages_have_no_gaps([one, other]: &[Log; 2]) {
    let heads = filled(one, ENTRIES).await;
    assert_eq!(other.head().await, Ok(heads[heads.len() - 1]));
    for bytes in [0, 1, 100, 777, 1_000_000] {
        for first in 1..=ENTRIES + 2 {
            let page = other.read(first, bytes).await.unwrap();
            let places: Vec<_> = page.iter().map(|entry| entry.place).collect();
            let end = first + places.len() as u64;
            assert_eq!(places, (first..end).collect::<Vec<_>>());
            assert!(page.iter().all(|it| it.bytes == entry(it.place)), "{page:?}");
            if first > ENTRIES {
                assert_eq!(page, []);
                continue;
            }
            let size: usize = page.iter().map(|entry| entry.bytes.len()).sum();
            assert!(page.len() == 1 || size > 0 && size <= bytes, "{size} bytes of {bytes}");
            let is_last = end == ENTRIES + 1;
            assert!(is_last || size + entry(end).len() > bytes, "{bytes} bytes hold more");
        }
    }
}

async fn an_entry_of_the_largest_size_is_taken([one, other]: &[Log; 2]) {
    let mut head = Head::EMPTY;
    let large = |n: u8| vec![n; SHARED_LOG_ENTRY_MAX];
    for n in 0..3 {
        head = appended(one, head, &large(n)).await;
    }
    let too_large = vec![9; SHARED_LOG_ENTRY_MAX + 1];
    let refused = one.append(head, &too_large).await;
    assert!(matches!(refused, Err(EngineError::Refused(_))), "{refused:?}");
    assert_eq!(other.head().await, Ok(head));
    for (bytes, count) in [(100, 1), (2 * SHARED_LOG_ENTRY_MAX, 2), (1 << 30, 3)] {
        let page = other.read(1, bytes).await.unwrap();
        assert_eq!(page.len(), count);
        assert!(page.iter().zip(0..).all(|(entry, n)| entry.bytes == large(n)));
    }
}

async fn trimmed_entries_are_told([one, other]: &[Log; 2]) {
    let heads = filled(one, ENTRIES).await;
    let head = heads[heads.len() - 1];
    let trimmed = |first| Err(EngineError::Trimmed { first });
    one.trim(8).await.unwrap();
    for lower in [1, 7, 8] {
        other.trim(lower).await.unwrap();
        assert_eq!(other.read(1, 1_000_000).await, trimmed(8));
        assert_eq!(one.read(7, 0).await, trimmed(8));
        assert_eq!(one.read(8, 1_000_000).await.unwrap().len() as u64, ENTRIES - 7);
        assert_eq!(one.read(ENTRIES + 1, 0).await, Ok(vec![]));
    }
    // All of them, and some that are not there yet.
    other.trim(ENTRIES + 10).await.unwrap();
    assert_eq!(one.head().await, Ok(head));
    assert_eq!(one.read(ENTRIES, 0).await, trimmed(ENTRIES + 1));
    assert_eq!(one.read(ENTRIES + 1, 0).await, Ok(vec![]));
    appended(one, head, b"next").await;
    assert_eq!(other.read(ENTRIES + 1, 0).await.unwrap()[0].bytes, b"next");
    assert_eq!(other.read(ENTRIES, 0).await, trimmed(ENTRIES + 1));
}

pub(super) async fn a_node_that_slept_creates_no_old_place_again([one, other]: &[Log; 2]) {
    let heads = filled(one, 5).await;
    one.trim(6).await.unwrap();
    for old in &heads[..5] {
        let late = other.append(*old, b"late").await;
        assert_eq!(late, Ok(Appended::Taken(heads[5])));
    }
    assert_eq!(other.read(3, 0).await, Err(EngineError::Trimmed { first: 6 }));
    assert_eq!(other.head().await, Ok(heads[5]));
}
