//! The likely cause, by plain rules.

use super::{
    super::record::{Cause, ChangeKind, Reason},
    state::Trail,
};

/// Why a handle's route most likely went back and forth. See [`Likely::sentence`] for what each means and the README for
/// the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likely {
    /// Leases lapse and come back.
    LeaseLapses,
    /// Its device signs out, and it is bound again.
    SignsOut,
    /// Its device was removed after a long silence, and it is bound again.
    DeviceSilent,
    /// Its owner unbinds it from a device and binds it again.
    Unbinds,
    /// Its owner deregisters it and proves it again.
    Deregisters,
    /// Accounts prove it in turn.
    Contested,
    /// Imports moved it.
    Imported,
    /// The registry did not know it any more.
    Forgotten,
    /// No rule applies.
    Unclear,
}

impl Likely {
    /// Every cause.
    pub const ALL: &[Self] = &[
        Self::LeaseLapses,
        Self::SignsOut,
        Self::DeviceSilent,
        Self::Unbinds,
        Self::Deregisters,
        Self::Contested,
        Self::Imported,
        Self::Forgotten,
        Self::Unclear,
    ];

    /// The code in JSON. Stable.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::LeaseLapses => "lease-lapses",
            Self::SignsOut => "signs-out",
            Self::DeviceSilent => "device-silent",
            Self::Unbinds => "unbinds",
            Self::Deregisters => "deregisters",
            Self::Contested => "contested",
            Self::Imported => "imported",
            Self::Forgotten => "forgotten",
            Self::Unclear => "unclear",
        }
    }

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

    /// The first rule that applies:
    ///
    /// 1. It moved at least twice, and at least once for each two times that it went away: by imports if most moves were.
    /// 2. More than half of the times that it went away (a lookup that changed and did not find a live device) had the
    ///    same reason: by that reason. Of a removed device the registry's changes say whether it signed out or was silent.
    /// 3. Unclear.
    pub(super) fn of(trail: &Trail) -> Self {
        let registry = |wanted: (ChangeKind, Cause)| -> u64 {
            trail.registry.iter().filter(|met| met.0 == wanted).map(|met| u64::from(met.1)).sum()
        };
        let away = trail.reasons.iter().filter(|met| met.0 != Reason::LiveDevice);
        let went_away: u64 = away.clone().map(|met| u64::from(met.1)).sum();
        let proofs = registry((ChangeKind::HandleMoved, Cause::NewerProof));
        let imports = registry((ChangeKind::HandleMoved, Cause::Import));
        let moves = proofs + imports;
        if moves >= 2 && moves * 2 >= went_away {
            return if imports > proofs { Self::Imported } else { Self::Contested };
        }
        let most = away.max_by_key(|met| met.1).filter(|met| u64::from(met.1) * 2 > went_away);
        match most.map(|met| met.0) {
            Some(Reason::LeaseExpired) => Self::LeaseLapses,
            Some(Reason::DeviceRemoved) => {
                let silent = registry((ChangeKind::HandleUnbound, Cause::Silence));
                let signed_out = registry((ChangeKind::HandleUnbound, Cause::SignOut));
                if silent > signed_out { Self::DeviceSilent } else { Self::SignsOut }
            }
            Some(Reason::Unbound) => Self::Unbinds,
            Some(Reason::Deregistered) => Self::Deregisters,
            Some(Reason::Moved) => Self::Contested,
            Some(Reason::NeverRegistered) => Self::Forgotten,
            _ => Self::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cause of a handle whose changed lookups had these reasons, and that the registry changed like this.
    fn likely(reasons: &[(Reason, u32)], registry: &[((ChangeKind, Cause), u32)]) -> Likely {
        let mut trail = Trail::default();
        for (reason, count) in reasons {
            (0..*count).for_each(|_| trail.reasons.count(*reason));
        }
        for (change, count) in registry {
            (0..*count).for_each(|_| trail.registry.count(*change));
        }
        Likely::of(&trail)
    }

    const MOVED: (ChangeKind, Cause) = (ChangeKind::HandleMoved, Cause::NewerProof);
    const IMPORTED: (ChangeKind, Cause) = (ChangeKind::HandleMoved, Cause::Import);
    const SIGNED_OUT: (ChangeKind, Cause) = (ChangeKind::HandleUnbound, Cause::SignOut);
    const SILENT: (ChangeKind, Cause) = (ChangeKind::HandleUnbound, Cause::Silence);
    const LIVE: (Reason, u32) = (Reason::LiveDevice, 9);

    #[test]
    fn the_reason_of_most_changes_away_decides() {
        for (reason, cause) in [
            (Reason::LeaseExpired, Likely::LeaseLapses),
            (Reason::DeviceRemoved, Likely::SignsOut),
            (Reason::Unbound, Likely::Unbinds),
            (Reason::Deregistered, Likely::Deregisters),
            (Reason::Moved, Likely::Contested),
            (Reason::NeverRegistered, Likely::Forgotten),
        ] {
            let other =
                if reason == Reason::Unbound { Reason::LeaseExpired } else { Reason::Unbound };
            assert_eq!(likely(&[LIVE, (reason, 1)], &[]), cause);
            assert_eq!(likely(&[(other, 1), LIVE, (reason, 2)], &[]), cause);
            assert_eq!(likely(&[(other, 2), LIVE, (reason, 2)], &[]), Likely::Unclear);
            // How often it came back says nothing, and neither does a single move.
            assert_eq!(likely(&[(reason, 3), LIVE, (other, 2)], &[(MOVED, 1)]), cause);
        }
    }

    #[test]
    fn a_removed_device_signed_out_or_was_silent() {
        let removed = (Reason::DeviceRemoved, 3);
        assert_eq!(likely(&[LIVE, removed], &[(SILENT, 2), (SIGNED_OUT, 1)]), Likely::DeviceSilent);
        assert_eq!(likely(&[LIVE, removed], &[(SILENT, 1), (SIGNED_OUT, 1)]), Likely::SignsOut);
        assert_eq!(likely(&[LIVE, removed], &[(SIGNED_OUT, 3)]), Likely::SignsOut);
    }

    #[test]
    fn moves_count_if_there_are_enough() {
        let removed = |count| (Reason::DeviceRemoved, count);
        assert_eq!(likely(&[LIVE, removed(4)], &[(MOVED, 2)]), Likely::Contested);
        assert_eq!(likely(&[LIVE, removed(5)], &[(MOVED, 2)]), Likely::SignsOut);
        assert_eq!(likely(&[LIVE, removed(1)], &[(MOVED, 1)]), Likely::SignsOut);
        assert_eq!(likely(&[LIVE, removed(4)], &[(IMPORTED, 2), (MOVED, 1)]), Likely::Imported);
        assert_eq!(likely(&[LIVE, removed(4)], &[(IMPORTED, 1), (MOVED, 1)]), Likely::Contested);
    }

    #[test]
    fn codes_differ_and_sentences_are_sentences() {
        let mut codes: Vec<_> = Likely::ALL.iter().map(|likely| likely.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Likely::ALL.len());
        assert!(Likely::ALL.iter().all(|likely| likely.sentence().ends_with('.')));
    }
}
