//! The one order: what a lookup sees is exactly what the changes recorded before it made true.

use std::{collections::BTreeMap, thread};

use super::*;
use crate::{registry::HandleState, vocabulary::ChangeKind};

const PHONES: [&str; 3] = ["+14155550100", "+14155550101", "+14155550102"];
const ROUNDS: usize = 200;

enum Record {
    Change(Change),
    Lookup(Handle, Option<AccountId>),
}

#[derive(Default)]
struct Log(Mutex<Vec<Record>>);

impl Log {
    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChangeSink for Log {
    fn is_writable(&self) -> bool {
        true
    }

    fn record(&self, changes: &[Unrecorded]) -> Result<Recording, SinkFailed> {
        self.records().extend(changes.iter().map(|row| Record::Change(row.change.clone())));
        Ok(future::ready(Ok(())).boxed())
    }
}

/// Looks up and records under one view, as the dispatcher does.
fn look_up(registry: &Registry, log: &Log, is_done: &AtomicBool) {
    let phones = PHONES.map(handle);
    for phone in phones.iter().cycle() {
        let view = registry.view().expect("it is loaded");
        let holder = match view.probe(phone) {
            HandleState::Claimed { account, .. } => Some(account),
            HandleState::Tombstone { .. } | HandleState::Unknown => None,
        };
        log.records().push(Record::Lookup(phone.clone(), holder));
        drop(view);
        if is_done.load(Ordering::SeqCst) {
            break;
        }
    }
}

async fn change(registry: &Registry) {
    let [one, two] = [(); 2].map(|()| registry.sign_up(sign_up(None)));
    let (one, two) = (one.await.expect("it signs up"), two.await.expect("it signs up"));
    for round in 0..ROUNDS {
        let all = PHONES.iter().enumerate().map(async |(place, phone)| {
            let phone = handle(phone);
            let turn = round + place;
            let device = if turn % 2 == 0 { one.device } else { two.device };
            if turn % 5 == 0 {
                registry.deregister(phone).await.expect("it ends");
            } else {
                registry.prove(device, phone).await.expect("it binds");
            }
        });
        future::join_all(all).await;
    }
}

#[test]
fn a_lookup_sees_what_was_recorded_before_it_and_nothing_else() {
    let log = Arc::new(Log::default());
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let registry = Registry::with_store(Box::new(MemoryStore::default()), config(), clock);
    registry.load().expect("it is empty");
    registry.start(log.clone(), &|_| HashSet::new()).expect("it is loaded");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let lookers = [(); 2].map(|()| scope.spawn(|| look_up(&registry, &log, &is_done)));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(change(&registry));
        is_done.store(true, Ordering::SeqCst);
        for looker in lookers {
            looker.join().expect("lookups do not fail");
        }
    });
    let mut holders = BTreeMap::new();
    let (mut changes, mut lookups) = (0, 0);
    for record in log.records().drain(..) {
        match record {
            Record::Lookup(phone, holder) => {
                lookups += 1;
                assert_eq!(holders.get(&phone).copied(), holder, "after {changes} changes");
            }
            Record::Change(Change {
                kind, handle: Some(phone), account: Some(account), ..
            }) => {
                changes += 1;
                if matches!(kind, ChangeKind::HandleBound | ChangeKind::HandleMoved) {
                    holders.insert(phone, account);
                } else {
                    holders.remove(&phone);
                }
            }
            Record::Change(_) => {}
        }
    }
    assert!(changes > ROUNDS, "{changes} changes are too few to say anything");
    assert!(lookups > changes, "{lookups} lookups are too few to say anything");
}
