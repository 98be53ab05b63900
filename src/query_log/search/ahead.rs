//! The next hours of a search, opened by threads of its own while the rows of this one are given out.
//!
//! A search that finds none of them free ([`super::threads`]) opens its hours itself. No more than
//! [`limits::LOG_SEARCH_HOURS_AHEAD`] hours wait, so memory is bounded.

use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{
    threads, {Job, OpenHour},
};
use crate::{clock::Hour, limits};

/// The hours of one search, in its order.
#[derive(Debug)]
pub(in crate::query_log) struct Ahead {
    shared: Arc<ReadAhead>,
    next: usize,
    started: bool,
}

#[derive(Debug)]
struct ReadAhead {
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
    pub(in crate::query_log) fn new(job: Arc<Job>, hours: VecDeque<Hour>) -> Self {
        let state = Mutex::new(State { hours, ..State::default() });
        let shared = Arc::new(ReadAhead { job, state, changed: Condvar::new() });
        Self { shared, next: 0, started: false }
    }

    /// The next hour, with its first rows. None after the last.
    ///
    /// # Panics
    /// If opening it did, on whatever thread.
    pub(in crate::query_log) fn next_hour(&mut self) -> Option<OpenHour> {
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

impl ReadAhead {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has as many threads help as are free, and as have something to do.
    fn start(self: &Arc<Self>) {
        let hours = self.lock().hours.len();
        for _ in 1..hours.min(limits::LOG_SEARCH_THREADS_MAX + 1) {
            let shared = Arc::clone(self);
            if !threads::help(move || shared.open_hours()) {
                // Without a thread the search does it all itself.
                return;
            }
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
