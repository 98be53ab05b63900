//! The data directory as a running server holds it: locked, with space set aside on its disk, and with its clock.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{SharedMachine, TrustedClock},
    config::Config,
    files::{self, DataDirectory, OsDisk, Reserve, ReservedDisk, SharedDisk},
};

/// Exists while a server answers at the addresses in it.
const ADDRESSES: &str = "addresses.json";

/// Where the listeners are, as in `addresses.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The phones' listener.
    pub phones: SocketAddr,
    /// The operators' listener.
    pub operators: SocketAddr,
}

pub(super) struct Directory {
    path: PathBuf,
    /// What may be written on a full disk, with the reserve.
    pub(super) disk: SharedDisk,
    pub(super) reserve: Arc<Reserve>,
    pub(super) clock: Arc<TrustedClock>,
    _lock: DataDirectory,
}

impl Directory {
    /// Locks the directory, checks its format, and finds out which time it is: everything that is opened later destroys by
    /// it.
    pub(super) fn open(config: &Config, machine: SharedMachine) -> anyhow::Result<Self> {
        let path = config.server.data.clone();
        let lock = DataDirectory::open(&path)?;
        remove_addresses(&path)?;
        let reserve = set_aside(config).context("setting space aside for keys")?;
        let disk = ReservedDisk::shared(OsDisk::shared(), &reserve);
        let clock = TrustedClock::open(machine, Arc::clone(&disk), &path, &config.clock)?;
        if let Err(error) = clock.save() {
            tracing::warn!(%error, "trusted time is not saved; trying again in a minute");
        }
        Ok(Self { path, disk, reserve, clock: Arc::new(clock), _lock: lock })
    }

    /// Writes the file of addresses. It appears complete.
    pub(super) fn write_addresses(&self, addresses: Addresses) -> anyhow::Result<()> {
        let path = self.path.join(ADDRESSES);
        let text = serde_json::to_vec(&addresses)?;
        let written = files::replace(&self.disk, &path, &text);
        written.with_context(|| format!("writing {}", path.display()))
    }

    /// Removes the file of addresses.
    pub(super) fn remove_addresses(&self) -> anyhow::Result<()> {
        remove_addresses(&self.path)
    }
}

/// A crash leaves the file; the next start removes it before it opens anything.
fn remove_addresses(data: &Path) -> anyhow::Result<()> {
    let path = data.join(ADDRESSES);
    files::remove_if_exists(&path).with_context(|| format!("removing {}", path.display()))
}

/// Sets space aside for keys and audit entries on each disk that holds them.
fn set_aside(config: &Config) -> io::Result<Arc<Reserve>> {
    let data = &config.server.data;
    let root = config.keys.root_key.as_deref().map(files::parent).map(Path::to_owned);
    let directories = [Some(data.clone()), Some(data.join("keys")), Some(data.join("audit")), root];
    let present: Vec<_> = directories.into_iter().flatten().filter(|path| path.is_dir()).collect();
    Reserve::open(present.iter().map(PathBuf::as_path), config.keys.reserve)
}
