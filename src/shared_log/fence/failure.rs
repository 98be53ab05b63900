//! Why a request is not let through, and why a round was not good.

use crate::shared_log::{follower::Stopped, interface::EngineError};

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCurrent {
    /// No round that began after the request arrived was good in time: the engine or the follower is slow or away.
    Behind,
    /// This node follows the log no further until the process starts again.
    Stopped,
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
    Stopped(#[from] Stopped),
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
    /// The log has the next entry for this node no more.
    Trimmed,
    /// This node cannot read or apply the next entry.
    Entry,
}

impl RoundFailure {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Unanswered,
        Self::Refused,
        Self::Damaged,
        Self::NotApplied,
        Self::Diverged,
        Self::Trimmed,
        Self::Entry,
    ];

    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Refused => "refused",
            Self::Damaged => "damaged",
            Self::NotApplied => "not-applied",
            Self::Diverged => "diverged",
            Self::Trimmed => "trimmed",
            Self::Entry => "entry",
        }
    }
}

impl From<&Fault> for RoundFailure {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::Silent | Fault::Engine(EngineError::Unknown(_)) => Self::Unanswered,
            Fault::Engine(EngineError::Refused(_)) => Self::Refused,
            // A head cannot be trimmed.
            Fault::Engine(EngineError::Damaged(_) | EngineError::Trimmed { .. })
            | Fault::Stopped(Stopped::Damaged) => Self::Damaged,
            Fault::NotApplied => Self::NotApplied,
            Fault::Stopped(Stopped::Diverged) => Self::Diverged,
            Fault::Stopped(Stopped::Trimmed) => Self::Trimmed,
            Fault::Stopped(Stopped::Entry) => Self::Entry,
        }
    }
}
