//! [`ClusterKeys`]: the keys of entries that this node has, and the private half of its receiving key.
//!
//! They lie in a keyring of their own, below `keys/cluster`. Its root key lies beside that of the log's keyring, if `keys.root_key` names
//! another place. So to drop one writes the keyring anew under a new root key, and no older
//! copy of the file can be opened. Keys of entries are numbered one after another: [`KeyRows`] knows when each was made. The private halves of
//! receiving keys have numbers from [`RECEIVING`] on.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::agreement::{PrivateKey, X25519};
use zeroize::Zeroizing;

use super::{
    key_rows::{KeyRows, RECEIVING},
    member::Member,
};
use crate::{
    clock::{Hour, Timestamp},
    envelope::{HourKey, KeyFiles, Keyring, KeyringError},
    files::SharedDisk,
    limits,
    registry::{EntryKey, EntryKeys},
};

/// The number of no key.
const NONE: u32 = u32::MAX;

/// The keys of entries that this node has.
#[derive(Debug)]
pub struct ClusterKeys {
    keyring: Keyring,
    /// The number of a key that is not used yet.
    held_back: AtomicU32,
    /// How long after it was made a key is destroyed.
    age_max: Duration,
}

impl ClusterKeys {
    /// The directory of the keys, in the data directory `data`.
    pub fn directory(data: &Path) -> PathBuf {
        data.join("keys").join("cluster")
    }

    const fn new(keyring: Keyring) -> Self {
        let (held_back, age_max) = (AtomicU32::new(NONE), limits::CLUSTER_KEY_AGE_MAX);
        Self { keyring, held_back, age_max }
    }

    /// The same keys, which live no longer than the log, whose retention this is, but at least [`limits::CLUSTER_KEY_AGE_MIN`].
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        let (least, most) = (limits::CLUSTER_KEY_AGE_MIN, limits::CLUSTER_KEY_AGE_MAX);
        Self { age_max: retention.clamp(least, most), ..self }
    }

    /// Whether a key must be destroyed at `now`, whoever needs it.
    pub(super) fn is_old(&self, number: u32, rows: &KeyRows, now: Timestamp) -> bool {
        rows.is_old(number, self.newest_number(), self.age_max, now)
    }

    /// Whether this node does not have a key and never gets it.
    pub(super) fn lacks_for_ever(&self, number: u32, rows: &KeyRows, now: Timestamp) -> bool {
        // The key itself is looked for last: it may come at this moment, and a newer one with it.
        let is_past = number < self.newest_number() || self.is_old(number, rows, now);
        is_past && self.bytes(number).is_none()
    }

    /// Whether there is a newer key of entries than those that this node has.
    pub fn is_behind(&self, rows: &KeyRows, now: Timestamp) -> bool {
        let newest = self.newest_number();
        newest < rows.last(newest, now)
    }

    /// Where the keys of the data directory `data` lie. `root_key` is the file of the log's root key, if the configuration names one: that
    /// of these keys has the same name and `.cluster`.
    pub fn files(data: &Path, root_key: Option<&Path>) -> KeyFiles {
        let root_key = root_key.map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push(".cluster");
            PathBuf::from(name)
        });
        KeyFiles::new(&Self::directory(data), root_key.as_deref())
    }

    /// Opens the keys in `files`, and makes an empty keyring if there is none.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub fn open_or_create(disk: SharedDisk, files: KeyFiles) -> Result<Self, KeyringError> {
        Ok(Self::new(Keyring::open(disk, files, false)?))
    }

    /// Opens the keys in `files`. None if no key of entries is there: then the node can read nothing.
    ///
    /// # Errors
    /// If a file is missing, or cannot be used.
    pub fn open(disk: SharedDisk, files: KeyFiles) -> Result<Option<Self>, KeyringError> {
        let keys = Self::new(Keyring::open(disk, files, true)?);
        Ok((!keys.numbers().is_empty()).then_some(keys))
    }

    /// The numbers of the keys of entries, the oldest first.
    pub fn numbers(&self) -> Vec<u32> {
        self.all_numbers().into_iter().filter(|number| *number < RECEIVING).collect()
    }

    fn all_numbers(&self) -> Vec<u32> {
        self.keyring.hours().into_iter().map(Hour::number).collect()
    }

    /// The number of the newest key of entries, 0 if there is none.
    pub fn newest_number(&self) -> u32 {
        self.numbers().pop().unwrap_or(0)
    }

    /// Makes a key of entries if there is none, durable before this returns.
    ///
    /// # Errors
    /// If the keyring cannot be written.
    pub fn ensure_first(&self) -> Result<(), KeyringError> {
        if self.numbers().is_empty() {
            self.ensure(1)?;
        }
        Ok(())
    }

    /// The number and bytes of each key of entries, for a node that joins.
    pub fn reveal(&self) -> Vec<(u32, Zeroizing<[u8; 32]>)> {
        self.numbers()
            .into_iter()
            .filter_map(|number| Some((number, self.bytes(number)?)))
            .collect()
    }

    fn bytes(&self, number: u32) -> Option<Zeroizing<[u8; 32]>> {
        self.keyring.get(Hour::from_number(number)).map(|key| key.reveal())
    }

    /// The key with a number; made, and durable before this returns, if there is none.
    ///
    /// # Errors
    /// If the keyring cannot be written.
    pub fn ensure(&self, number: u32) -> Result<Zeroizing<[u8; 32]>, KeyringError> {
        Ok(self.keyring.ensure(Hour::from_number(number))?.reveal())
    }

    /// Takes keys of entries over, durable before this returns. One that is there stays as it is.
    ///
    /// # Errors
    /// If the keyring cannot be written.
    pub fn put(&self, keys: &[(u32, Zeroizing<[u8; 32]>)]) -> Result<(), KeyringError> {
        let keys = keys.iter().map(|(number, key)| (Hour::from_number(*number), HourKey::of(key)));
        self.keyring.put(keys)
    }

    /// Destroys the keys of entries with these numbers.
    ///
    /// # Errors
    /// If a file cannot be written; the keys may then be destroyed or not, and the same call finishes it.
    pub fn destroy(&self, numbers: &[u32]) -> Result<(), KeyringError> {
        let hours: Vec<_> = numbers.iter().copied().map(Hour::from_number).collect();
        self.keyring.prune(&hours)
    }

    /// The public half of the newest receiving key, which is made if there is none. Durable before this returns.
    ///
    /// # Errors
    /// If the keyring cannot be written.
    pub fn receiving(&self) -> Result<[u8; 32], KeyringError> {
        match self.all_numbers().pop().filter(|number| RECEIVING <= *number) {
            Some(number) => Ok(public_half(&*self.ensure(number)?)),
            None => self.renew_receiving(),
        }
    }

    /// The private halves of the receiving keys that are there.
    pub(super) fn receiving_halves(&self) -> Vec<Zeroizing<[u8; 32]>> {
        let numbers = self.all_numbers().into_iter().filter(|number| RECEIVING <= *number);
        numbers.filter_map(|number| self.bytes(number)).collect()
    }

    /// Destroys all receiving keys but the newest.
    ///
    /// # Errors
    /// As [`Self::destroy`].
    pub(super) fn destroy_old_receiving(&self) -> Result<(), KeyringError> {
        let mut old = self.all_numbers();
        old.retain(|number| RECEIVING <= *number);
        old.pop();
        if old.is_empty() { Ok(()) } else { self.destroy(&old) }
    }

    /// Does not use the key with this number yet, if it is the newest and there is one before it. [`EntryKeys::find`] gives it.
    pub(super) fn hold_back(&self, number: Option<u32>) {
        self.held_back.store(number.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// Makes a new receiving key beside those that are there, durable before this returns, and gives its public half.
    ///
    /// # Errors
    /// If the keyring cannot be written.
    pub fn renew_receiving(&self) -> Result<[u8; 32], KeyringError> {
        let newest = self.all_numbers().pop().filter(|number| RECEIVING <= *number);
        // Any 32 random bytes are a private key of X25519.
        let private = self.ensure(newest.map_or(RECEIVING, |number| number + 1))?;
        Ok(public_half(&private))
    }
}

/// The public half of a receiving key.
pub(super) fn public_half(private: &[u8; 32]) -> [u8; 32] {
    let public =
        private_key(private).compute_public_key().expect("each private key has a public one");
    public.as_ref().try_into().expect("a public key of X25519 has 32 bytes")
}

fn private_key(bytes: &[u8; 32]) -> PrivateKey {
    PrivateKey::from_private_key(&X25519, bytes).expect("32 bytes are a private key of X25519")
}

impl EntryKeys for ClusterKeys {
    fn newest(&self) -> Arc<EntryKey> {
        let (mut numbers, held_back) = (self.numbers(), self.held_back.load(Ordering::Relaxed));
        if 1 < numbers.len() {
            numbers.pop_if(|newest| *newest == held_back);
        }
        let newest = numbers.pop().and_then(|number| self.find(number));
        newest.expect("the newest key of entries is never destroyed")
    }

    fn find(&self, id: u32) -> Option<Arc<EntryKey>> {
        let key = self.bytes(id).filter(|_| id < RECEIVING)?;
        Some(Arc::new(EntryKey::new(id, &key)))
    }

    /// Keys come in their order, and none that is too old: see [`KeyRotation`](super::KeyRotation).
    fn is_gone(
        &self,
        id: u32,
        rows: &mut dyn Iterator<Item = (&[u8], &[u8])>,
        now: Timestamp,
    ) -> bool {
        let mut seen = KeyRows::default();
        rows.for_each(|(key, row)| seen.add(key, row));
        self.lacks_for_ever(id, &seen, now)
    }

    /// A member that has a key writes under it, under the one before it, or under a newer one: see [`KeyRotation`](super::KeyRotation). So
    /// behind rows that say that all have key *k*, an entry under a key before *k - 1* is of a node that keeps none of the rules.
    fn is_void(
        &self,
        id: u32,
        members: &mut dyn Iterator<Item = &[u8]>,
        rows: &mut dyn Iterator<Item = (&[u8], &[u8])>,
    ) -> bool {
        let mut seen = KeyRows::default();
        rows.for_each(|(key, row)| seen.add(key, row));
        let everywhere = Member::newest_keys(members).min();
        everywhere.is_some_and(|everywhere| !seen.is_usable(id, everywhere))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::OsDisk;

    fn files(data: &Path) -> KeyFiles {
        ClusterKeys::files(data, None)
    }

    fn open(data: &Path) -> ClusterKeys {
        ClusterKeys::open(OsDisk::shared(), files(data)).unwrap().expect("there is a key")
    }

    #[test]
    fn keys_that_were_put_are_there_after_a_restart_until_they_are_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert!(
            ClusterKeys::open(OsDisk::shared(), files(data)).is_err(),
            "nothing is made by itself"
        );
        let keys = ClusterKeys::open_or_create(OsDisk::shared(), files(data)).unwrap();
        keys.receiving().unwrap();
        assert!(
            ClusterKeys::open(OsDisk::shared(), files(data)).unwrap().is_none(),
            "no key of entries"
        );
        let made = keys.ensure(7).unwrap();
        keys.put(&[(5, Zeroizing::new([5; 32])), (7, Zeroizing::new([1; 32]))]).unwrap();
        let again = open(data);
        assert_eq!(again.reveal(), [(5, Zeroizing::new([5; 32])), (7, made)]);
        assert_eq!(again.newest().id(), 7);
        assert!(
            again.find(5).is_some() && again.find(6).is_none() && again.find(RECEIVING).is_none()
        );
        again.destroy(&[5]).unwrap();
        assert_eq!(open(data).numbers(), [7]);
        let (number, made_at) = (8_u32.to_be_bytes(), Timestamp::from_secs(1_800_000_000));
        let micros = made_at.as_micros().to_be_bytes();
        let is_gone =
            |id, now| again.is_gone(id, &mut [(&number[..], &micros[..])].into_iter(), now);
        let gone = [5, 6, 7, 8, 9].map(|id| is_gone(id, made_at));
        assert_eq!(gone, [true, true, false, false, false]);
        let later = made_at.plus(limits::CLUSTER_KEY_AGE_MAX);
        assert!(is_gone(8, later) && !is_gone(8, later.moved(-1)) && !is_gone(9, later));
    }

    #[test]
    fn a_receiving_key_stays_until_it_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let keys = ClusterKeys::open_or_create(OsDisk::shared(), files(data)).unwrap();
        keys.ensure(1).unwrap();
        let first = keys.receiving().unwrap();
        assert_eq!(open(data).receiving().unwrap(), first);
        let second = keys.renew_receiving().unwrap();
        assert_ne!(second, first);
        assert_eq!(open(data).receiving().unwrap(), second);
    }

    #[test]
    fn the_root_key_lies_beside_that_of_the_log() {
        let (data, roots) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = ClusterKeys::files(data.path(), Some(&roots.path().join("root.key")));
        let keys = ClusterKeys::open_or_create(OsDisk::shared(), files.clone()).unwrap();
        keys.ensure(7).unwrap();
        assert!(roots.path().join("root.key.cluster").exists());
        assert!(!ClusterKeys::directory(data.path()).join("root.key").exists());
        assert!(ClusterKeys::open(OsDisk::shared(), files.clone()).unwrap().is_some());
        Keyring::remove(&OsDisk::shared(), files).unwrap();
        assert_eq!(std::fs::read_dir(roots.path()).unwrap().count(), 0);
    }
}
