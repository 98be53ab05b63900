//! Where the log of a data directory is copied to.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use crate::{
    cluster::{HourKeys, Identity},
    query_log::{self, CopyOptions, MayCopy},
};

/// The node's name in the store, on a machine that shares its directory with no other.
const SINGLE: &str = "single";

/// The options of copying for the data directory `data`. None if the configuration names no store.
///
/// # Errors
/// If the file that says which node of a cluster this is cannot be read.
pub fn copy_options(
    config: &query_log::Config,
    data: &Path,
    may_copy: MayCopy,
) -> anyhow::Result<Option<CopyOptions>> {
    let identity = Identity::read(data)?;
    let node = identity.map_or_else(|| SINGLE.to_owned(), |identity| identity.store_name());
    Ok(CopyOptions::of(config, node, may_copy))
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
