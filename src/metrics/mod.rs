//! Counters and histograms that cost a lookup some nanoseconds: relaxed atomics, no lock, no allocation.
//!
//! The module that measures something owns its values. `http/operator` reads them when Prometheus asks.

mod histogram;
mod sharded;

pub use histogram::{BUCKETS, Histogram, HistogramValues};
pub use sharded::{Sharded, announce_owners, own_copy};
