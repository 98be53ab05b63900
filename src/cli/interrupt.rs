//! Ctrl-C while files are read: reading stops in an orderly way, so that the audit log counts what was printed.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::errors::EXIT_INTERRUPTED;
use tokio::signal::unix::{SignalKind, signal};

/// Whether SIGINT or SIGTERM has come. The second one ends the process at once: after the first it may still wait for a
/// slow reader of its output.
#[derive(Clone, Default)]
pub(super) struct Interrupt(Arc<(Mutex<bool>, Condvar)>);

impl Interrupt {
    /// Watches from now on, on a thread of its own.
    pub(super) fn watch() -> io::Result<Self> {
        let interrupt = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut int, mut term) = {
            let _entered = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let noted = interrupt.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = int.recv() => {}
                        _ = term.recv() => {}
                    }
                    if std::mem::replace(&mut *noted.lock(), true) {
                        std::process::exit(EXIT_INTERRUPTED.into());
                    }
                    noted.0.1.notify_all();
                }
            });
        })?;
        Ok(interrupt)
    }

    pub(super) fn has_come(&self) -> bool {
        *self.lock()
    }

    /// Waits for it, or for as long as this. Whether it has come.
    pub(super) fn wait(&self, span: Duration) -> bool {
        let waited = self.0.1.wait_timeout_while(self.lock(), span, |has_come| !*has_come);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
