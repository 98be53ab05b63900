//! After a crash: which changes of the registry the log holds already.

use std::collections::HashSet;

use crate::{
    clock::Timestamp,
    ids::ChangeId,
    query_log::{self, QueryLog, Record},
    registry::Unrecorded,
};

/// Which of `changes` need no record any more. The log holds some of them already: the last run ended before it learned
/// that. The others were decided before `horizon`, so their records would have expired.
///
/// A change is recorded after it was decided. So the search goes back to the oldest decision only.
pub(super) fn needs_no_record(
    log: &QueryLog,
    changes: &[Unrecorded],
    horizon: Timestamp,
) -> HashSet<ChangeId> {
    let (expired, alive): (Vec<_>, Vec<_>) =
        changes.iter().partition(|row| row.decided_at <= horizon);
    let mut recorded: HashSet<_> = expired.iter().map(|row| row.change.id).collect();
    let mut wanted: HashSet<_> = alive.iter().map(|row| row.change.id).collect();
    let filter = query_log::Filter {
        kind: Some(query_log::Kind::Change),
        since: alive.iter().map(|row| row.decided_at).min(),
        ..query_log::Filter::default()
    };
    for row in log.reader().search(&filter, query_log::Order::Desc, None) {
        match row {
            Ok((_, row)) => {
                if let Record::Change(change) = row.record
                    && wanted.remove(&change.id)
                {
                    recorded.insert(change.id);
                }
            }
            Err(error) => tracing::error!(
                %error,
                "the log cannot be read where changes may be recorded: some may be recorded twice"
            ),
        }
        if wanted.is_empty() {
            break;
        }
    }
    recorded
}
