//! Whether the registry's store may grow: some space is left to other programs on its disk.

use std::{path::PathBuf, sync::Arc};

use crate::{files, registry::Registry};

/// Watches the free space of the disk that the registry lies on.
#[derive(Clone)]
pub(super) struct RegistrySpace {
    pub(super) directory: PathBuf,
    /// `server.disk_reserve`.
    pub(super) reserve: u64,
    pub(super) registry: Arc<Registry>,
}

impl RegistrySpace {
    /// Compares the free space with the reserve. To be called each second.
    pub(super) fn check(&self) {
        // If it is not known, writes show whether there is enough.
        let Ok(space) = files::space_of(&self.directory) else { return };
        let (free, least) = (space.free, space.reserve(self.reserve));
        let was_low = self.registry.is_low_on_space();
        let is_low = space.is_low(self.reserve, was_low);
        if is_low == was_low {
            return;
        }
        self.registry.set_low_on_space(is_low);
        if is_low {
            tracing::error!(
                free,
                least,
                "the registry's disk has less free space than server.disk_reserve leaves to other programs; sign-ups, proofs, \
                 imports and snapshots are refused"
            );
        } else {
            tracing::info!("the registry's disk has space again; sign-ups are taken");
        }
    }
}
