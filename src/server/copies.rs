//! Where the log of a data directory is copied to.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use anyhow::Context as _;

use super::store_names::StoreNames;
use crate::{
    clock::SharedClock,
    cluster::{HourKeys, LostNodes},
    config::Config,
    files,
    query_log::{self, CopyOptions, LostLogs, MayCopy},
};

/// The directory, in that of the data, for what is fetched of lost nodes' logs.
const LOST: &str = "lost";

/// The options of copying for the data directory `data`. None if the configuration names no store.
///
/// # Errors
/// If a file that says what this machine is named in the store cannot be read.
pub fn copy_options(
    config: &query_log::Config,
    data: &Path,
    may_copy: MayCopy,
) -> anyhow::Result<Option<CopyOptions>> {
    if !config.store.is_on() {
        return Ok(None);
    }
    Ok(CopyOptions::of(config, StoreNames::read(data)?.in_order(), may_copy))
}

/// The logs of nodes that are lost, by way of a directory that is empty between two runs. None if the configuration names no store.
///
/// # Errors
/// If the directory cannot be emptied.
pub(super) fn lost_nodes(
    config: &Config,
    clock: &SharedClock,
    keys: &HourKeys,
) -> anyhow::Result<Option<LostNodes>> {
    let data = &config.server.data;
    let (dir, reserve, clock) = (data.join(LOST), config.server.disk_reserve, Arc::clone(clock));
    let Some(copies) = copy_options(&config.log, data, Arc::new(|_| true))? else {
        files::remove_tree(&dir).with_context(|| dir.display().to_string())?;
        return Ok(None);
    };
    let logs = LostLogs::open(&copies, dir.clone(), reserve, clock, config.log.retention)
        .with_context(|| dir.display().to_string())?;
    Ok(Some(LostNodes::new(logs, keys.clone())))
}

/// The hours of this node that may be copied: those whose keys another node of the cluster holds, if there is another one. A copy of another
/// hour is worth nothing once this machine is lost. The keys are opened behind the log: until then there is none.
#[derive(Clone, Default)]
pub(super) struct HeldHours(Arc<OnceLock<HourKeys>>);

impl HeldHours {
    /// Goes by `keys` from now on. The first ones stay.
    pub(super) fn set(&self, keys: HourKeys) {
        self.0.get_or_init(|| keys);
    }

    /// Whether an hour may be copied.
    pub(super) fn may_copy(&self) -> MayCopy {
        let held = self.clone();
        let may = move |keys: &HourKeys, hour| keys.is_alone() || keys.is_held_elsewhere(hour);
        Arc::new(move |hour| held.0.get().is_some_and(|keys| may(keys, hour)))
    }
}
