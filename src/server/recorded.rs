//! After a crash: which changes of the registry the log holds already.

use std::collections::HashSet;

use crate::{
    clock::Timestamp,
    ids::ChangeId,
    query_log::{self, QueryLog, Record},
    registry::Unrecorded,
};

/// Which of `changes` need not be recorded: those that the last run recorded without learning that it had, and those
/// that would have expired by now. None has its record earlier than it was decided, so only the end of the log is read.
pub(super) fn already_recorded(
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
