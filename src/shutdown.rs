//! Stopping: a soft stop asks every task to finish, a hard stop ends what has not finished within the grace period.
//!
//! Every task of the service is spawned here, so that a stop waits for it. A task that crashes stops the service with a
//! failing exit code: the service must not stay half alive.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::runtime::Handle as RuntimeHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The stop signals and the tasks that obey them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    /// Whether the soft stop has come. A look at it takes no lock, so each connection can.
    stopped: Arc<AtomicBool>,
    crashed: Arc<AtomicBool>,
}

impl Shutdown {
    /// Nothing stopped, no task.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every task to finish.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.soft.cancel();
    }

    /// Whether the soft stop has come.
    pub fn is_stopping(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Waits for the soft stop.
    pub async fn stopping(&self) {
        self.soft.cancelled().await;
    }

    /// Whether a task ended by a panic, or could not go on.
    pub fn has_crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    /// Runs `task` on the current runtime until it ends or the hard stop comes.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_on(&RuntimeHandle::current(), name, task);
    }

    /// Runs `task` on `runtime` until it ends or the hard stop comes. A panic stops the whole service.
    pub fn spawn_on(
        &self,
        runtime: &RuntimeHandle,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let shutdown = self.clone();
        let guarded = async move {
            let ended = AssertUnwindSafe(task).catch_unwind();
            tokio::select! {
                ended = ended => if ended.is_err() {
                    shutdown.crashed(name);
                },
                () = shutdown.hard.cancelled() => {}
            }
        };
        self.tasks.spawn_on(guarded, runtime);
    }

    /// Marks the service as crashed and stops it.
    pub fn crashed(&self, name: &'static str) {
        tracing::error!(task = name, "a task crashed; stopping");
        self.fail();
    }

    /// Stops the service, which has told why it cannot go on. The process ends with an error, so that a service manager starts it again.
    pub fn fail(&self) {
        self.crashed.store(true, Ordering::SeqCst);
        self.stop();
    }

    /// Waits until every task has ended, at most `grace`; what is left then is ended hard. Returns whether all ended
    /// by themselves.
    pub async fn drained(&self, grace: Duration) -> bool {
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_ok() {
            return true;
        }
        self.hard.cancel();
        self.tasks.wait().await;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_soft_stop_waits_and_a_hard_stop_does_not() {
        let shutdown = Shutdown::new();
        let soft = shutdown.clone();
        shutdown.spawn("polite", async move { soft.stopping().await });
        shutdown.stop();
        assert!(shutdown.drained(Duration::from_secs(60)).await);

        let shutdown = Shutdown::new();
        shutdown.spawn("deaf", std::future::pending());
        shutdown.stop();
        assert!(!shutdown.drained(Duration::from_millis(10)).await);
    }

    #[tokio::test]
    async fn a_crashed_task_stops_the_service() {
        let shutdown = Shutdown::new();
        shutdown.spawn("crash", async { panic!("planted") });
        shutdown.stopping().await;
        assert!(shutdown.has_crashed());
        assert!(shutdown.drained(Duration::from_secs(60)).await);
    }
}
