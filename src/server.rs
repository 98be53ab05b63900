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
//! In this order: `addresses.json` goes; no new connection; requests under way finish (their records are committed
//! before they do); the registry's writer drains; the log flushes and closes its file; the lock falls.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder},
    io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::Router;
use axum_server::Handle;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    background::spawn_tick,
    clock::{SharedClock, Timestamp, span},
    dispatch::{Dispatch, LogSink},
    envelope::{DirectoryLock, KeyFiles},
    handle,
    http::{
        self, edge::Service, health::Health, listen, operator::OperatorState, phone::PhoneState,
        proxies::Proxies,
    },
    ids::ChangeId,
    operators::Operators,
    ownership::{Outbox, Ownership},
    query_log::{self, LogOptions, QueryLog, Record},
    quota::Quota,
    registry::{Change, Registry},
    shutdown::Shutdown,
};

/// The file that says where the listeners are.
const ADDRESSES_FILE: &str = "addresses.json";
const RETENTION_TICK: Duration = Duration::from_secs(60);
const REGISTRY_TICK: Duration = Duration::from_secs(60);
/// How soon a crash of the registry's writer stops the service.
const WATCH_TICK: Duration = Duration::from_secs(2);
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
    /// Networks whose `X-Forwarded-For` is believed on the phones' listener.
    pub trusted_proxies: Vec<IpNet>,
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
            trusted_proxies: Vec::new(),
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
            return Err((
                "threads",
                format!("must be at most {THREADS_MAX}; 0 is one for each processor"),
            ));
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
    log: QueryLog,
    phones: Handle<SocketAddr>,
    operators: Handle<SocketAddr>,
    phone_threads: Vec<JoinHandle<()>>,
    clock: SharedClock,
    retention: Duration,
    _lock: DirectoryLock,
}

/// The rooms, opened.
struct Rooms {
    registry: Arc<Registry>,
    log: QueryLog,
    quota: Arc<Quota>,
    ownership: Arc<Ownership>,
    dispatch: Dispatch,
}

impl Server {
    /// Opens everything under the data directory, serves, and returns once lookups are answered. Must be called on a
    /// tokio runtime; the operators' listener and the background work stay on it.
    ///
    /// # Errors
    /// If the directory is locked by another server, a key is missing or wrong, a store is damaged, the disk is full,
    /// or an address is in use; the message says which and what to do.
    pub async fn start(config: &crate::config::Config, clock: SharedClock) -> anyhow::Result<Self> {
        let data = config.server.data.clone();
        create_private(&data).with_context(|| format!("data directory {}", data.display()))?;
        let lock = DirectoryLock::acquire(&data)?;
        remove_addresses(&data)?;
        let shutdown = Shutdown::new();
        let (phones, phone_sockets) =
            listen::bind(config.server.phones, config.server.threads())
                .with_context(|| format!("server.phones = {}", config.server.phones))?;
        let (operators, operator_sockets) = listen::bind(config.server.operators, 1)
            .with_context(|| format!("server.operators = {}", config.server.operators))?;
        let opening = {
            let (config, clock, shutdown) = (config.clone(), Arc::clone(&clock), shutdown.clone());
            // Recovery reads files: not on a thread that has signals to hear.
            tokio::task::spawn_blocking(move || open(&config, &clock, &shutdown))
        };
        let rooms = opening.await.context("opening the data directory")??;

        let health = Health::new(Arc::clone(&rooms.registry), rooms.log.clone());
        let proxies = Proxies::from(config.server.trusted_proxies.as_slice());
        let phone_state = PhoneState {
            dispatch: rooms.dispatch.clone(),
            registry: Arc::clone(&rooms.registry),
            ownership: Arc::clone(&rooms.ownership),
            quota: Arc::clone(&rooms.quota),
            health: health.clone(),
        };
        let phone_service = http::phone::service(phone_state, proxies);
        let operator_routes = http::operator::routes(OperatorState::new(
            Arc::new(Operators::of(&data)),
            rooms.log.clone(),
            Arc::clone(&rooms.registry),
            rooms.dispatch.counts(),
            health,
            Arc::clone(&clock),
            shutdown.clone(),
        ));

        let mut server = Self {
            addresses: Addresses { phones, operators },
            data,
            grace: config.server.grace,
            registry: Arc::clone(&rooms.registry),
            log: rooms.log.clone(),
            phones: Handle::new(),
            operators: Handle::new(),
            phone_threads: Vec::new(),
            clock,
            retention: config.log.retention,
            shutdown,
            _lock: lock,
        };
        server.serve_operators(operator_sockets, &operator_routes);
        let serving = server.serve_phones(phone_sockets, &phone_service);
        let ready = match serving {
            Ok(()) => server.load().await,
            Err(error) => Err(error),
        };
        server.spawn_ticks(&rooms);
        match ready.and_then(|()| write_addresses(&server.data, server.addresses)) {
            Ok(()) => Ok(server),
            Err(error) => {
                // Threads serve already: they must not outlive the attempt.
                server.stop().await;
                Err(error)
            }
        }
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

    /// Destroys the hours of the log that have expired, now: what the service does by itself every minute.
    pub fn tick_retention(&self) {
        retention_tick(&self.log);
    }

    fn serve_operators(&self, sockets: Vec<TcpListener>, routes: &Router) {
        for socket in sockets {
            let (routes, handle) = (routes.clone(), self.operators.clone());
            let service = Service { routes, shortcut: None, proxies: Proxies::default() };
            let shutdown = self.shutdown.clone();
            self.shutdown.spawn("operators-listener", async move {
                if let Err(error) = listen::serve(socket, service, handle).await {
                    tracing::error!(%error, "the operators' listener failed");
                    shutdown.crashed("operators-listener");
                }
            });
        }
    }

    fn serve_phones(&mut self, sockets: Vec<TcpListener>, service: &Service) -> anyhow::Result<()> {
        for (number, socket) in sockets.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (service, handle) = (service.clone(), self.phones.clone());
            let (log, shutdown) = (self.log.clone(), self.shutdown.clone());
            let serve = move || {
                // A task of its own, so that it runs after the requests that are ready, not before.
                let committing = runtime.spawn(log.run_inline_flusher(shutdown.clone()));
                let serving =
                    AssertUnwindSafe(|| runtime.block_on(listen::serve(socket, service, handle)));
                let served = catch_unwind(serving);
                committing.abort();
                match served {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::error!(%error, "a phones' listener failed");
                        shutdown.crashed("phones-listener");
                    }
                    Err(_) => shutdown.crashed("phones-listener"),
                }
            };
            let thread = thread::Builder::new().name(format!("phones-{number}")).spawn(serve);
            self.phone_threads.push(thread.context("starting a phones' thread")?);
        }
        Ok(())
    }

    /// Rebuilds the index, hands over changes that a crash kept from the log, and begins to take changes.
    async fn load(&self) -> anyhow::Result<()> {
        let (registry, log) = (Arc::clone(&self.registry), self.log.clone());
        let horizon = self.clock.now().minus(self.retention);
        let load = move || -> anyhow::Result<()> {
            // A server that was off for long starts by forgetting.
            retention_tick(&log);
            handle::warm_up();
            registry.load()?;
            let reader = log.clone();
            let recorded = move |changes: &[Change]| already_recorded(&reader, changes, horizon);
            Ok(registry.start(Arc::new(LogSink::new(log)), &recorded)?)
        };
        tokio::task::spawn_blocking(load).await.context("loading the registry")??;
        Ok(())
    }

    fn spawn_ticks(&self, rooms: &Rooms) {
        let log = rooms.log.clone();
        spawn_tick(&self.shutdown, "retention", RETENTION_TICK, move || retention_tick(&log));
        let quota = Arc::clone(&rooms.quota);
        spawn_tick(&self.shutdown, "quota", QUOTA_TICK, move || quota.tick());
        let (registry, runtime) = (Arc::clone(&rooms.registry), tokio::runtime::Handle::current());
        spawn_tick(&self.shutdown, "registry", REGISTRY_TICK, move || {
            match runtime.block_on(registry.tick()) {
                Ok(done) if done.lapsed + done.forgotten > 0 => {
                    tracing::info!(
                        lapsed = done.lapsed,
                        forgotten = done.forgotten,
                        "registry upkeep"
                    );
                }
                Ok(_) => tracing::debug!("registry upkeep: nothing due"),
                Err(error) => tracing::warn!(%error, "registry upkeep will be tried again"),
            }
        });
        let (registry, stop) = (Arc::clone(&rooms.registry), self.shutdown.clone());
        spawn_tick(&self.shutdown, "watch", WATCH_TICK, move || {
            if registry.has_crashed() {
                stop.crashed("registry-writer");
            }
        });
    }

    /// Stops in the order of the module's head. Returns whether everything ended by itself within the grace period and
    /// nothing had crashed.
    pub async fn stop(self) -> bool {
        let Self { data, grace, shutdown, registry, log, phones, operators, phone_threads, .. } =
            self;
        let asked = Instant::now();
        let removed = remove_addresses(&data).is_ok();
        shutdown.stop();
        listen::stop(&phones, grace);
        listen::stop(&operators, grace);
        let join = move || phone_threads.into_iter().all(|thread| thread.join().is_ok());
        let joined = tokio::task::spawn_blocking(join).await.unwrap_or(false);
        let drained = shutdown.drained(grace).await;
        // A listener ends without a word when it cuts connections off; only the time tells.
        let in_time = grace.is_zero() || asked.elapsed() < grace;
        if !in_time {
            tracing::warn!("what had not ended within server.grace was cut off");
        }
        let close = move || {
            registry.close();
            log.close();
        };
        let closed = tokio::task::spawn_blocking(close).await.is_ok();
        joined && drained && in_time && closed && removed && !shutdown.has_crashed()
    }
}

fn open(
    config: &crate::config::Config,
    clock: &SharedClock,
    shutdown: &Shutdown,
) -> anyhow::Result<Rooms> {
    let data = &config.server.data;
    let keys = KeyFiles::new(&data.join("keys"), config.keys.root_key.as_deref());
    let options = LogOptions::new(data.join("log"), keys, config.log.clone(), Arc::clone(clock));
    let (log, report) = QueryLog::open(options, shutdown).context("opening the query log")?;
    report_recovery(&report);
    let registry = data.join("registry");
    let registry = Registry::open(&registry, config.registry.clone(), Arc::clone(clock))
        .context("opening the registry")?;
    let registry = Arc::new(registry);
    let outbox = Outbox::open(&config.ownership, data).context("opening the outbox")?;
    let ownership = Ownership::new(Arc::clone(&registry), Box::new(outbox), Arc::clone(clock));
    let quota = Arc::new(Quota::new(config.quota.clone(), Arc::clone(clock)));
    let (registry_read, quota_read) = (Arc::clone(&registry), Arc::clone(&quota));
    let dispatch = Dispatch::new(registry_read, log.clone(), quota_read, config.dispatch.clone());
    Ok(Rooms { registry, log, quota, ownership: Arc::new(ownership), dispatch })
}

fn report_recovery(report: &query_log::RecoveryReport) {
    let (segments, finished) = (report.segments, report.finished);
    if report.damaged > 0 || !report.unreadable.is_empty() || !report.keys_missing.is_empty() {
        tracing::error!(
            damaged = report.damaged,
            unreadable = report.unreadable.len(),
            keys_missing = report.keys_missing.len(),
            "the log is damaged; everything else in it can be read, and nothing was deleted: \
             see `dispatchd log verify`"
        );
    }
    tracing::info!(segments, finished, cut_bytes = report.cut_bytes, "the query log is open");
}

fn retention_tick(log: &QueryLog) {
    let outcome = log.tick();
    if outcome.frozen {
        tracing::error!(
            "nothing is destroyed: the wall clock and the boot clock disagree by more than an hour. \
             If the wall clock is right now, restart the server"
        );
    }
    if let Some(error) = &outcome.error {
        tracing::error!(%error, "expired hours could not be destroyed; trying again at the next tick");
    }
    let (hours, files, left) = (outcome.hours_destroyed, outcome.files_removed, outcome.files_left);
    if hours + files + left > 0 {
        tracing::info!(hours, files, left, "retention: expired hours destroyed");
    }
}

/// Which of `changes` need not be recorded: those that the last run recorded without learning that it had, and those
/// that would have expired by now. None has its record earlier than it was decided, so only the end of the log is read.
fn already_recorded(log: &QueryLog, changes: &[Change], horizon: Timestamp) -> HashSet<ChangeId> {
    let is_expired = |change: &&Change| change.at <= horizon;
    let mut settled: HashSet<_> = changes.iter().filter(is_expired).map(|c| c.id).collect();
    let mut wanted: HashSet<_> = changes.iter().map(|change| change.id).collect();
    wanted.retain(|id| !settled.contains(id));
    let filter = query_log::Filter {
        kind: Some(query_log::Kind::Change),
        since: changes.iter().map(|change| change.at).min(),
        ..query_log::Filter::default()
    };
    for row in log.reader().search(&filter, query_log::Order::Desc, None) {
        match row {
            Ok((_, row)) => {
                if let Record::Change(change) = row.record
                    && wanted.remove(&change.id)
                {
                    settled.insert(change.id);
                }
            }
            Err(error) => tracing::error!(
                %error,
                "the log cannot be read where changes may be recorded: some may be recorded twice"
            ),
        }
        if wanted.is_empty() {
            break;
        }
    }
    settled
}

fn create_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Written whole and renamed, so that whoever sees the file can read it.
fn write_addresses(data: &Path, addresses: Addresses) -> anyhow::Result<()> {
    let path = data.join(ADDRESSES_FILE);
    let new = path.with_extension("new");
    let text = serde_json::to_vec(&addresses)?;
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
    written.with_context(|| format!("writing {}", path.display()))
}

/// A crash leaves the file behind; the next start removes it before it opens anything.
fn remove_addresses(data: &Path) -> anyhow::Result<()> {
    let path = data.join(ADDRESSES_FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}
