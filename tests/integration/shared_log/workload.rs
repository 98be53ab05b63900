//! Several nodes append to one log and ask for its head, while something goes wrong. Then the log is compared with what they were told.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use dispatchd::shared_log::{Appended, EngineError, Entry, Head};
use tokio::time::{sleep, timeout};

use super::{Log, RETRY_PAUSE};
use crate::harness::PATIENCE;

/// Bytes of a page: some entries.
const PAGE: usize = 500;

/// What the nodes were told.
#[derive(Default)]
struct Told {
    /// The highest place that any node was told of.
    seen: AtomicU64,
    /// Entries that were acknowledged.
    appended: Mutex<Vec<Entry>>,
    heads: Mutex<Vec<Head>>,
    /// Faults that were found on the way.
    faults: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Told {
    fn saw(&self, place: u64) {
        self.seen.fetch_max(place, Ordering::SeqCst);
    }

    /// Asks for the head, which must not be older than one that somebody saw before.
    async fn asks(&self, log: &Log) -> Option<Head> {
        let before = self.seen.load(Ordering::SeqCst);
        let head = log.head().await.ok()?;
        if head.place < before {
            let fault = format!("a head at {} after somebody saw {before}", head.place);
            self.faults.lock().unwrap().push(fault);
        }
        self.saw(head.place);
        self.heads.lock().unwrap().push(head);
        Some(head)
    }

    /// Appends `entry` after the log's head, however often another node is faster and calls end without an answer.
    async fn appends(&self, log: &Log, entry: Vec<u8>) {
        let mut expected = Head::EMPTY;
        let place = loop {
            match log.append(expected, &entry).await {
                Ok(Appended::Mine) => break expected.place + 1,
                Ok(Appended::Taken(_)) if is_there(log, expected.place + 1, &entry).await => {
                    break expected.place + 1;
                }
                Ok(Appended::Taken(head)) => {
                    self.saw(head.place);
                    expected = head;
                }
                Err(EngineError::Unknown(_)) => sleep(RETRY_PAUSE).await,
                Err(error) => panic!("{error}"),
            }
        };
        self.saw(place);
        self.appended.lock().unwrap().push(Entry { place, bytes: entry });
    }

    /// The faults of the log whose entries from place 1 on are `log`, or none.
    fn compared(&self, log: &[Entry]) -> Vec<String> {
        let mut faults = std::mem::take(&mut *self.faults.lock().unwrap());
        let mut chain = vec![Head::EMPTY];
        for entry in log {
            let last = chain[chain.len() - 1];
            chain.push(last.after(&entry.bytes));
            if entry.place != last.place + 1 {
                faults.push(format!("place {} comes after {}", entry.place, last.place));
            }
        }
        let at = |place: u64| usize::try_from(place).unwrap();
        for head in &*self.heads.lock().unwrap() {
            if chain.get(at(head.place)) != Some(head) {
                faults.push(format!("{head:?} is not in the log"));
            }
        }
        let appended = self.appended.lock().unwrap();
        for entry in &*appended {
            if log.get(at(entry.place) - 1) != Some(entry) {
                faults.push(format!("{entry:?} was acknowledged and is not there"));
            }
        }
        let different: HashSet<_> = log.iter().map(|entry| &entry.bytes).collect();
        if different.len() != log.len() || log.len() != appended.len() {
            let (log, told) = (log.len(), appended.len());
            let entries = different.len();
            faults.push(format!("{log} places hold {entries} of {told} acknowledged entries"));
        }
        faults
    }
}

/// Appends `entry` at the place after `expected`, as the only node. On a busy machine a try may end without an answer.
pub(super) async fn appended(log: &Log, expected: Head, entry: &[u8]) -> Head {
    loop {
        match log.append(expected, entry).await {
            Ok(Appended::Mine) => break,
            Ok(Appended::Taken(head)) => {
                assert!(is_there(log, expected.place + 1, entry).await, "taken by {head:?}");
                break;
            }
            Err(EngineError::Unknown(_)) => sleep(RETRY_PAUSE).await,
            Err(error) => panic!("{error}"),
        }
    }
    expected.after(entry)
}

/// Whether `entry` is at `place`.
async fn is_there(log: &Log, place: u64, entry: &[u8]) -> bool {
    loop {
        match log.read(place, 0).await {
            Ok(page) if page.is_empty() => sleep(RETRY_PAUSE).await,
            Ok(page) => return page[0].bytes == entry,
            Err(EngineError::Unknown(_)) => sleep(RETRY_PAUSE).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// All entries of the log.
async fn all(log: &Log) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        match log.read(entries.len() as u64 + 1, PAGE).await {
            Ok(page) if page.is_empty() => return entries,
            Ok(page) => entries.extend(page),
            Err(_) => sleep(RETRY_PAUSE).await,
        }
    }
}

/// Runs two appending tasks and one that asks for heads on each of `handles`, which are of one empty log. Each appends at least `count`
/// entries, and goes on until `nemesis` has ended. Returns the faults that it found.
pub(super) async fn run(handles: &[Log], count: usize, nemesis: impl AsyncFnOnce()) -> Vec<String> {
    let told = Arc::new(Told::default());
    let mut tasks = tokio::task::JoinSet::new();
    for (node, log) in handles.iter().enumerate() {
        for task in 0..2 {
            let (log, told) = (Arc::clone(log), Arc::clone(&told));
            tasks.spawn(async move {
                for n in 0.. {
                    if n >= count && told.is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    told.appends(&log, format!("{node}.{task}.{n}").into_bytes()).await;
                }
            });
        }
    }
    let mut asking = tokio::task::JoinSet::new();
    for log in handles {
        asking.spawn(asks(Arc::clone(&told), Arc::clone(log)));
    }
    nemesis().await;
    told.is_over.store(true, Ordering::SeqCst);
    let end = timeout(PATIENCE, tasks.join_all());
    end.await.expect("every entry is appended");
    asking.shutdown().await;
    // What was acknowledged to anybody is seen by everybody.
    for log in handles {
        let asked = async { while told.asks(log).await.is_none() {} };
        timeout(PATIENCE, asked).await.expect("every node is told the head");
    }
    told.compared(&timeout(PATIENCE, all(&handles[0])).await.expect("the log is read"))
}

/// Asks for heads without end.
async fn asks(told: Arc<Told>, log: Log) {
    loop {
        if told.asks(&log).await.is_none() {
            sleep(RETRY_PAUSE).await;
        }
        tokio::task::yield_now().await;
    }
}

/// As [`run`], which must find no fault.
pub(super) async fn holds(handles: &[Log], count: usize, nemesis: impl AsyncFnOnce()) {
    let faults = run(handles, count, nemesis).await;
    assert!(faults.is_empty(), "{faults:#?}");
}
