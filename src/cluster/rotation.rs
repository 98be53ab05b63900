//! [`KeyRotation`]: how the keys of entries change, and when they are destroyed.
//!
//! etcd keeps what it was ever given, so what must be forgotten must be encrypted under a key that is gone. One key lasts a day. Each
//! member publishes a receiving key in its row. A node that finds the newest key a day old makes the next one and seals it to each
//! member's receiving key, as rows of one entry. Each member then
//!
//! ```text
//! 1  opens its row and stores the key                crash after: the same again
//! 2  makes a new receiving key beside the old one    crash after: it is published by the next round
//! 3  publishes it in its row, with the key's number  crash after: the next round destroys the old one
//! 4  destroys the old receiving key                  now nothing opens what was sealed to it
//! ```
//!
//! A row that is sealed to the old receiving key comes before the entry that publishes the new one. So step 4 sees every such row.
//!
//! A member uses a new key once every member has published its number, or after a while, if one is away. So nobody waits for a key.
//! Once it has a key, it uses that or the one before, and none that is older. So if each member has published key *k*, the entries
//! that follow have key *k*, the one before it, or a newer one. All older keys are destroyed then: every entry under them is
//! applied here. At the latest a key is destroyed when the log's retention is over, 30 days or less, from the hour on in which it was made.
//! A node that was away longer takes no such key either: it takes the state of another one.
//!
//! A node that is removed has every key that there is then. So its removal leaves the mark [`NEW_KEY_WANTED`], and the next round of any
//! member makes a key that the removed one does not get. Some seconds later no member that runs uses those that it has.

use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::{
    entry_keys::{ClusterKeys, RECEIVING, next_number, starts_at},
    identity::Identity,
    member::Member,
    sealing::{self, KeyOf, Purpose},
};
use crate::{
    clock::SharedClock,
    envelope::KeyringError,
    ids, limits,
    lock::lock,
    operators::NEW_KEY_WANTED,
    registry::{ChangeError, NodeId, Registry, RowKind, Rows},
    shared_log::Follower as _,
};

/// Changes the keys of entries of one node.
pub struct KeyRotation {
    identity: Identity,
    keys: Arc<ClusterKeys>,
    registry: Arc<Registry>,
    clock: SharedClock,
    /// The newest key that came while this process ran, and when.
    taken: Mutex<Option<(u32, Instant)>>,
}

/// Why keys were not changed. The next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The keyring.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The registry.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The key with this number is sealed to a receiving key that this node has no more. So it cannot read the entries that follow.
    #[error(
        "the key {0} of the shared log is sealed to a key that this data directory does not have: it is an old copy. Stop this node, remove \
         it with `dispatchd cluster remove` on another one, and have it join again into an empty data directory"
    )]
    Unopened(u32),
}

/// The rows that keys are about, at one moment.
struct Seen {
    members: Vec<Member>,
    /// The keys that are sealed to this node.
    sealed: Vec<(u32, Vec<u8>)>,
    /// Whether a node was removed since the last key was made.
    is_key_wanted: bool,
}

impl KeyRotation {
    /// For the node `identity`, which has `keys`.
    pub fn new(
        identity: Identity,
        keys: Arc<ClusterKeys>,
        registry: Arc<Registry>,
        clock: SharedClock,
    ) -> Self {
        Self { identity, keys, registry, clock, taken: Mutex::default() }
    }

    /// Makes a round now and then. Never ends.
    pub async fn run(self) {
        let mut is_failing = false;
        loop {
            sleep(limits::CLUSTER_KEYS_PAUSE).await;
            if !self.registry.is_ready() {
                continue;
            }
            let outcome = self.tick().await;
            if let Err(error) = &outcome
                && !is_failing
            {
                tracing::warn!(%error, "the keys of the shared log do not change; trying again");
            }
            is_failing = outcome.is_err();
        }
    }

    /// Makes one round: takes keys that came, publishes, destroys, and makes the next key if it is time.
    ///
    /// # Errors
    /// If the keyring cannot be written, or the registry takes no change now.
    pub async fn tick(&self) -> Result<(), RotationError> {
        let seen = self.seen();
        let Some(own) = seen.members.iter().find(|member| member.node == self.identity.node) else {
            // It was removed, or a copy of the store is older than its joining.
            return Ok(());
        };
        let unopened = self.take(&seen)?;
        self.choose(&seen);
        self.renew(&seen, own).await?;
        unopened.map_or(Ok(()), |number| Err(RotationError::Unopened(number)))
    }

    /// Publishes, destroys, and makes the next key if it is time.
    async fn renew(&self, seen: &Seen, own: &Member) -> Result<(), RotationError> {
        let receiving = self.keys.receiving()?;
        let newest = self.keys.newest_number();
        if own.key != newest {
            let fresh = match own.receiving == receiving {
                true => self.keys.renew_receiving()?,
                false => receiving,
            };
            return self.publish(newest, fresh).await;
        }
        if own.receiving != receiving {
            return self.publish(newest, receiving).await;
        }
        self.keys.destroy_old_receiving()?;
        self.destroy(seen)?;
        let is_worn = starts_at(newest).plus(limits::CLUSTER_KEY_LIFETIME) <= self.clock.now();
        if is_worn || seen.is_key_wanted {
            self.rotate(newest).await?;
        }
        Ok(())
    }

    fn seen(&self) -> Seen {
        let members = Member::all(&self.registry);
        let mut seen = Seen { members, sealed: Vec::new(), is_key_wanted: false };
        self.registry.rows_so_far().each(RowKind::EntryKey, |key, row| {
            seen.is_key_wanted |= key == NEW_KEY_WANTED;
            if let Some((number, node)) = read_key(key)
                && node == self.identity.node
            {
                seen.sealed.push((number, row.to_vec()));
            }
        });
        seen
    }

    fn purpose(&self, number: u32, node: NodeId) -> Purpose {
        Purpose { cluster: self.identity.cluster, key: KeyOf::Entries(number), node }
    }

    /// Stores the keys that were sealed to this node. Gives the number of one that it cannot open.
    fn take(&self, seen: &Seen) -> Result<Option<u32>, RotationError> {
        let mut unopened = None;
        let (had, now) = (self.keys.newest_number(), self.clock.now());
        let receiving = self.keys.receiving_halves();
        let is_due = |number| had < number && !self.keys.is_old(number, now);
        for (number, sealed) in seen.sealed.iter().filter(|(number, _)| is_due(*number)) {
            let purpose = self.purpose(*number, self.identity.node);
            let opened = receiving.iter().find_map(|half| sealing::open(purpose, half, sealed));
            let Some(key) = opened else {
                unopened = Some(*number);
                continue;
            };
            // Before another thread can use it.
            self.keys.hold_back(Some(*number));
            *lock(&self.taken) = Some((*number, Instant::now()));
            self.keys.put(&[(*number, key)])?;
            // An entry may wait for it.
            self.registry.nudge(self.registry.applied().place + 1);
        }
        Ok(unopened)
    }

    /// Uses the newest key, if every member has it, or one that has not is away.
    fn choose(&self, seen: &Seen) {
        let newest = self.keys.newest_number();
        let have_all = seen.members.iter().all(|member| newest <= member.key);
        let is_recent = lock(&self.taken).is_some_and(|(number, at)| {
            number == newest && at.elapsed() < limits::CLUSTER_KEY_PATIENCE
        });
        if have_all || !is_recent {
            self.keys.hold_back(None);
        }
    }

    async fn publish(&self, key: u32, receiving: [u8; 32]) -> Result<(), RotationError> {
        let (name, node) = (self.identity.name.clone(), self.identity.node);
        let plan = move |rows: &mut Rows<'_>| {
            let own = rows.get(RowKind::Member, name.as_bytes());
            let own = own.and_then(|row| Member::read(name.as_bytes(), row));
            if let Some(own) = own.filter(|own| own.node == node) {
                Member { key, receiving, ..own }.put(rows);
            }
            Ok(())
        };
        self.registry.change_rows::<_, ChangeError>(plan).await?;
        Ok(())
    }

    /// Destroys the keys that no entry to come can have, and those that are too old.
    fn destroy(&self, seen: &Seen) -> Result<(), RotationError> {
        let numbers = self.keys.numbers();
        let everywhere = everywhere(&seen.members);
        let published = numbers.iter().filter(|number| **number <= everywhere).count();
        // The last of these and the one before it may still be used.
        let unused = published.saturating_sub(2);
        let now = self.clock.now();
        let newest = self.keys.newest_number();
        let dead: Vec<_> = numbers
            .iter()
            .enumerate()
            .filter(|(at, number)| {
                **number != newest && (*at < unused || self.keys.is_old(**number, now))
            })
            .map(|(_, number)| *number)
            .collect();
        if !dead.is_empty() {
            self.keys.destroy(&dead)?;
        }
        Ok(())
    }

    /// Makes the key behind `newest`, unless another node did and has removed none since.
    async fn rotate(&self, newest: u32) -> Result<(), RotationError> {
        let (cluster, keys) = (self.identity.cluster, Arc::clone(&self.keys));
        let plan = move |rows: &mut Rows<'_>| {
            let members = rows.all(RowKind::Member);
            let members: Vec<_> =
                members.iter().filter_map(|(name, row)| Member::read(name, row)).collect();
            let sealed: Vec<_> =
                rows.all(RowKind::EntryKey).iter().filter_map(|(key, _)| read_key(key)).collect();
            let last = sealed.iter().map(|(number, _)| *number).fold(newest, u32::max);
            let is_wanted = rows.get(RowKind::EntryKey, NEW_KEY_WANTED).is_some();
            if newest < last && !is_wanted {
                return Ok(());
            }
            rows.remove(RowKind::EntryKey, NEW_KEY_WANTED);
            let everywhere = everywhere(&members);
            for (number, node) in sealed {
                let is_member = members.iter().any(|member| member.node == node);
                if number <= everywhere || keys.is_old(number, rows.now()) || !is_member {
                    rows.remove(RowKind::EntryKey, &write_key(number, node));
                }
            }
            let number = next_number(last, rows.now());
            let mut key = Zeroizing::new([0; 32]);
            ids::fill_random(key.as_mut());
            for member in members {
                let purpose = Purpose { cluster, key: KeyOf::Entries(number), node: member.node };
                if let Some(sealed) = sealing::seal(purpose, &member.receiving, &key) {
                    rows.put(RowKind::EntryKey, &write_key(number, member.node), None, sealed);
                }
            }
            Ok(())
        };
        self.registry.change_rows::<_, ChangeError>(plan).await?;
        Ok(())
    }
}

/// The newest key that every member has.
fn everywhere(members: &[Member]) -> u32 {
    members.iter().map(|member| member.key).min().unwrap_or(0)
}

/// The key of a row: the number of the key of entries, and the member to which it is sealed.
fn write_key(number: u32, node: NodeId) -> Vec<u8> {
    [&number.to_be_bytes()[..], &node.0.to_be_bytes()].concat()
}

/// Whether the row of [`RowKind::EntryKey`] with this key is about a key of entries that is newer than the one numbered `newest`.
pub fn is_of_newer_key(row_key: &[u8], newest: u32) -> bool {
    read_key(row_key).is_some_and(|(number, _)| newest < number)
}

/// None also for the number of a receiving key: a row must not replace one.
fn read_key(key: &[u8]) -> Option<(u32, NodeId)> {
    let (number, node) = key.split_first_chunk()?;
    let number = u32::from_be_bytes(*number);
    let node = NodeId(u64::from_be_bytes(node.try_into().ok()?));
    (number < RECEIVING).then_some((number, node))
}

#[cfg(test)]
mod tests;
