//! What a server needs besides its shared log to be a node of a cluster: it asks the other nodes, and they ask it.

use std::{path::Path, sync::Arc};

use futures_util::future::join;
use zeroize::Zeroizing;

use crate::{
    clock::SharedClock,
    cluster::{
        self, ClusterKeys, HourKeyExchange, HourKeys, Identity, MemberClient, Peers, QuotaExchange,
    },
    files::SharedDisk,
    http::operator::ClusterNode,
    quota::Quota,
    registry::{LogMember, Registry},
    shared_log::etcd::Etcd,
    shutdown::Shutdown,
    verification::HashKey,
};

/// Who this node is, and how it asks others.
#[derive(Clone)]
pub(super) struct NodeParts {
    /// Who it is.
    pub(super) identity: Identity,
    /// The keys of entries.
    pub(super) keys: Arc<ClusterKeys>,
    /// Asks the others.
    pub(super) client: MemberClient,
    /// Where the shared log is.
    pub(super) engine: Arc<Etcd>,
}

impl NodeParts {
    /// If the shared log has no longer what `registry` lacks, or its keys are gone, closes it and takes the state of another member over. Blocks. Returns the
    /// registry, unless its store was replaced.
    pub(super) fn catch_up(
        &self,
        registry: Registry,
        member: &LogMember,
        data: &Path,
        disk: &SharedDisk,
    ) -> anyhow::Result<Option<Registry>> {
        let Self { keys, client, .. } = self;
        let members = cluster::other_members(&registry, &self.identity);
        let has_others = !members.is_empty();
        let looked = cluster::is_left_behind(&*member.log, &registry, keys, has_others);
        if !member.runtime.block_on(looked) {
            return Ok(Some(registry));
        }
        drop(registry);
        let taken = cluster::take_over_from_any(data, disk, &members, client, keys);
        member.runtime.block_on(taken)?;
        Ok(None)
    }

    /// The node, for the calls of others.
    pub(super) fn node(
        self,
        member: &LogMember,
        registry: &Arc<Registry>,
        clock: &SharedClock,
        key: &HashKey,
        hour_keys: HourKeys,
    ) -> ClusterNode {
        let Self { identity, keys, client, engine } = self;
        let (registry, log) = (Arc::clone(registry), Arc::clone(&member.log));
        let (cluster, own) = (identity.cluster, identity.node);
        let peers = Peers::new(identity, registry, log, Arc::clone(clock), client);
        let verification = Arc::new(Zeroizing::new(*key.reveal()));
        ClusterNode { cluster, node: own, keys, verification, peers, hour_keys, engine }
    }
}

/// Asks the other nodes, also for keys of hours, on the current runtime until the stop.
pub(super) fn spawn_peers(node: &ClusterNode, shutdown: &Shutdown) {
    let (peers, stop) = (node.peers.clone(), shutdown.clone());
    let hour_keys = HourKeyExchange::new(node.hour_keys.clone(), node.peers.clone());
    shutdown.spawn("peers", async move {
        tokio::select! {
            () = stop.stopping() => {}
            ((), ()) = join(peers.run(), hour_keys.run()) => {}
        }
    });
}

/// Tells the other nodes of quotas, on the current runtime until the stop. To be called once the quota's files are read: a node that begins tells
/// what is owed, once.
pub(super) fn spawn_quotas(node: &ClusterNode, quota: &Arc<Quota>, shutdown: &Shutdown) {
    let stop = shutdown.clone();
    let quotas = QuotaExchange::new(Arc::clone(quota), node.peers.clone());
    shutdown.spawn("quotas", async move {
        tokio::select! {
            () = stop.stopping() => {}
            () = quotas.run() => {}
        }
    });
}
