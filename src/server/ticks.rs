//! What runs again and again: forgetting, the registry's upkeep, the quotas' upkeep, a look whether the writer lives.

use std::{sync::Arc, time::Duration};

use super::rooms::Rooms;
use crate::{
    audit::Audit, background::spawn_tick, query_log::QueryLog, registry::Registry,
    shutdown::Shutdown,
};

const RETENTION_TICK: Duration = Duration::from_secs(60);
const REGISTRY_TICK: Duration = Duration::from_secs(60);
/// How soon a crash of the registry's writer stops the service.
const WATCH_TICK: Duration = Duration::from_secs(2);
const QUOTA_TICK: Duration = Duration::from_secs(600);

pub(super) fn spawn(shutdown: &Shutdown, rooms: &Rooms) {
    let (log, audit) = (rooms.log.clone(), rooms.audit.clone());
    spawn_tick(shutdown, "retention", RETENTION_TICK, move || retention(&log, &audit));
    let quota = Arc::clone(&rooms.quota);
    spawn_tick(shutdown, "quota", QUOTA_TICK, move || quota.tick());
    let (registry, runtime) = (Arc::clone(&rooms.registry), tokio::runtime::Handle::current());
    spawn_tick(shutdown, "registry", REGISTRY_TICK, move || {
        runtime.block_on(upkeep(&registry));
    });
    let (registry, stop) = (Arc::clone(&rooms.registry), shutdown.clone());
    spawn_tick(shutdown, "watch", WATCH_TICK, move || {
        if registry.has_crashed() {
            stop.crashed("registry-writer");
        }
    });
}

/// Records leases that lapsed, removes devices silent for long, forgets handles that ended long ago, and says so.
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

/// Destroys what has expired, and says so. While the clocks disagree nothing is, in the audit log neither.
pub(super) fn retention(log: &QueryLog, audit: &Audit) {
    let outcome = log.tick();
    if outcome.frozen {
        tracing::error!(
            "nothing is destroyed: the wall clock and the boot clock disagree by more than an hour. \
             If the wall clock is right now, restart the server"
        );
    }
    if let Some(error) = &outcome.error {
        tracing::error!(%error, "expired hours could not be destroyed; trying again at the next tick");
    }
    let (hours, files, left) = (outcome.hours_destroyed, outcome.files_removed, outcome.files_left);
    if hours + files + left > 0 {
        tracing::info!(hours, files, left, "retention: expired hours destroyed");
    }
    if outcome.frozen {
        return;
    }
    match audit.expire() {
        Ok(expired) if expired.files > 0 => {
            tracing::info!(days = expired.files, "expired days of the audit log removed");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "expired days of the audit log stay for now"),
    }
}
