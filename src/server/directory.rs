//! The data directory as a running server holds it: locked, with space set aside on its disk, and with its clock.

use std::{
    io, iter,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::ticks;
use crate::{
    clock::{SharedMachine, TrustedClock},
    config::Config,
    files::{self, DataDirectory, OsDisk, Reserve, ReservedDisk, SharedDisk},
    operators::{Operators, SOCKET_FILE_NAME, Socket},
    shutdown::Shutdown,
};

/// Exists while a server answers at the addresses in it.
const ADDRESSES: &str = "addresses.json";
const RESERVE: &str = "reserve";

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
    reserve: Arc<Reserve>,
    pub(super) clock: Arc<TrustedClock>,
    _lock: DataDirectory,
}

impl Directory {
    /// Locks the directory, checks its format, and opens the trusted clock: later steps destroy data by it.
    pub(super) async fn open(config: Config, machine: SharedMachine) -> anyhow::Result<Self> {
        // It reads and writes files, so it must not run on a thread that waits for signals.
        let opening = tokio::task::spawn_blocking(move || Self::open_blocking(&config, machine));
        opening.await.context("opening the data directory")?
    }

    fn open_blocking(config: &Config, machine: SharedMachine) -> anyhow::Result<Self> {
        let path = config.server.data.clone();
        let lock = DataDirectory::open(&path)?;
        remove_addresses(&path)?;
        let reserve = set_aside(config).context("setting space aside for keys")?;
        let disk = ReservedDisk::shared(OsDisk::shared(), &reserve);
        let clock = TrustedClock::open(machine, Arc::clone(&disk), &path, &config.clock)?;
        ticks::save_clock(&clock);
        Ok(Self { path, disk, reserve, clock: Arc::new(clock), _lock: lock })
    }

    /// What is done again each minute, once lookups are answered at `addresses`.
    pub(super) fn upkeep(&self, addresses: Addresses) -> impl Fn() + Send + Sync + 'static {
        let (clock, reserve) = (Arc::clone(&self.clock), Arc::clone(&self.reserve));
        let (disk, path) = (Arc::clone(&self.disk), self.path.clone());
        move || {
            ticks::save_clock(&clock);
            match reserve.refill() {
                Ok(0) => {}
                Ok(missing) => {
                    tracing::warn!(
                        missing,
                        "the disk is full: bytes of the reserve for keys and audit entries are missing"
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, "no space can be set aside for keys and audit entries")
                }
            }
            if !path.join(ADDRESSES).exists() {
                write_addresses(&disk, &path, addresses);
            }
        }
    }

    /// Writes the file of addresses. It appears complete.
    pub(super) fn write_addresses(&self, addresses: Addresses) {
        write_addresses(&self.disk, &self.path, addresses);
    }

    /// Answers commands on the list of operators. Without the socket the server can do all else, so a failure does not end it.
    pub(super) fn answer_operators(
        &self,
        operators: &Operators,
        shutdown: &Shutdown,
    ) -> Option<Socket> {
        let socket = Socket::serve(&self.path, operators.clone(), shutdown.clone());
        let failed = |error: &io::Error| {
            tracing::error!(%error, "{SOCKET_FILE_NAME} cannot be made: no command can change the list of operators while the server runs");
        };
        socket.inspect_err(failed).ok()
    }

    /// Removes the file of addresses, and the socket of operators.
    pub(super) fn remove_addresses(&self) -> anyhow::Result<()> {
        remove_addresses(&self.path)
    }
}

/// Without the file the server can do all but be found, so a failure does not end it.
fn write_addresses(disk: &SharedDisk, data: &Path, addresses: Addresses) {
    let text = serde_json::to_vec(&addresses).expect("two addresses have a JSON form");
    if let Err(error) = files::replace(disk, &data.join(ADDRESSES), &text) {
        tracing::error!(%error, "{ADDRESSES} is not written; trying again in a minute");
    }
}

/// A crash leaves both; the next start removes them before it opens anything.
fn remove_addresses(data: &Path) -> anyhow::Result<()> {
    [ADDRESSES, SOCKET_FILE_NAME].into_iter().try_for_each(|name| {
        let path = data.join(name);
        files::remove_if_exists(&path).with_context(|| format!("removing {}", path.display()))
    })
}

/// Sets space aside for keys and audit entries on each disk that holds them.
fn set_aside(config: &Config) -> io::Result<Arc<Reserve>> {
    let data = &config.server.data;
    let of_root = |root: &PathBuf| {
        let mut name = root.clone().into_os_string();
        name.push(".reserve");
        PathBuf::from(name)
    };
    let parts = ["keys", "audit"].map(|part| data.join(part)).into_iter();
    let parts = parts.filter(|part| part.is_dir()).map(|part| part.join(RESERVE));
    let of_data = iter::once(data.join(RESERVE)).chain(parts);
    // A missing directory of the root key is an error that the keys report.
    let root = config.keys.root_key.as_ref().filter(|root| files::parent(root).is_dir());
    Reserve::open(of_data.chain(root.map(of_root)), config.keys.reserve)
}
