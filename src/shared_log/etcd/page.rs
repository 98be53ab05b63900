//! [`Page`]: how many entries are asked for at once.
//!
//! etcd limits an answer by the number of keys and not by bytes, so the number that fits is found by trying. Too many make an answer
//! that is too large, or one that does not come in time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Entries shorter than this are rare.
const ENTRY_MIN: usize = 64;
/// Entries that a page is tried with at first, and at most.
const BEGIN: u64 = 16;
const MAX: u64 = 1_024;

/// How many entries of the last size fit into a page.
pub(super) struct Page(AtomicU64);

impl Page {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(BEGIN))
    }

    /// How many entries to ask for if `bytes` of them are wanted.
    pub(super) fn limit(&self, bytes: usize) -> u64 {
        self.0.load(Ordering::Relaxed).min((bytes / ENTRY_MIN) as u64 + 1)
    }

    /// Notes that a page of `limit` entries was too large, or did not come in time.
    pub(super) fn shrink(&self, limit: u64) {
        self.0.store((limit / 4).max(1), Ordering::Relaxed);
    }

    /// Notes that a page of at most `limit` entries came: `count` of them with `size` bytes. One of twice as many is tried next if this
    /// one was full and that one is wanted: a link that is just fast enough for this page may be too slow for it.
    pub(super) fn grow(&self, limit: u64, count: usize, size: usize, bytes: usize) {
        let is_full = count as u64 == limit;
        if is_full && limit == self.0.load(Ordering::Relaxed) && size * 2 <= bytes {
            self.0.store((limit * 2).min(MAX), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 4 * 1024 * 1024;

    #[test]
    fn a_page_shrinks_to_one_entry_and_grows_with_full_small_pages_only() {
        let page = Page::new();
        for limit in [BEGIN, 4, 1, 1] {
            assert_eq!(page.limit(BYTES), limit);
            page.shrink(limit);
        }
        // Twice as much is more than is wanted.
        page.grow(1, 1, BYTES / 2 + 1, BYTES);
        assert_eq!(page.limit(BYTES), 1);
        page.grow(1, 1, BYTES / 2, BYTES);
        assert_eq!(page.limit(BYTES), 2);
        // There were no more.
        page.grow(2, 1, 100, BYTES);
        assert_eq!(page.limit(BYTES), 2);
        for _ in 0..20 {
            let limit = page.limit(BYTES);
            page.grow(limit, usize::try_from(limit).unwrap(), 100, BYTES);
        }
        assert_eq!(page.limit(BYTES), MAX);
        assert_eq!((page.limit(0), page.limit(ENTRY_MIN)), (1, 2));
    }
}
