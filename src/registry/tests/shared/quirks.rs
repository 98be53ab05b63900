//! Engines that do for a while what they should not, and keys that come late: the node goes on once that is over.

use std::sync::{
    atomic::AtomicUsize,
    mpsc::{Receiver, channel},
};

use super::*;
use crate::{
    limits,
    registry::{LogStop, entry},
    shared_log::Stopped,
};

/// A node at the log `engine`, reached by what `wrap` makes of it.
fn node_at(engine: &MemoryLog, runtime: &Runtime, number: u64, wrap: Wrap) -> Node {
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let log = Arc::new(engine.handle());
    Node::start(number, log, begun_disk(), Vec::new(), (clock, runtime, wrap))
}

fn run(test: impl AsyncFnOnce(MemoryLog, &Runtime)) {
    // Dropped last, and not within a task.
    let runtime = engine_runtime();
    super::super::model::block_on(test(begun_log(), &runtime));
}

/// Appends an entry without steps, under key number `key`.
async fn append_under(engine: &MemoryLog, key: u32) {
    let decided_at = Timestamp::from_secs(1_800_000_000);
    let (steps, changes) = (Vec::new(), Vec::new());
    let entry = entry::Entry { node: NodeId(9), decided_at, steps, changes };
    let key = EntryKey::new(key, &[1; 32]);
    append_entry(engine, entry, &key, &node_key()).await;
}

/// An engine whose first reads are older than its head.
struct Stale(Arc<MemoryLog>, AtomicUsize);

impl Quirk for Stale {
    fn log(&self) -> &MemoryLog {
        &self.0
    }

    fn read(
        &self,
        first: u64,
        bytes: usize,
    ) -> BoxFuture<'_, Result<Vec<crate::shared_log::Entry>, EngineError>> {
        let less = |left: usize| left.checked_sub(1);
        if self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return future::ready(Ok(Vec::new())).boxed();
        }
        self.0.read(first, bytes)
    }
}

#[test]
fn an_engine_that_does_not_show_the_winner_at_once_is_asked_again() {
    run(async |engine, runtime| {
        let ann =
            node_at(&engine, runtime, 1, |log| Arc::new(Quirky(Stale(log, AtomicUsize::new(20)))));
        append_under(&engine, 1).await;
        ann.device().await;
        assert_eq!(ann.registry.lost_races(), 1);
        ann.catches_up(&engine).await.expect("it goes on");
        assert_eq!(ann.registry.applied().place, 3);
    });
}

/// An engine whose head is no log's.
struct Broken(Arc<MemoryLog>);

impl Quirk for Broken {
    fn log(&self) -> &MemoryLog {
        &self.0
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        future::ready(Err(EngineError::Damaged("as told"))).boxed()
    }
}

#[test]
fn a_damaged_engine_ends_every_wait() {
    run(async |engine, runtime| {
        let ann = node_at(&engine, runtime, 1, |log| Arc::new(Quirky(Broken(log))));
        assert_eq!(ann.registry.reached(9).await, Err(Stopped::Damaged));
        assert_eq!(ann.position().stopped, Some(LogStop::Damaged("as told")));
    });
}

#[test]
fn callers_whose_entry_is_in_doubt_are_told_at_once_that_the_engine_refuses() {
    run(async |engine, runtime| {
        let ann = node_at(&engine, runtime, 1, |log| log);
        let (go_on, blocked): (_, Receiver<()>) = channel();
        let mut appends = 0;
        ann.log.fail_by(move |call| {
            appends += u64::from(call == Call::Append);
            match (call, appends) {
                (Call::Append, 1) => Some(Fault::Late),
                (Call::Append, 2) => Some(Fault::Refused),
                // Nobody is answered by what comes from here on.
                (Call::Append, 3) => blocked.recv_timeout(PATIENCE).err().map(|_| Fault::Refused),
                _ => None,
            }
        });
        let refused = ann.registry.sign_up(sign_up(None));
        let in_time = limits::REGISTRY_CHANGE_PATIENCE / 2;
        let refused = tokio::time::timeout(in_time, refused).await.expect("it is told in time");
        let error = DeviceError::Change(ChangeError::StoreUnwritable);
        assert_eq!(refused.map(drop), Err(error));
        // A refusal does not settle what was sent before: the entry is sent again.
        go_on.send(()).expect("the engine waits");
        assert_eq!(ann.registry.reached(2).now_or_never(), None, "nothing was delivered");
        let sent = tokio::time::timeout(PATIENCE, ann.registry.reached(2)).await;
        sent.expect("it is sent again").expect("the node follows");
        ann.log.deliver();
        recovered(&ann.registry).await;
        check_entries(&engine, &[ann]).await.expect("the entry counts once");
    });
}

/// Keys of which number 2 comes late.
struct LateKeys(OneKey, Arc<AtomicBool>);

impl EntryKeys for LateKeys {
    fn newest(&self) -> Arc<EntryKey> {
        self.0.newest()
    }

    fn find(&self, id: u32) -> Option<Arc<EntryKey>> {
        let has_it = id == 2 && self.1.load(Ordering::SeqCst);
        if has_it { Some(Arc::new(EntryKey::new(2, &[1; 32]))) } else { self.0.find(id) }
    }
}

#[test]
fn commands_wait_for_the_key_of_an_entry_but_not_without_end() {
    run(async |engine, runtime| {
        let has_come = Arc::new(AtomicBool::new(false));
        let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let store = MemoryStore::on(begun_disk());
        let log = Arc::new(engine.handle());
        let keys = Arc::new(LateKeys(OneKey::new(), has_come.clone()));
        let member = LogMember { keys, ..member(log.clone(), runtime, 1) };
        let registry = Registry::with_store(Box::new(store.clone()), config(), clock.clone());
        let registry = registry.following(member).expect("the store is in the log");
        let ann = Bench::started(registry, store, Arc::default(), clock);

        append_under(&engine, 2).await;
        let refused = ann.registry.sign_up(sign_up(None)).await.map(drop);
        let error = DeviceError::Change(ChangeError::StoreUnwritable);
        assert_eq!(refused, Err(error), "not overloaded");
        assert!(log.count(Call::Append) <= 1, "the place is not tried again and again");
        has_come.store(true, Ordering::SeqCst);
        recovered(&ann.registry).await;
        assert_eq!(ann.registry.applied().place, 2);

        has_come.store(false, Ordering::SeqCst);
        append_under(&engine, 2).await;
        let comes = async {
            tokio::time::sleep(limits::REGISTRY_LOG_DOUBT_PATIENCE / 4).await;
            has_come.store(true, Ordering::SeqCst);
        };
        let (device, ()) = future::join(ann.registry.sign_up(sign_up(None)), comes).await;
        device.expect("it waits for the key");
        assert_eq!(ann.registry.applied().place, 4);
    });
}

/// An engine to which another node appends faster than this one reads.
struct Endless(Arc<MemoryLog>);

impl Quirk for Endless {
    fn log(&self) -> &MemoryLog {
        &self.0
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        let head = async {
            append_under(&self.0, 1).await;
            append_under(&self.0, 1).await;
            self.0.head().await
        };
        head.boxed()
    }

    fn read(
        &self,
        first: u64,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<crate::shared_log::Entry>, EngineError>> {
        self.0.read(first, 0)
    }
}

#[test]
fn a_node_that_never_catches_up_can_be_closed() {
    run(async |engine, runtime| {
        let ann = node_at(&engine, runtime, 1, |log| Arc::new(Quirky(Endless(log))));
        let mut told = ann.registry.shared.position.subscribe();
        drop(told.wait_for(|position| position.applied.place > 5).await.expect("it lives"));
        let (closed, is_closed) = channel();
        std::thread::spawn(move || {
            ann.registry.close();
            let _ = closed.send(());
        });
        is_closed.recv_timeout(PATIENCE).expect("it is closed");
    });
}
