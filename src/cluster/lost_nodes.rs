//! [`LostNodes`]: the logs of nodes that are lost, read from the object store with the keys that this node holds.

use super::{
    hour_keys::HourKeys,
    identity::store_name,
    member::Member,
    report::{node_of, shown},
};
use crate::{
    query_log::{LostLog, LostLogs},
    registry::NodeId,
};

/// Reads the logs of nodes that do not answer, or were removed. Clones share it. Its calls wait for the object store.
#[derive(Clone)]
pub struct LostNodes {
    logs: LostLogs,
    keys: HourKeys,
}

/// A node that was removed, while keys of its hours are alive.
pub struct RemovedNode {
    /// Its number.
    pub node: NodeId,
    /// Its name and number, as in the object store: another node may have the same name by now.
    pub name: String,
    /// Its log, or why it cannot be read.
    pub log: Result<LostLog, String>,
}

impl LostNodes {
    /// Reads from `logs` what `keys` open.
    pub const fn new(logs: LostLogs, keys: HourKeys) -> Self {
        Self { logs, keys }
    }

    /// The log of a node that does not answer. None if nothing of it was copied, or this node has no key of it. It ends soon after `stop`
    /// returns true.
    ///
    /// # Errors
    /// Why the store cannot be listed.
    pub fn log_of(
        &self,
        member: &Member,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<LostLog>, String> {
        self.log(member.node, &store_name(&member.name, member.node), stop)
    }

    /// The nodes that were removed and have copies that this node opens, if `members` are the present ones. In the order of their numbers. It
    /// ends soon after `stop` returns true.
    pub fn removed(&self, members: &[NodeId], stop: &dyn Fn() -> bool) -> Vec<RemovedNode> {
        let held = self.keys.held_nodes().into_iter();
        let gone: Vec<_> = held.filter(|node| !members.contains(node)).collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let stored = self.logs.nodes(stop);
        let removed = |node: NodeId| match &stored {
            Ok(stored) => {
                let name = stored.iter().find(|name| number_in(name) == Some(node))?.clone();
                let log = self.log(node, &name, stop).transpose()?;
                Some(RemovedNode { node, name, log })
            }
            // Nobody knows its name, nor whether it has copies.
            Err(error) => {
                let log = Err(format!("the object store: {error}"));
                Some(RemovedNode { node, name: shown(node), log })
            }
        };
        gone.into_iter().filter_map(removed).collect()
    }

    /// Removes what was fetched and is needed no more. Call it about every minute.
    pub fn tick(&self) {
        self.logs.tick();
    }

    /// Removes what was fetched.
    pub fn clear(&self) {
        self.logs.clear();
    }

    fn log(
        &self,
        node: NodeId,
        name: &str,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<LostLog>, String> {
        let Some(keyring) = self.keys.keyring_of(node) else { return Ok(None) };
        self.logs.of(name, keyring, stop).map_err(|error| format!("the object store: {error}"))
    }
}

/// The node's number in the name that its objects begin with.
fn number_in(store_name: &str) -> Option<NodeId> {
    node_of(store_name.rsplit_once('-')?.1)
}
