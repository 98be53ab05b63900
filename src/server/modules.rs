//! Opens the modules that keep state, in order.

use std::sync::Arc;

use anyhow::Context as _;

use super::space::RegistrySpace;
use crate::{
    audit::Audit,
    clock::SharedClock,
    config::Config,
    dispatch::Dispatch,
    envelope::KeyFiles,
    files::SharedDisk,
    http::operator::{Counters, Snapshots},
    import_jobs::ImportJobs,
    query_log::{self, LogOptions, QueryLog},
    quota::Quota,
    registry::Registry,
    shutdown::Shutdown,
    verification::{DeliveryRouter, VerificationService},
};

pub(super) struct Modules {
    pub(super) registry: Arc<Registry>,
    pub(super) space: RegistrySpace,
    pub(super) intake: Arc<ImportJobs>,
    pub(super) snapshots: Snapshots,
    pub(super) log: QueryLog,
    pub(super) audit: Audit,
    pub(super) quota: Arc<Quota>,
    pub(super) ownership: Arc<VerificationService>,
    pub(super) dispatch: Dispatch,
}

impl Modules {
    /// The counts that `/metrics` shows.
    pub(super) fn counters(&self) -> Counters {
        Counters {
            lookups: self.dispatch.counts(),
            unrecorded: self.dispatch.unrecorded(),
            quota: Arc::clone(&self.quota),
            verifications: Arc::clone(&self.ownership),
        }
    }
}

/// Opens keys, log (recovery happens here) and registry store; nothing is loaded yet.
pub(super) fn open(
    config: &Config,
    clock: &SharedClock,
    keys_disk: &SharedDisk,
    shutdown: &Shutdown,
) -> anyhow::Result<Modules> {
    let data = &config.server.data;
    let keys = KeyFiles::new(&data.join("keys"), config.keys.root_key.as_deref());
    let options = LogOptions {
        keys_disk: Arc::clone(keys_disk),
        disk_reserve: config.server.disk_reserve,
        ..LogOptions::new(data.join("log"), keys, config.log.clone(), Arc::clone(clock))
    };
    let (log, report) = QueryLog::open(options, shutdown).context("opening the query log")?;
    report_recovery(&report);
    let (keyring, retention) = (log.keyring(), config.audit.retention);
    let (dir, disk) = (data.join("audit"), Arc::clone(keys_disk));
    let audit = Audit::on_disk(disk, dir, keyring, Arc::clone(clock), retention);
    let directory = data.join("registry");
    let registry = Registry::open(&directory, config.registry.clone(), Arc::clone(clock))
        .context("opening the registry")?;
    let registry = Arc::new(registry);
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
    let (routes, shutdown, sessions) =
        (Arc::new(routes), shutdown.clone(), config.ownership.sessions);
    let (codes_for, time) = (Arc::clone(&registry), Arc::clone(clock));
    let ownership = VerificationService::new(codes_for, routes, time, shutdown, sessions);
    let quota = Arc::new(Quota::new(config.quota.clone(), Arc::clone(clock)));
    let (registry_read, quota_read) = (Arc::clone(&registry), Arc::clone(&quota));
    let dispatch = Dispatch::new(registry_read, log.clone(), quota_read, config.dispatch.clone());
    let ownership = Arc::new(ownership);
    Ok(Modules { registry, space, intake, snapshots, log, audit, quota, ownership, dispatch })
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
