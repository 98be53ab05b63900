//! The fence on a log and a follower that do what the test says. Time stands still unless all wait, so spans are exact.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    runtime::Handle as RuntimeHandle,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::*;
use crate::{
    limits,
    lock::lock,
    shared_log::{Appended, EngineError, Entry, Follower, Head, SharedLog, Stopped},
};

const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// How the log answers.
#[derive(Clone, Debug)]
enum Mode {
    /// After a delay.
    Answers(Duration),
    /// Once the mode is another one.
    Hangs,
    Fails(EngineError),
}

/// A log of which only the head is asked for. It tells the head of the moment in which it was asked: the oldest that it may tell.
struct Log {
    head: Mutex<Head>,
    mode: watch::Sender<Mode>,
    asked: AtomicU64,
}

impl Log {
    fn append(&self) -> Head {
        let mut head = lock(&self.head);
        *head = head.after(&head.place.to_le_bytes());
        *head
    }

    fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }
}

impl SharedLog for Log {
    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        let (head, mut mode) = (*lock(&self.head), self.mode.subscribe());
        self.asked.fetch_add(1, SeqCst);
        let answer = async move {
            let mode = mode.wait_for(|mode| !matches!(mode, Mode::Hangs)).await.unwrap().clone();
            match mode {
                Mode::Answers(delay) if delay.is_zero() => Ok(head),
                Mode::Answers(delay) => {
                    sleep(delay).await;
                    Ok(head)
                }
                Mode::Hangs => unreachable!("it was waited for another mode"),
                Mode::Fails(error) => Err(error),
            }
        };
        answer.boxed()
    }

    fn append<'a>(&'a self, _: Head, _: &'a [u8]) -> BoxFuture<'a, Result<Appended, EngineError>> {
        unreachable!("the fence does not append")
    }

    fn read(&self, _: u64, _: usize) -> BoxFuture<'_, Result<Vec<Entry>, EngineError>> {
        unreachable!("the fence does not read entries")
    }

    fn trim(&self, _: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        unreachable!("the fence does not trim")
    }
}

/// A follower that has applied what the test says.
struct Applied {
    state: watch::Sender<Result<Head, Stopped>>,
    /// Whether a nudge applies all that the log has.
    is_eager: AtomicBool,
    log: Arc<Log>,
}

impl Applied {
    fn put(&self, state: Result<Head, Stopped>) {
        self.state.send_modify(|is| *is = state);
    }

    fn set(&self, head: Head) {
        self.put(Ok(head));
    }

    fn catch_up(&self) {
        self.set(*lock(&self.log.head));
    }
}

impl Follower for Applied {
    fn applied(&self) -> Head {
        // One that has stopped has applied all before.
        self.state.borrow().unwrap_or_else(|_| *lock(&self.log.head))
    }

    fn nudge(&self, _: u64) {
        if self.is_eager.load(SeqCst) {
            self.catch_up();
        }
    }

    fn reached(&self, place: u64) -> BoxFuture<'_, Result<Head, Stopped>> {
        let mut state = self.state.subscribe();
        let is_there =
            move |state: &Result<Head, Stopped>| state.map_or(true, |head| head.place >= place);
        async move { *state.wait_for(is_there).await.unwrap() }.boxed()
    }
}

/// A fence with its log and its follower.
struct World {
    log: Arc<Log>,
    follower: Arc<Applied>,
    fence: Fence,
}

impl World {
    /// Without a task that makes rounds.
    fn still() -> Self {
        let mode = watch::Sender::new(Mode::Answers(Duration::ZERO));
        let log = Arc::new(Log { head: Head::EMPTY.into(), mode, asked: AtomicU64::new(0) });
        let follower = Arc::new(Applied {
            state: watch::Sender::new(Ok(Head::EMPTY)),
            is_eager: AtomicBool::new(true),
            log: Arc::clone(&log),
        });
        let followed =
            Followed { log: Arc::clone(&log) as _, follower: Arc::clone(&follower) as _ };
        let fence = Fence::new(followed, TIMEOUT);
        Self { log, follower, fence }
    }

    /// With its tasks on the current runtime.
    fn running() -> Self {
        let world = Self::still();
        let (rounds, relay) = (world.fence.clone(), world.fence.clone());
        spawn(async move { rounds.run().await });
        spawn(async move { relay.relay().await });
        world
    }

    /// A request that arrives now: how long it waits, and what becomes of it.
    fn request(&self) -> impl Future<Output = (Duration, Result<(), NotCurrent>)> + use<> {
        let (fence, arrived) = (self.fence.clone(), Instant::now());
        async move {
            let passed = timeout(PATIENCE, fence.pass(arrived)).await;
            (arrived.elapsed(), passed.expect("the request was not woken"))
        }
    }

    fn failed(&self, failure: RoundFailure) -> u64 {
        let failed = self.fence.figures().failed;
        failed.into_iter().find(|(it, _)| *it == failure).map_or(0, |(_, count)| count)
    }
}

/// Runs `task` on the test's own runtime.
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    RuntimeHandle::current().spawn(task)
}

/// Lets all tasks run until each waits.
async fn settle() {
    // With the clock paused, a sleep ends once nothing else can run.
    sleep(ms(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_until_all_that_the_log_had_is_applied() {
    let world = World::running();
    assert_eq!(world.request().await, (Duration::ZERO, Ok(())));
    world.follower.is_eager.store(false, SeqCst);
    world.log.append();
    let second = world.log.append();
    let waiting = spawn(world.request());
    sleep(ms(10)).await;
    assert!(!waiting.is_finished(), "it passed before anything was applied");
    assert_eq!((world.fence.figures().applied, world.fence.figures().lag), (0, 2));
    world.follower.set(Head::EMPTY.after(&0_u64.to_le_bytes()));
    sleep(ms(10)).await;
    assert!(!waiting.is_finished(), "it passed before all was applied");
    world.follower.set(second);
    assert_eq!(waiting.await.unwrap(), (ms(20), Ok(())));
    let figures = world.fence.figures();
    assert_eq!((figures.applied, figures.lag, figures.rounds), (2, 0, 2));
    assert_eq!((figures.waits.count(), figures.is_current), (2, true));
}

/// How a request chooses the round that it waits for.
type Choice = fn(&Fence) -> u64;

fn next_round(fence: &Fence) -> u64 {
    fence.rounds.ask()
}

/// What the fence must not do.
fn round_under_way(fence: &Fence) -> u64 {
    let begun = fence.rounds.figures().rounds;
    let is_under_way = begun > 0 && fence.rounds.result(begun).is_none();
    if is_under_way { begun } else { fence.rounds.ask() }
}

/// Changes and requests at random moments: how many requests passed before this node had applied what was acknowledged when they
/// arrived, and how many passed.
async fn stale(choice: Choice, seed: u64) -> (usize, usize) {
    let world = World::running();
    world.follower.is_eager.store(false, SeqCst);
    let mut random = seed;
    let mut under = |bound: u64| {
        // Xorshift: any spread of moments will do.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let mut requests = JoinSet::new();
    for _ in 0..400 {
        sleep(ms(under(3))).await;
        match under(4) {
            0 => {
                world.log.append();
            }
            1 => world.follower.catch_up(),
            2 => world.log.set(Mode::Answers(ms(under(5)))),
            _ => {
                let (fence, follower) = (world.fence.clone(), Arc::clone(&world.follower));
                let acknowledged = lock(&world.log.head).place;
                let round = choice(&fence);
                requests.spawn(async move {
                    let passed = timeout(PATIENCE, fence.wait_for(round, Instant::now())).await;
                    passed.expect("the request was not woken").expect("the log answers");
                    follower.applied().place < acknowledged
                });
            }
        }
    }
    world.follower.is_eager.store(true, SeqCst);
    world.follower.catch_up();
    let passed = requests.join_all().await;
    (passed.iter().filter(|is_stale| **is_stale).count(), passed.len())
}

#[tokio::test(start_paused = true)]
async fn no_request_passes_on_a_head_that_was_read_before_it_arrived() {
    let (mut joining, mut all) = (0, 0);
    for seed in 1..=20 {
        let (stale_answers, passed) = stale(next_round, seed).await;
        assert_eq!(stale_answers, 0, "seed {seed}");
        all += passed;
        joining += stale(round_under_way, seed).await.0;
    }
    assert!(all > 1_000, "{all} requests");
    assert!(joining > 10, "a fence that joins the round under way answered only {joining} stale");
}

#[tokio::test(start_paused = true)]
async fn all_that_wait_share_the_next_round() {
    const REQUESTS: usize = 5_000;
    let world = World::running();
    world.log.set(Mode::Hangs);
    let first = spawn(world.request());
    settle().await;
    assert_eq!(world.log.asked(), 1);
    let mut others = JoinSet::new();
    for _ in 0..REQUESTS {
        others.spawn(world.request());
    }
    settle().await;
    assert_eq!(world.log.asked(), 1, "a second round began while one was under way");
    world.log.set(Mode::Answers(ms(1)));
    assert_eq!(first.await.unwrap().1, Ok(()));
    assert!(others.join_all().await.iter().all(|(_, passed)| passed.is_ok()));
    assert_eq!((world.log.asked(), world.fence.figures().rounds), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn without_requests_there_are_no_rounds() {
    let world = World::running();
    sleep(TIMEOUT * 10).await;
    assert_eq!(world.log.asked(), 0);
    world.request().await.1.unwrap();
    sleep(TIMEOUT * 10).await;
    assert_eq!(world.log.asked(), 1);
}

/// Whatever the rounds do: hang, are refused at once, or read a head that is not applied.
#[tokio::test(start_paused = true)]
async fn a_request_without_a_good_round_is_refused_when_its_time_is_over_and_not_later() {
    let refuses = Mode::Fails(EngineError::Refused("no".into()));
    let silent = Mode::Fails(EngineError::Unknown("nobody".into()));
    for (mode, failure) in [
        (Mode::Hangs, RoundFailure::Unanswered),
        (silent, RoundFailure::Unanswered),
        (refuses, RoundFailure::Refused),
        (Mode::Answers(ms(3)), RoundFailure::NotApplied),
    ] {
        let world = World::running();
        world.follower.is_eager.store(false, SeqCst);
        world.log.append();
        world.log.set(mode.clone());
        let mut waiting = JoinSet::new();
        for pause in [0, 1, 998, 1, 1, 500, 497, 1, 1, 0, 3, 150, 1_300, 2_500] {
            sleep(ms(pause)).await;
            waiting.spawn(world.request());
        }
        for (waited, passed) in waiting.join_all().await {
            assert_eq!((waited, passed), (TIMEOUT, Err(NotCurrent::Behind)), "{mode:?}");
        }
        assert!(world.failed(failure) >= 2, "{mode:?}");
        assert!(!world.fence.figures().is_current);
        assert_eq!(world.fence.probe().now_or_never(), Some(Err(NotCurrent::Behind)));
    }
}

/// They wait without a timer while the round before is under way, and their own one hangs.
#[tokio::test(start_paused = true)]
async fn requests_are_refused_in_time_also_if_the_round_before_their_own_was_slow() {
    let world = World::running();
    world.log.set(Mode::Answers(ms(1_900)));
    let first = spawn(world.request());
    settle().await;
    world.log.set(Mode::Hangs);
    let mut waiting = JoinSet::new();
    for pause in [99, 800, 200, 799, 1, 50] {
        sleep(ms(pause)).await;
        waiting.spawn(world.request());
    }
    assert_eq!(first.await.unwrap(), (ms(1_900), Ok(())));
    for (waited, passed) in waiting.join_all().await {
        assert_eq!((waited, passed), (TIMEOUT, Err(NotCurrent::Behind)));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_rounds_go_on_until_one_is_good() {
    let world = World::running();
    world.log.set(Mode::Fails(EngineError::Damaged("planted")));
    assert!(world.request().now_or_never().is_none(), "it waits for a round");
    // Nobody waits any more.
    sleep(ms(950)).await;
    assert_eq!((world.log.asked(), world.failed(RoundFailure::Damaged)), (5, 5));
    assert!(world.fence.figures().is_current, "requests still hope");
    assert!(world.fence.probe().now_or_never().is_none());
    sleep(ms(1_100)).await;
    assert!(!world.fence.figures().is_current, "none can have passed for 2 seconds");
    world.log.set(Mode::Answers(ms(1)));
    sleep(limits::FENCE_RETRY_PAUSE + ms(1)).await;
    assert!(world.fence.figures().is_current);
    assert_eq!(world.fence.probe().await, Ok(()));
    let asked = world.log.asked();
    sleep(TIMEOUT * 10).await;
    assert_eq!(world.log.asked(), asked, "rounds go on without a reason");
}

/// As when the etcd members elect a leader.
#[tokio::test(start_paused = true)]
async fn a_slow_round_is_a_slow_answer_and_no_error() {
    let world = World::running();
    world.log.set(Mode::Hangs);
    let first = spawn(world.request());
    sleep(ms(1_500)).await;
    let second = spawn(world.request());
    sleep(ms(100)).await;
    world.log.set(Mode::Answers(Duration::ZERO));
    assert_eq!(first.await.unwrap(), (ms(1_600), Ok(())));
    assert_eq!(second.await.unwrap(), (ms(100), Ok(())));
    assert!(RoundFailure::ALL.iter().all(|failure| world.failed(*failure) == 0));
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_a_failed_round_pass_with_the_next_one() {
    let world = World::running();
    world.log.set(Mode::Fails(EngineError::Unknown("nobody".into())));
    let waiting = spawn(world.request());
    settle().await;
    world.log.set(Mode::Answers(Duration::ZERO));
    assert_eq!(waiting.await.unwrap(), (limits::FENCE_RETRY_PAUSE, Ok(())));
}

/// All that wait and all that come are refused, and a log that is right again changes nothing.
async fn stays_diverged(world: &World) {
    stays_stopped(world, RoundFailure::Diverged).await;
}

async fn stays_stopped(world: &World, why: RoundFailure) {
    assert_eq!(world.request().await.1, Err(NotCurrent::Stopped));
    assert_eq!(world.failed(why), 1);
    let asked = world.log.asked();
    *lock(&world.log.head) = world.follower.state.borrow().unwrap_or(Head::EMPTY);
    world.follower.catch_up();
    sleep(TIMEOUT).await;
    assert_eq!(world.request().now_or_never(), Some((Duration::ZERO, Err(NotCurrent::Stopped))));
    assert_eq!(world.fence.probe().now_or_never(), Some(Err(NotCurrent::Stopped)));
    assert!(!world.fence.figures().is_current);
    assert_eq!(world.log.asked(), asked, "it asks the log, but would not believe it");
}

#[tokio::test(start_paused = true)]
async fn a_head_older_than_what_is_applied_ends_the_service_for_good() {
    let world = World::running();
    let first = world.log.append();
    world.log.append();
    world.request().await.1.unwrap();
    *lock(&world.log.head) = first;
    stays_diverged(&world).await;
}

#[tokio::test(start_paused = true)]
async fn another_head_at_the_same_place_ends_the_service_for_good() {
    // One that was applied before, and one that is applied in the round.
    for is_applied_before in [true, false] {
        let world = World::running();
        world.log.append();
        if is_applied_before {
            world.request().await.1.unwrap();
        }
        let other = Head::EMPTY.after(b"of a restored log");
        if is_applied_before {
            *lock(&world.log.head) = other;
        } else {
            world.follower.is_eager.store(false, SeqCst);
            let waiting = spawn(world.request());
            settle().await;
            world.follower.set(other);
            assert_eq!(waiting.await.unwrap(), (ms(1), Err(NotCurrent::Stopped)));
        }
        stays_diverged(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_stopped_ends_the_service_for_good() {
    for (stopped, why) in [
        (Stopped::Diverged, RoundFailure::Diverged),
        (Stopped::Trimmed, RoundFailure::Trimmed),
        (Stopped::Entry, RoundFailure::Entry),
        (Stopped::Damaged, RoundFailure::Damaged),
    ] {
        let world = World::running();
        world.follower.is_eager.store(false, SeqCst);
        world.log.append();
        let waiting = spawn(world.request());
        settle().await;
        world.follower.put(Err(stopped));
        assert_eq!(waiting.await.unwrap(), (ms(1), Err(NotCurrent::Stopped)));
        world.follower.set(Head::EMPTY);
        stays_stopped(&world, why).await;

        // It has applied all that there is, and takes no more.
        let world = World::running();
        world.log.append();
        world.request().await.1.unwrap();
        world.follower.put(Err(stopped));
        stays_stopped(&world, why).await;
    }
}

/// The follower may apply more than the head while the round waits.
#[tokio::test(start_paused = true)]
async fn a_follower_ahead_of_the_head_that_was_read_is_no_contradiction() {
    let world = World::running();
    world.follower.is_eager.store(false, SeqCst);
    world.log.append();
    world.log.set(Mode::Answers(ms(5)));
    let waiting = spawn(world.request());
    settle().await;
    world.log.append();
    world.follower.catch_up();
    assert_eq!(waiting.await.unwrap().1, Ok(()));
    assert_eq!(world.fence.figures().lag, 0);
}

#[tokio::test(start_paused = true)]
async fn requests_whose_clients_leave_hold_up_nobody() {
    let world = World::running();
    world.log.set(Mode::Hangs);
    let mut leaving = JoinSet::new();
    for number in 0..2_000 {
        leaving.spawn(world.request());
        // Half of them wait for the first round.
        if number == 1_000 {
            settle().await;
        }
    }
    let staying = spawn(world.request());
    settle().await;
    leaving.shutdown().await;
    world.log.set(Mode::Answers(Duration::ZERO));
    assert_eq!(staying.await.unwrap(), (ms(1), Ok(())));
    assert_eq!(world.log.asked(), 2);
    // One that leaves before its first round began.
    assert!(world.request().now_or_never().is_none());
    settle().await;
    assert_eq!(world.request().await, (Duration::ZERO, Ok(())));
    assert_eq!(world.fence.figures().waits.count(), 2, "only those that waited to the end count");
}

/// Serving threads with runtimes of their own, in real time: every request wakes, and none passes too early.
#[test]
fn requests_of_several_threads_pass_and_none_is_stale() {
    const THREADS: usize = 3;
    const REQUESTS: usize = 4_000;
    let rounds = tokio::runtime::Runtime::new().unwrap();
    let world = rounds.block_on(async { World::running() });
    let (log, follower) = (Arc::clone(&world.log), Arc::clone(&world.follower));
    let serve = |fence: Fence| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let relay = fence.clone();
        runtime.spawn(async move { relay.relay().await });
        let (log, follower) = (Arc::clone(&log), Arc::clone(&follower));
        runtime.block_on(async move {
            let mut requests = JoinSet::new();
            for number in 0..REQUESTS {
                if number % 7 == 0 {
                    log.append();
                }
                let (fence, follower) = (fence.clone(), Arc::clone(&follower));
                let acknowledged = lock(&log.head).place;
                requests.spawn(async move {
                    let passed = timeout(PATIENCE, fence.pass(Instant::now())).await;
                    passed.expect("a request was not woken").expect("the log answers");
                    assert!(follower.applied().place >= acknowledged);
                });
                if number % 16 == 0 {
                    tokio::task::yield_now().await;
                }
                while requests.len() > 64 {
                    requests.join_next().await.unwrap().unwrap();
                }
            }
            requests.join_all().await;
        });
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let fence = world.fence.of_other_thread();
            scope.spawn(move || serve(fence));
        }
    });
    let figures = world.fence.figures();
    assert_eq!(figures.waits.count(), (THREADS * REQUESTS) as u64);
    assert!(figures.rounds < (THREADS * REQUESTS) as u64 / 2, "requests do not share rounds");
}
