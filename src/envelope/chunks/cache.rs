//! The chunks that were opened last. Several columns are read in turn, each a little further in its own chunk; without
//! this every page would open its chunk again.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

/// 1 MiB for each reader: eight columns, each with the chunk it leaves and the one it enters.
const HELD_CHUNKS: usize = 16;

/// Opened chunks by their count in the file, the least recently used first. So few that a search is no slower than a map.
#[derive(Default)]
pub(super) struct ChunkCache(Mutex<Vec<(u32, Bytes)>>);

impl ChunkCache {
    pub(super) fn get(&self, counter: u32) -> Option<Bytes> {
        let mut held = self.lock();
        let at = held.iter().position(|(chunk, _)| *chunk == counter)?;
        held[at..].rotate_left(1);
        held.last().map(|(_, bytes)| bytes.clone())
    }

    /// Whether it is held; its turn to go does not change.
    pub(super) fn holds(&self, counter: u32) -> bool {
        self.lock().iter().any(|(chunk, _)| *chunk == counter)
    }

    /// Holds a chunk, in place of the one that was not used for longest.
    pub(super) fn put(&self, counter: u32, bytes: Bytes) {
        let mut held = self.lock();
        // Two threads may have opened the same chunk.
        if held.iter().any(|(chunk, _)| *chunk == counter) {
            return;
        }
        if held.len() == HELD_CHUNKS {
            held.remove(0);
        }
        held.push((counter, bytes));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u32, Bytes)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ChunkCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChunkCache").field(&self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let cache = ChunkCache::default();
        let bytes = |n: u32| Bytes::from(n.to_le_bytes().to_vec());
        (0..16).for_each(|n| cache.put(n, bytes(n)));
        assert_eq!(cache.get(0), Some(bytes(0)));
        cache.put(16, bytes(16));
        cache.put(16, bytes(16));
        let left: Vec<u32> = (0..20).filter(|n| cache.holds(*n)).collect();
        assert_eq!(left, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        for n in left {
            assert_eq!(cache.get(n), Some(bytes(n)));
        }
    }
}
