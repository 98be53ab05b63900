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
    /// It has started, and has not compared its clock with the other nodes' yet.
    NotCompared = 3,
    /// The last entry of the shared log was decided later than its clock shows. What it decides must come after that entry, so it would
    /// decide in the future: leases would lapse too early.
    EntryAhead = 4,
    /// Another process answers as this node at the address where the others ask it: one of the two has a copy of the data directory.
    Copied = 5,
}

impl Hold {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Clock, Self::Removed, Self::NotCompared, Self::EntryAhead, Self::Copied];

    /// Whether it is about times alone: what depends on no time may change.
    pub(super) const fn is_of_times(self) -> bool {
        matches!(self, Self::Clock | Self::EntryAhead)
    }

    /// Its name in metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Removed => "removed",
            Self::NotCompared => "not-compared",
            Self::EntryAhead => "entry-ahead",
            Self::Copied => "copied",
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clock => {
                "at least half of the nodes' clocks are more than 500 ms ahead of this node's, or more than 500 ms behind it; correct the \
                 clocks that are wrong"
            }
            Self::Removed => {
                "this node is no member of the cluster any more; stop it, and have it join again into an empty data directory"
            }
            Self::NotCompared => "this node compares its clock with the other nodes'; wait some seconds",
            Self::EntryAhead => {
                "the last entry of the shared log was decided later than this node's clock shows: the clock of this node is behind, or that \
                 of another one was ahead; correct the clocks and wait, or run `dispatchd clock trust` on a node whose clock is right"
            }
            Self::Copied => {
                "another process runs as this node at its address: one of them has a copy of the data directory; stop the one that is not to \
                 stay, and have it join as a node of its own"
            }
        })
    }
}

/// The hold that others have set, if there is one. [`Hold::EntryAhead`] is found anew each time.
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
