//! [`Hold`]: a node of a cluster that must change nothing, although it could.

use std::{
    fmt,
    sync::atomic::{AtomicU8, Ordering},
};

/// Why a node must change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Hold {
    /// Its clock is far from the other nodes' clocks: it would let leases lapse too early or too late.
    Clock = 1,
    /// The other nodes have removed it.
    Removed = 2,
}

impl Hold {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Clock, Self::Removed];

    /// Its name in metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clock => {
                "the clock of this node is more than 500 ms from the median of the members' clocks; correct the machine's clock"
            }
            Self::Removed => {
                "this node is no member of the cluster any more; stop it, and have it join again into an empty data directory"
            }
        })
    }
}

/// The hold, if there is one.
#[derive(Debug, Default)]
pub(super) struct HoldState(AtomicU8);

impl HoldState {
    pub(super) fn get(&self) -> Option<Hold> {
        let number = self.0.load(Ordering::Relaxed);
        Hold::ALL.into_iter().find(|hold| *hold as u8 == number)
    }

    pub(super) fn set(&self, why: Option<Hold>) {
        self.0.store(why.map_or(0, |why| why as u8), Ordering::Relaxed);
    }
}
