//! The two listeners: operators on the main runtime, phones on a thread for each socket.

use std::{
    net::TcpListener,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use axum_server::Handle;
use futures_util::FutureExt as _;
use tokio::runtime::Handle as RuntimeHandle;
use tokio_util::task::AbortOnDropHandle;

use super::{notify::PhoneThreads, services::Services, tls::OfListeners};
use crate::{
    http::{
        connection::admission::Admission, fence::FencedCalls, listen::Listener, overload::Overload,
    },
    metrics,
    query_log::QueryLog,
    shared_log::Fence,
    shutdown::Shutdown,
};

/// Makes the rounds of the fence on `runtime`, and wakes those who wait for them beside the phones, until what this returns is dropped.
pub(super) fn spawn_rounds(
    fence: &Fence,
    runtime: &RuntimeHandle,
    shutdown: &Shutdown,
) -> AbortOnDropHandle<()> {
    let (fence, shutdown) = (fence.clone(), shutdown.clone());
    // Not tracked: a stop waits for requests under way, and they wait behind the fence.
    AbortOnDropHandle::new(runtime.spawn(async move {
        let rounds = async { tokio::join!(fence.run(), fence.relay()) };
        if AssertUnwindSafe(rounds).catch_unwind().await.is_err() {
            shutdown.crashed("fence");
        }
    }))
}

/// Both listeners.
pub(super) struct Listeners {
    phones: Listener,
    operators: Listener,
}

impl Listeners {
    /// The listeners of `services`. `admissions` are those of phones and of operators.
    pub(super) fn new(
        services: Services,
        tls: OfListeners,
        (of_phones, of_operators): (Admission, Admission),
        shutdown: &Shutdown,
    ) -> Self {
        let listener = |service, tls, admission| {
            let (shutdown, handle) = (shutdown.clone(), Handle::new());
            Listener { service, tls, admission, shutdown, handle }
        };
        Self {
            phones: listener(services.phones, tls.phones, of_phones),
            operators: listener(services.operators, tls.operators, of_operators),
        }
    }

    /// Serves operators on the current runtime.
    pub(super) fn serve_operators(&self, sockets: Vec<TcpListener>) {
        for socket in sockets {
            let (listener, shutdown) = (self.operators.clone(), self.operators.shutdown.clone());
            self.operators.shutdown.spawn("operators-listener", async move {
                if let Err(error) = listener.serve(socket).await {
                    tracing::error!(%error, "the operators' listener failed");
                    shutdown.crashed("operators-listener");
                }
            });
        }
    }

    /// Serves phones on a thread of the socket's own.
    ///
    /// # Errors
    /// If the machine gives no thread.
    pub(super) fn serve_phones(
        &self,
        socket: TcpListener,
        number: usize,
        log: &QueryLog,
        responding: &mut PhoneThreads,
    ) -> anyhow::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        responding.add(runtime.handle());
        let (mut listener, log) = (self.phones.clone(), log.clone());
        listener.service.overload =
            listener.service.overload.as_ref().map(Overload::of_other_thread);
        let fence = listener.service.fence.as_deref().map(FencedCalls::of_other_thread);
        listener.service.fence.clone_from(&fence);
        let serve = move || {
            metrics::own_copy();
            let shutdown = listener.shutdown.clone();
            // A task of its own, so that it runs after the requests that are ready.
            let committing = runtime.spawn(log.run_inline_flusher(shutdown.clone()));
            let overload = listener.service.overload.clone();
            let measuring = overload.map(|it| runtime.spawn(it.measure()));
            let relaying = fence.map(|it| runtime.spawn(it.relay()));
            let serving = listener.serve(socket);
            let served = catch_unwind(AssertUnwindSafe(|| runtime.block_on(serving)));
            committing.abort();
            measuring.into_iter().chain(relaying).for_each(|task| task.abort());
            match served {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "a phones' listener failed");
                    shutdown.crashed("phones-listener");
                }
                Err(_) => shutdown.crashed("phones-listener"),
            }
        };
        let thread = thread::Builder::new().name(format!("phones-{number}")).spawn(serve);
        thread.context("starting a phones' thread")
    }

    /// Accepts no more connections, and lets requests under way finish within `grace`.
    pub(super) fn stop(self, grace: Duration) {
        self.phones.handle.graceful_shutdown(Some(grace));
        self.operators.handle.graceful_shutdown(Some(grace));
    }
}
