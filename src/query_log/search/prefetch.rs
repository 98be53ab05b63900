//! Opens the next hours of a search on background threads while the caller consumes the rows of this one.
//!
//! The process has [`limits::LOG_SEARCH_THREADS_MAX`] such threads. The first search that needs them starts them, and they
//! stay. They run at the lowest priority, so that a search over thirty days takes only the processor time that lookups
//! leave. If none is free, a search opens its hours itself. At most [`limits::LOG_SEARCH_HOURS_AHEAD`] open hours wait, so
//! memory is bounded.

use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
};

use super::{job::Job, open_hour::OpenHour};
use crate::{background, clock::Hour, limits, lock::lock};

/// The hours of one search, in its order.
pub(super) struct Prefetch {
    shared: Arc<PrefetchState>,
    next: usize,
    has_threads: bool,
}

/// What the search shares with the threads that open its hours.
struct PrefetchState {
    job: Arc<Job>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    hours: VecDeque<Hour>,
    /// The index of the first of `hours`.
    first: usize,
    /// The index of the hour that the search waits for.
    wanted: usize,
    /// Opened hours by index. None if the thread that opened it panicked.
    open: BTreeMap<usize, Option<OpenHour>>,
    over: bool,
}

impl Prefetch {
    /// Without `has_threads` each hour is opened when it is reached.
    pub(super) fn new(job: Arc<Job>, hours: VecDeque<Hour>, has_threads: bool) -> Self {
        let queue = Mutex::new(Queue { hours, ..Queue::default() });
        let shared = Arc::new(PrefetchState { job, queue, changed: Condvar::new() });
        Self { shared, next: 0, has_threads }
    }

    /// The next hour, with its first rows. None after the last. It panics if opening the hour panicked on another thread.
    pub(super) fn next_hour(&mut self) -> Option<OpenHour> {
        let index = self.next;
        self.next += 1;
        // A search that ends within its first hour needs no threads.
        if index == 1 && self.has_threads {
            self.shared.start();
        }
        let mut queue = lock(&self.shared.queue);
        queue.wanted = index;
        self.shared.changed.notify_all();
        loop {
            if let Some(open) = queue.open.remove(&index) {
                return Some(open.expect("a thread that opens an hour of the log does not panic"));
            }
            if queue.first > index {
                // A thread is opening it.
                queue = self.shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let hour = queue.pop()?.1;
            drop(queue);
            return Some(OpenHour::open(&self.shared.job, hour));
        }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        lock(&self.shared.queue).over = true;
        self.shared.changed.notify_all();
    }
}

impl Queue {
    fn pop(&mut self) -> Option<(usize, Hour)> {
        let hour = self.hours.pop_front()?;
        self.first += 1;
        Some((self.first - 1, hour))
    }
}

impl PrefetchState {
    /// Starts as many free threads as there are hours for.
    fn start(self: &Arc<Self>) {
        let hours = lock(&self.queue).hours.len();
        for _ in 1..hours.min(limits::LOG_SEARCH_THREADS_MAX + 1) {
            let shared = Arc::clone(self);
            if !try_spawn(move || shared.open_hours()) {
                return;
            }
        }
    }

    fn open_hours(&self) {
        loop {
            let is_ahead = |queue: &mut Queue| {
                !queue.over
                    && !queue.hours.is_empty()
                    && queue.first >= queue.wanted + limits::LOG_SEARCH_HOURS_AHEAD
            };
            let queue = self.changed.wait_while(lock(&self.queue), is_ahead);
            let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
            let Some((index, hour)) = queue.pop().filter(|_| !queue.over) else {
                return;
            };
            drop(queue);
            let open = catch_unwind(AssertUnwindSafe(|| OpenHour::open(&self.job, hour))).ok();
            lock(&self.queue).open.insert(index, open);
            self.changed.notify_all();
        }
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// A channel without buffer for each thread: sending succeeds only while the thread waits for work.
static THREADS: Mutex<Vec<SyncSender<Work>>> = Mutex::new(Vec::new());

/// Runs `work` on a free thread. False if there is none.
fn try_spawn(work: impl FnOnce() + Send + 'static) -> bool {
    let mut threads = lock(&THREADS);
    let mut work: Work = Box::new(work);
    for thread in threads.iter() {
        match thread.try_send(work) {
            Ok(()) => return true,
            Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => work = back,
        }
    }
    if threads.len() >= limits::LOG_SEARCH_THREADS_MAX {
        return false;
    }
    let (sender, receiver) = mpsc::sync_channel::<Work>(0);
    let first = work;
    let run = move || {
        background::lower_priority();
        let mut work = Some(first);
        while let Some(next) = work.take().or_else(|| receiver.recv().ok()) {
            // The search learns of a panic from its queue; this thread serves the next search.
            let _ = catch_unwind(AssertUnwindSafe(next));
        }
    };
    let started = thread::Builder::new().name("log-search".into()).spawn(run);
    match &started {
        Ok(_) => threads.push(sender),
        Err(error) => {
            tracing::debug!(%error, "cannot start a search thread; the search opens its hours itself");
        }
    }
    started.is_ok()
}
