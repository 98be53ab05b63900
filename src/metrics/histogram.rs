//! [`Histogram`]: how many durations were at most 100 µs, 250 µs, and so on up to 10 s.

use std::{sync::atomic::AtomicU64, time::Duration};

use super::sharded::Sharded;

/// The upper bounds of the buckets, in seconds. One more bucket takes what is longer.
///
/// Nobody acts on a difference below 100 µs: the network of a phone adds milliseconds. A call that takes over 10 s has failed
/// for whoever waits: requests give up on a hanging disk before. The steps of 1, 2.5, 5 keep an estimated quantile within
/// a factor of 2.5.
pub const BUCKETS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// The same bounds in nanoseconds: an observation compares whole numbers.
const BOUNDS_NS: [u64; BUCKETS.len()] = {
    let mut bounds = [0; BUCKETS.len()];
    let mut next = 0;
    while next < bounds.len() {
        bounds[next] = (BUCKETS[next] * 1e9 + 0.5) as u64;
        next += 1;
    }
    bounds
};

#[derive(Default)]
struct Cells {
    /// Not cumulative. The last one has no upper bound.
    counts: [AtomicU64; BUCKETS.len() + 1],
    sum_ns: AtomicU64,
}

/// Counts durations by bucket.
#[derive(Debug)]
pub struct Histogram(Sharded<Cells>);

/// The values of a histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramValues {
    /// The number of durations in each bucket alone; the last bucket takes those above all of [`BUCKETS`].
    pub counts: [u64; BUCKETS.len() + 1],
    /// All durations together, in seconds.
    pub sum_seconds: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self(Sharded::new(Cells::default))
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        // 2^64 nanoseconds are 584 years.
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NS.iter().position(|bound| ns <= *bound).unwrap_or(BUCKETS.len());
        self.0.add(|cells| &cells.counts[bucket], 1);
        self.0.add(|cells| &cells.sum_ns, ns);
    }

    /// The values now. Durations that are counted meanwhile may be in the sum and not in a bucket, or the other way round.
    pub fn values(&self) -> HistogramValues {
        let count = |bucket: usize| self.0.sum(|cells| &cells.counts[bucket]);
        let sum_ns = self.0.sum(|cells| &cells.sum_ns);
        let sum_seconds = Duration::from_nanos(sum_ns).as_secs_f64();
        HistogramValues { counts: std::array::from_fn(count), sum_seconds }
    }
}

impl HistogramValues {
    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        for (bucket, bound_ns) in BOUNDS_NS.into_iter().enumerate() {
            let histogram = Histogram::default();
            histogram.observe(Duration::from_nanos(bound_ns));
            histogram.observe(Duration::from_nanos(bound_ns + 1));
            let values = histogram.values();
            assert_eq!((values.counts[bucket], values.counts[bucket + 1]), (1, 1), "{bound_ns} ns");
            assert_eq!(values.count(), 2);
        }
    }

    #[test]
    fn the_sum_is_exact_and_the_longest_duration_is_counted() {
        let histogram = Histogram::default();
        histogram.observe(Duration::ZERO);
        histogram.observe(Duration::from_micros(1_500));
        histogram.observe(Duration::from_secs(3_600));
        let values = histogram.values();
        assert_eq!(values.sum_seconds, 3600.0015);
        assert_eq!((values.counts[0], values.counts[16]), (1, 1));
    }

    #[test]
    fn the_bounds_are_the_same_in_both_units() {
        assert!(BUCKETS.is_sorted() && BOUNDS_NS.is_sorted());
        for (seconds, ns) in BUCKETS.iter().zip(BOUNDS_NS) {
            assert_eq!(Duration::from_nanos(ns), Duration::from_secs_f64(*seconds));
        }
    }
}
