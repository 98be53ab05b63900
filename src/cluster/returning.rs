//! How a node goes on that was away for so long that the shared log has no longer what it lacks, or that the keys of that were
//! destroyed: it takes the state of another member.

use std::path::Path;

use super::{
    client_error::ClientError,
    entry_keys::ClusterKeys,
    identity::Identity,
    joining::{JoinError, take_over},
    key_rows::KeyRows,
    member::Member,
    member_client::MemberClient,
};
use crate::{
    files::SharedDisk,
    registry::{Registry, key_of},
    shared_log::{EngineError, SharedLog},
};

/// The other members, by the rows of a registry that may not be loaded.
pub fn other_members(registry: &Registry, own: &Identity) -> Vec<Member> {
    let mut members = Member::all(registry);
    members.retain(|member| member.name != own.name);
    members
}

/// Whether the log has no longer the entry behind the last one that the registry has, or its key was destroyed. If there are others, a key
/// that is about to be destroyed counts as gone: it would go before all entries are read. False if the engine gives no answer: then it is
/// found out later, and the node stops.
pub async fn is_left_behind(
    log: &dyn SharedLog,
    registry: &Registry,
    keys: &ClusterKeys,
    has_others: bool,
) -> bool {
    let (next, now) = (registry.log_position().applied.place + 1, registry.rows_so_far().now());
    let rows = KeyRows::seen(registry);
    let is_gone =
        |key| keys.lacks_for_ever(key, &rows, now) || (has_others && keys.is_old(key, &rows, now));
    match log.read(next, 1).await {
        Ok(entries) => entries.first().and_then(|entry| key_of(&entry.bytes)).is_some_and(is_gone),
        Err(error) => matches!(error, EngineError::Trimmed { .. }),
    }
}

/// Takes the store and the keys of one of `members` over, into the data directory `data`, whose registry is closed.
///
/// # Errors
/// Of the last member that was asked, if none gave its state.
pub async fn take_over_from_any(
    data: &Path,
    disk: &SharedDisk,
    members: &[Member],
    client: &MemberClient,
    keys: &ClusterKeys,
) -> Result<(), JoinError> {
    let mut outcome =
        Err(ClientError::Unanswered("this node knows no other member".to_owned()).into());
    for member in members {
        // One that starts at this moment accepts connections and answers nothing. Two of them would wait for each other without end.
        outcome = match client.report(member.callee()).await {
            Ok(_) => take_over(data, disk, client, member.callee(), keys, &mut |_, _| {}).await,
            Err(error) => Err(error.into()),
        };
        match &outcome {
            Ok(()) => {
                tracing::warn!(
                    member = member.name,
                    "the shared log has no longer what this node lacked, or its keys were destroyed; the state of another member was taken over"
                );
                break;
            }
            Err(error) => {
                tracing::warn!(member = member.name, %error, "the state of a member cannot be taken over");
            }
        }
    }
    outcome
}
