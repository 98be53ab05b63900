//! The background threads that open hours for searches: [`limits::LOG_SEARCH_THREADS_MAX`] for the whole process.
//!
//! The first search that needs them starts them, and they stay. They run at the lowest priority, so that a search over
//! thirty days takes only the processor time that lookups leave.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
};

use crate::{background, limits, query_log::lock::lock};

type Work = Box<dyn FnOnce() + Send>;

/// A channel without buffer for each thread: sending succeeds only while the thread waits for work.
static THREADS: Mutex<Vec<SyncSender<Work>>> = Mutex::new(Vec::new());

/// Runs `work` on a free thread. False if there is none.
pub(super) fn try_spawn(work: impl FnOnce() + Send + 'static) -> bool {
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
    match thread::Builder::new().name("log-search".into()).spawn(run) {
        Ok(_) => {
            threads.push(sender);
            true
        }
        Err(error) => {
            tracing::debug!(%error, "cannot start a search thread; the search opens its hours itself");
            false
        }
    }
}
