//! Which calls wait behind the fence, and what they are refused with.
//!
//! They wait before their token is looked at: a device that signed up on another node has a token that this node may not know yet,
//! and an operator whom another node revoked has one that this node may still know.

use std::sync::Arc;

use axum::http::Request;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::time::Instant;
use utoipa::openapi::path::Operation;

use super::problem::Problem;
use crate::{
    dispatch::{Caller, Dispatch, Refusal},
    shared_log::{Fence, NotCurrent},
};

/// The calls with these tags are answered whatever the fence says: probes, metrics, files, and what finds out why a node is cut
/// off, also for other nodes. A node that is cut off does not know who was revoked meanwhile, so none of these calls tells what people did.
const UNFENCED: [&str; 5] = ["health", "description", "doctor", "clock", "cluster"];
/// A call with one of these tags that waits all the same, because it can destroy the log. A machine that is cut off has
/// `dispatchd clock trust --data`, for who may use its files.
const FENCED: &str = "trustClock";

/// Whether a call waits behind the fence.
pub(super) fn is_fenced(operation: &Operation) -> bool {
    let mut tags = operation.tags.iter().flatten();
    !tags.any(|tag| UNFENCED.contains(&tag.as_str()))
        || operation.operation_id.as_deref() == Some(FENCED)
}

/// The fence before the calls of one serving thread.
pub struct FencedCalls {
    fence: Fence,
    /// Counts refused lookups, on the phones' listener.
    lookups: Option<Dispatch>,
}

impl FencedCalls {
    /// The calls of operators.
    pub fn of_operators(fence: Fence) -> Arc<Self> {
        Arc::new(Self { fence, lookups: None })
    }

    /// The calls of phones. Refused lookups are counted with those of `dispatch`.
    pub fn of_phones(fence: Fence, dispatch: Dispatch) -> Arc<Self> {
        Arc::new(Self { fence, lookups: Some(dispatch) })
    }

    /// The same for another thread.
    #[must_use]
    pub fn of_other_thread(&self) -> Arc<Self> {
        Arc::new(Self { fence: self.fence.of_other_thread(), lookups: self.lookups.clone() })
    }

    /// Wakes the requests of its own thread, for as long as the thread runs.
    pub async fn relay(self: Arc<Self>) {
        self.fence.relay().await;
    }

    /// Answers with `answer` once the fence lets the request through, and otherwise with `refuse`.
    pub(super) fn pass<B, R>(
        self: &Arc<Self>,
        request: Request<B>,
        caller: Caller,
        is_lookup: bool,
        answer: impl FnOnce(Request<B>) -> BoxFuture<'static, R> + Send + 'static,
        refuse: impl FnOnce(Problem, Request<B>) -> BoxFuture<'static, R> + Send + 'static,
    ) -> BoxFuture<'static, R>
    where
        B: Send + 'static,
    {
        let calls = Arc::clone(self);
        let passed = async move {
            match calls.fence.pass(Instant::from_std(caller.arrived)).await {
                Ok(()) => answer(request).await,
                Err(not_current) => {
                    let lookups = calls.lookups.as_ref().filter(|_| is_lookup);
                    let refusal = Refusal::from(not_current);
                    let refusal = lookups.map_or(refusal, |it| it.refuse_unread(refusal));
                    refuse(refusal.into(), request).await
                }
            }
        };
        passed.boxed()
    }
}

impl From<NotCurrent> for Refusal {
    fn from(not_current: NotCurrent) -> Self {
        match not_current {
            NotCurrent::Behind => Self::RegistryBehind,
            NotCurrent::Stopped => Self::RegistryDiverged,
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::path::OperationBuilder;

    use super::*;

    #[test]
    fn a_call_waits_unless_its_tag_is_named() {
        let is_fenced = |tag: Option<&str>| {
            is_fenced(&OperationBuilder::new().tags(tag.map(|tag| [tag])).build())
        };
        assert!(is_fenced(None) && is_fenced(Some("a new one")));
        assert!(!is_fenced(Some("health")));
    }
}
