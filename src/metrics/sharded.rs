//! [`Sharded`]: copies of one value, so that threads do not write to the same memory.

use std::{
    cell::Cell,
    fmt,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// Threads that own copies, or will soon.
static OWNERS: AtomicUsize = AtomicUsize::new(0);

/// The next owner's number. Numbers are not used again, so no two threads ever own one copy.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's number, if it owns a copy.
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Announces that so many more threads will call [`own_copy`]. Values that were made before have no copy for them.
pub fn announce_owners(threads: usize) {
    OWNERS.fetch_add(threads, Relaxed);
}

/// Lets this thread own a copy of each value. To be called once by a thread that was announced.
pub fn own_copy() {
    NUMBER.set(NEXT.fetch_add(1, Relaxed));
}

/// A copy in memory of its own. Two cache lines, because some processors fetch them in pairs.
#[repr(align(128))]
struct Shard<T>(T);

/// Several copies of a value of atomics. Each thread writes to one copy, and the sum of all copies is the value.
///
/// Two processors that write to one cache line wait for each other for up to 100 ns. Even alone, an atomic addition takes
/// 6 ns. So each thread that serves phones owns a copy, and adds without one; all other threads share the last copy.
pub struct Sharded<T>(Box<[Shard<T>]>);

impl<T> Sharded<T> {
    /// Copies that `make` returns; all are zero.
    pub fn new(make: impl Fn() -> T) -> Self {
        Self((0..=OWNERS.load(Relaxed)).map(|_| Shard(make())).collect())
    }

    /// Adds to the counter that `pick` returns of this thread's copy.
    pub fn add(&self, pick: impl FnOnce(&T) -> &AtomicU64, count: u64) {
        let shared = self.0.len() - 1;
        let number = NUMBER.get().min(shared);
        let counter = pick(&self.0[number].0);
        if number < shared {
            // Nobody else writes it.
            counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
        } else {
            counter.fetch_add(count, Relaxed);
        }
    }

    /// The sum of what `read` returns for each copy.
    pub fn sum(&self, read: impl Fn(&T) -> &AtomicU64) -> u64 {
        self.0.iter().map(|shard| read(&shard.0).load(Relaxed)).sum()
    }
}

impl<T> fmt::Debug for Sharded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sharded(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_sum_counts_every_thread_and_each_owner_has_a_copy() {
        const OWNERS: usize = 3;
        const TIMES: u64 = 10_000;
        announce_owners(OWNERS);
        let counts = Sharded::new(|| AtomicU64::new(0));
        let add = || (0..TIMES).for_each(|_| counts.add(|count| count, 1));
        thread::scope(|scope| {
            for _ in 0..OWNERS {
                scope.spawn(|| {
                    own_copy();
                    add();
                });
                scope.spawn(add);
            }
        });
        let copies: Vec<_> = counts.0.iter().map(|shard| shard.0.load(Relaxed)).collect();
        let (shared, owned) = copies.split_last().unwrap();
        assert_eq!(*shared, OWNERS as u64 * TIMES);
        assert_eq!(owned.iter().filter(|count| **count == TIMES).count(), OWNERS);
        assert_eq!(counts.sum(|count| count), 2 * OWNERS as u64 * TIMES);
    }
}
