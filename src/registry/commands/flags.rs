//! Commands of flags: an account gets no new handles, or gets them again.

use crate::{
    ids::AccountId,
    limits::FLAG_CLEARED_BY_PROOF_EVERY,
    vocabulary::{Cause, ChangeKind, FlagReason},
};

use crate::registry::{
    directory::Registry, error::ChangeError, expiring::RowKind, flag::AccountFlag, job::Touches,
    plan::Plan,
};

impl Registry {
    /// Flags an account: it gets no new handles until it proves a handle or an operator clears it. False if it is flagged
    /// already or there is no such account.
    pub async fn flag_account(
        &self,
        account: AccountId,
        why: FlagReason,
    ) -> Result<bool, ChangeError> {
        let touches = Touches { account: Some(account), ..Touches::default() };
        self.submit(touches, move |plan| flag(plan, account, why)).await
    }

    /// Clears the flag of an account as an operator asks. False if it has none.
    pub async fn clear_flag(&self, account: AccountId) -> Result<bool, ChangeError> {
        let touches = Touches { account: Some(account), ..Touches::default() };
        let clear = move |plan: &mut Plan| {
            let key = AccountFlag::key(account);
            let ((), drafted) = plan.draft_rows(|rows| rows.remove(RowKind::FlagCleared, &key));
            plan.change_rows(drafted);
            Ok(unflag(plan, account, Cause::Operator))
        };
        self.submit(touches, clear).await
    }
}

fn flag(plan: &mut Plan, account: AccountId, reason: FlagReason) -> Result<bool, ChangeError> {
    if plan.stored(account)?.is_none() {
        return Ok(false);
    }
    let is_new = plan.set_flag(account, Some(AccountFlag { reason, at: plan.now }));
    if is_new {
        plan.record(ChangeKind::AccountFlagged, Cause::Flag(reason), None, None, Some(account));
    }
    Ok(is_new)
}

/// Clears the flag of an account that proves a handle, unless a proof has cleared one lately: whoever sweeps can prove as many
/// addresses as a domain has.
pub(super) fn unflag_by_proof(plan: &mut Plan, account: AccountId) {
    let (key, ends_at) = (AccountFlag::key(account), plan.now.plus(FLAG_CLEARED_BY_PROOF_EVERY));
    let (is_first, drafted) = plan.draft_rows(|rows| {
        let is_first = rows.get(RowKind::FlagCleared, &key).is_none();
        rows.put(RowKind::FlagCleared, &key, Some(ends_at), Vec::new());
        is_first
    });
    if is_first && unflag(plan, account, Cause::Proof) {
        plan.change_rows(drafted);
    }
}

/// Clears the flag of an account, if it has one.
fn unflag(plan: &mut Plan, account: AccountId, cause: Cause) -> bool {
    let had_one = plan.set_flag(account, None);
    if had_one {
        plan.record(ChangeKind::AccountCleared, cause, None, None, Some(account));
    }
    had_one
}
