//! The composition root: opens the modules, binds, serves, drains.
//!
//! # Start
//!
//! 1. Lock the data directory, check its format, and open the trusted clock: later steps destroy data by it.
//! 2. Bind both listeners.
//! 3. Open keys and log (recovery happens here), then the registry's store.
//! 4. Answer at the socket of operators, and serve. While the index is rebuilt, the listeners answer `registry-loading`, and commands
//!    can list the operators.
//! 5. In a cluster, wait until the node's clock was compared with the other nodes': it takes no changes before.
//! 6. Write `addresses.json` once lookups are answered. An import that a former run had accepted continues in the background.
//!
//! # Threads
//!
//! Each phone thread has a single-threaded runtime and a listening socket of its own, and commits the log's pending records
//! itself when it may (`durability = "os"`): a lookup is served from accept to answer without changing threads. The
//! operators' listener and all background work run on the main runtime. On a node of a cluster, calls of etcd and the rounds of the
//! fence have a thread of their own.
//!
//! # Stop
//!
//! 1. Remove `addresses.json` and the socket of operators.
//! 2. Accept no new connection; requests under way finish. Their records are committed before they do.
//! 3. Record how many refusals were not recorded one by one.
//! 4. Drain the registry's writer.
//! 5. Write what changed in the quota.
//! 6. Write the audit log's last entries.
//! 7. Flush the log and close its file.
//! 8. Copy what was not copied yet to the object store, if there is one.
//! 9. Save trusted time.
//! 10. Release the lock.

mod copies;
mod descriptors;
mod directory;
mod listeners;
mod membership;
mod modules;
mod node;
mod notify;
mod recorded;
mod services;
mod space;
mod store_names;
mod ticks;
mod tls;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;

pub use self::{
    copies::copy_options,
    directory::Addresses,
    notify::ServiceManager,
    tls::{certificate_in_files, check_tls},
};
use self::{
    descriptors::ConnectionLimits,
    directory::Directory,
    listeners::Listeners,
    membership::{EngineRuntime, Membership},
    modules::Modules,
    node::NodeParts,
    services::Services,
};
use crate::{
    clock::{SharedClock, SharedMachine, Timestamp},
    config::Config,
    dispatch::LogSink,
    doctor::Connections,
    handle,
    http::{listen, tls::Tls},
    limits, metrics,
    operators::Socket,
    registry::{LogMember, Unrecorded},
    shutdown::Shutdown,
};

/// A running server.
pub struct Server {
    addresses: Addresses,
    grace: Duration,
    shutdown: Shutdown,
    modules: Modules,
    tls: Option<Tls>,
    listeners: Listeners,
    /// Ends the rounds of the fence when this is dropped.
    _rounds: Option<AbortOnDropHandle<()>>,
    /// Of a node of a cluster. It outlives the registry.
    engine_runtime: Option<EngineRuntime>,
    phone_threads: Vec<JoinHandle<()>>,
    responding: notify::PhoneThreads,
    /// None if it cannot be made.
    operators_socket: Option<Socket>,
    directory: Directory,
}

impl Server {
    /// Opens everything under the data directory, serves, and returns once lookups are answered. Must be called on a
    /// tokio runtime; the operators' listener and the background work stay on it.
    ///
    /// # Errors
    /// If the directory is locked by another server, a key is missing or wrong, a store is damaged, the disk is full,
    /// or an address is in use; the message says which and what to do.
    pub async fn start(config: &Config, machine: SharedMachine) -> anyhow::Result<Self> {
        let directory = Directory::open(config.clone(), machine).await?;
        let clock: SharedClock = Arc::clone(&directory.clock) as _;
        let membership = Membership::open(config, &directory.disk, &clock).await?;
        let node = membership.as_ref();
        let node = node.map(|it| (it.member.clone(), Some(it.parts.clone())));
        let mut server = Self::start_in(directory, config, node).await?;
        if let Some(membership) = membership {
            let clock: SharedClock = Arc::clone(&server.directory.clock) as _;
            let engine = membership.serve(&server.modules.registry, &clock, &server.shutdown);
            server.engine_runtime = Some(engine);
        }
        Ok(server)
    }

    /// The same for a node of a cluster, if it is a `member` of one: changes are entries of its log, and calls that need the registry
    /// wait until it has followed the log.
    ///
    /// # Errors
    /// As [`Self::start`], and if the registry's store follows no shared log.
    pub async fn start_following(
        config: &Config,
        machine: SharedMachine,
        member: Option<LogMember>,
    ) -> anyhow::Result<Self> {
        let directory = Directory::open(config.clone(), machine).await?;
        Self::start_in(directory, config, member.map(|member| (member, None))).await
    }

    async fn start_in(
        directory: Directory,
        config: &Config,
        node: Option<(LogMember, Option<NodeParts>)>,
    ) -> anyhow::Result<Self> {
        let clock: SharedClock = Arc::clone(&directory.clock) as _;
        let tls = tls::open(&config.tls, &clock).await?;
        let shutdown = Shutdown::new();
        let engine = node.as_ref().map(|(member, _)| member.runtime.clone());
        let [(phones, phone_sockets), (operators, operator_sockets)] = bind(config)?;
        let open = {
            let (config, clock, shutdown) = (config.clone(), Arc::clone(&clock), shutdown.clone());
            let disk = Arc::clone(&directory.disk);
            move || modules::open(&config, &clock, &disk, &shutdown, node)
        };
        // Before any value of theirs is made.
        metrics::announce_owners(phone_sockets.len());
        let modules = spawn_blocking(open).await.context("opening the data directory")??;
        let connections = ConnectionLimits::of_process(phone_sockets.len())?;
        let admissions = connections.admissions(&config.server);
        let found = Connections { phones: connections.phones * phone_sockets.len() };
        let (trusted, served) = (&directory.clock, tls.as_ref());
        let services = Services::new(config, &modules, trusted, served, &shutdown, found);
        let served = tls::of_listeners(tls.as_ref(), &config.tls);
        let listeners = Listeners::new(services, served, admissions, &shutdown);

        let fence = modules.fence.as_ref().zip(engine);
        let rounds = fence.map(|(fence, on)| listeners::spawn_rounds(fence, &on, &shutdown));
        let node = modules.node.as_ref();
        if let Some(node) = node {
            node::spawn_peers(node, &shutdown);
        }
        let operators_socket = directory.answer_operators(&modules.operators, &shutdown);
        let mut server = Self {
            addresses: Addresses { phones, operators },
            grace: config.server.grace,
            modules,
            tls,
            listeners,
            _rounds: rounds,
            engine_runtime: None,
            phone_threads: Vec::new(),
            responding: notify::PhoneThreads::default(),
            operators_socket,
            shutdown,
            directory,
        };
        server.listeners.serve_operators(operator_sockets);
        let ready = match server.serve_phones(phone_sockets) {
            Ok(()) => server.load(clock.now().minus(config.log.retention)).await,
            Err(error) => Err(error),
        };
        let upkeep = server.directory.upkeep(server.addresses);
        if config.log.store.is_on() {
            ticks::spawn_copies(&server.shutdown, &server.modules.log, config.log.copy_interval);
        }
        ticks::spawn(&server.shutdown, &server.modules, &server.directory.clock, upkeep);
        if let Some(tls) = &server.tls {
            ticks::spawn_certificate(&server.shutdown, Arc::clone(&tls.certificate));
        }
        match ready {
            Ok(()) => {
                server.begin_as_node().await;
                server.modules.intake.resume();
                server.directory.write_addresses(server.addresses);
                Ok(server)
            }
            Err(error) => {
                // Threads serve already; they must not outlive the failed start.
                server.stop().await;
                Err(error)
            }
        }
    }

    /// Where the listeners are.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The stop signals.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Reports to the service manager that the server is ready, and from then on that it responds.
    pub fn report_to(&self, manager: &ServiceManager) -> notify::Reporting {
        manager.ready(self.addresses, self.responding.clone(), self.shutdown.clone())
    }

    /// Destroys the hours of the log and the days of the audit log that have expired, now: what the service does by itself every minute.
    pub fn tick_retention(&self) {
        ticks::retention(&self.modules.log, &self.modules.audit);
    }

    /// Seals the hours of the log that have ended, now: what the service does by itself twice a minute.
    pub fn tick_sealing(&self) {
        ticks::sealing(&self.modules.log, &self.shutdown);
    }

    /// Records leases that lapsed and forgets handles that ended long ago, as the service does by itself every minute.
    pub async fn tick_registry(&self) {
        ticks::upkeep(&self.modules.registry).await;
    }

    /// Compares the clocks, saves trusted time and refills the reserve, as the service does by itself every minute.
    pub fn tick_directory(&self) {
        self.directory.upkeep(self.addresses)();
    }

    /// Records how many refusals were not recorded one by one, as the service does by itself every minute.
    pub async fn tick_refusals(&self) {
        self.modules.dispatch.log_refusal_counts().await;
    }

    /// Serves the listeners' certificate of the files from now on if they have changed, as the service does by itself every minute.
    pub async fn tick_certificate(&self) {
        if let Some(tls) = &self.tls {
            let certificate = Arc::clone(&tls.certificate);
            // A file system that hangs must not hold the thread that waits for signals. A panic is not expected, and was reported.
            let _ = spawn_blocking(move || certificate.tick()).await;
        }
    }

    fn serve_phones(&mut self, sockets: Vec<TcpListener>) -> anyhow::Result<()> {
        for socket in sockets {
            let thread = self.listeners.serve_phones(
                socket,
                self.phone_threads.len(),
                &self.modules.log,
                &mut self.responding,
            );
            self.phone_threads.push(thread?);
        }
        Ok(())
    }

    /// Rebuilds the index, gives the log the changes that a crash kept from it, and begins to accept changes.
    /// What was decided before `horizon` needs no record.
    async fn load(&self, horizon: Timestamp) -> anyhow::Result<()> {
        let Modules { registry, log, audit, quota, .. } = &self.modules;
        let (registry, log, audit) = (Arc::clone(registry), log.clone(), audit.clone());
        let quota = Arc::clone(quota);
        let load = move || -> anyhow::Result<()> {
            // A server that was stopped for long destroys expired hours first.
            ticks::retention(&log, &audit);
            handle::warm_up();
            // No lookup is charged before the registry is loaded.
            quota.restore().context("reading the quota's files")?;
            registry.load()?;
            let reader = log.clone();
            let recorded =
                move |changes: &[Unrecorded]| recorded::needs_no_record(&reader, changes, horizon);
            Ok(registry.start(Arc::new(LogSink(log)), &recorded)?)
        };
        spawn_blocking(load).await.context("loading the registry")??;
        self.modules.ownership.warn_of_lost_key();
        Ok(())
    }

    /// Tells the other nodes of quotas from now on. Waits until the node takes changes, or knows why it must not.
    async fn begin_as_node(&self) {
        let Modules { node: Some(node), quota, .. } = &self.modules else { return };
        node::spawn_quotas(node, quota, &self.shutdown);
        tokio::select! {
            () = node.peers.compared() => {}
            () = self.shutdown.stopping() => {}
        }
    }

    /// Stops in the order of the module's head. Returns whether everything ended by itself within the grace period and
    /// nothing had crashed.
    pub async fn stop(self) -> bool {
        let Self { grace, shutdown, modules, directory, listeners, phone_threads, .. } = self;
        let socket = self.operators_socket;
        let asked = Instant::now();
        let removed = directory.remove_addresses().is_ok();
        shutdown.stop();
        listeners.stop(grace);
        let join = move || {
            let phones = phone_threads.into_iter().all(|thread| thread.join().is_ok());
            phones && socket.is_none_or(Socket::join)
        };
        let joined = spawn_blocking(join).await.unwrap_or(false);
        let drained = shutdown.drained(grace).await;
        // Once more: a minutely task that was under way may have written the file again.
        let removed = removed && directory.remove_addresses().is_ok();
        // A listener does not report connections that it cut off; the time shows them.
        let in_time = grace.is_zero() || asked.elapsed() < grace;
        if !in_time {
            tracing::warn!("what had not ended within server.grace was cut off");
        }
        modules.dispatch.log_refusal_counts().await;
        let close = move || {
            modules.registry.close();
            modules.quota.write();
            modules.audit.close();
            modules.log.close();
            ticks::last_copies(&modules.log);
            if let Some(lost) = &modules.lost {
                lost.clear();
            }
            ticks::save_clock(&directory.clock);
        };
        let closed = spawn_blocking(close).await.is_ok();
        joined && drained && in_time && closed && removed && !shutdown.has_crashed()
    }
}

/// Binds the listeners of phones and of operators.
fn bind(config: &Config) -> anyhow::Result<[(SocketAddr, Vec<TcpListener>); 2]> {
    let (phones, operators) = (config.server.phones, config.server.operators);
    let of_phones =
        listen::bind(phones, config.server.phone_threads(), limits::PHONES_SEND_BUFFER_BYTES);
    let of_operators = listen::bind(operators, 1, limits::OPERATORS_SEND_BUFFER_BYTES);
    Ok([
        of_phones.with_context(|| format!("server.phones = {phones}"))?,
        of_operators.with_context(|| format!("server.operators = {operators}"))?,
    ])
}
