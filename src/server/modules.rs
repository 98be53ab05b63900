//! Opens the modules that keep state, in order.

use std::sync::Arc;

use anyhow::Context as _;
use zeroize::Zeroizing;

use super::{
    copies::{HeldHours, copy_options, lost_nodes},
    node::NodeParts,
    space::RegistrySpace,
    store_names::StoreNames,
};
use crate::{
    audit::Audit,
    clock::{SharedClock, TrustedClock},
    cluster::{HourKeys, LostNodes, MemberKeyFiles, MemberKeyrings},
    config::Config,
    dispatch::Dispatch,
    envelope::KeyFiles,
    files::{OsDisk, SharedDisk, WatchedSpace},
    http::{
        operator::{ClusterNode, Counters, Defences, Snapshots, States},
        proxies::Proxies,
        tls::Tls,
        traffic::Traffic,
    },
    import_jobs::ImportJobs,
    operators::{self, Operators},
    query_log::{self, LogOptions, MayCopy, QueryLog},
    quota::{Quota, QuotaFiles},
    registry::{LogMember, Registry},
    shared_log::{Fence, Followed},
    shutdown::Shutdown,
    verification::{CodesSent, DeliveryPauses, DeliveryRouter, HashKey, VerificationService},
};

pub(super) struct Modules {
    pub(super) registry: Arc<Registry>,
    pub(super) operators: Arc<Operators>,
    pub(super) space: RegistrySpace,
    /// Free space for metrics.
    pub(super) directories: Arc<WatchedSpace>,
    pub(super) intake: Arc<ImportJobs>,
    pub(super) snapshots: Snapshots,
    pub(super) log: QueryLog,
    pub(super) audit: Audit,
    pub(super) quota: Arc<Quota>,
    pub(super) ownership: Arc<VerificationService>,
    pub(super) codes: Arc<CodesSent>,
    pub(super) deliveries: DeliveryPauses,
    pub(super) dispatch: Dispatch,
    /// None unless other nodes change the directory, too.
    pub(super) fence: Option<Fence>,
    /// This node, if it is one of a cluster.
    pub(super) node: Option<ClusterNode>,
    /// The logs of its cluster's lost nodes, if they are copied.
    pub(super) lost: Option<LostNodes>,
}

impl Modules {
    /// The counts that `/metrics` shows, with those of both listeners.
    pub(super) fn counters(
        &self,
        phones: &Arc<Traffic>,
        operators: &Arc<Traffic>,
        proxies: &Proxies,
    ) -> Counters {
        Counters {
            phones: Arc::clone(phones),
            operators: Arc::clone(operators),
            proxies: proxies.clone(),
            lookups: self.dispatch.counts(),
            unrecorded: self.dispatch.unrecorded(),
            verifications: Arc::clone(&self.ownership),
            codes: Arc::clone(&self.codes),
        }
    }

    /// The defence against abuse that `/metrics` shows.
    pub(super) fn defences(&self) -> Defences {
        Defences {
            registry: Arc::clone(&self.registry),
            quota: Arc::clone(&self.quota),
            verifications: Arc::clone(&self.ownership),
            codes: Arc::clone(&self.codes),
            deliveries: self.deliveries.clone(),
        }
    }

    /// The parts whose states `/metrics` shows.
    pub(super) fn states(&self, clock: &Arc<TrustedClock>, tls: Option<&Tls>) -> States {
        States {
            log: self.log.clone(),
            audit: self.audit.clone(),
            registry: Arc::clone(&self.registry),
            imports: Arc::clone(&self.intake),
            clock: Arc::clone(clock),
            space: Arc::clone(&self.directories),
            certificate: tls.map(|tls| Arc::clone(&tls.certificate)),
            fence: self.fence.clone(),
            node: self.node.as_ref().map(|node| (node.peers.clone(), node.hour_keys.clone())),
        }
    }
}

/// Opens keys, log (recovery happens here) and registry store; nothing is loaded yet. `node` is none unless other nodes change the
/// directory, too.
pub(super) fn open(
    config: &Config,
    clock: &SharedClock,
    keys_disk: &SharedDisk,
    shutdown: &Shutdown,
    node: Option<(LogMember, Option<NodeParts>)>,
) -> anyhow::Result<Modules> {
    let data = &config.server.data;
    let is_in_cluster = node.as_ref().is_some_and(|(_, parts)| parts.is_some());
    let held = HeldHours::default();
    let log = open_log(config, clock, keys_disk, shutdown, is_in_cluster.then_some(&held))?;
    let (keyring, retention) = (log.keyring(), config.audit.retention);
    let (dir, disk) = (data.join("audit"), Arc::clone(keys_disk));
    let audit = Audit::on_disk(disk, dir, keyring, Arc::clone(clock), retention);
    let key = HashKey::open(keys_disk, &data.join("keys"))?;
    let shared_key = is_in_cluster.then(|| key.of_asked_handles());
    let quota = Arc::new(open_quota(config, clock, &log, shared_key)?);
    let directory = data.join("registry");
    operators::take_over(&directory).context("taking the list of operators over")?;
    let (registry, fence) = open_registry(config, clock, keys_disk, node.as_ref())?;
    let operators = Arc::new(Operators::new(Arc::clone(&registry)));
    let reserve = config.server.disk_reserve;
    let space =
        RegistrySpace { directory: directory.clone(), reserve, registry: Arc::clone(&registry) };
    // Before the first sign-up is taken.
    space.check();
    let snapshots = Snapshots::open(&directory, config.server.disk_reserve)
        .context("removing left-over snapshots")?;
    let intake =
        ImportJobs::open(directory.join("import"), Arc::clone(&registry), shutdown.clone())
            .context("opening the directory of imports")?;
    let routes = DeliveryRouter::open(&config.ownership, Some(data), clock)
        .context("opening the delivery of codes")?;
    let deliveries = routes.pauses();
    let codes = routes.codes_sent();
    let mut lost = None;
    let node = match node {
        Some((member, Some(parts))) => {
            let hour_keys = open_hour_keys(config, clock, keys_disk, &log, &parts)?;
            held.set(hour_keys.clone());
            lost = lost_nodes(config, clock, &hour_keys)?;
            Some(parts.node(&member, &registry, clock, &key, hour_keys))
        }
        _ => None,
    };
    let ownership = VerificationService::new(
        Arc::clone(&registry),
        Arc::new(routes),
        Arc::clone(clock),
        shutdown.clone(),
        key,
        &config.ownership,
    );
    let (registry_read, quota_read) = (Arc::clone(&registry), Arc::clone(&quota));
    let (answers, stop) = (config.dispatch.clone(), shutdown.clone());
    let dispatch = Dispatch::new(registry_read, log.clone(), quota_read, answers, stop);
    let ownership = Arc::new(ownership);
    let directories = [("log", reserve), ("registry", reserve), ("audit", 0), ("keys", 0)];
    let watched = directories.map(|(name, reserve)| (name, data.join(name), reserve));
    Ok(Modules {
        registry,
        operators,
        space,
        directories: Arc::new(WatchedSpace::new(watched)),
        intake,
        snapshots,
        log,
        audit,
        quota,
        ownership,
        codes,
        deliveries,
        dispatch,
        fence,
        node,
        lost,
    })
}

/// `held` says in a cluster which hours may be copied.
fn open_log(
    config: &Config,
    clock: &SharedClock,
    keys_disk: &SharedDisk,
    shutdown: &Shutdown,
    held: Option<&HeldHours>,
) -> anyhow::Result<QueryLog> {
    let data = &config.server.data;
    let keys = KeyFiles::new(&data.join("keys"), config.keys.root_key.as_deref());
    if config.log.store.is_on() {
        StoreNames::read(data)?.note(keys_disk)?;
    }
    let may_copy = held.map_or_else(|| Arc::new(|_| true) as MayCopy, HeldHours::may_copy);
    let options = LogOptions {
        copies: copy_options(&config.log, data, may_copy)?,
        keys_disk: Arc::clone(keys_disk),
        disk_reserve: config.server.disk_reserve,
        ..LogOptions::new(data.join("log"), keys, config.log.clone(), Arc::clone(clock))
    };
    let (log, report) = QueryLog::open(options, shutdown).context("opening the query log")?;
    report_recovery(&report);
    Ok(log)
}

/// The keys of hours of a node of a cluster. What has expired is destroyed.
fn open_hour_keys(
    config: &Config,
    clock: &SharedClock,
    keys_disk: &SharedDisk,
    log: &QueryLog,
    parts: &NodeParts,
) -> anyhow::Result<HourKeys> {
    let files = MemberKeyFiles::new(&config.server.data, config.keys.root_key.as_deref());
    let (identity, clock) = (parts.identity.clone(), Arc::clone(clock));
    MemberKeyrings::open(Arc::clone(keys_disk), files)
        .and_then(|members| {
            HourKeys::open(identity, log.keyring(), members, clock, config.log.retention)
        })
        .context("opening the keys of another node's hours; if they are damaged, move that node's directory below keys/members away")
}

/// With the fence before its calls, if it follows a shared log.
fn open_registry(
    config: &Config,
    clock: &SharedClock,
    keys_disk: &SharedDisk,
    node: Option<&(LogMember, Option<NodeParts>)>,
) -> anyhow::Result<(Arc<Registry>, Option<Fence>)> {
    let data = &config.server.data;
    let open = || {
        let (directory, config) = (data.join("registry"), config.registry.clone());
        Registry::open(&directory, config, Arc::clone(clock)).context("opening the registry")
    };
    let registry = open()?;
    let Some((member, parts)) = node else { return Ok((Arc::new(registry), None)) };
    let registry = match parts {
        Some(parts) => match parts.catch_up(registry, member, data, keys_disk)? {
            Some(registry) => registry,
            None => open()?,
        },
        None => registry,
    };
    let log = Arc::clone(&member.log);
    let registry = Arc::new(registry.following(member.clone())?);
    let followed = Followed { log, follower: Arc::clone(&registry) as _ };
    Ok((registry, Some(Fence::new(followed, config.cluster.fence_timeout))))
}

/// With files, unless quotas are off; with other nodes of a cluster, if they share a key.
fn open_quota(
    config: &Config,
    clock: &SharedClock,
    log: &QueryLog,
    shared_key: Option<Zeroizing<[u8; 16]>>,
) -> anyhow::Result<Quota> {
    let (quota, clock) = (config.quota.clone(), Arc::clone(clock));
    if !quota.enabled {
        return Ok(Quota::new(quota, clock));
    }
    let dir = config.server.data.join("quota");
    let files = QuotaFiles {
        dir: dir.clone(),
        disk: OsDisk::shared(),
        keyring: log.keyring(),
        retention: config.log.retention,
        shared_key,
    };
    Quota::open(quota, clock, files)
        .with_context(|| format!("opening the quota's files in {}", dir.display()))
}

fn report_recovery(report: &query_log::RecoveryReport) {
    let (segments, finished) = (report.segments, report.finished);
    if report.damaged > 0 || !report.unreadable.is_empty() || !report.keys_missing.is_empty() {
        tracing::error!(
            damaged = report.damaged,
            unreadable = report.unreadable.len(),
            keys_missing = report.keys_missing.len(),
            "the log is damaged; everything else in it can be read, and nothing was deleted: \
             see `dispatchd log verify`"
        );
    }
    tracing::info!(segments, finished, cut_bytes = report.cut_bytes, "the query log is open");
}
