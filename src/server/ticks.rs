//! Background ticks: retention, sealing, upkeep of registry and quotas, counts of refusals, and a check that the registry's writer runs.

use std::{sync::Arc, thread, time::Duration};

use super::modules::Modules;
use crate::{
    audit::Audit,
    background::{lower_priority, spawn_tick},
    clock::TrustedClock,
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

pub(super) fn spawn(
    shutdown: &Shutdown,
    modules: &Modules,
    clock: &Arc<TrustedClock>,
    directory_upkeep: impl Fn() + Send + Sync + 'static,
) {
    spawn_tick(shutdown, "directory", DIRECTORY_TICK, directory_upkeep);
    let (log, space) = (modules.log.clone(), modules.space.clone());
    spawn_tick(shutdown, "disk-space", SPACE_TICK, move || {
        log.check_space();
        space.check();
    });
    let clock = Arc::clone(clock);
    spawn_tick(shutdown, "clock", CLOCK_TICK, move || {
        if clock.has_unsaved_era() {
            // The tick of the directory reports an error, once a minute.
            let _ = clock.save();
        }
    });
    let (log, audit) = (modules.log.clone(), modules.audit.clone());
    spawn_tick(shutdown, "retention", RETENTION_TICK, move || retention(&log, &audit));
    let (log, stop) = (modules.log.clone(), shutdown.clone());
    spawn_tick(shutdown, "sealing", SEALING_TICK, move || sealing(&log, &stop));
    let quota = Arc::clone(&modules.quota);
    spawn_tick(shutdown, "quota", QUOTA_TICK, move || quota.tick());
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
