//! Registries that follow one shared log: a harness of three nodes in one process, of which each dies, fails, and loses messages on
//! command.

mod busy;
mod largest;
mod model;
mod quirks;
mod races;
mod stops;

use std::ops::Deref;

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::runtime::Runtime;

use super::*;
use crate::{
    lock::lock,
    registry::{
        ClusterId, EntryFormat, EntryKey, EntryKeys, LogMember, LogPosition, NodeId, NodeKey,
        NodePublicKey,
        entry::Entry,
        genesis,
        store::{Applied, Mutation, Store as _, tests::memory::Disk},
    },
    shared_log::{Appended, Call, EngineError, Fault, Follower as _, Head, MemoryLog, SharedLog},
};

const NODES: usize = 3;
const CLUSTER: ClusterId = ClusterId([0xc1; 16]);
/// More than anything takes, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The one key of all entries.
struct OneKey(Arc<EntryKey>);

impl OneKey {
    fn new() -> Self {
        Self(Arc::new(EntryKey::new(1, &[1; 32])))
    }
}

impl EntryKeys for OneKey {
    fn newest(&self) -> Arc<EntryKey> {
        self.0.clone()
    }

    fn find(&self, id: u32) -> Option<Arc<EntryKey>> {
        (id == 1).then(|| self.0.clone())
    }

    fn is_gone(&self, id: u32, _: &mut dyn Iterator<Item = (&[u8], &[u8])>, _: Timestamp) -> bool {
        id == 0
    }
}

/// The number of a node that is no member. Every other number is one of a member.
const STRANGER: u64 = 66;

/// The one key of all members.
fn node_key() -> NodeKey {
    NodeKey::new(&[2; 32])
}

fn authors(node: NodeId, _: &mut dyn Iterator<Item = &[u8]>) -> Option<NodePublicKey> {
    (node != NodeId(STRANGER)).then(|| node_key().public())
}

/// Appends an entry behind the last one.
async fn append_entry(engine: &MemoryLog, entry: Entry, key: &EntryKey, author: &NodeKey) {
    let head = engine.head().await.expect("it answers");
    let bytes = entry.seal(EntryFormat::NEWEST, CLUSTER, head, key, author).expect("it is short");
    assert_eq!(engine.append(head, &bytes).await, Ok(Appended::Mine));
}

/// A log with its genesis.
fn begun_log() -> MemoryLog {
    let log = MemoryLog::new();
    let begun = log.append(Head::EMPTY, &genesis(CLUSTER)).now_or_never();
    assert_eq!(begun, Some(Ok(Appended::Mine)));
    log
}

/// The disk of a node that has applied the genesis and nothing else.
fn begun_disk() -> Disk {
    let head = Head::EMPTY.after(&genesis(CLUSTER));
    Disk { applied: Some(Applied { head, decided_at: Timestamp::EPOCH }), ..Disk::default() }
}

/// Engine calls run here, on threads of its own.
fn engine_runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

fn member(log: Arc<dyn SharedLog>, runtime: &Runtime, node: u64) -> LogMember {
    LogMember {
        log,
        runtime: runtime.handle().clone(),
        cluster: CLUSTER,
        node: NodeId(node),
        key: Arc::new(node_key()),
        authors,
        keys: Arc::new(OneKey::new()),
        format: EntryFormat::NEWEST,
    }
}

/// An engine that is wrong on purpose in some of its calls.
trait Quirk: Send + Sync {
    fn log(&self) -> &MemoryLog;

    fn append<'a>(
        &'a self,
        expected: Head,
        entry: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>> {
        self.log().append(expected, entry)
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        self.log().head()
    }

    fn read(
        &self,
        first: u64,
        bytes: usize,
    ) -> BoxFuture<'_, Result<Vec<crate::shared_log::Entry>, EngineError>> {
        self.log().read(first, bytes)
    }
}

struct Quirky<Q>(Q);

impl<Q: Quirk> SharedLog for Quirky<Q> {
    fn append<'a>(
        &'a self,
        expected: Head,
        entry: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>> {
        self.0.append(expected, entry)
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        self.0.head()
    }

    fn read(
        &self,
        first: u64,
        bytes: usize,
    ) -> BoxFuture<'_, Result<Vec<crate::shared_log::Entry>, EngineError>> {
        self.0.read(first, bytes)
    }

    fn trim(&self, below: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        self.0.log().trim(below)
    }
}

/// How a node reaches the log. A wrapper makes an engine that is wrong on purpose.
type Wrap = fn(Arc<MemoryLog>) -> Arc<dyn SharedLog>;

/// One process of a node.
struct Node {
    number: u64,
    log: Arc<MemoryLog>,
    bench: Bench,
    wrap: Wrap,
}

impl Deref for Node {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

impl Node {
    fn start(
        number: u64,
        log: Arc<MemoryLog>,
        disk: Disk,
        recorded: Vec<Change>,
        (clock, runtime, wrap): (Arc<ManualClock>, &Runtime, Wrap),
    ) -> Self {
        let store = MemoryStore::on(disk);
        let sink = Arc::new(TestSink { log: recorded.into(), ..TestSink::default() });
        let registry = Registry::with_store(Box::new(store.clone()), config(), clock.clone())
            .following(member(wrap(log.clone()), runtime, number))
            .expect("the store is in the log");
        let bench = Bench::started(registry, store, sink, clock);
        Self { number, log, bench, wrap }
    }

    /// What a crash at this moment leaves behind, started anew. What the old process still does reaches neither its log nor its
    /// disk.
    fn crashed(&self, engine: &MemoryLog, runtime: &Runtime) -> Self {
        self.log.set_away(true);
        let disk = self.store.disk();
        let recorded = self.sink.log();
        let (disk, recorded) = (disk.clone(), recorded.clone());
        let disk = Disk { fail_next: None, reopens_failing: 0, ..disk };
        let with = (self.clock.clone(), runtime, self.wrap);
        Self::start(self.number, Arc::new(engine.handle()), disk, recorded, with)
    }

    fn position(&self) -> LogPosition {
        self.registry.log_position()
    }

    /// Waits until the node shows what the log holds, or says why it never will.
    async fn catches_up(&self, engine: &MemoryLog) -> Result<(), String> {
        let head = engine.head().await.expect("nothing is wrong with this handle");
        self.registry.nudge(head.place);
        let mut told = self.registry.shared.position.subscribe();
        let is_there = |position: &LogPosition| {
            position.stopped.is_some() || head.place <= position.applied.place
        };
        let position = tokio::time::timeout(PATIENCE, told.wait_for(is_there)).await;
        let position = *position.expect("it comes so far").expect("it lives");
        match position.stopped {
            Some(why) => Err(why.to_string()),
            None if position.applied == head => Ok(()),
            None => Err(format!("{position:?} at {head:?}")),
        }
    }
}

/// Two nodes at one log.
struct Two {
    engine: MemoryLog,
    runtime: Arc<Runtime>,
    ann: Node,
    ben: Node,
}

impl Two {
    fn new(runtime: Arc<Runtime>) -> Self {
        let engine = begun_log();
        let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let node = |number| {
            let with = (clock.clone(), &*runtime, (|log| log) as Wrap);
            Node::start(number, Arc::new(engine.handle()), begun_disk(), Vec::new(), with)
        };
        let (ann, ben) = (node(1), node(2));
        Self { engine, ann, ben, runtime }
    }

    fn run(test: impl AsyncFnOnce(Self)) {
        // Dropped last, and not within a task.
        let runtime = Arc::new(engine_runtime());
        let two = Self::new(Arc::clone(&runtime));
        super::model::block_on(test(two));
    }

    async fn head(&self) -> Head {
        self.engine.head().await.expect("it answers")
    }
}

/// Every entry of the log but the genesis, opened one by one.
async fn entries(engine: &MemoryLog) -> Result<Vec<Entry>, String> {
    let (mut before, mut opened) = (Head::EMPTY.after(&genesis(CLUSTER)), Vec::new());
    for entry in engine.read(2, usize::MAX).await.expect("nothing is wrong with this handle") {
        let author = |node| authors(node, &mut std::iter::empty());
        let one = Entry::open(&entry.bytes, CLUSTER, before, &OneKey::new(), author);
        opened.push(one.map_err(|error| error.to_string())?);
        before = before.after(&entry.bytes);
    }
    Ok(opened)
}

/// That each node's store and query log hold exactly what the entries say, in their order.
async fn check_entries(engine: &MemoryLog, nodes: &[Node]) -> Result<Vec<Entry>, String> {
    let entries = entries(engine).await?;
    let mut reference = MemoryStore::default();
    let mut changes = Vec::new();
    for (number, entry) in (1..).zip(&entries) {
        reference.commit(number, &entry.steps).expect("it is memory");
        changes.extend(entry.changes.iter().cloned());
    }
    for node in nodes {
        if !node.store.disk().agrees_with(&reference.disk()) {
            return Err(format!("the store of node {} is not what the log says", node.number));
        }
        if *node.sink.log() != changes {
            return Err(format!("the records of node {} are not those of the log", node.number));
        }
    }
    Ok(entries)
}
