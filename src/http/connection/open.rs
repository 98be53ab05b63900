//! What a connection has once, however often its service is cloned.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::admission::Counted;
use crate::{
    http::traffic::{Connected, Traffic},
    lock::lock,
};

/// An open connection. Its stream and its service share it.
pub(in crate::http) struct Open {
    _permit: OwnedSemaphorePermit,
    counted: Connected,
    /// Of the client's network. A trusted proxy has none.
    network: OnceLock<Counted>,
    /// Requests that have come. Only the connection's task counts them.
    begun: AtomicUsize,
    /// How many requests had come when the server began to stop. Later ones do not hold it.
    before_stop: AtomicUsize,
    /// Of the requests that had come by then, those whose answers have ended.
    ended: AtomicUsize,
    /// The answers that go on once the client takes more of them, and since when. The oldest comes first.
    untaken: Mutex<Vec<(usize, Instant)>>,
    /// The answer to another node with which it ends.
    to_node: OnceLock<ToNode>,
}

/// Marks an answer to another node of the cluster. That node reads the answers of all nodes together, and waits for the slowest one
/// meanwhile. So it may take nothing of this one for [`limits::CLUSTER_UNREAD_PATIENCE`](crate::limits::CLUSTER_UNREAD_PATIENCE). Once the
/// token is cancelled, it has as long as other clients.
#[derive(Clone)]
pub(in crate::http) struct ToNode(pub(in crate::http) CancellationToken);

/// A request whose answer has not ended.
pub(in crate::http) struct UnderWay {
    open: Arc<Open>,
    /// How many requests came before.
    number: usize,
    /// Whether it is among the untaken ones.
    is_untaken: bool,
}

impl Open {
    pub(in crate::http) fn new(permit: OwnedSemaphorePermit, counted: Connected) -> Self {
        Self {
            _permit: permit,
            counted,
            network: OnceLock::new(),
            begun: AtomicUsize::new(0),
            before_stop: AtomicUsize::new(usize::MAX),
            ended: AtomicUsize::new(0),
            untaken: Mutex::default(),
            to_node: OnceLock::new(),
        }
    }

    /// Lets the connection count for a network until it ends.
    pub(in crate::http) fn count_for(&self, network: Counted) {
        // Nothing names a second network.
        _ = self.network.set(network);
    }

    /// The counts of the listener.
    pub(in crate::http) fn traffic(&self) -> &Arc<Traffic> {
        self.counted.traffic()
    }

    /// Notes a request, until its answer has ended.
    pub(in crate::http) fn begin(self: &Arc<Self>) -> UnderWay {
        let number = self.begun.fetch_add(1, Relaxed);
        UnderWay { open: Arc::clone(self), number, is_untaken: false }
    }

    /// How many requests have come.
    pub(in crate::http) fn requests(&self) -> usize {
        self.begun.load(Relaxed)
    }

    /// Notes that the server stops: what comes from now on does not keep the connection busy.
    pub(in crate::http) fn stop(&self) {
        self.before_stop.fetch_min(self.begun.load(Relaxed), Relaxed);
    }

    /// Whether a request has come whose answer has not ended. While the server stops, only those that came before count.
    pub(in crate::http) fn is_busy(&self) -> bool {
        self.ended.load(Relaxed) != self.begun.load(Relaxed).min(self.before_stop.load(Relaxed))
    }

    /// Since when the client has taken nothing of the answer that waits longest for it; none if no answer waits.
    pub(in crate::http) fn untaken_since(&self) -> Option<Instant> {
        lock(&self.untaken).first().map(|(_, since)| *since)
    }

    /// Whether its last answer is one to another node.
    pub(in crate::http) fn is_to_node(&self) -> bool {
        self.to_node.get().is_some()
    }

    /// Whether its client may take nothing for long.
    pub(in crate::http) fn waits_for_node(&self) -> bool {
        self.to_node.get().is_some_and(|ToNode(over)| !over.is_cancelled())
    }
}

impl UnderWay {
    /// Notes that the answer is one to another node, and the last one of an HTTP/1.1 connection.
    pub(in crate::http) fn goes_to_node(&self, to_node: ToNode) {
        // The connection has no later answer.
        _ = self.open.to_node.set(to_node);
    }

    /// Notes that the answer goes on once the client has taken more of it.
    pub(in crate::http) fn wait_for_client(&mut self) {
        self.is_untaken = true;
        lock(&self.open.untaken).push((self.number, Instant::now()));
    }

    /// Notes that the answer no longer waits for its client.
    pub(in crate::http) fn go_on(&mut self) {
        if std::mem::take(&mut self.is_untaken) {
            lock(&self.open.untaken).retain(|(number, _)| *number != self.number);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.go_on();
        if self.number < self.open.before_stop.load(Relaxed) {
            self.open.ended.fetch_add(1, Relaxed);
        }
    }
}
