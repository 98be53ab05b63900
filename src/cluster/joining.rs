//! How a data directory becomes one of a cluster's node: it takes over the store and the keys of a node that runs.
//!
//! ```text
//! 1  write cluster.joining                       crash after: joining again removes what follows
//! 2  make the receiving key and the node's key   the same
//! 3  POST /v1/cluster/join                       the same; the invite may be used, and the node a member: remove it, invite it again
//! 4  take the store, then the keys               the same
//! 5  write cluster.json                          the directory belongs to the cluster
//! 6  remove cluster.joining                      it means nothing beside cluster.json
//! ```
//!
//! The keys come after the store: then no entry that follows the store has a key that this node lacks and that nobody will send it.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use tokio::time::sleep;

use super::{
    client_error::ClientError,
    entry_keys::ClusterKeys,
    identity::{Identity, IdentityError, joining_marker},
    key_rows::RECEIVING,
    member::Callee,
    member_client::MemberClient,
    shared_keys::JoinRequest,
};
use crate::{
    clock::SharedClock,
    envelope::{KeyFiles, Keyring, KeyringError},
    files::{self, AtomicFile, SharedDisk},
    limits,
    operators::inviter,
    registry::{ClusterId, EntryFormat, NodeId, cluster_of},
    shared_log::{EngineError, Head, SharedLog},
    verification::{HashKey, HashKeyError},
};

/// The file of the registry's store in a data directory.
const STORE: &str = "registry/registry.redb";

/// Why a data directory does not join, or a node does not take the state of another one over.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It belongs to a cluster.
    #[error("{}: belongs to a cluster already; start the server", .0.display())]
    Member(PathBuf),
    /// It has a registry, or records.
    #[error(
        "{}: holds a registry or a query log already; a node joins with an empty data directory. Name another one with server.data",
        .0.display()
    )]
    NotEmpty(PathBuf),
    /// The engine gives no answer, or not the one that was expected.
    #[error("cluster.engine: {0}")]
    Engine(#[from] EngineError),
    /// No cluster has begun in the engine.
    #[error(
        "cluster.engine holds no log under cluster.prefix: it is another engine than the cluster's, or the prefix is another one"
    )]
    NoLog,
    /// The token is none of an invite.
    #[error("this is no token of an invite; `dispatchd cluster invite NAME` on a member makes one")]
    NoInvite,
    /// The other node refuses, or gives no answer.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// What the other node sent is not what it should be.
    #[error("the member sent {0}; is it of another version?")]
    Answer(&'static str),
    /// The store cannot be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The keys of entries cannot be written.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The key that hashes codes cannot be written.
    #[error(transparent)]
    Verification(#[from] HashKeyError),
    /// The identity cannot be read or written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> JoinError + '_ {
    |source| JoinError::Io { path: path.to_owned(), source }
}

/// A node that is about to join.
pub struct Candidate<'a> {
    /// Its data directory, which the caller has locked.
    pub data: &'a Path,
    /// Where its keys lie.
    pub keys: KeyFiles,
    /// The disk of its keys.
    pub disk: SharedDisk,
    /// Its name.
    pub name: String,
    /// The origin at which the others reach it.
    pub address: String,
    /// The file of who vouches for the members' certificates.
    pub members_ca: &'a Path,
    /// The clock of this machine.
    pub clock: SharedClock,
}

impl Candidate<'_> {
    /// Refuses a directory that has something to lose. Removes what an interrupted attempt left.
    ///
    /// # Errors
    /// If the directory belongs to a cluster, holds a registry, or cannot be cleared.
    pub fn clear(&self) -> Result<(), JoinError> {
        if Identity::read(self.data)?.is_some() {
            return Err(JoinError::Member(self.data.to_owned()));
        }
        let holds = |path: &str| self.data.join(path).exists();
        // Before anything is removed: a server that ran here after an attempt made a log, and a registry that is not the attempt's.
        if holds("log") {
            return Err(JoinError::NotEmpty(self.data.to_owned()));
        }
        let marker = joining_marker(self.data);
        if marker.exists() {
            Keyring::remove(&self.disk, self.keys.clone())?;
            let store = self.data.join(STORE);
            for path in [files::unfinished_name(&store), store] {
                files::remove_if_exists(&path).map_err(io_at(&path))?;
            }
        }
        if holds(STORE) {
            return Err(JoinError::NotEmpty(self.data.to_owned()));
        }
        files::replace(&self.disk, &marker, b"").map_err(io_at(&marker))
    }

    /// Joins at the member at `address` with the token of an invite, in the cluster of `log`. `progress` hears how many bytes of how many
    /// came in. [`Self::clear`] comes before.
    ///
    /// # Errors
    /// If anything fails; then the directory belongs to no cluster, and joining again begins anew.
    pub async fn join(
        &self,
        address: &str,
        invite: &str,
        log: &dyn SharedLog,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Identity, JoinError> {
        // The member that is asked must not say who it is: it could name another one, and get what this node signs for that.
        let asked = inviter(invite).ok_or(JoinError::NoInvite)?;
        // Before the invite is used.
        let cluster = cluster_in(log).await?;
        let keys = ClusterKeys::open_or_create(SharedDisk::clone(&self.disk), self.keys.clone())?;
        let mut identity = Identity::joining(cluster, self.name.clone());
        let client = MemberClient::new(&identity, self.members_ca, self.clock.clone())?;

        let request = JoinRequest {
            name: self.name.clone(),
            address: self.address.clone(),
            public: HEXLOWER.encode(&identity.key().public().0),
            format: EntryFormat::NEWEST as u8,
            receiving: HEXLOWER.encode(&keys.receiving()?),
            cluster: HEXLOWER.encode(&cluster.0),
        };
        let answer = patiently(async || client.join(address, invite, &request).await).await?;
        identity.node = number(&answer.node)?;
        let from = Callee { address, node: asked };
        take_over(self.data, &self.disk, &client, from, &keys, progress).await?;
        identity.write(&self.disk, self.data)?;
        let marker = joining_marker(self.data);
        files::remove_if_exists(&marker).map_err(io_at(&marker))?;
        Ok(identity)
    }
}

fn number(text: &str) -> Result<NodeId, JoinError> {
    let number =
        u64::from_str_radix(text, 16).map_err(|_| JoinError::Answer("no number of a node"));
    number.map(NodeId)
}

/// Asks again while the other node is behind: mostly it stores a new key of entries at that moment.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    for _ in 1..limits::CLUSTER_JOIN_ATTEMPTS_MAX {
        match ask().await {
            Err(error) if error.is_behind() => sleep(limits::CLUSTER_JOIN_PAUSE).await,
            known => return known,
        }
    }
    ask().await
}

/// The cluster whose log this is. It is in the clear at the beginning of each entry.
async fn cluster_in(log: &dyn SharedLog) -> Result<ClusterId, JoinError> {
    let head = log.head().await?;
    if head == Head::EMPTY {
        return Err(JoinError::NoLog);
    }
    let newest = log.read(head.place, 1).await?;
    newest.first().and_then(|entry| cluster_of(&entry.bytes)).ok_or(JoinError::NoLog)
}

/// Takes the store and the keys of the member `from` over. The store takes the place of the one that is there, at once.
///
/// # Errors
/// If anything fails; then the store is the one before or the new one.
pub(super) async fn take_over(
    data: &Path,
    disk: &SharedDisk,
    client: &MemberClient,
    from: Callee<'_>,
    keys: &ClusterKeys,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), JoinError> {
    let store = data.join(STORE);
    let folder = files::parent(&store).to_owned();
    files::create_dir(&folder).map_err(io_at(&folder))?;
    let mut fresh = AtomicFile::create(&store).map_err(io_at(&store))?;
    let mut snapshot = client.snapshot(from).await?;
    let mut done = 0;
    while let Some(piece) = snapshot.piece().await? {
        fresh.file.write_all(&piece).map_err(io_at(&store))?;
        done += piece.len() as u64;
        progress(done, snapshot.bytes);
    }
    if done != snapshot.bytes {
        return Err(JoinError::Answer("a part of its store"));
    }
    let shared = patiently(async || client.keys(from).await).await?;
    let (entries, verification) = shared.read().ok_or(JoinError::Answer("no keys"))?;
    if entries.iter().any(|(number, _)| RECEIVING <= *number) {
        return Err(JoinError::Answer("no keys"));
    }
    keys.put(&entries)?;
    HashKey::put(disk, &data.join("keys"), &verification)?;
    fresh.keep().map_err(io_at(&store))
}
