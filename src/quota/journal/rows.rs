//! What the frames of the quota's files hold.
//!
//! ```text
//! 0  1  kind of the rows
//! 1  8  trusted time when the rows were written, in microseconds since the Unix epoch
//! 9  n  rows of that kind, one after the other
//! ```
//!
//! Numbers are little endian. Spans are microseconds and count from the time of the frame.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    ids::AccountId,
    quota::{
        accounts::{AccountState, FlagMark},
        budgets::Budget,
        fingerprint::{Fingerprint, KEY_BYTES},
        rate::micros,
        sweep::{EVIDENCE_BYTES, Evidence},
    },
};

/// The key of the fingerprints, one row. It is in every file, so that no other file must outlive this one.
pub(super) const KEY: u8 = 1;
/// Asked handles.
pub(super) const FINGERPRINTS: u8 = 2;
/// States of accounts as version 0.3 wrote them: without the last two bytes of the evidence.
pub(super) const ACCOUNTS_0_3: u8 = 3;
/// Budgets. A later one replaces an earlier one.
pub(super) const BUDGETS: u8 = 4;
/// The state of the detector, as its only row.
pub(super) const DETECTOR: u8 = 5;
/// States of accounts. A later one replaces an earlier one.
pub(super) const ACCOUNTS: u8 = 6;

pub(super) const HEAD_BYTES: usize = 9;
pub(super) const FINGERPRINT_BYTES: usize = 8;
pub(super) const ACCOUNT_BYTES: usize = 33 + EVIDENCE_BYTES;
const ACCOUNT_0_3_BYTES: usize = 51;
pub(super) const BUDGET_BYTES: usize = 17;

/// The content of one frame.
pub(super) struct Rows<'a> {
    pub(super) kind: u8,
    pub(super) at: Timestamp,
    pub(super) bytes: &'a [u8],
}

impl<'a> Rows<'a> {
    pub(super) fn read(content: &'a [u8]) -> Option<Self> {
        let (head, bytes) = content.split_first_chunk::<HEAD_BYTES>()?;
        let [kind, at @ ..] = *head;
        Some(Self { kind, at: Timestamp::from_micros(u64::from_le_bytes(at)), bytes })
    }

    pub(super) fn key(&self) -> Option<[u8; KEY_BYTES]> {
        (self.kind == KEY).then(|| self.bytes.try_into().ok())?
    }
}

/// The head of a frame's content, to which rows are appended.
pub(super) fn head(kind: u8, at: Timestamp) -> [u8; HEAD_BYTES] {
    let mut head = [kind; HEAD_BYTES];
    head[1..].copy_from_slice(&at.as_micros().to_le_bytes());
    head
}

pub(super) fn fingerprint(row: &[u8; FINGERPRINT_BYTES]) -> Fingerprint {
    Fingerprint::from_le_bytes(*row)
}

pub(super) fn account_row(
    account: AccountId,
    state: &AccountState,
    boot: Duration,
) -> [u8; ACCOUNT_BYTES] {
    let now_us = micros(boot);
    let mut row = [0; ACCOUNT_BYTES];
    let spans = [
        account.bits(),
        state.daily_us.saturating_sub(now_us),
        state.import_us.saturating_sub(now_us),
        now_us.saturating_sub(state.active_us),
    ];
    row[..32].copy_from_slice(spans.map(u64::to_le_bytes).as_flattened());
    row[32] = (state.flag == FlagMark::Stored).into();
    row[33..].copy_from_slice(&state.evidence.to_bytes());
    row
}

/// The rows of a frame of accounts. Those of version 0.3 lack how many days the account was in use: it counts from now on.
pub(super) fn account_rows(rows: &Rows<'_>) -> Vec<[u8; ACCOUNT_BYTES]> {
    if rows.kind == ACCOUNTS {
        return rows.bytes.as_chunks().0.to_vec();
    }
    let longer = |row: &[u8; ACCOUNT_0_3_BYTES]| {
        let mut longer = [0; ACCOUNT_BYTES];
        longer[..ACCOUNT_0_3_BYTES].copy_from_slice(row);
        longer
    };
    rows.bytes.as_chunks().0.iter().map(longer).collect()
}

/// Reads a row that was written `elapsed` ago. What the detector only suspected is found again, and what the account proved is asked
/// of the registry again.
pub(super) fn account(
    row: &[u8; ACCOUNT_BYTES],
    elapsed: Duration,
    boot: Duration,
) -> (AccountId, AccountState) {
    let (numbers, rest) = row.split_at(32);
    let number = |at: usize| numbers.as_chunks().0.get(at).copied().map_or(0, u64::from_le_bytes);
    let (now_us, elapsed_us) = (micros(boot), micros(elapsed));
    let full_at = |debt_us: u64| match debt_us.saturating_sub(elapsed_us) {
        0 => 0,
        debt_us => now_us.saturating_add(debt_us),
    };
    let mut evidence = [0; EVIDENCE_BYTES];
    evidence.copy_from_slice(&rest[1..]);
    let state = AccountState {
        daily_us: full_at(number(1)),
        import_us: full_at(number(2)),
        active_us: now_us.saturating_sub(elapsed_us.saturating_add(number(3))),
        standing: None,
        standing_hour: 0,
        flag: if rest[0] == 1 { FlagMark::Stored } else { FlagMark::None },
        evidence: Evidence::from_bytes(evidence),
    };
    (AccountId::from_bits(number(0)), state)
}

pub(super) fn budget_row(budget: Budget, debt: Duration) -> [u8; BUDGET_BYTES] {
    let (kind, network) = match budget {
        Budget::Network(network) => (1, network),
        Budget::UnprovenNetwork(network) => (2, network),
        Budget::Unproven => (3, 0),
    };
    let mut row = [kind; BUDGET_BYTES];
    row[1..].copy_from_slice([network, micros(debt)].map(u64::to_le_bytes).as_flattened());
    row
}

/// A budget and its debt when the row was written. None if it is no row.
pub(super) fn budget(row: &[u8; BUDGET_BYTES]) -> Option<(Budget, Duration)> {
    let (kind, numbers) = row.split_first()?;
    let (numbers, _) = numbers.as_chunks();
    let [network, debt_us] = *numbers else { return None };
    let network = u64::from_le_bytes(network);
    let budget = match kind {
        1 => Budget::Network(network),
        2 => Budget::UnprovenNetwork(network),
        3 => Budget::Unproven,
        _ => return None,
    };
    Some((budget, Duration::from_micros(u64::from_le_bytes(debt_us))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quota::standing::Standing;

    proptest! {
        #[test]
        fn a_state_is_read_back_with_the_time_that_passed(
            bits: u64,
            spans in [0..10_000_u64, 0..10_000_u64, 0..10_000_u64],
            elapsed in 0..20_000_u64,
            is_stored: bool,
            evidence: [u8; EVIDENCE_BYTES],
        ) {
            let (written, read) = (Duration::from_micros(50_000), Duration::from_micros(70_000));
            let state = AccountState {
                daily_us: 50_000 + spans[0],
                import_us: 50_000 + spans[1],
                active_us: 50_000 - spans[2],
                standing: Some(Standing::Young),
                standing_hour: 7,
                flag: if is_stored { FlagMark::Stored } else { FlagMark::Suspected },
                evidence: Evidence::from_bytes(evidence),
            };
            let row = account_row(AccountId::from_bits(bits), &state, written);
            let (id, back) = account(&row, Duration::from_micros(elapsed), read);
            let full_at = |debt: u64| if debt > elapsed { 70_000 + debt - elapsed } else { 0 };
            prop_assert_eq!(id.bits(), bits);
            prop_assert_eq!(back, AccountState {
                daily_us: full_at(spans[0]),
                import_us: full_at(spans[1]),
                active_us: 70_000 - elapsed - spans[2],
                standing: None,
                standing_hour: 0,
                flag: if is_stored { FlagMark::Stored } else { FlagMark::None },
                ..state
            });
        }

        #[test]
        fn accounts_of_version_0_3_are_read(rows: Vec<[u8; ACCOUNT_0_3_BYTES]>) {
            let (at, bytes) = (Timestamp::from_secs(1), rows.as_flattened());
            let read = account_rows(&Rows { kind: ACCOUNTS_0_3, at, bytes });
            prop_assert_eq!(read.len(), rows.len());
            for (read, row) in read.iter().zip(&rows) {
                prop_assert!(read.starts_with(row) && read.ends_with(&[0, 0]));
            }
        }

        #[test]
        fn a_budget_is_read_back_and_other_bytes_are_none(network: u64, debt_us: u64, kind: u8) {
            let debt = Duration::from_micros(debt_us);
            for budget_of in [Budget::Network(network), Budget::UnprovenNetwork(network), Budget::Unproven] {
                let mut row = budget_row(budget_of, debt);
                prop_assert_eq!(budget(&row), Some((budget_of, debt)));
                row[0] = kind;
                prop_assert_eq!(budget(&row).is_some(), (1..=3).contains(&kind));
            }
        }
    }
}
