//! The next hours of a search, opened by threads of its own while the rows of this one are given out.
//!
//! How many threads there may be, over all searches, is [`limits::LOG_SEARCH_THREADS_MAX`]; they run at the lowest
//! priority, so that a search over thirty days takes the processor's idle time and not the lookups'. A search that finds
//! none free opens its hours itself. No more than [`limits::LOG_SEARCH_HOURS_AHEAD`] hours wait, so memory is bounded.

use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::search::{Job, OpenHour};
use crate::{background, clock::Hour, limits};

/// Threads of searches, over all searches of the process.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The hours of one search, in its order.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<Shared>,
    next: usize,
    started: bool,
}

#[derive(Debug)]
struct Shared {
    job: Arc<Job>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    hours: VecDeque<Hour>,
    /// The number of the first of `hours`.
    first: usize,
    /// The number of the hour that is asked for next.
    wanted: usize,
    /// None: the thread that took it on panicked.
    open: BTreeMap<usize, Option<OpenHour>>,
    /// Nobody asks any more.
    over: bool,
}

impl Ahead {
    pub(super) fn new(job: Arc<Job>, hours: VecDeque<Hour>) -> Self {
        let state = Mutex::new(State { hours, ..State::default() });
        let shared = Arc::new(Shared { job, state, changed: Condvar::new() });
        Self { shared, next: 0, started: false }
    }

    /// The next hour, with its first rows. None after the last.
    ///
    /// # Panics
    /// If opening it did, on whatever thread.
    pub(super) fn next_hour(&mut self) -> Option<OpenHour> {
        let number = self.next;
        self.next += 1;
        // One that ends within its first hour needs no company.
        if number == 1 && !self.started {
            self.started = true;
            self.shared.start();
        }
        let mut state = self.shared.lock();
        state.wanted = number;
        self.shared.changed.notify_all();
        loop {
            if let Some(open) = state.open.remove(&number) {
                return Some(open.expect("a thread that opens an hour of the log does not panic"));
            }
            if state.first > number {
                // A thread is at it.
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let hour = state.take()?.1;
            drop(state);
            return Some(self.shared.job.open_hour(hour));
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
    }
}

impl State {
    fn take(&mut self) -> Option<(usize, Hour)> {
        let hour = self.hours.pop_front()?;
        self.first += 1;
        Some((self.first - 1, hour))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts as many threads as are free, and as have something to do.
    fn start(self: &Arc<Self>) {
        let hours = self.lock().hours.len();
        for _ in 1..hours.min(limits::LOG_SEARCH_THREADS_MAX + 1) {
            let Some(permit) = Permit::take() else {
                return;
            };
            let shared = Arc::clone(self);
            let run = move || {
                let _permit = permit;
                background::lower_priority();
                shared.open_hours();
            };
            // Without a thread the search does it all itself.
            let _ = thread::Builder::new().name("log-search".into()).spawn(run);
        }
    }

    fn open_hours(&self) {
        loop {
            let mut state = self.lock();
            while !state.over
                && !state.hours.is_empty()
                && state.first >= state.wanted + limits::LOG_SEARCH_HOURS_AHEAD
            {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.over {
                return;
            }
            let Some((number, hour)) = state.take() else {
                return;
            };
            drop(state);
            let open = catch_unwind(AssertUnwindSafe(|| self.job.open_hour(hour))).ok();
            self.lock().open.insert(number, open);
            self.changed.notify_all();
        }
    }
}

/// The right to run one thread.
struct Permit;

impl Permit {
    fn take() -> Option<Self> {
        let more = |running| (running < limits::LOG_SEARCH_THREADS_MAX).then_some(running + 1);
        THREADS.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Self)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::AcqRel);
    }
}
