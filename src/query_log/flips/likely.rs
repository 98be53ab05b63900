//! Likely causes of flips.

use crate::vocabulary::codes;

codes! {
    /// Why a handle's route most likely went back and forth. See [`Likely::sentence`].
    Likely {
        /// Leases lapse and come back.
        LeaseLapses = 1 "lease-lapses",
        /// Its device signs out, and it is bound again.
        SignsOut = 2 "signs-out",
        /// Its device was removed after a long silence, and it is bound again.
        DeviceSilent = 3 "device-silent",
        /// Its owner unbinds it from a device and binds it again.
        Unbinds = 4 "unbinds",
        /// Its owner deregisters it and proves it again.
        Deregisters = 5 "deregisters",
        /// Accounts prove it in turn.
        Contested = 6 "contested",
        /// Imports moved it.
        Imported = 7 "imported",
        /// The registry did not know it any more.
        Forgotten = 8 "forgotten",
        /// No rule applies.
        Unclear = 9 "unclear",
    }
}

impl Likely {
    /// What it means, for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::LeaseLapses => {
                "Its devices check in too seldom: the lease lapses, and a later check-in brings it back."
            }
            Self::SignsOut => "Its last device signs out, and a device binds it again.",
            Self::DeviceSilent => {
                "Its last device was removed after a long silence, and a device binds it again."
            }
            Self::Unbinds => "Its owner gives it up on its last device, and binds it again.",
            Self::Deregisters => "Its owner takes it back without a device, and proves it again.",
            Self::Contested => "More than one account proves it: it moves between them in turn.",
            Self::Imported => "Imported files moved it from one account to another.",
            Self::Forgotten => {
                "The registry did not know it any more: an older state was restored, or how it ended was forgotten."
            }
            Self::Unclear => "No one reason stands out.",
        }
    }
}
