//! The files of a stopped node.

use std::sync::Arc;

use anyhow::Context as _;

use crate::{
    cli::{config::ConfigFile, source::clock_of},
    clock::{Clock as _, Timestamp, TrustedClock},
    cluster,
    config::Config,
    files::DataDirectory,
    operators::take_over,
    registry::StoppedRegistry,
    shared_log::etcd::Etcd,
};

use crate::cli::errors::UsageError;

/// The data directory of a stopped server. As long as it is held no server starts on it.
pub(super) struct StoppedNode {
    // In this order, so that the store is closed before anybody else may open it.
    pub(super) registry: StoppedRegistry,
    clock: Arc<TrustedClock>,
    pub(super) config: Config,
    _directory: DataDirectory,
}

impl StoppedNode {
    /// Opens the data directory of a node that the configuration names: a mistyped name must not look like an empty one.
    pub(super) fn open_existing(config: &ConfigFile) -> anyhow::Result<Self> {
        DataDirectory::check(&config.load()?.server.data)?;
        Self::open(config)
    }

    /// Opens the data directory that the configuration names, and makes it if there is none.
    pub(super) fn open(config: &ConfigFile) -> anyhow::Result<Self> {
        let config = config.load()?;
        let data = &config.server.data;
        let directory = DataDirectory::open(data)?;
        let clock = Arc::new(clock_of(data, &config)?);
        let folder = data.join("registry");
        take_over(&folder)?;
        let registry =
            StoppedRegistry::open(&folder, config.registry.clone(), Arc::clone(&clock) as _)?;
        Ok(Self { registry, clock, config, _directory: directory })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The engine of a cluster. Its connections belong to the runtime that this is called in.
///
/// # Errors
/// If the configuration names none, or it does not do what is needed.
pub(super) async fn engine(config: &cluster::Config) -> anyhow::Result<Etcd> {
    if !config.is_on() {
        let why = "cluster.engine is empty: name the client URLs of the etcd members in the configuration";
        return Err(UsageError(why.to_owned()).into());
    }
    let engine = Etcd::new(&config.etcd()?).context("cluster.engine")?;
    engine.probe().await.context("cluster.engine")?;
    Ok(engine)
}
