//! Which hours have expired, so that no copy of them may exist.

use std::time::Duration;

use crate::{clock::Hour, limits, query_log::search::Sources};

/// Whether an hour has expired and its key is destroyed: the key goes first. An hour without a key that has not expired is damaged, and its
/// copies may be all that is left.
pub(super) fn expired(sources: &Sources) -> impl Fn(Hour) -> bool {
    let (alive, now) = (sources.keyring.hours(), sources.clock.now());
    move |hour| !alive.contains(&hour) && sources.expiry(hour) <= now
}

/// Whether the copies of another node's hour must not exist any more since `overdue`, whoever should have deleted them.
pub(super) fn is_expired_elsewhere(sources: &Sources, hour: Hour, overdue: Duration) -> bool {
    let after = limits::LOG_RETENTION_MAX + limits::LOG_COPY_OTHERS_AFTER + overdue;
    hour.start().plus(after) <= sources.clock.now()
}
