//! The quota alone, on a clock that scenarios move, with what a lookup does to it and what the registry keeps of flags.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use dispatchd::{
    clock::{Clock as _, ManualClock, Timestamp},
    handle::Handle,
    ids::AccountId,
    limits::FLAG_CLEARED_BY_PROOF_EVERY,
    quota::{Config, LookupCall, Quota, Standing},
    vocabulary::QuotaLimit,
};

/// When every scenario begins.
const START: Timestamp = Timestamp::from_secs(1_790_000_000);

/// An account that asks.
#[derive(Clone, Copy)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    /// When it proved a handle. None: it holds none.
    pub(crate) proven_since: Option<Timestamp>,
    pub(crate) ip: IpAddr,
}

/// The quota, and the accounts that are flagged.
pub(crate) struct Core {
    clock: Arc<ManualClock>,
    pub(crate) quota: Quota,
    flagged: HashSet<AccountId>,
    /// When a proof may clear another flag of the account.
    clears_again: HashMap<AccountId, Timestamp>,
}

impl Core {
    /// A service with the default quota, on which nobody has asked yet.
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at(START);
        let quota = Quota::new(Config::default(), Arc::clone(&clock) as _);
        Self { clock, quota, flagged: HashSet::new(), clears_again: HashMap::new() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.clock.advance(span);
        self.quota.tick();
    }

    /// Asks for handles in one request, and says which of them are on the service. An error is the limit that was exceeded.
    pub(crate) fn ask(
        &mut self,
        account: Account,
        handles: &[(Handle, bool)],
    ) -> Result<(), QuotaLimit> {
        let standing = Standing::of(account.proven_since, self.now());
        let is_flagged = self.flagged.contains(&account.id);
        let (id, ip, units) = (account.id, account.ip, handles.len());
        let call = LookupCall { account: id, standing, is_flagged, ip, units };
        let asked = handles.iter().map(|(handle, _)| handle);
        let charged = self.quota.charge_lookups(call, asked).map_err(|exceeded| exceeded.limit)?;
        let new = charged.map_or_else(Vec::new, |charged| charged.new);
        if new.is_empty() {
            return Ok(());
        }
        let answered = new.iter().map(|place| &handles[*place]);
        let answered = answered.map(|(handle, is_hit)| (handle, *is_hit));
        if self.quota.observe(id, standing, answered).is_some() {
            self.flagged.insert(id);
            self.quota.flag_is_stored(id);
            // The service answers nothing of such a call.
            return Err(QuotaLimit::Flagged);
        }
        Ok(())
    }

    /// A proof of the account clears its flag, unless one did in the last seven days.
    pub(crate) fn prove(&mut self, account: Account) {
        let now = self.now();
        if self.clears_again.get(&account.id).is_none_or(|again| *again <= now)
            && self.flagged.remove(&account.id)
        {
            self.clears_again.insert(account.id, now.plus(FLAG_CLEARED_BY_PROOF_EVERY));
        }
    }
}
