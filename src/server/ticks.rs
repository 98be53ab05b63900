//! Background ticks: retention, sealing, upkeep of registry and quotas, counts of refusals, and a check that the registry's writer runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::modules::Modules;
use crate::{
    audit::Audit,
    background::{lower_priority, spawn_tick},
    clock::TrustedClock,
    http::{operator::ClusterNode, tls::Certificate},
    limits,
    query_log::QueryLog,
    registry::Registry,
    shutdown::Shutdown,
};

const DIRECTORY_TICK: Duration = Duration::from_secs(60);
/// At most this many seconds of writing go below the reserve of the disk.
const SPACE_TICK: Duration = Duration::from_secs(1);
/// How soon a jump of trusted time is saved.
const CLOCK_TICK: Duration = Duration::from_secs(1);
const RETENTION_TICK: Duration = Duration::from_secs(60);
/// A segment is sealed this much after its grace, at the latest.
const SEALING_TICK: Duration = Duration::from_secs(30);
const REGISTRY_TICK: Duration = Duration::from_secs(60);
/// How soon a crash of the registry's writer stops the service.
const WATCH_TICK: Duration = Duration::from_secs(2);
const QUOTA_TICK: Duration = Duration::from_secs(600);
const REFUSALS_TICK: Duration = Duration::from_secs(60);
/// How soon a certificate whose files were replaced is served.
const CERTIFICATE_TICK: Duration = Duration::from_secs(60);

pub(super) fn spawn(
    shutdown: &Shutdown,
    modules: &Modules,
    clock: &Arc<TrustedClock>,
    directory_upkeep: impl Fn() + Send + Sync + 'static,
) {
    spawn_tick(shutdown, "directory", DIRECTORY_TICK, directory_upkeep);
    let (log, space) = (modules.log.clone(), modules.space.clone());
    let directories = Arc::clone(&modules.directories);
    spawn_tick(shutdown, "disk-space", SPACE_TICK, move || {
        log.check_space();
        space.check();
        directories.look();
    });
    // A clock that was not followed at the start was logged then.
    let was_followed = AtomicBool::new(clock.status().is_followed);
    let clock = Arc::clone(clock);
    spawn_tick(shutdown, "clock", CLOCK_TICK, move || {
        log_if_followed(&clock, &was_followed);
        if clock.has_unsaved_era() {
            // The tick of the directory reports an error, once a minute.
            let _ = clock.save();
        }
    });
    let (log, audit, node) = (modules.log.clone(), modules.audit.clone(), modules.node.clone());
    let lost = modules.lost.clone();
    spawn_tick(shutdown, "retention", RETENTION_TICK, move || {
        retention(&log, &audit);
        if let Some(node) = &node {
            hour_keys_of_others(node);
        }
        if let Some(lost) = &lost {
            lost.tick();
        }
    });
    let (log, stop) = (modules.log.clone(), shutdown.clone());
    spawn_tick(shutdown, "sealing", SEALING_TICK, move || sealing(&log, &stop));
    let quota = Arc::clone(&modules.quota);
    spawn_tick(shutdown, "quota", QUOTA_TICK, move || quota.tick());
    let quota = Arc::clone(&modules.quota);
    spawn_tick(shutdown, "quota-files", limits::QUOTA_WRITE_EVERY, move || quota.write());
    let (dispatch, runtime) = (modules.dispatch.clone(), tokio::runtime::Handle::current());
    spawn_tick(shutdown, "refusals", REFUSALS_TICK, move || {
        runtime.block_on(dispatch.log_refusal_counts());
    });
    let (registry, runtime) = (Arc::clone(&modules.registry), tokio::runtime::Handle::current());
    spawn_tick(shutdown, "registry", REGISTRY_TICK, move || {
        runtime.block_on(upkeep(&registry));
    });
    let (registry, stop) = (Arc::clone(&modules.registry), shutdown.clone());
    spawn_tick(shutdown, "watch", WATCH_TICK, move || {
        if registry.has_crashed() {
            stop.crashed("registry-writer");
        }
    });
}

/// Copies the log to its object store.
pub(super) fn spawn_copies(shutdown: &Shutdown, log: &QueryLog, interval: Duration) {
    let of_others = log.clone();
    let (log, stop) = (log.clone(), shutdown.clone());
    spawn_tick(shutdown, "log-copies", interval, move || log.copy(&|| stop.is_stopping()));
    let (log, stop) = (of_others, shutdown.clone());
    let every = limits::LOG_COPY_LIST_EVERY;
    spawn_tick(shutdown, "other-copies", every, move || {
        log.forget_other_copies(&|| stop.is_stopping());
    });
}

/// Copies what a stopped log has not copied yet.
pub(super) fn last_copies(log: &QueryLog) {
    let began = Instant::now();
    log.copy_last(&|| began.elapsed() > limits::LOG_COPY_CLOSE_PATIENCE);
}

/// Follows the files of the listeners' certificate.
pub(super) fn spawn_certificate(shutdown: &Shutdown, certificate: Arc<Certificate>) {
    spawn_tick(shutdown, "certificate", CERTIFICATE_TICK, move || certificate.tick());
}

/// Logs when trusted time begins or ceases to follow the wall clock. What to do about it is logged by [`save_clock`].
fn log_if_followed(clock: &TrustedClock, was_followed: &AtomicBool) {
    let status = clock.status();
    if status.is_followed == was_followed.swap(status.is_followed, Ordering::Relaxed) {
        return;
    }
    let (ahead_seconds, synchronised) = (status.wall_ahead_seconds, status.is_synchronised);
    if status.is_followed {
        tracing::info!(synchronised, "trusted time follows the wall clock again");
    } else {
        tracing::error!(
            ahead_seconds,
            synchronised,
            "trusted time no longer follows the wall clock"
        );
    }
}

/// Saves trusted time, and says what to do if the clocks disagree.
pub(super) fn save_clock(clock: &TrustedClock) {
    if let Some(advice) = clock.status().advice() {
        tracing::error!("{advice}");
    }
    if let Err(error) = clock.save() {
        tracing::warn!(%error, "trusted time is not saved; trying again");
    }
}

/// Records leases that lapsed, removes devices that were silent for long, forgets handles that ended long ago, and logs it.
pub(super) async fn upkeep(registry: &Registry) {
    match registry.tick().await {
        Ok(done) if done.lapsed + done.removed + done.forgotten > 0 => {
            let (lapsed, removed, forgotten) = (done.lapsed, done.removed, done.forgotten);
            tracing::info!(lapsed, removed, forgotten, "registry upkeep");
        }
        Ok(_) => tracing::debug!("registry upkeep: nothing due"),
        Err(error) => tracing::warn!(%error, "registry upkeep will be tried again"),
    }
}

/// Seals segments whose hour is over, and logs it. On a thread of its own, because the thread that runs ticks must keep its
/// priority.
pub(super) fn sealing(log: &QueryLog, stop: &Shutdown) {
    let outcome = thread::scope(|scope| {
        let seal = || {
            lower_priority();
            log.seal(&|| stop.is_stopping())
        };
        let thread = thread::Builder::new().name("log-sealing".into()).spawn_scoped(scope, seal);
        thread.map(thread::ScopedJoinHandle::join)
    });
    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => {
            tracing::warn!(%error, "no thread to seal the log with; trying again");
            return;
        }
    };
    for (segment, error) in &outcome.failed {
        tracing::error!(%segment, %error, "a segment of the log was not sealed; it stays readable as it is");
    }
    if outcome.waiting > 0 {
        let segments = outcome.waiting;
        tracing::warn!(
            segments,
            "the log's disk has too little space to seal segments; trying again"
        );
    }
    let (segments, records) = (outcome.segments, outcome.records);
    if segments > 0 {
        let (before, after) = (outcome.bytes_before, outcome.bytes_after);
        tracing::info!(segments, records, before, after, "segments of the log were sealed");
    }
}

/// Destroys what has expired of the keys of other nodes' hours, and logs it.
fn hour_keys_of_others(node: &ClusterNode) {
    let members: Vec<_> = node.peers.members().into_iter().map(|member| member.node).collect();
    match node.hour_keys.destroy_expired(&members) {
        Ok(0) => {}
        Ok(keys) => tracing::info!(keys, "expired keys of other nodes' hours destroyed"),
        Err(error) => {
            tracing::error!(%error, "expired keys of other nodes' hours could not be destroyed; trying again at the next tick");
        }
    }
}

/// Destroys what has expired, and logs it.
pub(super) fn retention(log: &QueryLog, audit: &Audit) {
    let outcome = log.tick();
    if !log.is_writable() {
        tracing::error!("the log still cannot be written, so lookups are refused");
    }
    if let Some(error) = &outcome.error {
        tracing::error!(%error, "expired hours could not be destroyed; trying again at the next tick");
    }
    let (hours, files, left) = (outcome.hours_destroyed, outcome.files_removed, outcome.files_left);
    if hours + files + left > 0 {
        tracing::info!(hours, files, left, "retention: expired hours destroyed");
    }
    match audit.expire() {
        Ok(0) => {}
        Ok(days) => tracing::info!(days, "expired days of the audit log removed"),
        Err(error) => tracing::error!(%error, "expired days of the audit log stay for now"),
    }
}
