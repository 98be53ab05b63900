//! The writer: batches, failures, and the outbox of records.

use std::{sync::mpsc, thread};

use futures_util::future::join_all;

use super::*;
use crate::{
    registry::{DeviceError, HandleState},
    vocabulary::ChangeKind,
};

/// Keeps the writer busy with its first record until told to go on.
struct SlowSink {
    sink: Arc<TestSink>,
    is_at_work: Mutex<Option<mpsc::Sender<()>>>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl ChangeSink for SlowSink {
    fn is_writable(&self) -> bool {
        true
    }

    fn record(&self, changes: &[Unrecorded]) -> Result<Recording, SinkFailed> {
        let first = self.is_at_work.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(at_work) = first {
            at_work.send(()).expect("the test listens");
            let go_on = self.go_on.lock().unwrap_or_else(PoisonError::into_inner);
            go_on.recv().expect("the test says so");
        }
        self.sink.record(changes)
    }
}

/// A registry whose writer is busy, and how to let it go on.
fn busy() -> (Arc<Registry>, MemoryStore, Arc<TestSink>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (at_work, started) = mpsc::channel();
    let (go, go_on) = mpsc::channel();
    let (store, sink) = (MemoryStore::default(), Arc::new(TestSink::default()));
    let slow = SlowSink {
        sink: sink.clone(),
        is_at_work: Mutex::new(Some(at_work)),
        go_on: Mutex::new(go_on),
    };
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let registry = Registry::with_store(Box::new(store.clone()), config(), clock);
    registry.load().expect("it is empty");
    registry.start(Arc::new(slow), &|_| HashSet::new()).expect("it is loaded");
    (Arc::new(registry), store, sink, started, go)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_together_is_committed_together_unless_it_meets() {
    let (registry, store, sink, started, go) = busy();
    let first = registry.clone();
    let first = thread::spawn(move || futures_executor(first.sign_up(sign_up(None))));
    started.recv().expect("the writer is at work");
    // All of these are in the queue before the writer looks.
    let waiting: Vec<_> = (0..20).map(|_| registry.sign_up(sign_up(None))).collect();
    let mut waiting = join_all(waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    go.send(()).expect("the writer waits");
    let devices: Vec<_> = waiting.await.into_iter().map(|new| new.expect("it signs up")).collect();
    first.join().expect("it ended").expect("it signs up");
    assert_eq!(store.disk().commits, 2, "one for the first, one for all others");

    // Twenty proofs of one handle by twenty accounts: one after another, and the last one has it.
    let phone = handle("+14155550123");
    let proofs = devices.iter().map(|new| registry.prove(new.device, phone.clone()));
    assert!(join_all(proofs).await.iter().all(Result::is_ok));
    assert_eq!(store.disk().commits, 22);
    let log = sink.log();
    let last = log.last().expect("there are records");
    assert_eq!(last.kind, ChangeKind::HandleMoved);
    let HandleState::Claimed { account, .. } = registry.view().expect("it is loaded").probe(&phone)
    else {
        panic!("somebody holds it");
    };
    assert_eq!(Some(account), last.account);
    assert_eq!(log.iter().filter(|change| change.kind == ChangeKind::HandleMoved).count(), 19);
}

fn futures_executor<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(future)
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_service_resumes_when_there_is_space() {
    let bench = Bench::new();
    let device = bench.device().await.device;
    let phone = handle("+14155550123");
    let (before, told) = (bench.store.disk().clone(), bench.sink.log().len());
    bench.store.disk().fail_next = Some(false);
    bench.store.disk().reopens_failing = u32::MAX;
    let failed = DeviceError::Change(ChangeError::StoreUnwritable);
    for _ in 0..3 {
        assert_eq!(bench.registry.prove(device, phone.clone()).await, Err(failed));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!bench.is_live(&phone));
    assert!(bench.registry.device(device).expect("reading goes on").is_some());
    assert_eq!(bench.sink.log().len(), told);
    assert_eq!(bench.store.disk().accounts, before.accounts);
    bench.store.disk().reopens_failing = 0;
    recovered(&bench.registry).await;
    assert!(!bench.is_live(&phone), "it was not durable");
    bench.registry.prove(device, phone.clone()).await.expect("there is space");
    assert!(bench.is_live(&phone));
}

/// The log's disk may be full for longer than a lease.
#[tokio::test]
async fn devices_check_in_while_the_log_takes_no_records() {
    let bench = Bench::new();
    let (ann, ben) = (bench.device().await.device, bench.device().await.device);
    let phone = handle("+14155550123");
    bench.registry.prove(ann, phone.clone()).await.expect("it is proved");
    bench.sink.is_down.store(true, Ordering::SeqCst);
    let refused = DeviceError::Change(ChangeError::LogUnwritable);
    for _ in 0..10 {
        bench.clock.advance(LEASE / 2);
        bench.registry.check_in(ann).await.expect("it needs no record");
        assert!(bench.is_live(&phone));
        assert_eq!(bench.registry.sign_up(sign_up(None)).await.map(drop), Err(refused));
    }
    // The return of a lapsed device is recorded.
    assert_eq!(bench.registry.check_in(ben).await, Err(refused));
    let before = bench.sink.log().len();
    let bench = bench.crashed();
    assert!(bench.is_live(&phone), "the check-ins were durable");
    bench.sink.is_down.store(false, Ordering::SeqCst);
    bench.registry.check_in(ben).await.expect("it is recorded");
    let log = bench.sink.log();
    let kinds: Vec<_> = log[before..].iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::LeaseExpired, ChangeKind::DeviceRevived]);
}

/// A change that is durable and not recorded yet holds back its own account only.
#[tokio::test]
async fn devices_check_in_beside_a_change_that_the_log_refused() {
    let bench = Bench::new();
    let (ann, ben) = (bench.device().await.device, bench.device().await.device);
    let phone = handle("+14155550123");
    let mail = handle("ben@example.com");
    bench.registry.prove(ben, mail.clone()).await.expect("it is proved");
    bench.sink.refuse_all.store(true, Ordering::SeqCst);
    let refused = DeviceError::Change(ChangeError::LogUnwritable);
    assert_eq!(bench.registry.prove(ann, phone.clone()).await, Err(refused));
    bench.clock.advance(LEASE / 2);
    assert_eq!(bench.registry.check_in(ann).await, Err(refused));
    bench.registry.check_in(ben).await.expect("it needs no record");
    // The same if its commit is in doubt for a while.
    bench.clock.advance(LEASE / 4);
    bench.store.disk().fail_next = Some(true);
    let in_doubt = DeviceError::Change(ChangeError::StoreUnwritable);
    assert_eq!(bench.registry.check_in(ben).await, Err(in_doubt));
    bench.clock.advance(LEASE * 3 / 4);
    let started = std::time::Instant::now();
    while !bench.is_live(&mail) {
        assert!(started.elapsed().as_secs() < 60, "the check-in is durable and never visible");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!bench.is_live(&phone), "it is not recorded");
    bench.sink.refuse_all.store(false, Ordering::SeqCst);
    recovered(&bench.registry).await;
    bench.registry.check_in(ann).await.expect("it is recorded");
    assert!(bench.is_live(&phone) && bench.is_live(&mail));
    let bound = |change: &&Change| change.kind == ChangeKind::HandleBound;
    assert_eq!(bench.sink.log().iter().filter(bound).count(), 2);
}

#[tokio::test]
async fn a_commit_in_doubt_that_proves_durable_becomes_visible_and_recorded_once() {
    let bench = Bench::new();
    let device = bench.device().await.device;
    let phone = handle("+14155550123");
    bench.store.disk().fail_next = Some(true);
    let failed = DeviceError::Change(ChangeError::StoreUnwritable);
    assert_eq!(bench.registry.prove(device, phone.clone()).await, Err(failed));
    recovered(&bench.registry).await;
    assert!(bench.is_live(&phone));
    let bound =
        |log: &[Change]| log.iter().filter(|change| change.kind == ChangeKind::HandleBound).count();
    assert_eq!(bound(&bench.sink.log()), 1);
    let bench = bench.crashed();
    assert!(bench.is_live(&phone));
    assert_eq!(bound(&bench.sink.log()), 1);
}

#[tokio::test]
async fn a_store_that_somebody_else_changed_takes_no_more() {
    let bench = Bench::new();
    let device = bench.device().await.device;
    bench.clock.advance(Duration::from_micros(1));
    bench.store.disk().reopens_failing = u32::MAX;
    bench.store.disk().fail_next = Some(false);
    let failed = DeviceError::Change(ChangeError::StoreUnwritable);
    assert_eq!(bench.registry.check_in(device).await, Err(failed));
    bench.store.disk().batch += 5;
    bench.store.disk().reopens_failing = 0;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(bench.registry.check_in(device).await, Err(failed));
    }
}

#[tokio::test]
async fn a_log_that_is_down_refuses_changes_up_front() {
    let bench = Bench::new();
    let device = bench.device().await.device;
    let commits = bench.store.disk().commits;
    bench.sink.is_down.store(true, Ordering::SeqCst);
    let refused = bench.registry.sign_out(device).await;
    assert_eq!(refused, Err(DeviceError::Change(ChangeError::LogUnwritable)));
    assert_eq!(bench.store.disk().commits, commits);
    bench.sink.is_down.store(false, Ordering::SeqCst);
    bench.registry.sign_out(device).await.expect("the log works again");
}

#[tokio::test]
async fn a_change_is_not_seen_before_the_log_has_it() {
    let bench = Bench::new();
    let device = bench.device().await.device;
    let phone = handle("+14155550123");
    bench.sink.refuse_all.store(true, Ordering::SeqCst);
    let refused = bench.registry.prove(device, phone.clone()).await;
    assert_eq!(refused, Err(DeviceError::Change(ChangeError::LogUnwritable)));
    let accounts = bench.store.disk().accounts.clone();
    assert!(accounts.values().all(|account| account.claim(&phone).is_some()), "it is durable");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!bench.is_live(&phone), "but not visible, however often it is offered");
    bench.sink.refuse_all.store(false, Ordering::SeqCst);
    recovered(&bench.registry).await;
    assert!(bench.is_live(&phone));
}

#[tokio::test]
async fn rows_of_records_go_once_the_log_holds_them_and_are_recorded_once_after_a_crash() {
    let bench = Bench::new();
    bench.device().await;
    for _ in 0..60_000 {
        if bench.store.disk().unrecorded.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(bench.store.disk().unrecorded.is_empty());

    bench.sink.refuse_all.store(true, Ordering::SeqCst);
    bench.registry.sign_up(sign_up(None)).await.expect_err("the log refuses");
    let disk = bench.store.disk().clone();
    assert_eq!(disk.unrecorded.len(), 1);
    let told = bench.sink.log().len();
    drop(bench);
    // Twice a crash before the log learns of it, then once after.
    let sink = Arc::new(TestSink::default());
    sink.refuse_all.store(true, Ordering::SeqCst);
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let mut store = MemoryStore::on(disk);
    for _ in 0..2 {
        let bench = Bench::on(store, sink.clone(), clock.clone());
        store = MemoryStore::on(bench.store.disk().clone());
        assert_eq!(sink.log().len(), 0);
    }
    sink.refuse_all.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        let disk = store.disk().clone();
        let bench = Bench::on(MemoryStore::on(disk), sink.clone(), clock.clone());
        bench.device().await;
        let signed_up = sink
            .log()
            .iter()
            .filter(|change| change.id == store.disk().unrecorded[&1].change.id)
            .count();
        assert_eq!((signed_up, told), (1, 1));
    }
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_and_close_carries_out_what_waits() {
    let (registry, store, _sink, started, go) = busy();
    let mut waiting = Vec::new();
    let mut first = Box::pin(registry.sign_up(sign_up(None)));
    assert!(futures_util::poll!(&mut first).is_pending());
    started.recv().expect("the writer is at work");
    let refused = loop {
        let mut next = Box::pin(registry.sign_up(sign_up(None)));
        match futures_util::poll!(&mut next) {
            std::task::Poll::Pending => waiting.push(next),
            std::task::Poll::Ready(answer) => break answer,
        }
    };
    assert_eq!(refused, Err(ChangeError::Overloaded.into()));
    assert_eq!(waiting.len(), crate::limits::REGISTRY_QUEUE_CHANGES_MAX);
    go.send(()).expect("the writer waits");
    let closing = registry.clone();
    tokio::task::spawn_blocking(move || closing.close()).await.expect("it closes");
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    assert_eq!(store.disk().accounts.len(), 1 + crate::limits::REGISTRY_QUEUE_CHANGES_MAX);
}

/// A writer that hangs stands for its disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_commit_hangs_changes_are_refused_in_time_and_those_behind_it_are_not_made() {
    let (registry, _, sink, started, go) = busy();
    let hanging = registry.clone();
    let hanging = thread::spawn(move || futures_executor(hanging.sign_up(sign_up(None))));
    started.recv().expect("the writer is at work");
    let refused = Err(DeviceError::Change(ChangeError::StoreUnwritable));
    let behind = registry.sign_up(sign_up(None)).await;
    assert_eq!(behind.map(drop), refused);
    assert_eq!(hanging.join().expect("it ended").map(drop), refused);
    go.send(()).expect("the writer waits");
    registry.sign_up(sign_up(None)).await.expect("it signs up");
    // What hung was made after all, and what waited behind it was not.
    assert_eq!(sink.log().len(), 2);
}
