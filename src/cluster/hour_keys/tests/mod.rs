//! Nodes in memory, each with its own disk and machine, that pass keys of hours on.

mod asking;
mod crash;
mod eras;
mod model;
mod spoiled;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::{
    clock::{
        Clock as _, Config, Hour, Machine as _, ManualClock, SharedClock, Timestamp, TrustedClock,
    },
    cluster::{Identity, Member},
    envelope::{HourKey, KeyFiles, Keyring},
    files::{SharedDisk, tests::sim_disk::UnsyncedDisk},
    limits,
    registry::{ClusterId, NodeId},
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Twenty minutes past a full hour.
const START: Timestamp = Timestamp::from_secs(1_795_422_000);

/// A node with its machine and its data directory. It runs or does not.
struct Node {
    identity: Identity,
    folder: TempDir,
    machine: Arc<ManualClock>,
    retention: Duration,
    running: Option<Running>,
}

struct Running {
    clock: Arc<TrustedClock>,
    own: Arc<Keyring>,
    keys: HourKeys,
}

/// A key as it is named by its owner.
type Name = (NodeId, Hour);

fn disk() -> SharedDisk {
    Arc::new(UnsyncedDisk)
}

impl Node {
    /// A node whose machine shows `wall`. It runs.
    fn at(name: &str, wall: Timestamp) -> Self {
        Self::with(name, wall, RETENTION)
    }

    fn with(name: &str, wall: Timestamp, retention: Duration) -> Self {
        Self::on(name, ManualClock::at(wall), retention)
    }

    fn on(name: &str, machine: Arc<ManualClock>, retention: Duration) -> Self {
        let identity = Identity::joining(ClusterId([7; 16]), name.to_owned());
        let folder = tempfile::tempdir().unwrap();
        let mut node = Self { identity, folder, machine, retention, running: None };
        node.start();
        node
    }

    fn start(&mut self) {
        let (data, machine) = (self.folder.path(), Arc::clone(&self.machine));
        let clock = TrustedClock::open(machine as _, disk(), data, &Config::default()).unwrap();
        let clock = Arc::new(clock);
        let own = Keyring::open(disk(), KeyFiles::new(&data.join("keys"), None), false).unwrap();
        let (own, shared) = (Arc::new(own), Arc::clone(&clock) as SharedClock);
        let members = MemberKeyrings::open(disk(), MemberKeyFiles::new(data, None)).unwrap();
        let (identity, kept) = (self.identity.clone(), Arc::clone(&own));
        let keys = HourKeys::open(identity, kept, members, shared, self.retention).unwrap();
        self.running = Some(Running { clock, own, keys });
    }

    fn id(&self) -> NodeId {
        self.identity.node
    }

    fn run(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    fn member(&self) -> Member {
        Member {
            name: self.identity.name.clone(),
            node: self.id(),
            address: String::new(),
            format: 1,
            joined_at: START,
            key: 0,
            receiving: [0; 32],
            public: self.identity.key().public(),
        }
    }

    /// The key of the present hour, which is made if there is none.
    fn write(&self) -> Name {
        let Running { clock, own, .. } = self.run();
        let (now, era) = clock.stamp();
        own.ensure(now.hour(era)).unwrap();
        (self.id(), now.hour(era))
    }

    /// What a node does each minute.
    fn tick(&self, members: &[NodeId]) {
        let Running { clock, own, keys } = self.run();
        clock.save().unwrap();
        let due = own.expired(&**clock, self.retention).unwrap_or_default();
        own.prune(&due).unwrap();
        keys.destroy_expired(members).unwrap();
    }

    /// Asks another node until it has nothing more. `wire` gets all that goes over the network.
    fn pull(&self, from: &Self, wire: &mut Vec<String>) -> Result<usize, HourKeysError> {
        let mut taken = 0;
        loop {
            let (private, request) = self.run().keys.request(from.id());
            wire.push(serde_json::to_string(&request).unwrap());
            let wanted = from.run().keys.wanted(&self.member(), &request)?;
            let answer = from.run().keys.sealed(wanted);
            wire.push(serde_json::to_string(&answer).unwrap());
            self.run().keys.confirm(from.id(), answer.proven.clone());
            let new = self.run().keys.take(from.id(), &private, &answer)?;
            taken += new;
            if !answer.more || new == 0 {
                return Ok(taken);
            }
        }
    }

    /// What it holds, its own included.
    fn held(&self) -> BTreeSet<Name> {
        let Running { own, keys, .. } = self.run();
        let mut held: BTreeSet<_> = own.hours().into_iter().map(|hour| (self.id(), hour)).collect();
        for (node, keyring) in keys.keyrings().all() {
            held.extend(keyring.hours().into_iter().map(|hour| (node, hour)));
        }
        held
    }

    fn key(&self, (node, hour): Name) -> Option<[u8; 32]> {
        let Running { own, keys, .. } = self.run();
        let keyring = if node == self.id() { Some(Arc::clone(own)) } else { keys.keyring_of(node) };
        Some(*keyring?.get(hour)?.reveal())
    }
}

/// Two nodes with the same clock, of which the first one has the key of an hour.
fn pair() -> (Node, Node, Name) {
    let (a, b) = (Node::at("a", START), Node::at("b", START));
    let name = a.write();
    (a, b, name)
}

#[test]
fn a_node_knows_that_another_one_holds_a_key_once_that_says_so() {
    let (a, b, name) = pair();
    let mut wire = Vec::new();
    a.run().keys.look(&[b.id()]);
    assert_eq!(a.run().keys.unshared().map(|it| it.began), Some(name.1.start()));
    assert_eq!(b.pull(&a, &mut wire).unwrap(), 1);
    assert_eq!(b.key(name), a.key(name));
    // It has not said yet that the key is on its disk.
    assert!(!a.run().keys.is_held_elsewhere(name.1));
    assert_eq!(b.pull(&a, &mut wire).unwrap(), 0);
    assert!(a.run().keys.is_held_elsewhere(name.1));
    a.machine.advance(HOUR);
    let next = a.write();
    assert!(!a.run().keys.is_held_elsewhere(next.1));
    a.run().keys.look(&[b.id()]);
    a.machine.advance(2 * HOUR);
    a.run().keys.look(&[b.id()]);
    let unshared = a.run().keys.unshared().unwrap();
    assert_eq!((unshared.began, unshared.lasted), (next.1.start(), 2 * HOUR));
    // A member that is removed holds nothing that counts, and a node that is alone lacks nobody.
    a.run().keys.look(&[]);
    assert!(!a.run().keys.is_held_elsewhere(name.1) && a.run().keys.unshared().is_none());
    assert!(
        wire.iter()
            .all(|text| !text.contains(&data_encoding::HEXLOWER.encode(&a.key(name).unwrap())))
    );
}

#[test]
fn a_key_comes_from_a_third_node_and_never_back_to_its_owner() {
    let (a, mut b, name) = pair();
    let c = Node::at("c", START);
    let mut wire = Vec::new();
    b.pull(&a, &mut wire).unwrap();
    let foreign = b.write();
    drop(b.running.take());
    b.start();
    assert_eq!(c.pull(&b, &mut wire).unwrap(), 2);
    assert_eq!((c.key(name), c.key(foreign)), (a.key(name), b.key(foreign)));
    assert_eq!(a.pull(&c, &mut wire).unwrap(), 1, "that of b alone");
    assert!(a.run().keys.keyring_of(a.id()).is_none());
    assert_eq!(a.run().keys.count_of(b.id()), 1);
}

#[test]
fn many_keys_come_in_several_answers_the_newest_first() {
    let (a, b, _) = pair();
    for _ in 0..2 * limits::CLUSTER_HOUR_KEYS_MAX {
        a.machine.advance(HOUR);
        b.machine.advance(HOUR);
        a.write();
    }
    let (private, request) = b.run().keys.request(a.id());
    let answer = a.run().keys.sealed(a.run().keys.wanted(&b.member(), &request).unwrap());
    assert!(answer.more);
    b.run().keys.take(a.id(), &private, &answer).unwrap();
    let newest: Vec<_> = a.held().into_iter().rev().take(limits::CLUSTER_HOUR_KEYS_MAX).collect();
    assert_eq!(b.held(), newest.into_iter().collect());
    b.pull(&a, &mut Vec::new()).unwrap();
    assert_eq!(b.held(), a.held());
}

#[test]
fn who_did_not_make_the_request_gets_nothing() {
    let (a, b, _) = pair();
    let c = Node::at("c", START);
    let (_, request) = b.run().keys.request(a.id());
    let refused = |caller: &Node, request: &HourKeysRequest| {
        matches!(a.run().keys.wanted(&caller.member(), request), Err(HourKeysError::Signature))
    };
    assert!(refused(&c, &request), "it is that of b");
    let (_, for_c) = b.run().keys.request(c.id());
    assert!(refused(&b, &for_c), "it is for c");
    // Who has the token of b, but not its secret, puts a key of its own in.
    let (_, own) = c.run().keys.request(a.id());
    assert!(refused(&b, &HourKeysRequest { receiving: own.receiving, ..request }));
    let (_, request) = b.run().keys.request(a.id());
    for receiving in ["", "00", &"zz".repeat(32)] {
        let request =
            HourKeysRequest { receiving: receiving.to_owned(), ..b.run().keys.request(a.id()).1 };
        let refused = a.run().keys.wanted(&b.member(), &request);
        assert!(matches!(refused, Err(HourKeysError::Invalid("receiving"))));
    }
    assert!(a.run().keys.wanted(&b.member(), &request).is_ok());
}

#[test]
fn a_recorded_answer_opens_nothing_at_another_node_or_in_another_call() {
    let (a, b, _) = pair();
    let c = Node::at("c", START);
    let (private, request) = b.run().keys.request(a.id());
    let answer = a.run().keys.sealed(a.run().keys.wanted(&b.member(), &request).unwrap());
    let unopened = |node: &Node, private: &[u8; 32], answer: &HourKeysAnswer| {
        matches!(node.run().keys.take(a.id(), private, answer), Err(HourKeysError::Unopened))
    };
    assert!(unopened(&c, &private, &answer), "sealed to b");
    let (other, _) = b.run().keys.request(a.id());
    assert!(unopened(&b, &other, &answer), "sealed to the key of the call before");
    let mut renamed = serde_json::to_value(&answer).unwrap();
    renamed["keys"][0]["hour"] = (answer.keys[0].hour - 1).into();
    assert!(unopened(&b, &private, &serde_json::from_value(renamed).unwrap()));
    assert_eq!(b.run().keys.take(a.id(), &private, &answer).unwrap(), 1);
}

#[test]
fn a_node_that_keeps_keys_for_longer_gets_none() {
    let (a, _, name) = pair();
    let (longer, shorter) = (RETENTION + DAY, 2 * HOUR);
    let b = Node::with("b", START, longer);
    let refused = b.pull(&a, &mut Vec::new());
    assert!(matches!(refused, Err(HourKeysError::LongerRetention)), "{refused:?}");
    let c = Node::with("c", START, shorter);
    a.machine.advance(2 * HOUR);
    c.machine.advance(2 * HOUR);
    let new = a.write();
    assert_eq!(c.pull(&a, &mut Vec::new()).unwrap(), 1);
    assert_eq!(
        (c.key(name), c.key(new)),
        (None, a.key(new)),
        "it would destroy the older one at once"
    );
}

#[test]
fn clocks_that_differ_and_hours_that_are_over_or_to_come_give_nothing() {
    let (a, _, name) = pair();
    let apart = limits::CLUSTER_HOUR_KEY_CLOCK_MAX + Duration::from_secs(1);
    for (wall, is_taken) in [(START.plus(apart), false), (START.minus(apart), false), (START, true)]
    {
        let b = Node::at("b", wall);
        let pulled = b.pull(&a, &mut Vec::new());
        assert_eq!(pulled.is_ok(), is_taken, "{pulled:?}");
        assert_eq!(b.key(name).is_some(), is_taken);
    }
    // Whatever another node says, the holder judges by its own clock.
    let b = Node::at("b", START);
    for (began, is_taken) in [
        (START.plus(3 * HOUR), false),
        (START.minus(RETENTION), false),
        (START.plus(HOUR), true),
        (START.minus(RETENTION - HOUR), true),
    ] {
        let (private, request) = b.run().keys.request(a.id());
        let mut answer = a.run().keys.sealed(a.run().keys.wanted(&b.member(), &request).unwrap());
        answer.keys.iter_mut().for_each(|key| key.began = began);
        assert_eq!(
            b.run().keys.take(a.id(), &private, &answer).unwrap(),
            usize::from(is_taken),
            "{began}"
        );
        b.run().keys.keyrings().get(a.id()).inspect(|it| it.prune(&[name.1]).unwrap());
    }
}

#[test]
fn a_node_that_was_off_for_31_days_destroys_before_it_answers() {
    let (a, mut b, name) = pair();
    b.pull(&a, &mut Vec::new()).unwrap();
    let c = Node::at("c", START);
    b.run().clock.save().unwrap();
    drop(b.running.take());
    for node in [&a, &b, &c] {
        node.machine.advance(31 * DAY);
    }
    b.start();
    assert!(b.held().is_empty() && b.key(name).is_none());
    // Its owner has not had a tick since: it gives nothing that has expired.
    assert!(a.key(name).is_some());
    assert_eq!(c.pull(&a, &mut Vec::new()).unwrap(), 0);
    // The keyring of a node that is no member any more goes once it is empty.
    let path = MemberKeyFiles::new(b.folder.path(), None).of(a.id()).keyring;
    b.tick(&[a.id(), b.id()]);
    assert!(path.exists());
    b.tick(&[b.id()]);
    assert!(!path.parent().unwrap().exists() && b.run().keys.keyring_of(a.id()).is_none());
}

#[test]
fn what_should_not_be_there_is_found() {
    let (a, mut b, name) = pair();
    b.pull(&a, &mut Vec::new()).unwrap();
    let found = |node: &Node| -> Vec<_> {
        let found = node.run().keys.unforgotten().unwrap();
        found.into_iter().map(|it| (it.what.code().to_owned(), it.name)).collect()
    };
    assert_eq!(found(&b), []);
    b.machine.advance(RETENTION);
    let expected =
        [("key".to_owned(), format!("{}/{}", crate::cluster::shown(a.id()), name.1.number()))];
    assert_eq!(found(&b), expected);
    b.tick(&[a.id(), b.id()]);
    assert_eq!(found(&b), []);
    let members = b.folder.path().join("keys/members");
    crate::files::create_dir(&members.join("copy")).unwrap();
    crate::files::create_dir(&members.join("00000000000000ff")).unwrap();
    let names = ["keys/members/copy", "keys/members/00000000000000ff"];
    assert_eq!(found(&b), names.map(|name| ("unknown-file".to_owned(), name.to_owned())));
    drop(b.running.take());
    // The same without the server, which knows no more than the files do. An empty directory has no key.
    let files = MemberKeyFiles::new(b.folder.path(), None);
    let keyrings = MemberKeyrings::open_read_only(files).unwrap();
    let clock = ManualClock::at(b.machine.wall());
    assert_eq!(keyrings.unforgotten(&*clock, RETENTION).unwrap().len(), 2);
}
