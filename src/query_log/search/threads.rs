//! The threads that open hours for searches: [`limits::LOG_SEARCH_THREADS_MAX`] over all searches of the process, made when
//! they are first needed and kept, at the lowest priority: a search over thirty days takes the processor's idle time and not
//! the lookups'.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
};

use crate::{background, limits};

type Work = Box<dyn FnOnce() + Send>;

/// One for each thread; who sends finds out whether it waits for work.
static THREADS: Mutex<Vec<SyncSender<Work>>> = Mutex::new(Vec::new());

/// Has `work` done by a thread that is free now. False if there is none.
pub(in crate::query_log) fn help(work: impl FnOnce() + Send + 'static) -> bool {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
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
            // Who handed it over hears of a panic by its own means; the thread is for the next.
            let _ = catch_unwind(AssertUnwindSafe(next));
        }
    };
    match thread::Builder::new().name("log-search".into()).spawn(run) {
        Ok(_) => {
            threads.push(sender);
            true
        }
        Err(error) => {
            tracing::debug!(%error, "no thread to search with");
            false
        }
    }
}
