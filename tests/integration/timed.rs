//! A real server in this process on a clock that the test moves.

use std::{path::Path, sync::Arc, time::Duration};

use dispatchd::{
    clock::{Clock as _, ManualClock, SystemClock},
    config::Config,
    files::DataDirectory,
    registry::{LogMember, StoppedRegistry, StoreError},
    server,
};
use tempfile::TempDir;

use crate::harness::Server;

/// The server, its clock, and its two listeners.
pub(crate) struct Timed {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) server: Server,
    config: Config,
    member: Option<LogMember>,
    running: Option<server::Server>,
    _folder: Option<TempDir>,
}

impl Timed {
    /// Starts a server with the default lease.
    pub(crate) async fn start() -> Self {
        Self::with_lease(Config::default().registry.lease).await
    }

    /// Starts a server without quotas. Its clock shows the current time and stands still.
    pub(crate) async fn with_lease(lease: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(SystemClock.now());
        let set = |config: &mut Config| config.registry.lease = lease;
        let timed = Self::on(&folder.path().join("data"), clock, set).await;
        Self { _folder: Some(folder), ..timed }
    }

    /// Starts a server with the default lease and no accounts as a member of a cluster.
    pub(crate) async fn following(member: LogMember) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(SystemClock.now());
        let data = folder.path().join("data");
        let begin = |registry: &mut StoppedRegistry| {
            registry.follow_log(member.cluster, &[], |_| Ok::<_, StoreError>(())).unwrap();
        };
        before_the_start(&data, &clock, begin);
        let timed = Self::open(&data, clock, |_| {}, Some(member)).await;
        Self { _folder: Some(folder), ..timed }
    }

    /// Starts a server without quotas on the directory `data`, with what `set` changes in its configuration.
    pub(crate) async fn on(
        data: &Path,
        clock: Arc<ManualClock>,
        set: impl FnOnce(&mut Config),
    ) -> Self {
        Self::open(data, clock, set, None).await
    }

    async fn open(
        data: &Path,
        clock: Arc<ManualClock>,
        set: impl FnOnce(&mut Config),
        member: Option<LogMember>,
    ) -> Self {
        let mut config = Config::default();
        config.server.data = data.to_owned();
        config.server.threads = 2;
        config.server.phones.set_port(0);
        config.server.operators.set_port(0);
        config.quota.enabled = false;
        config.server.shed_after = Duration::ZERO;
        set(&mut config);
        let (running, server) = run(&config, &clock, member.as_ref()).await.unwrap();
        Self { clock, server, config, member, running: Some(running), _folder: None }
    }

    /// Restarts the server. The clock does not move.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.spawn().await.unwrap();
    }

    /// Starts the server after a stop.
    pub(crate) async fn spawn(&mut self) -> anyhow::Result<()> {
        let (running, server) = run(&self.config, &self.clock, self.member.as_ref()).await?;
        (self.running, self.server) = (Some(running), server);
        Ok(())
    }

    /// Stops the server, if it runs.
    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            assert!(running.stop().await, "the server did not stop cleanly");
        }
    }

    /// The running server, for what it does by itself in real time.
    pub(crate) fn running(&self) -> &server::Server {
        self.running.as_ref().expect("it runs")
    }

    /// Runs the registry's upkeep, which otherwise runs every minute of real time.
    pub(crate) async fn tick(&self) {
        self.running().tick_registry().await;
    }
}

/// Changes the registry of the data directory `data`, which is made if there is none.
fn before_the_start(
    data: &Path,
    clock: &Arc<ManualClock>,
    change: impl FnOnce(&mut StoppedRegistry),
) {
    let _lock = DataDirectory::open(data).unwrap();
    let config = Config::default().registry;
    let registry = StoppedRegistry::open(&data.join("registry"), config, Arc::clone(clock) as _);
    change(&mut registry.unwrap());
}

async fn run(
    config: &Config,
    clock: &Arc<ManualClock>,
    member: Option<&LogMember>,
) -> anyhow::Result<(server::Server, Server)> {
    let mut attempts = 0;
    let running = loop {
        let machine = Arc::clone(clock) as _;
        match server::Server::start_following(config, machine, member.cloned()).await {
            // A process that another test has forked holds the lock until it executes its program. A port is
            // chosen for the first socket, and may be taken before the second.
            Err(error) if attempts < 100 && format!("{error:#}").contains("in use") => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            started => break started?,
        }
    };
    let server = Server::within(&config.server.data, running.addresses());
    Ok((running, server))
}
