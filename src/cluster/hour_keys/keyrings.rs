//! [`MemberKeyrings`]: the keyrings in which a node keeps keys of other nodes' hours.
//!
//! Each other node has a [`Keyring`] of its own, below `keys/members/`, under a root key of its own. Its crash states are those of any
//! keyring. What a crash leaves of the directory of one is an empty keyring, which the next start completes.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    clock::{Clock, Era, Hour},
    cluster::report::{node_of, shown},
    envelope::{HourKey, KeyFiles, Keyring, KeyringError},
    files::{self, SharedDisk},
    limits,
    lock::lock,
    query_log::{Finding, ForgottenKind},
    registry::NodeId,
};

/// Where the keys of other nodes' hours lie.
#[derive(Clone, Debug)]
pub struct MemberKeyFiles {
    directory: PathBuf,
    root_key: Option<PathBuf>,
}

/// Who gives a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giver {
    /// The node of whose hour it is.
    Origin,
    /// Another node, which may be wrong.
    Other,
}

impl Giver {
    /// How much of `most` it may fill: what others gave leaves half of it to the origin.
    const fn share_of(self, most: usize) -> usize {
        match self {
            Self::Origin => most,
            Self::Other => most / 2,
        }
    }
}

/// Keys of other nodes' hours, by the number of the node.
#[derive(Debug)]
pub struct MemberKeyrings {
    files: MemberKeyFiles,
    /// None if opened for reading only.
    disk: Option<SharedDisk>,
    /// Locked for a moment only.
    keyrings: Mutex<BTreeMap<NodeId, Arc<Keyring>>>,
    /// Hours whose keys this process destroyed, and in which era: no other node brings one back in the same era. In a later one the clock
    /// was corrected, and it may have been destroyed too early. As many of each node as a keyring has keys.
    destroyed: Mutex<BTreeMap<NodeId, BTreeMap<Hour, Era>>>,
    /// Locked for a whole change, so that no keyring is removed while keys are written into it.
    changing: Mutex<()>,
}

impl MemberKeyFiles {
    /// Those of the data directory `data`. `root_key` is the file of the log's root key, if the configuration names one: those of these
    /// keyrings have the same name, and a node's number behind it.
    pub fn new(data: &Path, root_key: Option<&Path>) -> Self {
        let directory = data.join("keys").join("members");
        Self { directory, root_key: root_key.map(Path::to_owned) }
    }

    /// The files of the keyring of this node's hours.
    pub fn of(&self, node: NodeId) -> KeyFiles {
        let root_key = self.root_key.as_ref().map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{}", shown(node)));
            PathBuf::from(name)
        });
        KeyFiles::new(&self.directory_of(node), root_key.as_deref())
    }

    fn directory_of(&self, node: NodeId) -> PathBuf {
        self.directory.join(shown(node))
    }

    /// The nodes that have a directory, and the names of what else lies beside these.
    fn found(&self) -> Result<(Vec<NodeId>, Vec<OsString>), KeyringError> {
        let names = files::if_exists(files::names(&self.directory)).map_err(|it| self.io(it))?;
        let (mut nodes, mut unknown) = (Vec::new(), Vec::new());
        for name in names.unwrap_or_default() {
            match name.to_str().and_then(node_of) {
                Some(node) => nodes.push(node),
                None => unknown.push(name),
            }
        }
        Ok((nodes, unknown))
    }

    fn io(&self, source: io::Error) -> KeyringError {
        KeyringError::Io { path: self.directory.clone(), source }
    }
}

impl MemberKeyrings {
    /// Opens all that are there, and finishes what a crash interrupted.
    ///
    /// # Errors
    /// If one cannot be opened: it says which.
    pub fn open(disk: SharedDisk, files: MemberKeyFiles) -> Result<Self, KeyringError> {
        let opened = |node| {
            let keyring = Keyring::open(SharedDisk::clone(&disk), files.of(node), false)?;
            Ok((node, Arc::new(keyring)))
        };
        let keyrings = files.found()?.0.into_iter().map(opened).collect::<Result<_, _>>()?;
        Ok(Self::of(files, Some(disk), keyrings))
    }

    /// Opens all that are there for reading only, beside a running or a stopped server.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_read_only(files: MemberKeyFiles) -> Result<Self, KeyringError> {
        let mut keyrings = BTreeMap::new();
        for node in files.found()?.0 {
            // A keyring that is being made or removed has no key.
            if files.of(node).keyring.exists() {
                keyrings.insert(node, Arc::new(Keyring::open_read_only(files.of(node))?));
            }
        }
        Ok(Self::of(files, None, keyrings))
    }

    fn of(
        files: MemberKeyFiles,
        disk: Option<SharedDisk>,
        keyrings: BTreeMap<NodeId, Arc<Keyring>>,
    ) -> Self {
        let (destroyed, changing) = (Mutex::default(), Mutex::default());
        Self { files, disk, keyrings: Mutex::new(keyrings), destroyed, changing }
    }

    /// Destroys all keys in `files`, and removes the files.
    ///
    /// # Errors
    /// If a file cannot be written or removed. The same call finishes it.
    pub fn remove_all(disk: &SharedDisk, files: &MemberKeyFiles) -> Result<(), KeyringError> {
        for node in files.found()?.0 {
            Self::remove(disk, files, node)?;
        }
        let removed = files::remove_empty_dir(&files.directory);
        removed.map_err(|source| files.io(source))
    }

    fn remove(disk: &SharedDisk, files: &MemberKeyFiles, node: NodeId) -> Result<(), KeyringError> {
        Keyring::remove(disk, files.of(node))?;
        let removed = files::remove_empty_dir(&files.directory_of(node));
        removed.and_then(|()| disk.sync_dir(&files.directory)).map_err(|source| files.io(source))
    }

    /// The keyrings that there are.
    pub(super) fn all(&self) -> Vec<(NodeId, Arc<Keyring>)> {
        let keyrings = lock(&self.keyrings);
        keyrings.iter().map(|(node, keyring)| (*node, Arc::clone(keyring))).collect()
    }

    /// The keys of this node's hours, if there are any.
    pub(super) fn get(&self, node: NodeId) -> Option<Arc<Keyring>> {
        lock(&self.keyrings).get(&node).cloned()
    }

    /// Takes keys of a node's hours, each with the hour that dates it, durable before this returns. Gives how many are new. A key that is
    /// there stays, unless the node itself gives another one. What was destroyed comes back from that node only, which alone knows better.
    ///
    /// Once there are as many keyrings as [`limits::CLUSTER_KEYRINGS_MAX`], no other node gets one, and no keyring gets more keys than
    /// [`limits::CLUSTER_HOUR_KEYS_KEPT_MAX`]: the file would grow beyond what is read at a start. See [`Giver::share_of`].
    pub fn put(
        &self,
        node: NodeId,
        giver: Giver,
        mut keys: Vec<(Hour, Hour, HourKey)>,
    ) -> Result<usize, KeyringError> {
        let _changing = lock(&self.changing);
        let found = self.get(node);
        let is_origin = giver == Giver::Origin;
        let old = |hour| found.as_ref().and_then(|keyring| keyring.get(hour));
        keys.retain(|(hour, dated, key)| match old(*hour) {
            Some(old) => is_origin && *old.reveal() != *key.reveal(),
            None => is_origin || !self.was_destroyed(node, *hour, dated.era()),
        });
        let kept = found.as_ref().map_or(0, |it| it.hours().len());
        let most = giver.share_of(limits::CLUSTER_HOUR_KEYS_KEPT_MAX);
        keys.truncate(most.saturating_sub(kept));
        let most = giver.share_of(limits::CLUSTER_KEYRINGS_MAX);
        let is_full = found.is_none() && most <= lock(&self.keyrings).len();
        if keys.is_empty() || is_full {
            return Ok(0);
        }
        let keyring = match found {
            Some(keyring) => keyring,
            None => self.create(node)?,
        };
        let count = keys.len();
        keyring.replace_dated(keys)?;
        Ok(count)
    }

    fn was_destroyed(&self, node: NodeId, hour: Hour, era: Era) -> bool {
        lock(&self.destroyed).get(&node).is_some_and(|hours| hours.get(&hour) == Some(&era))
    }

    /// Notes hours whose keys are destroyed in this era. The oldest are dropped.
    fn note_destroyed(&self, node: NodeId, hours: &[Hour], era: Era) {
        let mut destroyed = lock(&self.destroyed);
        let of_node = destroyed.entry(node).or_default();
        of_node.extend(hours.iter().map(|hour| (*hour, era)));
        while limits::CLUSTER_HOUR_KEYS_KEPT_MAX < of_node.len() {
            of_node.pop_first();
        }
    }

    fn create(&self, node: NodeId) -> Result<Arc<Keyring>, KeyringError> {
        let (disk, files) = (self.disk()?, &self.files);
        let keyring = Arc::new(Keyring::open(SharedDisk::clone(disk), files.of(node), false)?);
        // The directories may be new, and what lies in them must survive a power cut.
        for directory in [&*files.directory, files::parent(&files.directory)] {
            disk.sync_dir(directory).map_err(|source| files.io(source))?;
        }
        lock(&self.keyrings).insert(node, Arc::clone(&keyring));
        Ok(keyring)
    }

    /// Destroys the keys that have expired by trusted time. Gives how many. A keyring without keys whose node is not one of `members` is
    /// removed, unless they are not known.
    ///
    /// # Errors
    /// What went wrong first. The others are pruned all the same, and the next call tries again.
    pub(super) fn destroy_expired(
        &self,
        clock: &dyn Clock,
        retention: Duration,
        members: Option<&[NodeId]>,
    ) -> Result<usize, KeyringError> {
        let _changing = lock(&self.changing);
        let (mut destroyed, mut failed) = (0, None);
        for (node, keyring) in self.all() {
            let due = keyring.expired(clock, retention).unwrap_or_default();
            let mut done = keyring.prune(&due);
            if done.is_ok() && !due.is_empty() {
                self.note_destroyed(node, &due, clock.stamp().1);
                destroyed += due.len();
            }
            let is_over = members.is_some_and(|members| !members.contains(&node));
            if done.is_ok() && is_over && keyring.hours().is_empty() {
                // In the map until its files are gone: the next call tries again.
                done = self.disk().and_then(|disk| Self::remove(disk, &self.files, node));
                if done.is_ok() {
                    lock(&self.keyrings).remove(&node);
                    lock(&self.destroyed).remove(&node);
                }
            }
            failed = failed.or(done.err());
        }
        failed.map_or(Ok(destroyed), Err)
    }

    /// What should not exist: keys of expired hours, traces of a change that was interrupted, and what is no keyring. Reads the files anew.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn unforgotten(
        &self,
        clock: &dyn Clock,
        retention: Duration,
    ) -> Result<Vec<Finding>, KeyringError> {
        let _changing = lock(&self.changing);
        // By the later of both times, as for the hours of this node.
        let now = clock.latest();
        let mut findings = Vec::new();
        let (nodes, mut unknown) = self.files.found()?;
        unknown
            .extend(nodes.iter().filter(|it| self.get(**it).is_none()).map(|it| shown(*it).into()));
        for name in unknown {
            let (what, detail) = (ForgottenKind::UnknownFile, "not the keys of a node");
            let name = format!("keys/members/{}", name.to_string_lossy());
            findings.push(Finding { what, name, detail: detail.to_owned() });
        }
        for (node, keyring) in self.all() {
            let node = shown(node);
            for (hour, dated) in keyring.reread()? {
                if clock.expiry(dated, retention).plus(limits::LOG_FORGOTTEN_WITHIN) <= now {
                    let (what, name) = (ForgottenKind::Key, format!("{node}/{}", hour.number()));
                    let began = clock.began(dated);
                    let detail =
                        format!("an hour of the node {node} that began at {began} and has expired");
                    findings.push(Finding { what, name, detail });
                }
            }
            for detail in keyring.loose_ends()? {
                let (what, name) = (ForgottenKind::RootKey, format!("keys/members/{node}"));
                findings.push(Finding { what, name, detail });
            }
        }
        Ok(findings)
    }

    fn disk(&self) -> Result<&SharedDisk, KeyringError> {
        self.disk.as_ref().ok_or_else(|| KeyringError::ReadOnly(self.files.directory.clone()))
    }
}
