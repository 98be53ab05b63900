//! The registry in a stopped server's files.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, bail};

use crate::{
    audit::{Audit, Audited, Call, Filters, local_user},
    cli::note::note,
    cli::source::clock_of,
    clock::TrustedClock,
    config::Config,
    envelope::{KeyFiles, Keyring},
    files::{DataDirectory, DataDirectoryError},
    registry::{StoppedRegistry, StoreError},
};

/// A stopped server's registry. As long as it is held no server starts on the same directory.
pub(super) struct Stopped {
    // In this order, so that the store is closed before anybody else may open it.
    pub(super) registry: StoppedRegistry,
    pub(super) clock: Arc<TrustedClock>,
    audit: Audit,
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
            Err(DataDirectoryError::InUse { pid, .. }) => return Err(runs(data, pid)),
            directory => directory?,
        };
        let clock = Arc::new(clock_of(data, config)?);
        if let Err(error) = clock.save() {
            // Reading must work on a full disk: an export is the way out.
            note!("dispatchd: trusted time is not saved: {error}");
        }
        // These calls have no personal filter, so the audit log needs none of the keys. They may be missing or elsewhere.
        let keys = KeyFiles::new(&data.join("keys"), config.keys.root_key.as_deref());
        let keyring = Arc::new(Keyring::without_keys(keys));
        let (dir, shared) = (data.join("audit"), Arc::clone(&clock) as _);
        let audit = Audit::new(dir, keyring, shared, config.audit.retention);
        let (registry, shared) = (data.join("registry"), Arc::clone(&clock) as _);
        match StoppedRegistry::open(&registry, config.registry.clone(), shared) {
            Err(StoreError::Locked(_)) => Err(runs(data, None)),
            opened => Ok(Self { registry: opened?, clock, audit, _directory: directory }),
        }
    }

    /// Notes in the audit log who makes a call that gives accounts out or takes them in. Durable when this returns.
    pub(super) fn note(&self, call: Call) -> anyhow::Result<Audited> {
        let noted = self.audit.begin(&local_user(), call, &Filters::none());
        noted.context("the audit log must note this call first, and it cannot be written")
    }
}

fn runs(data: &Path, pid: Option<u32>) -> anyhow::Error {
    let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    anyhow::anyhow!(
        "{}: in use by a server{pid}; leave out --data and go through its API (--server, --token-file), or stop it first",
        data.display()
    )
}
