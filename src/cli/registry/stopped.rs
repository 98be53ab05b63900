//! The registry in a stopped server's files.

use std::{path::Path, sync::Arc};

use anyhow::bail;

use crate::{
    cli::note::note,
    cli::source::clock_of,
    clock::TrustedClock,
    config::Config,
    files::{DataDirectory, DataDirectoryError},
    registry::{StoppedRegistry, StoreError},
};

/// A stopped server's registry. As long as it is held no server starts on the same directory.
pub(super) struct Stopped {
    // In this order, so that the store is closed before anybody else may open it.
    pub(super) registry: StoppedRegistry,
    pub(super) clock: Arc<TrustedClock>,
    _directory: DataDirectory,
}

impl Stopped {
    /// Opens an existing registry: a mistyped name must not look like an empty one.
    pub(super) fn open(data: &Path, config: &Config) -> anyhow::Result<Self> {
        DataDirectory::check(data)?;
        if !data.join("registry").join("registry.redb").is_file() {
            bail!("{} is no data directory: it has no registry/registry.redb", data.display());
        }
        Self::open_or_found(data, config)
    }

    /// Opens the registry, or makes a new one: it may be filled before its server's first start.
    pub(super) fn open_or_found(data: &Path, config: &Config) -> anyhow::Result<Self> {
        let directory = match DataDirectory::open(data) {
            Err(DataDirectoryError::InUse { .. }) => return Err(runs(data)),
            directory => directory?,
        };
        let clock = Arc::new(clock_of(data, config)?);
        if let Err(error) = clock.save() {
            // Reading must work on a full disk: an export is the way out.
            note!("dispatchd: trusted time is not saved: {error}");
        }
        let (registry, shared) = (data.join("registry"), Arc::clone(&clock) as _);
        match StoppedRegistry::open(&registry, config.registry.clone(), shared) {
            Err(StoreError::Locked(_)) => Err(runs(data)),
            opened => Ok(Self { registry: opened?, clock, _directory: directory }),
        }
    }
}

fn runs(data: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "{}: in use by a server; leave out --data and go through its API (--server, --token-file)",
        data.display()
    )
}
