//! The likely cause, by plain rules.

use super::{report::Likely, state::Trail};
use crate::vocabulary::{Cause, ChangeKind, HandleLoss, Reason};

/// The first rule that applies:
///
/// 1. It moved at least twice, and at least once for each two times that it went away: by imports if most moves were.
/// 2. More than half of the times that it went away (a lookup that changed and did not find a live device) had the
///    same reason: by that reason. Of a removed device the registry's changes say whether it signed out or was silent.
/// 3. Unclear.
pub(super) fn likely(trail: &Trail) -> Likely {
    let registry = |wanted: (ChangeKind, Cause)| -> u64 {
        trail.registry.iter().find(|counted| counted.0 == wanted).map_or(0, |it| it.1.into())
    };
    let away = trail.reasons.iter().filter(|counted| counted.0 != Reason::LiveDevice);
    let went_away: u64 = away.clone().map(|counted| u64::from(counted.1)).sum();
    let proofs = registry((ChangeKind::HandleMoved, Cause::NewerProof));
    let imports = registry((ChangeKind::HandleMoved, Cause::Import));
    let moves = proofs + imports;
    if moves >= 2 && moves * 2 >= went_away {
        return if imports > proofs { Likely::Imported } else { Likely::Contested };
    }
    let most =
        away.max_by_key(|counted| counted.1).filter(|counted| u64::from(counted.1) * 2 > went_away);
    match most.map(|counted| counted.0) {
        Some(Reason::LeaseExpired) => Likely::LeaseLapses,
        Some(Reason::Lost(HandleLoss::DeviceRemoved)) => {
            let silent = registry((ChangeKind::HandleUnbound, Cause::Silence));
            let signed_out = registry((ChangeKind::HandleUnbound, Cause::SignOut));
            if silent > signed_out { Likely::DeviceSilent } else { Likely::SignsOut }
        }
        Some(Reason::Lost(HandleLoss::Unbound)) => Likely::Unbinds,
        Some(Reason::Lost(HandleLoss::Deregistered)) => Likely::Deregisters,
        Some(Reason::Lost(HandleLoss::Moved)) => Likely::Contested,
        Some(Reason::NeverRegistered) => Likely::Forgotten,
        _ => Likely::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::state, *};

    /// The cause of a handle whose changed lookups had these reasons, and that the registry changed like this.
    fn likely(reasons: &[(Reason, u32)], registry: &[((ChangeKind, Cause), u32)]) -> Likely {
        let mut trail = Trail::default();
        for (reason, count) in reasons {
            (0..*count).for_each(|_| state::count(&mut trail.reasons, *reason));
        }
        for (change, count) in registry {
            (0..*count).for_each(|_| state::count(&mut trail.registry, *change));
        }
        super::likely(&trail)
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
            (Reason::Lost(HandleLoss::DeviceRemoved), Likely::SignsOut),
            (Reason::Lost(HandleLoss::Unbound), Likely::Unbinds),
            (Reason::Lost(HandleLoss::Deregistered), Likely::Deregisters),
            (Reason::Lost(HandleLoss::Moved), Likely::Contested),
            (Reason::NeverRegistered, Likely::Forgotten),
        ] {
            let other = if reason == Reason::Lost(HandleLoss::Unbound) {
                Reason::LeaseExpired
            } else {
                Reason::Lost(HandleLoss::Unbound)
            };
            assert_eq!(likely(&[LIVE, (reason, 1)], &[]), cause);
            assert_eq!(likely(&[(other, 1), LIVE, (reason, 2)], &[]), cause);
            assert_eq!(likely(&[(other, 2), LIVE, (reason, 2)], &[]), Likely::Unclear);
            // How often it came back says nothing, and neither does a single move.
            assert_eq!(likely(&[(reason, 3), LIVE, (other, 2)], &[(MOVED, 1)]), cause);
        }
    }

    #[test]
    fn a_removed_device_signed_out_or_was_silent() {
        let removed = (Reason::Lost(HandleLoss::DeviceRemoved), 3);
        assert_eq!(likely(&[LIVE, removed], &[(SILENT, 2), (SIGNED_OUT, 1)]), Likely::DeviceSilent);
        assert_eq!(likely(&[LIVE, removed], &[(SILENT, 1), (SIGNED_OUT, 1)]), Likely::SignsOut);
        assert_eq!(likely(&[LIVE, removed], &[(SIGNED_OUT, 3)]), Likely::SignsOut);
    }

    #[test]
    fn moves_count_if_there_are_enough() {
        let removed = |count| (Reason::Lost(HandleLoss::DeviceRemoved), count);
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
