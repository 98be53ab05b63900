//! A real server in this process on a clock that the test moves.

use std::{sync::Arc, time::Duration};

use dispatchd::{
    clock::{Clock as _, ManualClock, SystemClock},
    config::Config,
    server,
};
use tempfile::TempDir;

use crate::harness::Server;

/// The server, its clock, and its two listeners.
pub(crate) struct Timed {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) server: Server,
    config: Config,
    running: Option<server::Server>,
    _folder: TempDir,
}

impl Timed {
    /// Starts a server with the default lease.
    pub(crate) async fn start() -> Self {
        Self::with_lease(Config::default().registry.lease).await
    }

    /// Starts a server without quotas. Its clock shows the current time and stands still.
    pub(crate) async fn with_lease(lease: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = folder.path().join("data");
        config.server.threads = 2;
        config.server.phones.set_port(0);
        config.server.operators.set_port(0);
        config.registry.lease = lease;
        config.quota.enabled = false;
        let clock = ManualClock::at(SystemClock.now());
        let (running, server) = run(&config, &clock).await;
        Self { clock, server, config, running: Some(running), _folder: folder }
    }

    /// Restarts the server. The clock does not move.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let (running, server) = run(&self.config, &self.clock).await;
        (self.running, self.server) = (Some(running), server);
    }

    /// Stops the server.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        assert!(running.stop().await, "the server did not stop cleanly");
    }

    /// Runs the registry's upkeep, which otherwise runs every minute of real time.
    pub(crate) async fn tick(&self) {
        self.running.as_ref().expect("it runs").tick_registry().await;
    }
}

async fn run(config: &Config, clock: &Arc<ManualClock>) -> (server::Server, Server) {
    let clock = Arc::clone(clock);
    let running = server::Server::start(config, clock).await.unwrap();
    let server = Server::within(&config.server.data, running.addresses());
    (running, server)
}
