//! [`RowsView`]: reading the expiring rows, and the flags among them.

use std::{cmp::Reverse, collections::BinaryHeap, sync::RwLockReadGuard};

use crate::{
    clock::Timestamp,
    ids::AccountId,
    vocabulary::{Cause, FlagReason},
};

use super::{
    directory::Registry,
    error::Loading,
    expiring::{ExpiringRows, RowKind},
    flag::AccountFlag,
};

/// The registry's small durable rows at one point in time.
///
/// While a view is held, no change of rows becomes visible: hold it for microseconds. What it shows may have changed
/// when a command runs, so decide in the command's plan what must be decided once.
#[must_use = "a view shows rows"]
pub struct RowsView<'a> {
    rows: RwLockReadGuard<'a, ExpiringRows>,
    now: Timestamp,
}

impl RowsView<'_> {
    /// The view's point in time, by which ends are judged.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The value of a row. None if there is none, or once it has ended.
    pub fn get(&self, kind: RowKind, key: &[u8]) -> Option<&[u8]> {
        let row = self.rows.get(kind, key).filter(|row| !row.has_ended(self.now));
        row.map(|row| &*row.value)
    }

    /// How many rows of a kind there are. Rows that have ended count until they are dropped, soon after.
    pub fn count(&self, kind: RowKind) -> usize {
        self.rows.count(kind)
    }

    /// Shows key and value of each row of a kind that has not ended, in the order of the keys.
    pub fn each(&self, kind: RowKind, mut visit: impl FnMut(&[u8], &[u8])) {
        for (key, row) in self.rows.each(kind).filter(|(_, row)| !row.has_ended(self.now)) {
            visit(key, &row.value);
        }
    }
}

impl Registry {
    /// The rows that are visible now: for metrics, and for refusals that need no commit.
    pub fn rows(&self) -> Result<RowsView<'_>, Loading> {
        self.shared.loaded().map(drop)?;
        Ok(self.rows_so_far())
    }

    /// The rows that are visible now. While the registry loads, only rows of [`RowKind::Operator`] are.
    pub fn rows_so_far(&self) -> RowsView<'_> {
        RowsView { rows: self.shared.rows(), now: self.shared.clock.now() }
    }

    /// Why the account gets no new handles; none if it is not flagged. While no account is flagged, this reads one number.
    pub fn flag_of(&self, account: AccountId) -> Option<AccountFlag> {
        if self.flag_count() == 0 {
            return None;
        }
        let rows = self.shared.rows();
        AccountFlag::read(&rows.get(RowKind::Flag, &AccountFlag::key(account))?.value)
    }

    /// The `most` newest flags, the newest first. Those of one instant are in the order of their accounts' ids. Keeps no more of
    /// them in memory.
    pub fn newest_flags(&self, most: usize) -> Result<Vec<(AccountId, AccountFlag)>, Loading> {
        // The oldest one that is kept is on top.
        let mut newest = BinaryHeap::new();
        self.rows()?.each(RowKind::Flag, |key, value| {
            let account = key.try_into().map(u64::from_be_bytes);
            if let Some((account, flag)) = account.ok().zip(AccountFlag::read(value)) {
                newest.push((Reverse(flag.at), account, flag.reason.number()));
                if newest.len() > most {
                    newest.pop();
                }
            }
        });
        let flag = |(Reverse(at), account, reason)| {
            let reason = FlagReason::from_number(reason)?;
            Some((AccountId::from_bits(account), AccountFlag { reason, at }))
        };
        Ok(newest.into_sorted_vec().into_iter().filter_map(flag).collect())
    }

    /// How many flags were set or cleared for this cause, since the start.
    pub fn flags_changed(&self, cause: Cause) -> u64 {
        self.shared.flag_counts.of(cause)
    }

    /// How many accounts are flagged.
    pub fn flag_count(&self) -> usize {
        self.shared.flag_count()
    }
}
