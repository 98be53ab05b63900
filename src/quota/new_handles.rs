//! [`NewHandles`]: the limits on handles that an account has not asked for in 30 days.

use std::{collections::HashSet, time::Duration};

use super::{
    accounts::{AccountState, Accounts, FlagMark, Full},
    asked::{AskedHandles, hour_mark},
    budgets::{self, Budgets},
    call::LookupCall,
    config::Config,
    counter::Counter,
    fingerprint::{Fingerprint, FingerprintKey},
    limit::{Allowance, Charged, Exceeded},
    rate::{Rate, micros},
    standing::Standing,
    sweep::Detector,
    unwritten::Unwritten,
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, random_u64},
    limits,
    redacted::redacted_debug,
    vocabulary::{FlagReason, QuotaLimit},
};

/// The handles of one call that are new to its account.
#[derive(Clone, Default)]
pub struct NewToAccount {
    /// Their places in the call, in ascending order.
    pub(super) places: Vec<usize>,
    fingerprints: Vec<Fingerprint>,
    /// Whether the quota knew then that the registry had stored a flag of the account.
    was_flagged: bool,
    /// When they were looked up. The call is charged at that time: each reading of a clock costs a lookup 30 ns.
    pub(super) at: Instants,
}

redacted_debug!(NewToAccount);

impl NewToAccount {
    /// Whether no handle is new: the call is free of the limits on new handles.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn cost(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// Those of `handles`, which are the handles of the call.
    fn pick<'a>(
        &self,
        handles: impl Iterator<Item = &'a Handle>,
    ) -> impl Iterator<Item = &'a Handle> {
        let mut places = self.places.iter().copied().peekable();
        let is_new = move |(place, handle)| places.next_if_eq(&place).map(|_| handle);
        handles.enumerate().filter_map(is_new)
    }
}

/// How many budgets pay for a call, the narrowest first.
const fn budgets_of(standing: Standing) -> usize {
    match standing {
        Standing::Unproven => 3,
        _ => 1,
    }
}

/// What a call has paid for new handles. They stay new until [`NewHandles::settle`].
pub(super) struct Paid {
    allowance: Allowance,
    /// How much the day paid, and how much the address book.
    pub(super) parts: (u32, u32),
    new: NewToAccount,
}

/// An instant by both clocks.
#[derive(Clone, Copy, Default)]
pub(super) struct Instants {
    /// Trusted time.
    pub(super) now: Timestamp,
    /// The boot clock, which nobody can set.
    pub(super) boot: Duration,
}

/// Counts new handles.
pub(super) struct NewHandles {
    pub(super) key: FingerprintKey,
    pub(super) asked: AskedHandles,
    pub(super) accounts: Accounts,
    pub(super) budgets: Budgets,
    pub(super) detector: Detector,
    pub(super) unwritten: Unwritten,
    pub(super) daily: Rate,
    pub(super) import: Rate,
}

impl NewHandles {
    /// Remembers handles for `kept`, with their fingerprints under `key`.
    pub(super) fn new(
        config: &Config,
        key: FingerprintKey,
        kept: Duration,
        unwritten: Unwritten,
    ) -> Self {
        let for_accounts = config.memory / limits::QUOTA_ACCOUNTS_PART;
        Self {
            key,
            asked: AskedHandles::new(config.memory - for_accounts, kept),
            accounts: Accounts::new(for_accounts),
            budgets: Budgets::new(config),
            detector: Detector::new(random_u64()),
            unwritten,
            daily: Counter::NewHandles.rate(config),
            import: Counter::AddressBook.rate(config),
        }
    }

    /// Which handles of a call are new to the account. One subscriber counts once.
    pub(super) fn find<'a>(
        &self,
        account: AccountId,
        handles: impl Iterator<Item = &'a Handle>,
        at: Instants,
    ) -> NewToAccount {
        let mut new = NewToAccount { at, ..NewToAccount::default() };
        let (mut place, hour) = (0, hour_mark(at.now));
        let mut met = HashSet::new();
        self.key.each(account, handles, |fingerprint| {
            if !self.asked.holds(fingerprint, hour) && met.insert(fingerprint) {
                new.places.push(place);
                new.fingerprints.push(fingerprint);
            }
            place += 1;
        });
        if !new.is_empty() {
            new.was_flagged = self.accounts.get(account).flag == FlagMark::Stored;
        }
        new
    }

    /// Charges what is new of a call: all or nothing.
    pub(super) fn charge<'a>(
        &self,
        call: &LookupCall,
        handles: impl Iterator<Item = &'a Handle>,
        new: NewToAccount,
    ) -> Result<Paid, Exceeded> {
        let at = new.at;
        if new.is_empty() {
            let state = self.accounts.get(call.account);
            let allowance = self.allowance(&state, call.standing, at.boot);
            return Ok(Paid { allowance, parts: (0, 0), new });
        }
        let cost = new.cost();
        if call.standing != Standing::Older && self.is_sweep(new.pick(handles), cost, at.now) {
            return Err(Exceeded::until_cleared(QuotaLimit::SweptNumbers, cost));
        }
        let (allowance, parts) = self.charge_account(call, cost, &new)?;
        let budgets = &budgets::of_call(call.ip)[..budgets_of(call.standing)];
        let charged = self.budgets.charge(budgets, cost, at.boot);
        charged.inspect_err(|_| {
            self.refund_account(call, parts, at.boot);
        })?;
        Ok(Paid { allowance, parts, new })
    }

    /// Remembers the handles that a call has paid for: they are repeats from now on. Returns what the account has left, and what was charged
    /// as new: not what another call of the account was charged for meanwhile.
    pub(super) fn settle(&self, call: &LookupCall, paid: Paid) -> Charged {
        let Paid { mut allowance, mut parts, new } = paid;
        let NewToAccount { places, fingerprints, at, .. } = new;
        if places.is_empty() {
            return Charged { allowance, new: places, parts };
        }
        let budgets = &budgets::of_call(call.ip)[..budgets_of(call.standing)];
        let hour = hour_mark(at.now);
        let places: Vec<_> = (places.into_iter().zip(&fingerprints))
            .filter_map(|(place, of)| self.asked.insert(*of, hour, hour).then_some(place))
            .collect();
        let doubles = (fingerprints.len() - places.len()) as u32;
        if doubles > 0 {
            // Of the address book first, which was charged last.
            let import = parts.1.min(doubles);
            let back = (doubles - import, import);
            allowance = self.refund_account(call, back, at.boot).unwrap_or(allowance);
            parts = (parts.0 - back.0, parts.1 - back.1);
            self.budgets.refund(budgets, doubles);
        }
        self.unwritten.add(&fingerprints, Some(call.account), budgets);
        Charged { allowance, new: places, parts }
    }

    /// Whether so many of the new handles of a call lie in swept blocks that it is no address book. One that is asked for alone
    /// is too many.
    fn is_sweep<'a>(
        &self,
        new: impl Iterator<Item = &'a Handle>,
        cost: u32,
        now: Timestamp,
    ) -> bool {
        let swept = new.filter(|handle| self.detector.is_swept(handle, now)).count();
        swept as u64 * limits::QUOTA_SWEPT_PART > u64::from(cost)
    }

    /// Charges the daily bucket first and the address book for the rest. Returns what is left, and both parts.
    fn charge_account(
        &self,
        call: &LookupCall,
        cost: u32,
        new: &NewToAccount,
    ) -> Result<(Allowance, (u32, u32)), Exceeded> {
        let (at, now_us) = (new.at, micros(new.at.boot));
        let charge = |state: &mut AccountState| {
            if is_flagged(state, call.is_flagged, new.was_flagged) {
                return Err(Exceeded::until_cleared(QuotaLimit::Flagged, cost));
            }
            if call.standing == Standing::Unproven {
                state.standing = None;
            }
            let left = self.allowance(state, call.standing, at.boot);
            if left.remaining() < cost {
                let retry_after = self.wait(state, call.standing, cost, at.boot);
                let (limit, remaining) = (QuotaLimit::NewHandles, left.remaining());
                return Err(Exceeded { limit, cost, remaining, most: left.most(), retry_after });
            }
            let daily = cost.min(left.daily.remaining);
            state.daily_us = self.daily.without(state.daily_us, daily, now_us);
            if cost > daily {
                state.import_us = self.import.without(state.import_us, cost - daily, now_us);
            }
            state.active_us = now_us;
            let left = self.allowance(state, call.standing, at.boot);
            Ok((left, (daily, cost - daily)))
        };
        let charged = self.accounts.change_or_add(call.account, now_us, charge);
        charged.unwrap_or_else(|Full| {
            let (limit, retry_after) = (QuotaLimit::NewHandles, Duration::from_secs(1));
            Err(Exceeded { limit, cost, remaining: 0, most: cost, retry_after })
        })
    }

    /// Takes parts of a charge back. Returns what the account has left.
    pub(super) fn refund_account(
        &self,
        call: &LookupCall,
        (daily, import): (u32, u32),
        boot: Duration,
    ) -> Option<Allowance> {
        self.accounts.change(call.account, |state| {
            state.daily_us = self.daily.with(state.daily_us, daily);
            state.import_us = self.import.with(state.import_us, import);
            self.allowance(state, call.standing, boot)
        })
    }

    /// Tells the detector what came of the new handles of an account. Some: it is suspected from now on, and the handles are not
    /// to be answered. They stay new to the account: else it could ask for them again as repeats.
    pub(super) fn observe<'a>(
        &self,
        account: AccountId,
        standing: Standing,
        new: impl Iterator<Item = (&'a Handle, bool)> + Clone,
        now: Timestamp,
    ) -> Option<FlagReason> {
        let observe = |state: &mut AccountState| {
            let items = new.clone();
            let found = self.detector.observe(&mut state.evidence, standing, items, now);
            if found.is_some() {
                state.flag = FlagMark::Suspected;
            }
            found
        };
        let found = self.accounts.change(account, observe).flatten();
        if found.is_some() {
            self.forget(account, new.map(|(handle, _)| handle));
        }
        self.unwritten.add(&[], Some(account), &[]);
        found
    }

    /// Makes handles new to an account again that it is not answered.
    pub(super) fn forget<'a>(
        &self,
        account: AccountId,
        unanswered: impl Iterator<Item = &'a Handle>,
    ) {
        let mut forgotten = HashSet::new();
        self.key.each(account, unanswered, |fingerprint| {
            self.asked.remove(fingerprint);
            forgotten.insert(fingerprint);
        });
        self.unwritten.remove(&forgotten);
    }
}

/// Whether the account is flagged: in the registry now, or as the quota knows. A flag that was stored before the registry was
/// asked, and is not there, was cleared: what was found against the account is forgotten, and its proof is read again.
fn is_flagged(state: &mut AccountState, is_in_registry: bool, was_stored: bool) -> bool {
    if is_in_registry {
        state.flag = FlagMark::Stored;
    } else if was_stored && state.flag == FlagMark::Stored {
        state.flag = FlagMark::None;
        state.evidence = state.evidence.cleared();
        state.standing = None;
    }
    state.flag != FlagMark::None
}
