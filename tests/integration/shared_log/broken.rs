//! Engines that are wrong in one way each. The checks must find them.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dispatchd::shared_log::{Appended, EngineError, Entry, Head, MemoryLog, SharedLog};
use futures_util::{FutureExt as _, future::BoxFuture};

use super::{Log, contract, workload};

/// What is wrong with an engine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// It appends wherever the log ends.
    IgnoresExpected,
    /// It forgets every tenth entry that it acknowledged.
    LosesEntries,
    /// It tells a head of some calls before.
    TellsOldHeads,
    /// It takes a lost answer for a lost request, and appends again.
    AppendsAgain,
}

struct Broken {
    log: MemoryLog,
    wrong: Wrong,
    calls: AtomicUsize,
    last: std::sync::Mutex<Vec<Head>>,
}

impl Broken {
    fn handles(wrong: Wrong) -> [Log; 2] {
        let log = MemoryLog::new();
        [log.handle(), log].map(|log| {
            log.set_delay(Duration::from_millis(1));
            let (calls, last) = Default::default();
            Arc::new(Self { log, wrong, calls, last }) as Log
        })
    }

    /// Whether it is wrong in this call.
    fn errs(&self, wrong: Wrong) -> bool {
        self.wrong == wrong && self.calls.fetch_add(1, Ordering::SeqCst) % 10 == 9
    }
}

impl SharedLog for Broken {
    fn append<'a>(
        &'a self,
        expected: Head,
        entry: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>> {
        async move {
            if self.errs(Wrong::LosesEntries) {
                return Ok(Appended::Mine);
            }
            let mut told = self.log.append(expected, entry).await?;
            let is_again = told == Appended::Mine && self.errs(Wrong::AppendsAgain);
            while is_again || self.wrong == Wrong::IgnoresExpected && told != Appended::Mine {
                told = self.log.append(self.log.head().await?, entry).await?;
                if told == Appended::Mine {
                    break;
                }
            }
            Ok(told)
        }
        .boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        async move {
            let head = self.log.head().await?;
            let is_old = self.errs(Wrong::TellsOldHeads);
            let mut last = self.last.lock().unwrap();
            last.push(head);
            Ok(if is_old { last[last.len().saturating_sub(5)] } else { head })
        }
        .boxed()
    }

    fn read(&self, first: u64, bytes: usize) -> BoxFuture<'_, Result<Vec<Entry>, EngineError>> {
        self.log.read(first, bytes)
    }

    fn trim(&self, below: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        self.log.trim(below)
    }
}

#[tokio::test]
async fn the_workload_finds_what_is_wrong() {
    for (wrong, fault) in [
        (Wrong::IgnoresExpected, "acknowledged and is not there"),
        (Wrong::LosesEntries, "acknowledged and is not there"),
        (Wrong::TellsOldHeads, "after somebody saw"),
        (Wrong::AppendsAgain, "places hold"),
    ] {
        let faults = workload::run(&Broken::handles(wrong), 50, async || ()).await;
        assert!(faults.iter().any(|found| found.contains(fault)), "{fault}: {faults:#?}");
    }
}

/// It creates the place after the expected one if nothing is there, which is not enough once places were trimmed.
struct CreatesIfAbsent(Arc<std::sync::Mutex<std::collections::BTreeMap<u64, Vec<u8>>>>);

impl CreatesIfAbsent {
    fn newest(&self) -> Head {
        let entries = self.0.lock().unwrap();
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
        let place = expected.place + 1;
        let is_there = self.0.lock().unwrap().contains_key(&place);
        if !is_there {
            self.0.lock().unwrap().insert(place, entry.to_vec());
        }
        let told = if is_there { Appended::Taken(self.newest()) } else { Appended::Mine };
        async move { Ok(told) }.boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        let head = self.newest();
        async move { Ok(head) }.boxed()
    }

    fn read(&self, first: u64, _: usize) -> BoxFuture<'_, Result<Vec<Entry>, EngineError>> {
        let entry = self.0.lock().unwrap().get(&first).cloned();
        let page = entry.map(|bytes| Entry { place: first, bytes });
        async move { Ok(page.into_iter().collect()) }.boxed()
    }

    fn trim(&self, below: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        self.0.lock().unwrap().retain(|place, _| *place >= below);
        async move { Ok(()) }.boxed()
    }
}

#[tokio::test]
async fn the_contract_finds_an_append_that_creates_old_places_again() {
    let places = Arc::default();
    let handles = [(); 2].map(|()| Arc::new(CreatesIfAbsent(Arc::clone(&places))) as Log);
    let check = contract::a_node_that_slept_creates_no_old_place_again(&handles);
    let panicked = AssertUnwindSafe(check).catch_unwind().await.unwrap_err();
    let said = panicked.downcast_ref::<String>().unwrap();
    assert!(said.contains("Mine") && said.contains("Taken"), "{said}");
}
