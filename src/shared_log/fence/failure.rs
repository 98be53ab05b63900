//! Why a request is not let through, and why a round was not good.

use crate::shared_log::{follower::Diverged, interface::EngineError};

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCurrent {
    /// No round that began after the request arrived was good in time: the engine or the follower is slow or away.
    Behind,
    /// This node and the log contradict each other. It stays so until the process starts again.
    Diverged,
}

/// Why a round was not good, with the engine's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the engine did not tell the log's head in time")]
    Silent,
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("this node did not apply the log's last entry in time")]
    NotApplied,
    #[error(transparent)]
    Diverged(#[from] Diverged),
}

/// The kinds of causes why a round was not good, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundFailure {
    /// No member of the engine told the head in time.
    Unanswered,
    /// The engine refused to tell it.
    Refused,
    /// What the engine holds is damaged.
    Damaged,
    /// This node did not apply the head in time.
    NotApplied,
    /// The head is older than what this node has applied, or another one at the same place, or the follower found such a thing.
    Diverged,
}

impl RoundFailure {
    /// All of them, in their order.
    pub const ALL: [Self; 5] =
        [Self::Unanswered, Self::Refused, Self::Damaged, Self::NotApplied, Self::Diverged];

    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Refused => "refused",
            Self::Damaged => "damaged",
            Self::NotApplied => "not-applied",
            Self::Diverged => "diverged",
        }
    }
}

impl From<&Fault> for RoundFailure {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::Silent | Fault::Engine(EngineError::Unknown(_)) => Self::Unanswered,
            Fault::Engine(EngineError::Refused(_)) => Self::Refused,
            // A head cannot be trimmed.
            Fault::Engine(EngineError::Damaged(_) | EngineError::Trimmed { .. }) => Self::Damaged,
            Fault::NotApplied => Self::NotApplied,
            Fault::Diverged(_) => Self::Diverged,
        }
    }
}
