//! Which cluster a server is a node of, by its configuration and its data directory.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::{
    runtime::{Builder, Runtime},
    time::sleep,
};

use super::node::NodeParts;
use crate::{
    clock::SharedClock,
    cluster::{ClusterKeys, Identity, KeyRotation, Member, MemberClient},
    config::Config,
    files::SharedDisk,
    limits,
    registry::{EntryFormat, LogMember, NodeId, Registry},
    shared_log::{
        EngineError, Follower as _, Stopped,
        etcd::{Etcd, Probed},
    },
    shutdown::Shutdown,
};

/// A node's membership.
pub(super) struct Membership {
    pub(super) member: LogMember,
    pub(super) parts: NodeParts,
    runtime: EngineRuntime,
    is_probed: bool,
}

/// Where the connections to the engine and the rounds of the fence run: a thread of their own. On a runtime of several threads each
/// answer of the engine goes from one to the next, and a lookup takes measurably longer.
pub(super) struct EngineRuntime(Option<Runtime>);

impl EngineRuntime {
    fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("engine")
            .enable_all()
            .build()
            .context("starting the thread of the engine")?;
        Ok(Self(Some(runtime)))
    }
}

impl Drop for EngineRuntime {
    fn drop(&mut self) {
        // The last one may be dropped by a task, which must not wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Membership {
    /// The membership of the data directory. None if it is one of a single machine. The directory is locked.
    ///
    /// # Errors
    /// If configuration and directory do not fit together, a file of the node cannot be used, or the engine refuses it. An engine that
    /// does not answer is no error: requests wait for it behind the fence.
    pub(super) async fn open(
        config: &Config,
        disk: &SharedDisk,
        clock: &SharedClock,
    ) -> anyhow::Result<Option<Self>> {
        let data = &config.server.data;
        let identity = match (Identity::read(data)?, config.cluster.is_on()) {
            (None, false) => return Ok(None),
            (None, true) => bail!(
                "{}: belongs to no cluster, but cluster.engine names one; run `dispatchd cluster init` to begin a cluster with this \
                 directory, or `dispatchd cluster join` with an empty one",
                data.display()
            ),
            (Some(_), false) => bail!(
                "{}: belongs to a cluster, but cluster.engine is empty; set it, or run `dispatchd cluster leave` to serve the directory \
                 from this machine alone",
                data.display()
            ),
            (Some(identity), true) => identity,
        };
        let named = &config.cluster.node;
        if !named.is_empty() && *named != identity.name {
            bail!(
                "cluster.node = {named:?}, but {} is that of the node {:?}; leave the key empty, or remove the node and join anew",
                data.display(),
                identity.name
            );
        }
        let files = ClusterKeys::files(data, config.keys.root_key.as_deref());
        let keys = ClusterKeys::open(SharedDisk::clone(disk), files)
            .context("opening the keys of the shared log")?;
        let Some(keys) = keys else {
            bail!(
                "{}: has no key of the shared log; `dispatchd cluster init` or `join` was interrupted: run it again",
                data.display()
            )
        };
        let runtime = EngineRuntime::start()?;
        let handle = runtime.0.as_ref().context("it was started")?.handle().clone();
        let engine = {
            let _connections = handle.enter();
            Arc::new(Etcd::new(&config.cluster.etcd()?)?)
        };
        let is_probed = match engine.probe().await {
            Ok(probed) => {
                tell(&probed);
                true
            }
            Err(error @ EngineError::Unknown(_)) => {
                tracing::error!(%error, "requests get 503 until etcd answers");
                false
            }
            Err(error) => return Err(error).context("cluster.engine"),
        };
        let keys = Arc::new(keys.with_retention(config.log.retention));
        let members_ca = &config.cluster.members_ca;
        let client = MemberClient::new(&identity, members_ca, Arc::clone(clock))?;
        let member = LogMember {
            log: Arc::clone(&engine) as _,
            runtime: handle,
            cluster: identity.cluster,
            node: identity.node,
            key: Arc::new(identity.key()),
            authors: Member::author,
            keys: Arc::clone(&keys) as _,
            format: EntryFormat::NEWEST,
        };
        let parts = NodeParts { identity, keys, client, engine };
        Ok(Some(Self { member, parts, runtime, is_probed }))
    }

    /// Changes the keys of entries, and asks the engine now and then which members it has: an older one that comes may answer reads with
    /// stale data. Stops a node whose next entry is gone: only a start takes the state of another member over. What this returns must outlive the registry.
    pub(super) fn serve(
        self,
        registry: &Arc<Registry>,
        clock: &SharedClock,
        shutdown: &Shutdown,
    ) -> EngineRuntime {
        let Self { is_probed, parts: NodeParts { identity, keys, engine, .. }, runtime, .. } = self;
        let own = identity.node;
        let rotation = KeyRotation::new(identity, keys, Arc::clone(registry), Arc::clone(clock));
        let (stop, registry) = (shutdown.clone(), Arc::clone(registry));
        shutdown.spawn("cluster", async move {
            tokio::select! {
                () = watch(&engine, is_probed) => {}
                () = rotation.run() => {}
                () = until_left_behind(&registry, own) => {
                    tracing::error!("stopping: the next start takes the state of another member over");
                    stop.fail();
                }
                () = stop.stopping() => {}
            }
        });
        runtime
    }
}

/// Ends when the log has the next entry for this node no more, or its key is gone.
async fn until_left_behind(registry: &Registry, own: NodeId) {
    let is_left_behind = registry.reached(u64::MAX).await == Err(Stopped::Trimmed);
    // One that was removed has no keys of what follows, and no member gives it a state: it says so until somebody stops it.
    let is_member = Member::all(registry).iter().any(|member| member.node == own);
    if !is_left_behind || !is_member {
        std::future::pending().await
    }
}

/// Probes an engine that did not answer at the start, and then follows the versions of its members. Never ends.
async fn watch(engine: &Etcd, mut is_probed: bool) {
    loop {
        sleep(limits::ETCD_MEMBERS_PAUSE).await;
        if is_probed {
            engine.look_at_members().await;
            continue;
        }
        match engine.probe().await {
            Ok(probed) => {
                tell(&probed);
                is_probed = true;
            }
            Err(EngineError::Unknown(_)) => {}
            Err(error) => tracing::error!(%error, "etcd does not do what is needed"),
        }
    }
}

fn tell(probed: &Probed) {
    tracing::info!(engine = said(probed), "etcd answers");
    for (url, why) in &probed.silent {
        tracing::warn!(url, why, "an etcd member does not answer");
    }
}

fn said(Probed { fence, versions, silent }: &Probed) -> String {
    let versions: Vec<_> =
        versions.iter().map(|(url, version)| format!("{url} {version}")).collect();
    let (versions, silent) = (versions.join(", "), silent.len());
    format!("{versions}; {silent} silent; fence: {fence:?}")
}
