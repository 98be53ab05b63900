//! Background work: named ticks that run again and again until the service stops.
//!
//! A tick is a plain function that can be called by hand in a test: bounded, idempotent, safe to run twice. It runs on
//! a thread for blocking work, so that its file I/O never holds up a request. If it panics the service stops with a
//! failing exit code: a retention tick that died silently would keep records forever.

use std::{
    panic,
    sync::Arc,
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{ids, shutdown::Shutdown};

/// Runs `tick` every `period` until the service stops. The first run comes after a random part of the period, so that
/// ticks do not all run at once.
pub fn spawn_tick(
    shutdown: &Shutdown,
    name: &'static str,
    period: Duration,
    tick: impl Fn() + Send + Sync + 'static,
) {
    let tick = Arc::new(tick);
    let stop = shutdown.clone();
    shutdown.spawn(name, async move {
        let first = period * (ids::random_u64() % 1_000) as u32 / 1_000;
        let mut interval = interval_at(Instant::now() + first, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopping() => return,
                _ = interval.tick() => {}
            }
            let run = Arc::clone(&tick);
            if tokio::task::spawn_blocking(move || run()).await.is_err() {
                stop.crashed(name);
                return;
            }
        }
    });
}

/// Gives the calling thread the lowest priority, for good: it runs when nothing else needs the processor. Not for a thread of
/// a pool.
pub fn lower_priority() {
    // On Linux this is the thread's, not the process's. If it is refused the thread just keeps the priority that it has.
    let _ = rustix::process::setpriority_process(None, 19);
}

/// Does `work` on a thread of its own, with the lowest priority, and waits for it: a thread cannot raise its priority again.
pub fn at_low_priority<T: Send>(name: &str, mut work: impl FnMut() -> T + Send) -> T {
    let done = thread::scope(|scope| {
        let work = || {
            lower_priority();
            work()
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work);
        thread.map(ScopedJoinHandle::join)
    });
    match done {
        Ok(Ok(done)) => done,
        Ok(Err(panicked)) => panic::resume_unwind(panicked),
        // The operating system gives no thread, so this one does the work, with its priority.
        Err(_) => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_tick_runs_again_and_ends_with_the_service() {
        let shutdown = Shutdown::new();
        let runs = Arc::new(AtomicU32::new(0));
        let (counted, stop) = (Arc::clone(&runs), shutdown.clone());
        spawn_tick(&shutdown, "count", Duration::from_millis(1), move || {
            if counted.fetch_add(1, Ordering::SeqCst) == 2 {
                stop.stop();
            }
        });
        assert!(shutdown.drained(Duration::from_secs(60)).await);
        assert!(runs.load(Ordering::SeqCst) >= 3);
        assert!(!shutdown.has_crashed());
    }

    #[tokio::test]
    async fn a_tick_that_panics_stops_the_service() {
        let shutdown = Shutdown::new();
        spawn_tick(&shutdown, "crash", Duration::from_millis(1), || panic!("planted"));
        shutdown.stopping().await;
        assert!(shutdown.has_crashed());
    }
}
