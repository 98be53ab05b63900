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
//! applied here. At the latest a key is destroyed when the log's retention is over, 30 days or less, after it was made: [`KeyRows`] says when
//! that was. A node that was away longer takes no such key either: it takes the state of another one.
//!
//! A key that nobody can open is used by nobody. The next one is made some seconds later, and whoever gets it uses it at once. So a
//! member that says that it has the next one writes no more under the key before the useless one.
//!
//! A node that is removed has every key that there is then. So its removal leaves the mark [`NEW_KEY_WANTED`], and the next round of any
//! member makes a key that the removed one does not get. Some seconds later no member that runs uses those that it has.

use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::{
    entry_keys::ClusterKeys,
    identity::Identity,
    key_rows::{self, KeyRows},
    member::Member,
    sealing::{self, KeyOf, Purpose},
};
use crate::{
    clock::{SharedClock, Timestamp},
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
    keys: KeyRows,
    now: Timestamp,
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
        self.destroy(&seen)?;
        let Some(own) = seen.members.iter().find(|member| member.node == self.identity.node) else {
            // It was removed, or a copy of the store is older than its joining.
            return Ok(());
        };
        let unopened = self.take(&seen)?;
        self.choose(&seen);
        self.renew(&seen, own).await?;
        unopened.map_or(Ok(()), |number| Err(RotationError::Unopened(number)))
    }

    /// Publishes, and makes the next key if it is time.
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
        if seen.keys.is_next_due(newest, published(&seen.members), seen.now) {
            self.rotate(newest).await?;
        }
        Ok(())
    }

    fn seen(&self) -> Seen {
        let (members, keys) = (Member::all(&self.registry), KeyRows::seen(&self.registry));
        Seen { members, keys, now: self.clock.now() }
    }

    fn purpose(&self, number: u32, node: NodeId) -> Purpose {
        Purpose { cluster: self.identity.cluster, key: KeyOf::Entries(number), node }
    }

    /// Stores the keys that were sealed to this node. Gives the number of one that it cannot open.
    fn take(&self, seen: &Seen) -> Result<Option<u32>, RotationError> {
        let (mut unopened, mut newest) = (None, self.keys.newest_number());
        let receiving = self.keys.receiving_halves();
        let is_due = |number| {
            seen.keys.is_to_come(number, newest, seen.now)
                && !self.keys.is_old(number, &seen.keys, seen.now)
        };
        let own = seen.keys.sealed().iter().filter(|(_, node)| *node == self.identity.node);
        let due: Vec<_> = own.map(|(number, _)| *number).filter(|it| is_due(*it)).collect();
        for number in due {
            let purpose = self.purpose(number, self.identity.node);
            let opened = {
                let rows = self.registry.rows_so_far();
                let sealed =
                    rows.get(RowKind::EntryKey, &key_rows::sealed_to(number, purpose.node));
                sealed.and_then(|it| {
                    receiving.iter().find_map(|half| sealing::open(purpose, half, it))
                })
            };
            let Some(key) = opened else {
                unopened = Some(number);
                continue;
            };
            // Before another thread can use it.
            // A key that is old may be destroyed elsewhere: this node was away, and the others go on.
            let is_old = self.keys.is_old(newest, &seen.keys, seen.now);
            let may_wait = seen.keys.follows(newest, number) && !is_old;
            self.keys.hold_back(may_wait.then_some(number));
            *lock(&self.taken) = Some((number, Instant::now()));
            self.keys.put(&[(number, key)])?;
            newest = number;
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
        let mut numbers = self.keys.numbers();
        let everywhere = everywhere(&seen.members);
        let published = numbers.iter().filter(|number| **number <= everywhere).count();
        // The last of these and the one before it may still be used.
        let unused = published.saturating_sub(2);
        // The newest one stays.
        numbers.pop();
        let is_old = |number| self.keys.is_old(number, &seen.keys, seen.now);
        let all = numbers.into_iter().enumerate();
        let dead: Vec<_> = all
            .filter(|(at, number)| *at < unused || is_old(*number))
            .map(|(_, number)| number)
            .collect();
        if !dead.is_empty() {
            self.keys.destroy(&dead)?;
        }
        Ok(())
    }

    /// Makes the key behind the last one, unless another node did.
    async fn rotate(&self, newest: u32) -> Result<(), RotationError> {
        let (cluster, keys) = (self.identity.cluster, Arc::clone(&self.keys));
        let plan = move |rows: &mut Rows<'_>| {
            let (seen, now) = (KeyRows::of(rows), rows.now());
            let members = rows.all(RowKind::Member);
            let members: Vec<_> =
                members.iter().filter_map(|(name, row)| Member::read(name, row)).collect();
            if !seen.is_next_due(newest, published(&members), now) {
                return Ok(());
            }
            let (last, everywhere) = (seen.last(newest, now), everywhere(&members));
            rows.remove(RowKind::EntryKey, NEW_KEY_WANTED);
            for (number, node) in seen.sealed() {
                let is_member = members.iter().any(|member| member.node == *node);
                let is_planted = last < *number;
                let is_old = keys.is_old(*number, &seen, now);
                if *number <= everywhere || is_planted || is_old || !is_member {
                    rows.remove(RowKind::EntryKey, &key_rows::sealed_to(*number, *node));
                }
            }
            // No node has a key of that age.
            let age = limits::CLUSTER_KEY_AGE_MAX;
            for number in seen.timed() {
                if last < number || number < last && seen.is_old(number, newest, age, now) {
                    key_rows::remove_time(rows, number);
                }
            }
            let number = last + 1;
            let mut key = Zeroizing::new([0; 32]);
            ids::fill_random(key.as_mut());
            for Member { node, receiving, .. } in &members {
                let purpose = Purpose { cluster, key: KeyOf::Entries(number), node: *node };
                if let Some(sealed) = sealing::seal(purpose, receiving, &key) {
                    rows.put(RowKind::EntryKey, &key_rows::sealed_to(number, *node), None, sealed);
                }
            }
            key_rows::put_time(rows, number, now);
            Ok(())
        };
        self.registry.change_rows::<_, ChangeError>(plan).await?;
        Ok(())
    }
}

/// The newest key that some member says it has.
fn published(members: &[Member]) -> u32 {
    members.iter().map(|member| member.key).max().unwrap_or(0)
}

/// The newest key that every member has.
fn everywhere(members: &[Member]) -> u32 {
    members.iter().map(|member| member.key).min().unwrap_or(0)
}

#[cfg(test)]
mod tests;
