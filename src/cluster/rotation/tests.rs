//! Two nodes over a log in memory and a clock that the test moves.

use std::{fs, path::Path, sync::Arc, time::Duration};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use futures_util::{FutureExt as _, future};
use tempfile::TempDir;
use tokio::{runtime::Handle, time::timeout};

mod void_keys;
mod wrong_clocks;

use super::*;
use crate::{
    clock::{Clock as _, ManualClock, Timestamp},
    cluster::{Founder, is_left_behind},
    files::OsDisk,
    operators::tests as operators,
    registry::{
        self, ChangeSink, EntryFormat, EntryKeys as _, LogMember, Recording, SinkFailed,
        StoppedRegistry, Unrecorded, key_of,
    },
    shared_log::{Entry, MemoryLog, SharedLog as _, Stopped},
};

/// The end of an entry.
const SIGNATURE_BYTES: usize = 64;
const DAY: Duration = Duration::from_secs(24 * 3_600);
type Keys = Vec<(u32, Zeroizing<[u8; 32]>)>;

fn begin() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

struct NoLog;

impl ChangeSink for NoLog {
    fn is_writable(&self) -> bool {
        true
    }

    fn record(&self, _: &[Unrecorded]) -> Result<Recording, SinkFailed> {
        Ok(future::ready(Ok(())).boxed())
    }
}

struct Node {
    folder: TempDir,
    keys: Arc<ClusterKeys>,
    registry: Arc<Registry>,
    rotation: KeyRotation,
}

impl Node {
    /// Starts a node on a data directory that has a store and keys.
    fn start(
        folder: TempDir,
        identity: Identity,
        log: &MemoryLog,
        (clock, retention): (&SharedClock, Duration),
    ) -> Self {
        let data = folder.path();
        let keys = ClusterKeys::open(OsDisk::shared(), ClusterKeys::files(data, None))
            .unwrap()
            .expect("there is a key");
        let keys = Arc::new(keys.with_retention(retention));
        let member = LogMember {
            key: Arc::new(identity.key()),
            authors: Member::author,
            log: Arc::new(log.handle()),
            runtime: Handle::current(),
            cluster: identity.cluster,
            node: identity.node,
            keys: Arc::clone(&keys) as _,
            format: EntryFormat::NEWEST,
        };
        let config = registry::Config::default();
        let registry = Registry::open(&data.join("registry"), config, Arc::clone(clock)).unwrap();
        let registry = Arc::new(registry.following(member).unwrap());
        registry.load().unwrap();
        registry.start(Arc::new(NoLog), &|_| Default::default()).unwrap();
        let rotation =
            KeyRotation::new(identity, Arc::clone(&keys), Arc::clone(&registry), Arc::clone(clock));
        Self { folder, keys, registry, rotation }
    }

    async fn put(&self, key: &'static [u8]) {
        let plan = move |rows: &mut Rows<'_>| {
            rows.put(RowKind::LinkCode, key, None, key.to_vec());
            Ok::<_, ChangeError>(())
        };
        self.registry.change_rows(plan).await.unwrap();
    }

    /// The keys of entries, and the private halves of receiving keys, as they lie on the disk.
    fn on_disk(&self) -> (Keys, Vec<Zeroizing<[u8; 32]>>) {
        let keys =
            ClusterKeys::open(OsDisk::shared(), ClusterKeys::files(self.folder.path(), None))
                .unwrap()
                .unwrap();
        (keys.reveal(), keys.receiving_halves())
    }

    fn sealed(&self) -> Vec<(u32, NodeId, Vec<u8>)> {
        let mut sealed = Vec::new();
        self.registry.rows_so_far().each(RowKind::EntryKey, |key, row| {
            let Some((number, node)) = key.split_first_chunk().filter(|(_, it)| !it.is_empty())
            else {
                return;
            };
            let node = NodeId(u64::from_be_bytes(node.try_into().unwrap()));
            sealed.push((u32::from_be_bytes(*number), node, row.to_vec()));
        });
        sealed
    }
}

struct Cluster {
    log: MemoryLog,
    /// Of node a, and of node b unless the test gave it one of its own.
    clock: Arc<ManualClock>,
    a: Node,
    b: Node,
}

impl Cluster {
    async fn new() -> Self {
        Self::with_retention(limits::LOG_RETENTION_MAX).await
    }

    async fn with_retention(retention: Duration) -> Self {
        let clock = ManualClock::at(begin());
        Self::with_clocks(retention, Arc::clone(&clock), clock).await
    }

    async fn with_clocks(
        retention: Duration,
        clock: Arc<ManualClock>,
        clock_of_b: Arc<ManualClock>,
    ) -> Self {
        let log = MemoryLog::new();
        let [shared, shared_of_b] = [&clock, &clock_of_b].map(|it| Arc::clone(it) as SharedClock);
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let identity = found(one.path(), &log, &shared).await;
        let second = Identity::joining(identity.cluster, "b".to_owned());
        fs::create_dir(other.path().join("registry")).unwrap();
        let store = "registry/registry.redb";
        fs::copy(one.path().join(store), other.path().join(store)).unwrap();
        let a = Node::start(one, identity, &log, (&shared, retention));
        let keys =
            ClusterKeys::open_or_create(OsDisk::shared(), ClusterKeys::files(other.path(), None))
                .unwrap();
        keys.put(&a.keys.reveal()).unwrap();
        let member = Member {
            name: "b".to_owned(),
            node: second.node,
            address: "http://b:1".to_owned(),
            format: 1,
            joined_at: clock.now(),
            key: keys.newest_number(),
            receiving: keys.receiving().unwrap(),
            public: second.key().public(),
        };
        let join = move |rows: &mut Rows<'_>| {
            member.put(rows);
            Ok::<_, ChangeError>(())
        };
        a.registry.change_rows(join).await.unwrap();
        let b = Node::start(other, second, &log, (&shared_of_b, retention));
        let cluster = Self { log, clock, a, b };
        cluster.settle().await;
        cluster
    }

    /// Waits until both nodes have applied the whole log. One that lacks a key takes it, as it does each moment while it runs.
    async fn settle(&self) {
        let head = self.log.head().await.unwrap();
        for node in [&self.a, &self.b] {
            let begun = Instant::now();
            loop {
                node.registry.nudge(head.place);
                let reached = node.registry.reached(head.place);
                match timeout(Duration::from_millis(500), reached).await {
                    Ok(reached) => break assert!(reached.is_ok(), "{reached:?}"),
                    Err(_) => assert!(begun.elapsed() < Duration::from_secs(60), "it is stuck"),
                }
                // It cannot publish what it took before it has read on.
                let _ = node.rotation.tick().await;
            }
        }
    }

    /// Rounds of both nodes, or of the first one only, as many as a new key takes.
    async fn rounds(&self, both: bool) {
        for _ in 0..4 {
            self.a.rotation.tick().await.unwrap();
            if both {
                self.settle().await;
                self.b.rotation.tick().await.unwrap();
                self.settle().await;
            }
        }
    }

    fn entries(&self) -> Vec<Entry> {
        self.log.read(2, 1 << 30).now_or_never().unwrap().unwrap()
    }
}

async fn found(data: &Path, log: &MemoryLog, clock: &SharedClock) -> Identity {
    let (config, store) = (registry::Config::default(), data.join("registry"));
    let mut registry = StoppedRegistry::open(&store, config, Arc::clone(clock)).unwrap();
    let (name, address) = ("a".to_owned(), "http://a:1".to_owned());
    let keys = ClusterKeys::files(data, None);
    let founder = Founder { data, keys, disk: OsDisk::shared(), name, address, now: clock.now() };
    founder.found(&mut registry, log, None).await.unwrap()
}

/// Whether some of `keys` opens the body of an entry, whatever number the entry names.
fn is_opened(entry: &Entry, keys: &Keys) -> bool {
    type Clear = ([u8; 16], u64, [u8; 16], u64, u64, [u8; 32], u32, [u8; 12]);
    let bytes = &entry.bytes;
    let (clear, body) = postcard::take_from_bytes::<Clear>(&bytes[1..]).unwrap();
    let head = &bytes[..bytes.len() - body.len()];
    let body = &body[..body.len() - SIGNATURE_BYTES];
    keys.iter().any(|(_, key)| {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
        let nonce = Nonce::assume_unique_for_key(clear.7);
        key.open_in_place(nonce, Aad::from(head), &mut body.to_vec()).is_ok()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn after_thirty_days_no_key_on_any_disk_opens_the_first_day() {
    let cluster = Cluster::new().await;
    cluster.a.put(b"the first day").await;
    cluster.settle().await;
    let (first_keys, first_day) = (cluster.a.keys.reveal(), cluster.entries());
    let mut sealed = Vec::new();
    for _ in 0..31 {
        cluster.clock.advance(DAY);
        cluster.rounds(true).await;
        sealed.extend(cluster.a.sealed());
        cluster.b.put(b"another day").await;
        cluster.settle().await;
    }
    assert_eq!(first_day.len(), 2, "the other node joined, and a row was put");
    assert!(first_day.iter().all(|entry| is_opened(entry, &first_keys)));
    let newest = cluster.entries().pop().unwrap();
    let sealed_dead: Vec<_> = sealed
        .iter()
        .filter(|(number, ..)| cluster.a.keys.numbers().first().is_some_and(|it| number < it))
        .collect();
    assert!(50 < sealed_dead.len(), "two a day: {}", sealed_dead.len());
    for node in [&cluster.a, &cluster.b] {
        let (keys, halves) = node.on_disk();
        assert!(is_opened(&newest, &keys) && keys.len() <= 3, "{} keys", keys.len());
        assert!(!first_day.iter().any(|entry| is_opened(entry, &keys)));
        assert_eq!(halves.len(), 1);
        for (number, member, sealed) in &sealed_dead {
            let purpose = node.rotation.purpose(*number, *member);
            assert!(halves.iter().all(|half| sealing::open(purpose, half, sealed).is_none()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_member_may_need_lives_for_thirty_days_and_not_longer() {
    let cluster = Cluster::new().await;
    let first = cluster.a.keys.newest_number();
    let days = |from: u32, to: u32| (from..=to).map(|day| first + day).collect::<Vec<_>>();
    for day in 1..=3 {
        cluster.clock.advance(DAY);
        cluster.rounds(false).await;
        cluster.a.put(b"while the other node is away").await;
        assert_eq!(cluster.a.keys.numbers(), days(0, day));
    }
    // The other node returns, and finds its keys in the log. Until it has the last one it cannot publish what it has.
    let begun = Instant::now();
    while cluster.b.keys.newest_number() != first + 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not come so far");
        let outcome = cluster.b.rotation.tick().await;
        assert!(matches!(outcome, Ok(()) | Err(RotationError::Change(_))), "{outcome:?}");
        sleep(Duration::from_millis(5)).await;
    }
    cluster.settle().await;
    cluster.rounds(true).await;
    for node in [&cluster.a, &cluster.b] {
        assert_eq!(node.keys.numbers(), days(2, 3), "all have the last key");
    }
    for _ in 4..=33 {
        cluster.clock.advance(DAY);
        cluster.rounds(false).await;
    }
    // Keys of 30 days and older are gone, though one member does not have the others.
    assert_eq!(cluster.a.keys.numbers(), days(4, 33));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_no_longer_than_the_log_but_two_days_at_the_least() {
    for (retention, days) in [(5 * DAY, 5), (limits::LOG_RETENTION_MIN, 2)] {
        let cluster = Cluster::with_retention(retention).await;
        let first = cluster.a.keys.newest_number();
        for _ in 1..=8 {
            cluster.clock.advance(DAY);
            cluster.rounds(false).await;
        }
        // The other node is away, so that it may need all of them.
        let kept: Vec<_> = (9 - days..=8).map(|day| first + day).collect();
        assert_eq!(cluster.a.keys.numbers(), kept, "{retention:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_used_once_all_members_have_it() {
    let cluster = Cluster::new().await;
    let first = cluster.a.keys.newest().id();
    cluster.clock.advance(DAY);
    // One makes the key, and takes it.
    cluster.a.rotation.tick().await.unwrap();
    cluster.a.rotation.tick().await.unwrap();
    assert_eq!(cluster.a.keys.newest_number(), first + 1);
    assert_eq!(cluster.a.keys.newest().id(), first, "the other one does not have it");
    cluster.settle().await;
    cluster.rounds(true).await;
    for node in [&cluster.a, &cluster.b] {
        assert_eq!(node.keys.newest().id(), first + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_a_node_says_that_it_lacks_keys() {
    let cluster = Cluster::new().await;
    let copied = tempfile::tempdir().unwrap();
    for file in ["keys/cluster/keyring", "keys/cluster/root.key", "registry/registry.redb"] {
        let path = copied.path().join(file);
        crate::files::create_dir(path.parent().unwrap()).unwrap();
        fs::copy(cluster.b.folder.path().join(file), path).unwrap();
    }
    for _ in 0..2 {
        cluster.clock.advance(DAY);
        cluster.rounds(true).await;
    }
    let second = cluster.b.keys.newest_number();
    let identity = cluster.b.rotation.identity.clone();
    let clock: SharedClock = Arc::clone(&cluster.clock) as _;
    let with = (&clock, limits::LOG_RETENTION_MAX);
    let copy = Node::start(copied, identity, &cluster.log, with);
    let begun = Instant::now();
    loop {
        // The first of the two keys is sealed to what it has.
        match copy.rotation.tick().await {
            Err(RotationError::Unopened(number)) => break assert_eq!(number, second),
            _ => assert!(begun.elapsed() < Duration::from_secs(60), "it never says so"),
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(copy.keys.newest_number(), second - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_gets_no_new_key_and_appends_nothing_more() {
    let cluster = Cluster::new().await;
    let (a, b) = (&cluster.a, &cluster.b);
    let first = a.keys.newest_number();
    operators::remove_node(&a.registry, "b").await.unwrap();
    cluster.settle().await;
    let refused = b.registry.change_rows(|_: &mut Rows<'_>| Ok::<_, ChangeError>(())).await;
    assert_eq!(refused, Err(ChangeError::Held));
    cluster.rounds(false).await;
    b.rotation.tick().await.unwrap();
    let sealed: Vec<_> = a.sealed().iter().map(|(number, node, _)| (*number, *node)).collect();
    assert_eq!(sealed, [(first + 1, a.rotation.identity.node)]);
    a.put(b"after the removal").await;
    let newest = cluster.entries().pop().unwrap();
    assert_eq!(key_of(&newest.bytes), Some(first + 1));
    let key_of_b: Vec<_> = [b.keys.reveal(), b.on_disk().0].concat();
    assert!(is_opened(&newest, &a.keys.reveal()) && !is_opened(&newest, &key_of_b));
    // One is enough.
    cluster.rounds(false).await;
    assert_eq!(a.keys.newest_number(), first + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_for_longer_than_keys_live_takes_the_state_of_another_one() {
    let cluster = Cluster::new().await;
    let b = &cluster.b;
    for _ in 0..30 {
        cluster.clock.advance(DAY);
        cluster.rounds(false).await;
        cluster.a.put(b"while the other node is away").await;
    }
    assert!(
        !is_left_behind(&cluster.log, &b.registry, &b.keys, false).await,
        "the next key is there"
    );
    cluster.clock.advance(DAY);
    // It takes the keys that are younger, and cannot say so any more.
    let _ = b.rotation.tick().await;
    let stopped = timeout(Duration::from_secs(60), b.registry.reached(u64::MAX)).await;
    assert_eq!(stopped.expect("it does not wait for a key that is gone"), Err(Stopped::Trimmed));
    assert!(is_left_behind(&cluster.log, &b.registry, &b.keys, false).await);
}
