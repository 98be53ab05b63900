//! [`Quota`]: the counters behind the limits.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use super::{
    accounts::{AccountState, FlagMark},
    asked::hour_mark,
    call::LookupCall,
    config::Config,
    counter::Counter,
    fingerprint::FingerprintKey,
    journal::{Journal, QuotaFiles},
    keyed::{Keyed, network_key},
    limit::{Charged, Exceeded},
    new_handles::{Instants, NewHandles, NewToAccount, Paid},
    rate::micros,
    sharing::Sharing,
    standing::Standing,
    unwritten::Unwritten,
};
use crate::{
    clock::{SharedClock, Timestamp},
    handle::Handle,
    ids::AccountId,
    limits,
    redacted::redacted_debug,
    vocabulary::{FlagReason, QuotaLimit},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Counts what accounts and networks ask.
pub struct Quota {
    pub(super) config: Config,
    pub(super) clock: SharedClock,
    pub(super) new_handles: NewHandles,
    /// None if everything ends with the process.
    journal: Option<Journal>,
    /// None unless other nodes of a cluster count with this one.
    pub(super) sharing: Option<Sharing>,
    pub(super) requests: Keyed,
    pub(super) lookups: Keyed,
    pub(super) network_lookups: Keyed,
    pub(super) unproven_lookups: Keyed,
    pub(super) changes: Keyed,
    pub(super) sign_ups: Keyed,
    pub(super) all_sign_ups: Keyed,
    refusals: Keyed,
    all_refusals: Keyed,
}

impl Quota {
    /// Counters at zero, which end with the process.
    pub fn new(config: Config, clock: SharedClock) -> Self {
        let (key, kept) = (FingerprintKey::random(), limits::LOG_RETENTION_MAX);
        let new_handles = NewHandles::new(&config, key, kept, Unwritten::default());
        Self::with(config, clock, new_handles, None)
    }

    /// A quota that remembers new handles in files. Until [`Self::restore`] it knows nothing of an earlier run.
    ///
    /// # Errors
    /// If the directory cannot be created or read.
    pub fn open(config: Config, clock: SharedClock, files: QuotaFiles) -> io::Result<Self> {
        let (kept, is_shared) = (files.retention, files.shared_key.is_some());
        let (journal, key) = Journal::open(files, Arc::clone(&clock))?;
        let new_handles = NewHandles::new(&config, key, kept, Unwritten::for_files());
        let quota = Self::with(config, clock, new_handles, Some(journal));
        Ok(if is_shared { quota.shared() } else { quota })
    }

    fn with(
        config: Config,
        clock: SharedClock,
        new_handles: NewHandles,
        journal: Option<Journal>,
    ) -> Self {
        let counting = |counter: Counter| counter.counting(&config);
        Self {
            new_handles,
            journal,
            sharing: None,
            requests: counting(Counter::Requests),
            lookups: counting(Counter::Lookups),
            network_lookups: counting(Counter::NetworkLookups),
            unproven_lookups: counting(Counter::UnprovenLookups),
            changes: counting(Counter::Changes),
            sign_ups: counting(Counter::SignUps),
            all_sign_ups: counting(Counter::AllSignUps),
            refusals: Keyed::new(limits::REFUSALS_RECORDED_PER_MINUTE_MAX, MINUTE),
            all_refusals: Keyed::new(config.refusals_recorded_per_minute, MINUTE),
            config,
            clock,
        }
    }

    /// Counts together with the other nodes of a cluster, unless quotas are disabled. See [`Sharing`].
    #[must_use]
    pub fn shared(self) -> Self {
        let sharing =
            self.config.enabled.then(|| Sharing::new(&self.config, Arc::clone(&self.clock)));
        Self { sharing, ..self }
    }

    /// What is told to the other nodes. None if there are none.
    pub fn sharing(&self) -> Option<&Sharing> {
        self.sharing.as_ref()
    }

    /// Reads back what an earlier run has written: 100 million asked handles take some seconds. Call it before the first lookup. What
    /// is damaged is passed over.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn restore(&self) -> io::Result<()> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.restore(&self.new_handles))
    }

    /// Whether the memory knows what an earlier run has written.
    pub(super) fn is_restored(&self) -> bool {
        self.journal.as_ref().is_none_or(Journal::is_restored)
    }

    /// Writes what has changed; nothing before [`Self::restore`] succeeded. Call it every [`limits::QUOTA_WRITE_EVERY`] and at the stop.
    pub fn write(&self) {
        if let Some(journal) = &self.journal {
            journal.write(&self.new_handles);
        }
    }

    /// Whether quotas apply.
    pub fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    /// Charges one lookup request.
    pub(super) fn charge_request(&self, account: AccountId) -> Result<(), Exceeded> {
        self.charge_account(&self.requests, account, QuotaLimit::Requests, 1)
    }

    /// Charges a batch for its length, in addition to its request.
    pub(super) fn charge_batch(&self, account: AccountId, handles: usize) -> Result<(), Exceeded> {
        let cost = handles / limits::BATCH_HANDLES_PER_REQUEST;
        self.charge_account(&self.requests, account, QuotaLimit::Requests, units(cost))
    }

    /// Charges one change of the registry to `account`.
    pub(super) fn charge_change(&self, account: AccountId) -> Result<(), Exceeded> {
        self.charge_account(&self.changes, account, QuotaLimit::Changes, 1)
    }

    /// Which of `handles` the account has not asked for in 30 days. None if quotas are disabled. Changes nothing.
    pub fn find_new<'a>(
        &self,
        account: AccountId,
        handles: impl Iterator<Item = &'a Handle>,
    ) -> NewToAccount {
        if !self.config.enabled {
            return NewToAccount::default();
        }
        let at = Instants { now: self.clock.now(), boot: self.clock.boot() };
        self.new_handles.find(account, handles, at)
    }

    /// Charges a lookup call, and those of `handles` that the account has not asked for in 30 days as new. Charges everything
    /// or, if that exceeds a limit, nothing. Returns what is left of the new handles; none if quotas are disabled.
    pub fn charge_lookups<'a>(
        &self,
        call: LookupCall,
        handles: impl Iterator<Item = &'a Handle> + Clone,
    ) -> Result<Option<Charged>, Exceeded> {
        let new = self.find_new(call.account, handles.clone());
        self.charge_found(call, handles, new)
    }

    /// As [`Self::charge_lookups`], after [`Self::find_new`] said of the same handles which are new.
    pub fn charge_found<'a>(
        &self,
        call: LookupCall,
        handles: impl Iterator<Item = &'a Handle>,
        new: NewToAccount,
    ) -> Result<Option<Charged>, Exceeded> {
        let paid = self.pay_found(call, handles, new)?;
        Ok(paid.map(|paid| self.new_handles.settle(&call, paid)))
    }

    /// The same, but what is new stays so until [`NewHandles::settle`].
    pub(super) fn pay_found<'a>(
        &self,
        call: LookupCall,
        handles: impl Iterator<Item = &'a Handle>,
        new: NewToAccount,
    ) -> Result<Option<Paid>, Exceeded> {
        if !self.config.enabled {
            return Ok(None);
        }
        self.charge_records(call, new.at.boot)?;
        let paid = self.new_handles.charge(&call, handles, new);
        paid.map(Some).inspect_err(|_| self.refund_records(call))
    }

    /// Tells what came of the handles that a call was charged for as new: which were answered `imessage`. Some: the account is
    /// suspected of a sweep, and gets no new handles. The caller answers none of them,
    /// lets the registry flag the account, and then calls [`Self::flag_is_stored`].
    #[must_use]
    pub fn observe<'a>(
        &self,
        account: AccountId,
        standing: Standing,
        new: impl Iterator<Item = (&'a Handle, bool)> + Clone,
    ) -> Option<FlagReason> {
        let found = self.new_handles.observe(account, standing, new.clone(), self.clock.now());
        // What is not answered stays new on every node.
        if let (Some(sharing), None) = (&self.sharing, found) {
            sharing.remember(&self.new_handles.key, account, new.map(|(handle, _)| handle));
        }
        found
    }

    /// The registry has stored the flag of an account. From now on the account is flagged as long as the registry says so.
    pub fn flag_is_stored(&self, account: AccountId) {
        self.new_handles.accounts.change(account, |state| state.flag = FlagMark::Stored);
        // A restart must know of it: otherwise the evidence would outlive the flag, and flag the account again.
        self.new_handles.unwritten.add(&[], Some(account), &[]);
    }

    /// The standing of an account that holds a handle, if the quota was told within this hour. An account may drop the handle, and a
    /// flagged one may have proved another.
    pub fn known_standing(&self, account: AccountId) -> Option<Standing> {
        let state = self.new_handles.accounts.get(account);
        let is_known =
            state.flag == FlagMark::None && state.standing_hour == boot_hour(self.clock.boot());
        state.standing.filter(|_| is_known)
    }

    /// Remembers for an hour when the account proved the oldest handle that it holds. Returns its standing.
    pub fn learn_standing(&self, account: AccountId, since: Option<Timestamp>) -> Standing {
        let (standing, boot) = (Standing::of(since, self.clock.now()), self.clock.boot());
        let learn = |state: &mut AccountState| {
            state.standing = since.map(|_| standing);
            state.standing_hour = boot_hour(boot);
        };
        // If no state is free, the account gets no new handles anyway.
        let _ = self.new_handles.accounts.change_or_add(account, micros(boot), learn);
        standing
    }

    /// Charges one sign-up to the network of `ip` and, unless the device joins an account with a link code, to all networks
    /// together: strangers cannot use up the sign-ups of second devices.
    pub fn charge_sign_up(&self, ip: IpAddr, joins_account: bool) -> Result<(), Exceeded> {
        if !self.config.enabled {
            return Ok(());
        }
        let (network, now) = (network_key(ip), self.clock.boot());
        let exceeded = |limit| {
            move |retry_after| Exceeded { limit, cost: 1, remaining: 0, most: 1, retry_after }
        };
        let used =
            self.sign_ups.charge(network, 1, 1.0, now).map_err(exceeded(QuotaLimit::SignUps))?;
        if joins_account {
            return Ok(());
        }
        // Shared by need, as lookups: networks with many sign-ups leave half of the limit to those with few.
        let of_all = self.all_sign_ups.charge(0, 1, 1.0 - used / 2.0, now);
        of_all.map(drop).map_err(exceeded(QuotaLimit::AllSignUps)).inspect_err(|_| {
            self.sign_ups.refund(network, 1);
        })
    }

    /// Whether records of `size` units about refused lookups from the network of `ip` may be written into the log one by one;
    /// answered lookups always are. A refusal costs its client nothing, not even a token, so unlimited refusals could fill the disk.
    #[must_use]
    pub fn may_record_refusal(&self, ip: IpAddr, size: usize) -> bool {
        if !self.config.enabled {
            return true;
        }
        let (cost, now) = (units(size), self.clock.boot());
        // All networks first: in a flood from many networks, no counter is made for each of them.
        if self.all_refusals.charge(0, cost, 1.0, now).is_err() {
            return false;
        }
        let of_network = self.refusals.charge(network_key(ip), cost, 1.0, now);
        of_network.inspect_err(|_| self.all_refusals.refund(0, cost)).is_ok()
    }

    /// Drops the counters that have no effect any more, and forgets what is too old. Call it some times an hour.
    pub fn tick(&self) {
        let now = self.clock.boot();
        for of_accounts in [&self.requests, &self.lookups, &self.changes] {
            of_accounts.evict(now);
        }
        for of_networks in [&self.network_lookups, &self.sign_ups, &self.refusals] {
            of_networks.evict(now);
        }
        if let Some(sharing) = &self.sharing {
            sharing.evict(now);
        }
        self.new_handles.budgets.evict(now);
        self.new_handles.asked.sweep(hour_mark(self.clock.now()));
        let removed = self.journal.as_ref().map_or(Ok(()), Journal::remove_expired);
        if let Err(error) = removed {
            tracing::warn!(%error, "expired files of the quota stay for now; their keys are gone");
        }
    }

    fn charge_account(
        &self,
        counters: &Keyed,
        account: AccountId,
        limit: QuotaLimit,
        cost: u32,
    ) -> Result<(), Exceeded> {
        if !self.config.enabled {
            return Ok(());
        }
        let charged = counters.charge(account.bits(), cost, 1.0, self.clock.boot());
        let most = counters.most();
        let exceeded = |retry_after| Exceeded { limit, cost, remaining: 0, most, retry_after };
        charged.map(drop).map_err(exceeded)
    }
}

redacted_debug!(Quota);

/// The hour of the boot clock, which repeats after seven years.
fn boot_hour(boot: Duration) -> u16 {
    (boot.as_secs() / HOUR.as_secs()) as u16
}

fn units(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::{ManualClock, Timestamp},
        quota::whole_seconds,
    };

    const ACCOUNT: AccountId = AccountId::from_bits(1);

    /// A quota, its clock, and two networks.
    fn quota(config: Config) -> (Quota, Arc<ManualClock>, [IpAddr; 2]) {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let networks = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        (Quota::new(config, Arc::clone(&clock) as _), clock, networks)
    }

    /// A lookup of one handle.
    fn by(account: u64, ip: IpAddr) -> LookupCall {
        LookupCall {
            account: AccountId::from_bits(account),
            standing: Standing::Older,
            is_flagged: false,
            ip,
            units: 1,
        }
    }

    /// How many such lookups of one handle pass, at most `most`.
    fn passing(quota: &Quota, call: LookupCall, most: usize) -> usize {
        let handle = Handle::from_canonical("+14155550123").unwrap();
        let mut asks = (0..most).map(|_| quota.charge_lookups(call, [&handle].into_iter()));
        asks.position(|asked| asked.is_err()).unwrap_or(most)
    }

    /// How many lookups pass of callers that take turns and all ask as much as they can.
    fn flood(quota: &Quota, callers: &[LookupCall]) -> usize {
        let round = || callers.iter().map(|call| passing(quota, *call, 1)).sum::<usize>();
        std::iter::repeat_with(round).take_while(|passed| *passed > 0).sum()
    }

    #[test]
    fn sign_ups_are_limited_for_each_network_and_for_all_together() {
        let config = Config { sign_ups_per_hour: 3, all_sign_ups_per_hour: 8, ..Config::default() };
        let (quota, clock, [one, other]) = quota(config);
        for _ in 0..3 {
            quota.charge_sign_up(one, false).unwrap();
        }
        let exceeded = quota.charge_sign_up(one, false).unwrap_err();
        assert_eq!(
            (exceeded.limit.code(), whole_seconds(exceeded.retry_after)),
            ("sign-ups", 1200)
        );
        // Half of the limit is for networks with few sign-ups.
        quota.charge_sign_up(other, false).unwrap();
        quota.charge_sign_up(other, false).unwrap();
        let exceeded = quota.charge_sign_up(other, false).unwrap_err();
        assert_eq!((exceeded.limit, exceeded.retry_after), (QuotaLimit::AllSignUps, HOUR / 4));
        // It was not charged to the network, and second devices are not affected.
        quota.charge_sign_up(other, true).unwrap();
        assert_eq!(quota.charge_sign_up(other, true).unwrap_err().limit, QuotaLimit::SignUps);
        clock.advance(HOUR / 3);
        quota.charge_sign_up(one, false).unwrap();
    }

    #[test]
    fn recorded_refusals_are_limited_for_each_network_and_for_all_together() {
        let each = limits::REFUSALS_RECORDED_PER_MINUTE_MAX as usize;
        let config =
            Config { refusals_recorded_per_minute: 2 * 6_000 - 1_000, ..Config::default() };
        let (quota, clock, [one, other]) = quota(config);
        let recorded = |ip| (0..2 * each).filter(|_| quota.may_record_refusal(ip, 1)).count();
        assert_eq!((recorded(one), recorded(other)), (each, each - 1_000));
        clock.advance(MINUTE / 10);
        assert!(!quota.may_record_refusal(one, each / 10 + 1));
        assert!(quota.may_record_refusal(one, each / 10));
    }

    #[test]
    fn repeats_are_limited_for_each_account_and_regained_over_a_day() {
        let config = Config { lookups_per_day: 2_400, ..Config::default() };
        let (quota, clock, [one, other]) = quota(config);
        assert_eq!(passing(&quota, by(1, one), 5_000), 2_400);
        assert_eq!((passing(&quota, by(1, other), 1), passing(&quota, by(2, one), 10)), (0, 10));
        clock.advance(HOUR);
        assert_eq!(passing(&quota, by(1, one), 5_000), 100);
    }

    #[test]
    fn one_address_gets_no_more_than_its_share_and_who_asks_little_behind_it_is_answered() {
        let (quota, clock, [one, other]) = quota(Config::default());
        let most = Config::default().network_lookups_per_minute as usize;
        let callers: Vec<_> = (0..600).map(|account| by(account, one)).collect();
        let mut passed = flood(&quota, &callers);
        for minute in 1..=10 {
            assert_eq!(passing(&quota, by(9_999, one), 10), 10);
            clock.advance(MINUTE);
            passed += flood(&quota, &callers);
            assert!(passed <= most * (minute + 1), "{passed} in {minute} minutes");
            assert!(passed >= most * (minute + 1) * 9 / 10, "{passed} in {minute} minutes");
        }
        assert_eq!(passing(&quota, by(9_998, other), 10_000), 10_000);
    }

    #[test]
    fn accounts_without_proof_have_one_limit_that_a_network_cannot_use_up() {
        let (quota, _, [one, other]) = quota(Config::default());
        let most = Config::default().unproven_lookups_per_minute as usize;
        let stranger = |account, ip| LookupCall { standing: Standing::Unproven, ..by(account, ip) };
        let of_one: Vec<_> = (0..600).map(|account| stranger(account, one)).collect();
        assert!(flood(&quota, &of_one) <= most / 2);
        let network = |n: u64| IpAddr::from(std::net::Ipv6Addr::from_bits(u128::from(n) << 80));
        let of_many: Vec<_> = (0..900).map(|n| stranger(1_000 + n, network(n))).collect();
        let passed = flood(&quota, &of_many);
        assert!((most / 3..most * 2 / 3).contains(&passed), "{passed}");
        assert_eq!(passing(&quota, stranger(9_999, other), 10), 10);
        assert_eq!(passing(&quota, by(9_998, other), 1_000), 1_000);
    }

    #[test]
    fn what_exceeds_one_limit_is_charged_to_none() {
        let config = Config {
            new_handles_per_day: 600,
            import_handles: 400,
            lookups_per_day: 1_001,
            network_lookups_per_minute: 4_000,
            ..Config::default()
        };
        let (quota, _, [one, other]) = quota(config);
        let handles: Vec<_> = (0..1_001)
            .map(|n| Handle::from_canonical(&format!("+1415555{n:04}")).unwrap())
            .collect();
        let ask = |ip, records| {
            let call = LookupCall { units: records, ..by(1, ip) };
            let asked = quota.charge_lookups(call, handles[..records].iter());
            asked.map(|charged| charged.unwrap().allowance.remaining()).map_err(|error| error.limit)
        };
        assert_eq!(ask(one, 1_001), Err(QuotaLimit::NewHandles));
        assert_eq!(passing(&quota, by(2, one), 2_000), 1_001);
        assert_eq!(passing(&quota, by(3, one), 100), 100);
        assert_eq!(ask(one, 1_000), Err(QuotaLimit::NetworkLookups));
        assert_eq!(ask(other, 1_000), Ok(0));
        assert_eq!(ask(other, 1), Ok(0));
        assert_eq!(ask(other, 1), Err(QuotaLimit::Lookups));
    }

    #[test]
    fn a_long_batch_is_charged_as_several_requests() {
        let (quota, _, _) = quota(Config { requests_per_minute: 150, ..Config::default() });
        quota.charge_batch(ACCOUNT, limits::BATCH_HANDLES_MAX).unwrap();
        let exceeded = quota.charge_batch(ACCOUNT, limits::BATCH_HANDLES_MAX).unwrap_err();
        assert_eq!((exceeded.limit, exceeded.cost), (QuotaLimit::Requests, 100));
        quota.charge_batch(ACCOUNT, limits::BATCH_HANDLES_PER_REQUEST - 1).unwrap();
    }

    #[test]
    fn disabled_quotas_charge_nothing() {
        let config = Config {
            enabled: false,
            sign_ups_per_hour: 1,
            lookups_per_day: 1_000,
            refusals_recorded_per_minute: 1,
            ..Config::default()
        };
        let (quota, _, [ip, _]) = quota(config);
        for _ in 0..10 {
            quota.charge_sign_up(ip, false).unwrap();
            assert!(quota.may_record_refusal(ip, 1_000));
        }
        assert_eq!(passing(&quota, by(1, ip), 2_000), 2_000);
    }
}
