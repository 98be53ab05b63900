//! What `/metrics` shows of the service's parts: log, audit log, registry, clock, disks, import, process.

use std::sync::Arc;

use super::{
    families::{Family, Value},
    members,
};
use crate::{
    audit::Audit,
    clock::TrustedClock,
    cluster::{HourKeys, Peers},
    files::{ProcessFigures, WatchedSpace},
    http::tls::Certificate,
    import_jobs::ImportJobs,
    query_log::{CopyFigures, QueryLog},
    registry::Registry,
    shared_log::{Fence, FenceFigures},
    vocabulary::Platform,
};

/// The parts.
#[derive(Clone)]
pub struct States {
    /// The query log.
    pub log: QueryLog,
    /// The audit log.
    pub audit: Audit,
    /// The directory of handles.
    pub registry: Arc<Registry>,
    /// Imports.
    pub imports: Arc<ImportJobs>,
    /// Trusted time.
    pub clock: Arc<TrustedClock>,
    /// The space of the directories that the service writes.
    pub space: Arc<WatchedSpace>,
    /// The listeners' certificate, if there is one.
    pub certificate: Option<Arc<Certificate>>,
    /// The fence, if other nodes change the directory, too.
    pub fence: Option<Fence>,
    /// What is known of the other nodes, and the keys of hours.
    pub node: Option<(Peers, HourKeys)>,
}

impl States {
    pub(super) fn families(&self) -> Vec<Family> {
        let mut families = vec![
            Family::info("build", "The version of the running program")
                .with(vec![("version", env!("CARGO_PKG_VERSION").into())], Value::Info),
        ];
        families.extend(self.log());
        families.extend(self.log.copy_figures().iter().flat_map(copied));
        families.push(yes_or_no(
            "audit_writable",
            "Whether the last entry of the audit log could be written",
            self.audit.is_writable(),
        ));
        families.extend(self.registry());
        families.push(yes_or_no(
            "import_running",
            "Whether an import is being applied",
            self.imports.is_running(),
        ));
        families.extend(self.clock());
        families.extend(self.disks());
        families.push(self.certificate());
        families.extend(self.fence.iter().flat_map(|fence| fenced(fence.figures())));
        let held = self.registry.held();
        let node = self.node.iter();
        families.extend(node.flat_map(|(peers, keys)| members::families(peers, keys, held)));
        families
    }

    fn certificate(&self) -> Family {
        let expiry = self.certificate.as_ref().map_or(0, |served| served.expires_at().as_secs());
        let help =
            "When the certificate of the listeners expires, since the Unix epoch, 0 without TLS";
        let family = Family::gauge("tls_certificate_expiry_timestamp", help);
        family.in_seconds().value(Value::Gauge(expiry as f64))
    }

    fn log(&self) -> Vec<Family> {
        let (ages, durations) = (self.log.ages(), self.log.durations());
        // Without a key there is no oldest one.
        let oldest = ages.oldest_key.map(|start| Value::Gauge(start.as_micros() as f64 / 1e6));
        vec![
            yes_or_no(
                "log_writable",
                "Whether the query log takes records: if not, lookups are refused",
                self.log.is_writable(),
            ),
            Family::durations(
                "log_commit_duration",
                "A commit of the query log: encrypting, writing and, with durability disk, syncing",
            )
            .value(Value::Histogram(durations.commit.values())),
            Family::durations("log_sync_duration", "The sync within a commit of the query log")
                .value(Value::Histogram(durations.sync.values())),
            Family::gauge(
                "log_oldest_key_timestamp",
                "The start of the oldest hour of the query log whose key exists",
            )
            .in_seconds()
            .with_all(oldest.map(|value| (Vec::new(), value))),
            Family::gauge("log_retention", "How long the query log keeps a record")
                .in_seconds()
                .value(Value::Gauge(ages.retention.as_secs_f64())),
            Family::gauge(
                "log_sealing_lag",
                "The age of the end of the oldest hour of the query log that is not sealed, 0 if there is none",
            )
            .in_seconds()
            .value(Value::Gauge(ages.sealing_lag.as_secs_f64())),
        ]
    }

    fn registry(&self) -> Vec<Family> {
        let (registry, totals) = (&self.registry, self.registry.totals());
        let count = |name, help, count| Family::gauge(name, help).value(Value::Gauge(count as f64));
        let devices = Platform::ALL.iter().map(|platform| {
            let count = Value::Gauge(totals.devices(*platform) as f64);
            (vec![("platform", platform.code().into())], count)
        });
        vec![
            yes_or_no("registry_ready", "Whether the registry is loaded", registry.is_ready()),
            yes_or_no(
                "registry_writable",
                "Whether the registry's store took the last change",
                registry.is_store_writable(),
            ),
            yes_or_no(
                "registry_low_on_space",
                "Whether sign-ups, proofs, imports and snapshots are refused for lack of free space",
                registry.is_low_on_space(),
            ),
            Family::durations(
                "registry_commit_duration",
                "A commit of the registry's store, with its sync",
            )
            .value(Value::Histogram(registry.commit_durations().values())),
            count("registry_handles", "Handles that an account holds", totals.handles),
            count("registry_accounts", "Accounts", totals.accounts),
            Family::gauge("registry_devices", "Devices, by platform").with_all(devices),
            count(
                "registry_live_devices",
                "Devices that checked in within their lease; one that lapses is counted for up to a minute more",
                totals.live_devices,
            ),
        ]
    }

    fn clock(&self) -> [Family; 2] {
        let clock = self.clock.status();
        [
            yes_or_no(
                "clock_followed",
                "Whether trusted time follows the wall clock",
                clock.is_followed,
            ),
            Family::gauge(
                "clock_ahead",
                "How far the wall clock is ahead of trusted time; negative if it is behind",
            )
            .in_seconds()
            .value(Value::Gauge(clock.wall_ahead_seconds as f64)),
        ]
    }

    fn disks(&self) -> [Family; 2] {
        let of = |name: &'static str| vec![("directory", name.into())];
        let free = Family::gauge("disk_free", "Free space of the disk that the directory lies on");
        let reserve = Family::gauge(
            "disk_reserve",
            "Free space below which the service writes nothing more into the directory, 0 if it may use all",
        );
        self.space.last().fold([free.in_bytes(), reserve.in_bytes()], |[free, reserve], space| {
            [
                free.with(of(space.name), Value::Gauge(space.free as f64)),
                reserve.with(of(space.name), Value::Gauge(space.reserve as f64)),
            ]
        })
    }
}

/// The copies of the log in its object store.
fn copied(figures: &CopyFigures) -> [Family; 7] {
    let count = |name, help, count| Family::counter(name, help).value(Value::Count(count));
    let gauge = |name, help, value| Family::gauge(name, help).value(Value::Gauge(value));
    [
        gauge(
            "log_store_lag",
            "The oldest committed record that is not in the object store is at most this old, 0 if all are",
            figures.lag.as_secs_f64(),
        )
        .in_seconds(),
        count("log_store_objects", "Objects that were created in the object store", figures.objects),
        Family::counter("log_store_copied", "Bytes of the query log that were copied to the object store")
            .in_bytes()
            .value(Value::Count(figures.bytes)),
        count("log_store_deleted", "Objects that were deleted from the object store", figures.deleted),
        count(
            "log_store_failures",
            "Rounds of copying that ended with an error of the object store",
            figures.failures,
        ),
        gauge(
            "log_store_expired",
            "Objects of expired hours that are not deleted yet; their keys are destroyed",
            figures.expired as f64,
        ),
        gauge(
            "log_store_conflicts",
            "Files of the query log that are not copied because an object of the store holds other bytes",
            figures.conflicts as f64,
        ),
    ]
}

/// The fence, and how far this node has followed the shared log.
fn fenced(figures: FenceFigures) -> [Family; 6] {
    let count = |name, help, count| Family::gauge(name, help).value(Value::Gauge(count as f64));
    let failed = figures
        .failed
        .map(|(failure, count)| (vec![("reason", failure.code().into())], Value::Count(count)));
    [
        Family::durations(
            "fence",
            "From the arrival of a request until the registry was known to have every change that was acknowledged before, or until it was refused",
        )
        .value(Value::Histogram(figures.waits)),
        Family::counter("fence_rounds", "Times that the fence began to ask for the head of the shared log")
            .value(Value::Count(figures.rounds)),
        Family::counter("fence_rounds_failed", "Rounds of the fence that let nobody through, by reason")
            .with_all(failed),
        yes_or_no(
            "registry_current",
            "Whether the registry is known to have every change: if not, requests that need it are refused",
            figures.is_current,
        ),
        count(
            "shared_log_applied_place",
            "The place in the shared log of the last entry that this node has applied",
            figures.applied,
        ),
        count(
            "shared_log_lag",
            "Entries of the shared log that this node has not applied, as of the last round of the fence",
            figures.lag,
        ),
    ]
}

/// Figures of the process, under the names that every Prometheus client gives them.
pub(super) fn process() -> Vec<Family> {
    let figures = match ProcessFigures::read() {
        Ok(figures) => figures,
        Err(error) => {
            tracing::debug!(%error, "the process's figures cannot be read");
            return Vec::new();
        }
    };
    let value = |value: u64| Value::Gauge(value as f64);
    vec![
        Family::counter("process_cpu", "Processor time of all threads")
            .in_seconds()
            .value(Value::Seconds(figures.cpu_seconds)),
        Family::gauge("process_resident_memory", "Resident memory")
            .in_bytes()
            .value(value(figures.resident_bytes)),
        Family::gauge("process_open_fds", "Open files and sockets")
            .value(value(figures.open_files)),
        Family::gauge("process_max_fds", "Files and sockets that the process may have open")
            .value(value(figures.open_files_max)),
        Family::gauge("process_start_time", "When the process started, since the Unix epoch")
            .in_seconds()
            .value(Value::Gauge(figures.started_at_seconds)),
        Family::gauge("process_threads", "Threads").value(value(figures.threads)),
    ]
}

fn yes_or_no(name: &'static str, help: &'static str, is_so: bool) -> Family {
    Family::gauge(name, help).value(Value::Gauge(f64::from(u8::from(is_so))))
}
