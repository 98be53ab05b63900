//! What a connection has once, however often its service is cloned.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::OwnedSemaphorePermit;

use super::admission::Counted;
use crate::http::traffic::{Connected, Traffic};

/// An open connection. Its stream and its service share it.
pub(in crate::http) struct Open {
    _permit: OwnedSemaphorePermit,
    counted: Connected,
    /// Of the client's network. A trusted proxy has none.
    network: OnceLock<Counted>,
    /// Whether a request has come.
    is_used: AtomicBool,
    /// Requests whose answers have not ended.
    under_way: AtomicUsize,
}

/// A request whose answer has not ended.
pub(in crate::http) struct UnderWay(Arc<Open>);

impl Open {
    pub(in crate::http) fn new(permit: OwnedSemaphorePermit, counted: Connected) -> Self {
        Self {
            _permit: permit,
            counted,
            network: OnceLock::new(),
            is_used: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
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

    /// Whether this is asked for the first time: at the first request.
    pub(in crate::http) fn is_first(&self) -> bool {
        // A plain load is cheaper than an exchange.
        !self.is_used.load(Relaxed) && !self.is_used.swap(true, Relaxed)
    }

    /// Notes a request, until its answer has ended.
    pub(in crate::http) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Whether a request has come whose answer has not ended.
    pub(in crate::http) fn is_busy(&self) -> bool {
        self.under_way.load(Relaxed) > 0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}
