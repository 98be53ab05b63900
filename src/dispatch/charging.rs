//! What a lookup costs its asker, and what comes of handles that its account asked for the first time.

use std::sync::Arc;

use super::{
    answer::{Caller, Refusal},
    charge::Charge,
    lookup::Dispatch,
};
use crate::{
    handle::Handle,
    ids::AccountId,
    limits,
    quota::{Allowance, Exceeded, LookupCall, Standing},
    registry::{Asker, ChangeError},
    vocabulary::{FlagReason, Route},
};

impl Dispatch {
    /// Charges a call for its records and its new handles. None if quotas are off.
    pub(super) async fn charge<'a>(
        &self,
        caller: &Caller,
        asker: Asker,
        units: usize,
        handles: impl Iterator<Item = &'a Handle> + Clone,
    ) -> Result<Option<Charge>, Exceeded> {
        let Asker { account, is_proven, .. } = asker;
        let new = self.quota.find_new(account, handles.clone());
        // Asked after `find_new`, which reads what the quota knows of the flag.
        let is_flagged = !new.is_empty() && self.registry.flag_of(account).is_some();
        let standing = match (is_proven, new.is_empty() || is_flagged) {
            (false, _) => Standing::Unproven,
            // How old the proof is matters only for new handles that the account may get.
            (true, true) => Standing::Older,
            (true, false) => self.proven_standing(account).await,
        };
        let call = LookupCall { account, standing, is_flagged, ip: caller.ip, units };
        let charged = self.quota.spend_lookups(call, handles, new).await?;
        Ok(charged.map(|charged| Charge { charged, standing }))
    }

    /// What an asker's account has left of its new handles. None if quotas are off.
    pub fn allowance(&self, asker: Asker) -> Option<Allowance> {
        // Young and older accounts have the same.
        let standing = if asker.is_proven { Standing::Older } else { Standing::Unproven };
        let state = || self.quota.state_of(asker.account, standing);
        self.quota.is_enabled().then(|| state().allowance)
    }

    /// The standing of an account that holds a handle. Reads the registry's store once an hour for each account that asks for
    /// new handles.
    async fn proven_standing(&self, account: AccountId) -> Standing {
        if let Some(standing) = self.quota.known_standing(account) {
            return standing;
        }
        let registry = Arc::clone(&self.registry);
        let since = tokio::task::spawn_blocking(move || registry.proven_since(account)).await;
        match since {
            Ok(Ok(since)) => self.quota.learn_standing(account, since),
            // Young and older accounts have the same number of new handles.
            Ok(Err(_)) | Err(_) => Standing::Young,
        }
    }

    /// Lets the registry flag an account that asked as a sweep does. Until that is durable the quota suspects the account, which
    /// has the same effect. After a stop, what was found is in the quota's file, and will be found again.
    fn flag(&self, account: AccountId, reason: FlagReason) {
        let (registry, quota) = (Arc::clone(&self.registry), Arc::clone(&self.quota));
        let shutdown = self.shutdown.clone();
        self.shutdown.spawn_on(&self.runtime, "flag", async move {
            while let Err(error) = registry.flag_account(account, reason).await {
                if error == ChangeError::Stopped || shutdown.is_stopping() {
                    return;
                }
                tracing::warn!(%error, "an account is not flagged yet; trying again");
                let pause = tokio::time::sleep(limits::QUOTA_FLAG_RETRY_PAUSE);
                tokio::select! {
                    () = pause => {}
                    () = shutdown.stopping() => {}
                }
            }
            quota.flag_is_stored(account);
        });
    }

    /// Tells the quota which of the new handles of a call are to be answered `imessage`. `answer` gives the answer for the handle
    /// at a place of the call. Call it before anything is recorded.
    ///
    /// # Errors
    /// If they show that the account asks as a sweep does: nothing of the call is answered.
    pub(super) fn observe<'a>(
        &self,
        asker: Asker,
        charge: &Option<Charge>,
        answer: impl Fn(usize) -> Option<(&'a Handle, Route)>,
    ) -> Result<(), Refusal> {
        let Some(Charge { charged, standing }) = charge else { return Ok(()) };
        if charged.new.is_empty() {
            return Ok(());
        }
        let answered = charged.new.iter().filter_map(|place| answer(*place));
        let new = answered.map(|(handle, route)| (handle, route == Route::Imessage));
        let Some(reason) = self.quota.observe(asker.account, *standing, new) else {
            return Ok(());
        };
        self.flag(asker.account, reason);
        Err(Refusal::Exceeded(Exceeded::flagged(charged.new.len())))
    }
}
