//! Nodes and engines that are wrong in one way each. The checks must find what that does to clients, and find nothing where nothing is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::ensure;
use dispatchd::shared_log::{Appended, EngineError, Entry, Head, MemoryLog, SharedLog};
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{sync::watch, time::sleep};

use super::{Flaw, Model};
use crate::{
    checks::{self, Wrong},
    dice::Dice,
    traffic::{Pace, Traffic},
};

const NODES: usize = 3;
/// How long a request and an answer travel.
const DELAY: Duration = Duration::from_millis(3);
/// How long a run takes.
const LENGTH: Duration = Duration::from_secs(4);
const PACE: Pace = Pace { change: Duration::from_millis(10), look_up: Duration::from_millis(5) };

/// Runs clients against the nodes while `nemesis` does its work, and says what the checks find.
async fn run(
    model: &Arc<Model>,
    dice: &mut Dice,
    nemesis: impl Future<Output = ()>,
) -> BTreeSet<Wrong> {
    let traffic = Traffic::new(Arc::clone(model), PACE);
    let tasks = traffic.start(dice).await;
    nemesis.await;
    traffic.stop();
    tasks.join_all().await;
    let records = model.records(&traffic.actors()).await;
    let events = traffic.history.events();
    checks::check(&events, &records).iter().map(|fault| fault.wrong).collect()
}

fn memory() -> (MemoryLog, [Arc<MemoryLog>; NODES]) {
    let log = MemoryLog::new();
    let handles = [(); NODES].map(|()| {
        let handle = log.handle();
        handle.set_delay(DELAY);
        Arc::new(handle)
    });
    (log, handles)
}

fn nodes(handles: &[Arc<MemoryLog>; NODES], flaw: Option<Flaw>) -> Arc<Model> {
    Model::new(handles.iter().map(|log| Arc::clone(log) as Arc<dyn SharedLog>).collect(), flaw)
}

/// An engine whose answers are lost now and then, and nodes of which one is away for some time.
async fn with_flaw(flaw: Option<Flaw>, dice: &mut Dice) -> BTreeSet<Wrong> {
    let (_log, handles) = memory();
    let model = nodes(&handles, flaw);
    let nemesis = async {
        sleep(LENGTH / 4).await;
        handles[2].set_away(true);
        sleep(LENGTH / 4).await;
        handles[2].set_away(false);
        sleep(LENGTH / 2).await;
    };
    run(&model, dice, nemesis).await
}

/// One node sleeps. Then the engine is restored to the moment at which it fell asleep, and the others sleep until it has appended
/// more than was lost.
async fn restored(flaw: Option<Flaw>, dice: &mut Dice) -> BTreeSet<Wrong> {
    let (log, handles) = memory();
    let model = nodes(&handles, flaw);
    let nemesis = async {
        sleep(LENGTH / 4).await;
        handles[2].set_away(true);
        sleep(DELAY * 2).await;
        let backup = log.backup();
        sleep(LENGTH / 4).await;
        handles[..2].iter().for_each(|handle| handle.set_away(true));
        sleep(DELAY * 2).await;
        log.restore(&backup);
        handles[2].set_away(false);
        let lost = model.applied_by_any();
        for _ in 0..100 {
            sleep(LENGTH / 50).await;
            if log.head().await.is_ok_and(|head| lost + 5 < head.place) {
                break;
            }
        }
        handles.iter().for_each(|handle| handle.set_away(false));
        sleep(LENGTH / 2).await;
    };
    run(&model, dice, nemesis).await
}

/// Creates the place after the expected head if nothing is there, whatever the head is.
#[derive(Clone)]
struct CreatesIfAbsent {
    entries: Arc<Mutex<BTreeMap<u64, Vec<u8>>>>,
    /// Appends of this node wait as long as this holds.
    waits: watch::Sender<bool>,
}

impl CreatesIfAbsent {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<u8>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn newest(&self) -> Head {
        let entries = self.entries();
        let last = entries.iter().next_back();
        last.map_or(Head::EMPTY, |(place, entry)| {
            Head { place: *place - 1, ..Head::EMPTY }.after(entry)
        })
    }
}

impl SharedLog for CreatesIfAbsent {
    fn append<'a>(
        &'a self,
        expected: Head,
        entry: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>> {
        let mut waits = self.waits.subscribe();
        let append = async move {
            let _ = waits.wait_for(|waits| !waits).await;
            let place = expected.place + 1;
            let is_there = self.entries().contains_key(&place);
            if is_there {
                return Ok(Appended::Taken(self.newest()));
            }
            self.entries().insert(place, entry.to_vec());
            Ok(Appended::Mine)
        };
        append.boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        async { Ok(self.newest()) }.boxed()
    }

    fn read(&self, first: u64, _: usize) -> BoxFuture<'_, Result<Vec<Entry>, EngineError>> {
        let bytes = self.entries().get(&first).cloned();
        let page = bytes.map(|bytes| Entry { place: first, bytes });
        async { Ok(page.into_iter().collect()) }.boxed()
    }

    fn trim(&self, below: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        self.entries().retain(|place, _| *place >= below);
        async { Ok(()) }.boxed()
    }
}

/// One node sleeps in the middle of an append. When it wakes, its place was taken and trimmed.
async fn creates_if_absent(dice: &mut Dice) -> BTreeSet<Wrong> {
    let entries = Arc::default();
    let new =
        || CreatesIfAbsent { entries: Arc::clone(&entries), waits: watch::Sender::new(false) };
    let logs = [(); NODES].map(|()| Arc::new(new()));
    let handles = logs.iter().map(|log| Arc::clone(log) as Arc<dyn SharedLog>);
    let model = Model::new(handles.collect(), None);
    let nemesis = async {
        sleep(LENGTH / 4).await;
        logs[2].waits.send_replace(true);
        sleep(LENGTH / 4).await;
        let newest = logs[0].newest().place;
        let _ = logs[0].trim(newest).await;
        logs[2].waits.send_replace(false);
        sleep(LENGTH / 4).await;
    };
    run(&model, dice, nemesis).await
}

/// Whether the checks find each flaw, and nothing in sound nodes.
pub(crate) async fn find_the_broken(dice: &mut Dice) -> anyhow::Result<()> {
    let found = with_flaw(None, &mut dice.fork()).await;
    ensure!(found.is_empty(), "sound nodes: the checks find {found:?}");
    println!("  sound nodes: nothing found");
    let restored_of = restored(Some(Flaw::IgnoresChain), &mut dice.fork()).await;
    for (name, found) in [
        ("a serializable fence", with_flaw(Some(Flaw::SerializableFence), &mut dice.fork()).await),
        ("joining a round under way", with_flaw(Some(Flaw::JoinsRounds), &mut dice.fork()).await),
        ("create-if-absent only", creates_if_absent(&mut dice.fork()).await),
        ("no check of the chain", restored_of),
    ] {
        let is_found = found.iter().any(|wrong| *wrong != Wrong::Unchecked);
        ensure!(is_found, "{name}: the checks find nothing");
        println!("  {name}: found as {found:?}");
    }
    Ok(())
}
