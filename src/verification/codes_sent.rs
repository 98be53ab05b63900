//! How many codes were sent, for metrics.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use crate::{handle::Handle, lock::lock};

use super::delivery::DeliveryError;

/// How a code is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SendingMethod {
    /// A line of the outbox, which another program sends.
    Outbox,
    /// A mail server.
    Mail,
    /// A gateway of text messages.
    Text,
}

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SendingOutcome {
    /// The next program took it.
    Sent,
    /// The mail server or gateway refused it for good.
    Refused,
    /// It was certainly not sent, for another reason.
    Failed,
    /// It may have been sent.
    Unknown,
}

/// A method, an outcome and the calling code of the number; none for an address.
pub type CodeKind = (SendingMethod, SendingOutcome, Option<u16>);

/// Codes by method, outcome and country. Few codes are sent each second, so one lock is enough.
#[derive(Debug, Default)]
pub struct CodesSent(Mutex<BTreeMap<CodeKind, u64>>);

impl CodesSent {
    /// The counts of every kind that was met.
    pub fn all(&self) -> Vec<(CodeKind, u64)> {
        lock(&self.0).iter().map(|(kind, count)| (*kind, *count)).collect()
    }

    /// Begins to count a code that is being sent. It counts as unknown if what this returns is dropped: the delivery panicked,
    /// or the process stops.
    pub(super) fn begin(self: &Arc<Self>, method: SendingMethod, to: &Handle) -> Sending {
        let country = match to {
            Handle::Phone(key) => Some(key.calling_code()),
            Handle::Email(_) => None,
        };
        let counts = Arc::clone(self);
        Sending { counts, kind: (method, SendingOutcome::Unknown, country) }
    }
}

impl SendingMethod {
    /// The value of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbox => "outbox",
            Self::Mail => "mail",
            Self::Text => "text",
        }
    }
}

impl SendingOutcome {
    /// The value of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// A code that is being sent.
pub(super) struct Sending {
    counts: Arc<CodesSent>,
    kind: CodeKind,
}

impl Sending {
    pub(super) fn end(mut self, outcome: Result<(), DeliveryError>) {
        self.kind.1 = match outcome {
            Ok(()) => SendingOutcome::Sent,
            Err(DeliveryError::Refused) => SendingOutcome::Refused,
            Err(DeliveryError::NotSent | DeliveryError::Paused { .. }) => SendingOutcome::Failed,
            Err(DeliveryError::PerhapsSent) => SendingOutcome::Unknown,
        };
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        *lock(&self.counts.0).entry(self.kind).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_code_is_counted_once_by_its_outcome_and_country() {
        let counts = Arc::new(CodesSent::default());
        let handle = |text| Handle::from_canonical(text).unwrap();
        let (phone, address) = (handle("+3545550123"), handle("ann@example.com"));
        for outcome in [
            Ok(()),
            Ok(()),
            Err(DeliveryError::Refused),
            Err(DeliveryError::NotSent),
            Err(DeliveryError::Paused { retry_after: Duration::ZERO }),
            Err(DeliveryError::PerhapsSent),
        ] {
            counts.begin(SendingMethod::Text, &phone).end(outcome);
        }
        counts.begin(SendingMethod::Mail, &address).end(Ok(()));
        drop(counts.begin(SendingMethod::Mail, &address));
        use {SendingMethod::*, SendingOutcome::*};
        let all = [
            ((Mail, Sent, None), 1),
            ((Mail, Unknown, None), 1),
            ((Text, Sent, Some(354)), 2),
            ((Text, Refused, Some(354)), 1),
            ((Text, Failed, Some(354)), 2),
            ((Text, Unknown, Some(354)), 1),
        ];
        assert_eq!(counts.all(), all);
    }
}
