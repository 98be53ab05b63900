//! Which refused calls of operators become audit entries: few of each operator. Every refusal is in the metrics.
//!
//! Without a limit, a token of the least role could fill the disk with entries about itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use crate::{audit::Call, limits, lock::lock};

/// When the last refusal of each operator's calls was noted. Clones share it.
#[derive(Clone, Default)]
pub(super) struct RefusedCalls(Arc<Mutex<HashMap<(String, Call), Instant>>>);

impl RefusedCalls {
    /// Whether the audit log is to note that `operator` was refused `call` at `now`: not if it noted the same within
    /// [`limits::AUDIT_REFUSAL_PAUSE`]. The answer is yes once, however many ask at the same time.
    pub(super) fn is_due(&self, operator: &str, call: Call, now: Instant) -> bool {
        let mut noted = lock(&self.0);
        noted.retain(|_, at| now.duration_since(*at) < limits::AUDIT_REFUSAL_PAUSE);
        let key = (operator.to_owned(), call);
        let is_due = !noted.contains_key(&key);
        if is_due {
            noted.insert(key, now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_and_call_has_one_entry_in_each_span() {
        let (refused, begun) = (RefusedCalls::default(), Instant::now());
        let almost = begun + limits::AUDIT_REFUSAL_PAUSE - std::time::Duration::from_millis(1);
        assert!(refused.is_due("ann", Call::Import, begun));
        for now in [begun, almost] {
            assert!(!refused.clone().is_due("ann", Call::Import, now));
        }
        assert!(refused.is_due("ann", Call::Snapshot, almost));
        assert!(refused.is_due("bob", Call::Import, almost));
        // A refusal that was not noted does not begin the span again.
        let after = begun + limits::AUDIT_REFUSAL_PAUSE;
        assert!(refused.is_due("ann", Call::Import, after));
        assert!(!refused.is_due("ann", Call::Import, after));
        // What no longer matters takes no memory.
        assert!(refused.is_due("ann", Call::Import, after + limits::AUDIT_REFUSAL_PAUSE));
        assert_eq!(lock(&refused.0).len(), 1);
    }
}
