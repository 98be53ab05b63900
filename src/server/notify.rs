//! Tells the service manager that started the process how the server is: sd_notify(3), systemd's `Type=notify`.
//!
//! | when | message |
//! | --- | --- |
//! | the files are opened, the registry is loaded | `EXTEND_TIMEOUT_USEC`, so that a large registry is no failed start |
//! | lookups are answered | `READY` |
//! | as long as all threads that answer respond | `WATCHDOG`, if the unit asks for it |
//! | a stop signal came | `STOPPING`, with the time that the stop may take |
//!
//! Without `NOTIFY_SOCKET` in the environment nothing is sent. The crate `sd-notify` cannot send to abstract sockets, which
//! container managers use, so the thirty lines of the protocol are here.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    runtime::Handle as RuntimeHandle,
    task::AbortHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::directory::Addresses;
use crate::{limits, shutdown::Shutdown};

const SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG_SPAN: &str = "WATCHDOG_USEC";
const WATCHDOG_PROCESS: &str = "WATCHDOG_PID";
/// How long a message may wait for a service manager that does not read.
const SEND_PATIENCE: Duration = Duration::from_secs(1);
/// How often a start asks for more time.
const START_EXTENDED_EVERY: Duration = Duration::from_secs(10);
/// How much time it asks for.
const START_EXTENDED_BY: Duration = Duration::from_secs(60);
/// What closing the files may take after the grace period.
const CLOSING: Duration = Duration::from_secs(60);

/// The service manager that started this process, if there is one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    channel: Option<Arc<Channel>>,
    /// How long it waits for a sign of life before it kills the process.
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct Channel {
    socket: UnixDatagram,
    address: SocketAddr,
}

/// The threads that answer phones.
#[derive(Clone, Debug, Default)]
pub(super) struct PhoneThreads(Vec<RuntimeHandle>);

/// A task that reports to the service manager until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Reporting(Option<AbortHandle>);

impl Drop for Reporting {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Channel {
    /// A name that begins with `@` is in the abstract namespace.
    fn open(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("it is neither a path nor an abstract name")),
        };
        // Not connected: a service manager that executes itself anew may make the socket again.
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_PATIENCE))?;
        Ok(Self { socket, address })
    }
}

impl PhoneThreads {
    pub(super) fn add(&mut self, runtime: &RuntimeHandle) {
        self.0.push(runtime.clone());
    }

    /// Whether each of them runs a new task within `patience`.
    async fn respond(&self, patience: Duration) -> bool {
        let tasks = join_all(self.0.iter().map(|runtime| runtime.spawn(async {})));
        timeout(patience, tasks).await.is_ok_and(|tasks| tasks.iter().all(Result::is_ok))
    }
}

impl ServiceManager {
    /// The one that the environment names.
    pub fn of_process() -> Self {
        let Some(name) = env::var_os(SOCKET).filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        match Channel::open(&name) {
            Ok(channel) => Self { channel: Some(Arc::new(channel)), watchdog: watchdog() },
            Err(error) => {
                tracing::warn!(%error, "{SOCKET}: the service manager is not told how the server is");
                Self::default()
            }
        }
    }

    /// Asks for more time while the server starts, at most for [`limits::START_MAX`] in all.
    pub fn starting(&self) -> Reporting {
        self.tell("STATUS=Opening the data directory and loading the registry");
        self.report(|manager| async move {
            let started = Instant::now();
            let mut ticks = interval(START_EXTENDED_EVERY);
            while started.elapsed() < limits::START_MAX {
                ticks.tick().await;
                manager.tell(&format!("EXTEND_TIMEOUT_USEC={}", START_EXTENDED_BY.as_micros()));
            }
        })
    }

    /// Reports that lookups are answered. Then shows the watchdog that the main runtime and the phones' threads run, also while
    /// the server stops.
    pub(super) fn ready(
        &self,
        addresses: Addresses,
        threads: PhoneThreads,
        shutdown: Shutdown,
    ) -> Reporting {
        let Addresses { phones, operators } = addresses;
        self.tell(&format!(
            "READY=1\nSTATUS=Answering phones at {phones}, operators at {operators}"
        ));
        let Some(span) = self.watchdog else {
            return Reporting(None);
        };
        self.report(move |manager| async move {
            // Two may be late.
            let every = span / 3;
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // The phones' threads end before the rest of a stop.
                if threads.respond(every).await || shutdown.is_stopping() {
                    manager.tell("WATCHDOG=1");
                } else {
                    tracing::error!("a thread that answers phones does not respond, so the watchdog gets no sign of life");
                }
            }
        })
    }

    /// Reports that the server stops, which takes at most twice `grace` and the time to close the files.
    pub fn stopping(&self, grace: Duration) {
        let most = (grace * 2 + CLOSING).as_micros();
        self.tell(&format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={most}\nSTATUS=Finishing the requests under way"
        ));
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "it reports while everything else stops, so a stop must not wait for it"
    )]
    fn report<T: Future<Output = ()> + Send + 'static>(
        &self,
        task: impl FnOnce(Self) -> T,
    ) -> Reporting {
        let task = || tokio::spawn(task(self.clone())).abort_handle();
        Reporting(self.channel.is_some().then(task))
    }

    fn tell(&self, message: &str) {
        let Some(channel) = &self.channel else {
            return;
        };
        if let Err(error) = channel.socket.send_to_addr(message.as_bytes(), &channel.address) {
            tracing::warn!(%error, "the service manager was not told how the server is");
        }
    }
}

/// How long the watchdog of this process waits.
fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number(WATCHDOG_PROCESS).is_none_or(|pid| pid == u64::from(process::id()));
    let span = number(WATCHDOG_SPAN).filter(|span| *span > 0 && is_ours)?;
    Some(Duration::from_micros(span))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("dispatchd-test-{}", process::id());
        let by_name = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let sockets =
            [UnixDatagram::bind(&path).unwrap(), UnixDatagram::bind_addr(&by_name).unwrap()];
        let names = [path.into_os_string(), format!("@{abstract_name}").into()];
        for (socket, name) in sockets.iter().zip(names) {
            let channel = Some(Arc::new(Channel::open(&name).unwrap()));
            let manager = ServiceManager { channel, watchdog: None };
            manager.stopping(Duration::from_secs(20));
            let told = received(socket);
            assert!(told.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=100000000\n"), "{told}");
        }
        assert!(Channel::open(OsStr::new("vsock:2:1234")).is_err());
    }

    #[tokio::test]
    async fn a_thread_that_is_held_up_does_not_respond() {
        let mut threads = PhoneThreads::default();
        let (ends, end) = tokio::sync::oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        threads.add(runtime.handle());
        let handle = runtime.handle().clone();
        let thread = thread::spawn(move || runtime.block_on(end));
        let patience = Duration::from_secs(60);
        assert!(threads.respond(patience).await);

        let (release, held) = mpsc::channel::<()>();
        handle.spawn(async move { held.recv() });
        assert!(!threads.respond(Duration::from_millis(20)).await);
        drop(release);
        assert!(threads.respond(patience).await);

        drop(ends);
        let _ = thread.join().unwrap();
        assert!(!threads.respond(patience).await, "the thread has ended");
    }
}
