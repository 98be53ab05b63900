//! [`Unwritten`]: what has changed since the last write of the quota's files.

use std::{collections::HashSet, mem, sync::Mutex};

use super::{budgets::Budget, fingerprint::Fingerprint};
use crate::{ids::AccountId, limits, lock::lock};

/// What has changed.
#[derive(Default)]
pub(super) struct Changes {
    /// Asked handles.
    pub(super) asked: Vec<Fingerprint>,
    /// Accounts whose state changed.
    pub(super) accounts: HashSet<AccountId>,
    /// Budgets that were charged.
    pub(super) budgets: HashSet<Budget>,
}

/// Changes that are not written yet, a bounded number of them.
#[derive(Default)]
pub(super) struct Unwritten(Option<Mutex<Changes>>);

impl Unwritten {
    /// For a quota that has files. Without files, nothing is kept.
    pub(super) fn for_files() -> Self {
        Self(Some(Mutex::default()))
    }

    /// Adds changes. If too many wait, asked handles are not kept; the states of accounts and budgets are bounded by themselves.
    pub(super) fn add(
        &self,
        asked: &[Fingerprint],
        account: Option<AccountId>,
        budgets: &[Budget],
    ) {
        let Some(changes) = &self.0 else { return };
        let mut changes = lock(changes);
        let space = limits::QUOTA_UNWRITTEN_MAX.saturating_sub(changes.asked.len());
        changes.asked.extend(asked.iter().take(space));
        changes.accounts.extend(account);
        changes.budgets.extend(budgets);
    }

    /// Drops asked handles that were not answered.
    pub(super) fn remove(&self, asked: &HashSet<Fingerprint>) {
        let Some(changes) = &self.0 else { return };
        lock(changes).asked.retain(|fingerprint| !asked.contains(fingerprint));
    }

    /// Takes all changes; none if there are none.
    pub(super) fn take(&self) -> Option<Changes> {
        let changes = mem::take(&mut *lock(self.0.as_ref()?));
        let Changes { asked, accounts, budgets } = &changes;
        let is_empty = asked.is_empty() && accounts.is_empty() && budgets.is_empty();
        (!is_empty).then_some(changes)
    }

    /// Puts changes back that could not be written.
    pub(super) fn put_back(&self, former: Changes) {
        let Some(changes) = &self.0 else { return };
        let mut changes = lock(changes);
        let space = limits::QUOTA_UNWRITTEN_MAX.saturating_sub(changes.asked.len());
        changes.asked.extend(former.asked.iter().take(space));
        changes.accounts.extend(former.accounts);
        changes.budgets.extend(former.budgets);
    }
}
