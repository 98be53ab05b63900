//! The registry's tests: a harness, a model with random operations, and one test for each promise.

pub(super) mod accounts;
mod flags;
mod index;
mod maker;
mod model;
mod offline;
mod order;
mod promises;
mod rows;
mod shared;
mod stores;
mod undecided;
mod writer;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, TryFutureExt as _, future};
use tokio::sync::oneshot;

use super::{
    ChangeError, ChangeSink, Config, DeviceError, Recording, Registry, SignUp, SignedUp,
    SinkFailed, Unrecorded, store::tests::memory::MemoryStore,
};
use crate::{
    clock::{Clock, ManualClock, Timestamp},
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId},
    lock::lock,
    vocabulary::{Change, Platform},
};

pub(super) const LEASE: Duration = Duration::from_secs(100);
const FORGET_AFTER: Duration = Duration::from_secs(40 * 86_400);
const DEVICES_PER_ACCOUNT: usize = 3;

pub(super) fn handle(text: &str) -> Handle {
    Handle::from_canonical(text).expect("tests use canonical handles")
}

fn config() -> Config {
    Config { lease: LEASE, forget_after: FORGET_AFTER, devices_per_account: DEVICES_PER_ACCOUNT }
}

/// A log that does as it is told.
#[derive(Default)]
pub(super) struct TestSink {
    log: Mutex<Vec<Change>>,
    is_down: AtomicBool,
    refuse_next: AtomicBool,
    /// Refuses everything although it says that it is writable.
    refuse_all: AtomicBool,
    fail_next: AtomicBool,
    /// Commits what it takes next when this is told.
    commit_next: Mutex<Option<oneshot::Receiver<()>>>,
    /// Before which no record may be stamped.
    floor: Mutex<Timestamp>,
}

impl TestSink {
    pub(super) fn log(&self) -> MutexGuard<'_, Vec<Change>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recorded(&self, asked: &[Unrecorded]) -> HashSet<ChangeId> {
        let log = self.log();
        let ids: HashSet<_> = log.iter().map(|change| change.id).collect();
        asked.iter().map(|row| row.change.id).filter(|id| ids.contains(id)).collect()
    }
}

impl ChangeSink for TestSink {
    fn is_writable(&self) -> bool {
        !self.is_down.load(Ordering::SeqCst)
    }

    fn not_before(&self, decided_at: Timestamp) {
        *lock(&self.floor) = decided_at;
    }

    fn record(&self, changes: &[Unrecorded]) -> Result<Recording, SinkFailed> {
        assert!(!changes.is_empty(), "nothing is no record");
        let is_refused = self.refuse_next.swap(false, Ordering::SeqCst);
        if is_refused || self.refuse_all.load(Ordering::SeqCst) || !self.is_writable() {
            return Err(SinkFailed);
        }
        if self.fail_next.swap(false, Ordering::SeqCst) {
            return Ok(future::ready(Err(SinkFailed)).boxed());
        }
        self.log().extend(changes.iter().map(|row| row.change.clone()));
        match lock(&self.commit_next).take() {
            Some(told) => Ok(told.map_err(|_| SinkFailed).boxed()),
            None => Ok(future::ready(Ok(())).boxed()),
        }
    }
}

/// A started registry, its disk, its log and its clock.
pub(super) struct Bench {
    pub(super) registry: Registry,
    pub(super) store: MemoryStore,
    pub(super) sink: Arc<TestSink>,
    pub(super) clock: Arc<ManualClock>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        Self::on(MemoryStore::default(), Arc::default(), clock)
    }

    fn on(store: MemoryStore, sink: Arc<TestSink>, clock: Arc<ManualClock>) -> Self {
        let registry = Registry::with_store(Box::new(store.clone()), config(), clock.clone());
        Self::started(registry, store, sink, clock)
    }

    fn started(
        registry: Registry,
        store: MemoryStore,
        sink: Arc<TestSink>,
        clock: Arc<ManualClock>,
    ) -> Self {
        start(&registry, &sink);
        Self { registry, store, sink, clock }
    }

    /// What a crash at this moment leaves behind, started anew.
    fn crashed(self) -> Self {
        let disk = self.store.disk().clone();
        Self::on(MemoryStore::on(disk), self.sink.clone(), self.clock.clone())
    }

    pub(super) async fn device(&self) -> SignedUp {
        self.registry.sign_up(sign_up(None)).await.expect("nothing stands against it")
    }

    async fn joined(&self, account: AccountId) -> SignedUp {
        self.registry.sign_up(sign_up(Some(account))).await.expect("there is space")
    }

    fn is_live(&self, handle: &Handle) -> bool {
        let view = self.registry.view().expect("it is loaded");
        view.probe(handle).is_live(view.now())
    }
}

fn start(registry: &Registry, sink: &Arc<TestSink>) {
    registry.load().expect("the rows are good");
    let asked = sink.clone();
    registry.start(sink.clone(), &move |changes| asked.recorded(changes)).expect("it is loaded");
}

fn sign_up(link: Option<AccountId>) -> SignUp {
    SignUp { platform: Platform::Ios, name: Some("a phone".to_owned()), link }
}

/// Waits until changes are taken again.
async fn recovered(registry: &Registry) {
    let nobody = DeviceId::from_bits(0);
    for _ in 0..60_000 {
        match registry.sign_out(nobody).await {
            Err(DeviceError::DeviceUnknown) => return,
            Err(DeviceError::Change(ChangeError::StoreUnwritable | ChangeError::LogUnwritable)) => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    panic!("changes are not taken again");
}
