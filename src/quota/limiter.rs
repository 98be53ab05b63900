//! [`Quota`]: the counters behind the limits.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    clock::SharedClock, handle::Handle, ids::AccountId, limits, redacted::redacted_debug,
    vocabulary::QuotaLimit,
};

use super::{
    config::Config,
    keyed::Keyed,
    limit::{Allowance, Exceeded},
    new_handles::NewHandles,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The limits on records of lookups, from the narrowest to the widest.
const RECORD_LIMITS: [QuotaLimit; 3] =
    [QuotaLimit::Lookups, QuotaLimit::NetworkLookups, QuotaLimit::UnprovenLookups];

/// Who looks up how much in one call.
#[derive(Clone, Copy)]
pub struct LookupCall {
    /// The asker's account.
    pub account: AccountId,
    /// Whether the account holds a handle, which it proved.
    pub is_proven: bool,
    /// The client's address.
    pub ip: IpAddr,
    /// The size of the records that the call makes: one for each item, repeated or malformed ones as well; more for long e-mail
    /// addresses.
    pub units: usize,
}

impl LookupCall {
    fn network(&self) -> IpAddr {
        limits::network_of(self.ip)
    }
}

/// Counts what accounts and networks ask.
pub struct Quota {
    config: Config,
    clock: SharedClock,
    new_handles: NewHandles,
    requests: Keyed<AccountId>,
    lookups: Keyed<AccountId>,
    network_lookups: Keyed<IpAddr>,
    unproven_lookups: Keyed<()>,
    changes: Keyed<AccountId>,
    sign_ups: Keyed<IpAddr>,
    all_sign_ups: Keyed<()>,
    refusals: Keyed<IpAddr>,
    all_refusals: Keyed<()>,
    /// Calls that each limit refused, in the order of [`QuotaLimit::ALL`].
    exceeded: [AtomicU64; QuotaLimit::ALL.len()],
}

impl Quota {
    /// Counters at zero.
    pub fn new(config: Config, clock: SharedClock) -> Self {
        Self {
            new_handles: NewHandles::new(config.new_handles_per_day),
            requests: Keyed::new(config.requests_per_minute, MINUTE),
            lookups: Keyed::new(config.lookups_per_day, DAY),
            network_lookups: Keyed::new(config.network_lookups_per_minute, MINUTE),
            unproven_lookups: Keyed::new(config.unproven_lookups_per_minute, MINUTE),
            changes: Keyed::new(limits::CHANGES_PER_HOUR_MAX, HOUR),
            sign_ups: Keyed::new(config.sign_ups_per_hour, HOUR),
            all_sign_ups: Keyed::new(config.all_sign_ups_per_hour, HOUR),
            refusals: Keyed::new(limits::REFUSALS_RECORDED_PER_MINUTE_MAX, MINUTE),
            all_refusals: Keyed::new(config.refusals_recorded_per_minute, MINUTE),
            exceeded: [const { AtomicU64::new(0) }; QuotaLimit::ALL.len()],
            config,
            clock,
        }
    }

    /// Whether quotas apply.
    pub fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    /// Calls that this limit refused since the start.
    pub fn refused_by(&self, limit: QuotaLimit) -> u64 {
        self.exceeded[limit as usize].load(Ordering::Relaxed)
    }

    /// Charges one lookup request.
    pub fn charge_request(&self, account: AccountId) -> Result<(), Exceeded> {
        self.charge_account(&self.requests, account, QuotaLimit::Requests, 1)
    }

    /// Charges a batch for its length, in addition to its request.
    pub fn charge_batch(&self, account: AccountId, handles: usize) -> Result<(), Exceeded> {
        let cost = handles / limits::BATCH_HANDLES_PER_REQUEST;
        self.charge_account(&self.requests, account, QuotaLimit::Requests, units(cost))
    }

    /// Charges one change of the registry to `account`.
    pub fn charge_change(&self, account: AccountId) -> Result<(), Exceeded> {
        self.charge_account(&self.changes, account, QuotaLimit::Changes, 1)
    }

    /// Charges a lookup call, and those of `handles` that the account has not asked for in 30 days as new. Charges everything
    /// or, if that exceeds a limit, nothing. Returns what is left of the new handles; none if quotas are disabled.
    pub fn charge_lookups<'a>(
        &self,
        call: LookupCall,
        handles: impl Iterator<Item = &'a Handle> + Clone,
    ) -> Result<Option<Allowance>, Exceeded> {
        if !self.config.enabled {
            return Ok(None);
        }
        let now = self.clock.boot();
        let charge = || {
            self.charge_records(call, now)?;
            let charged = self.new_handles.charge(call.account, handles, self.clock.now(), now);
            charged.inspect_err(|_| self.refund_records(call, &RECORD_LIMITS))
        };
        charge().map(Some).inspect_err(|exceeded| self.count(exceeded.limit))
    }

    /// Charges the records of a lookup call. Each limit is shared by need: what one may use of its upper half is the part that
    /// is left of the limit before it. So an account or a network that asks little is answered although others ask as much
    /// as they can.
    fn charge_records(&self, call: LookupCall, now: Duration) -> Result<(), Exceeded> {
        let cost = units(call.units);
        let mut used = 0.0;
        for (place, limit) in RECORD_LIMITS.into_iter().enumerate() {
            let share = 1.0 - used / 2.0;
            let charged = match limit {
                QuotaLimit::Lookups => self.lookups.charge(call.account, cost, share, now),
                QuotaLimit::NetworkLookups => {
                    self.network_lookups.charge(call.network(), cost, share, now)
                }
                _ if call.is_proven => return Ok(()),
                _ => self.unproven_lookups.charge((), cost, share, now),
            };
            used = charged.map_err(|retry_after| {
                self.refund_records(call, &RECORD_LIMITS[..place]);
                Exceeded { limit, cost, retry_after }
            })?;
        }
        Ok(())
    }

    fn refund_records(&self, call: LookupCall, limits: &[QuotaLimit]) {
        let cost = units(call.units);
        for limit in limits {
            match limit {
                QuotaLimit::Lookups => self.lookups.refund(call.account, cost),
                QuotaLimit::NetworkLookups => self.network_lookups.refund(call.network(), cost),
                _ if call.is_proven => {}
                _ => self.unproven_lookups.refund((), cost),
            }
        }
    }

    /// Charges one sign-up to the network of `ip` and, unless the device joins an account with a link code, to all networks
    /// together: strangers cannot use up the sign-ups of second devices.
    pub fn charge_sign_up(&self, ip: IpAddr, joins_account: bool) -> Result<(), Exceeded> {
        if !self.config.enabled {
            return Ok(());
        }
        let (network, now) = (limits::network_of(ip), self.clock.boot());
        let exceeded = |limit| {
            move |retry_after| {
                self.count(limit);
                Exceeded { limit, cost: 1, retry_after }
            }
        };
        let used =
            self.sign_ups.charge(network, 1, 1.0, now).map_err(exceeded(QuotaLimit::SignUps))?;
        if joins_account {
            return Ok(());
        }
        // Shared by need, as lookups: networks with many sign-ups leave half of the limit to those with few.
        let of_all = self.all_sign_ups.charge((), 1, 1.0 - used / 2.0, now);
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
        if self.all_refusals.charge((), cost, 1.0, now).is_err() {
            return false;
        }
        let of_network = self.refusals.charge(limits::network_of(ip), cost, 1.0, now);
        of_network.inspect_err(|_| self.all_refusals.refund((), cost)).is_ok()
    }

    /// Drops the counters that have no effect any more.
    pub fn tick(&self) {
        let now = self.clock.boot();
        for of_accounts in [&self.requests, &self.lookups, &self.changes] {
            of_accounts.evict(now);
        }
        for of_networks in [&self.network_lookups, &self.sign_ups, &self.refusals] {
            of_networks.evict(now);
        }
        self.new_handles.evict(self.clock.now(), now);
    }

    fn charge_account(
        &self,
        counters: &Keyed<AccountId>,
        account: AccountId,
        limit: QuotaLimit,
        cost: u32,
    ) -> Result<(), Exceeded> {
        if !self.config.enabled {
            return Ok(());
        }
        counters.charge(account, cost, 1.0, self.clock.boot()).map(drop).map_err(|retry_after| {
            self.count(limit);
            Exceeded { limit, cost, retry_after }
        })
    }

    fn count(&self, limit: QuotaLimit) {
        self.exceeded[limit as usize].fetch_add(1, Ordering::Relaxed);
    }
}

redacted_debug!(LookupCall, Quota);

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
        LookupCall { account: AccountId::from_bits(account), is_proven: true, ip, units: 1 }
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
        let counts =
            [QuotaLimit::SignUps, QuotaLimit::AllSignUps].map(|limit| quota.refused_by(limit));
        assert_eq!(counts, [2, 1]);
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
        assert_eq!(quota.refused_by(QuotaLimit::Lookups), 3);
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
        let stranger = |account, ip| LookupCall { is_proven: false, ..by(account, ip) };
        let of_one: Vec<_> = (0..600).map(|account| stranger(account, one)).collect();
        assert!(flood(&quota, &of_one) <= most / 2);
        let network = |n: u64| IpAddr::from(std::net::Ipv6Addr::from_bits(u128::from(n) << 64));
        let of_many: Vec<_> = (0..900).map(|n| stranger(1_000 + n, network(n))).collect();
        let passed = flood(&quota, &of_many);
        assert!((most / 3..most * 2 / 3).contains(&passed), "{passed}");
        assert_eq!(passing(&quota, stranger(9_999, other), 10), 10);
        assert_eq!(passing(&quota, by(9_998, other), 1_000), 1_000);
    }

    #[test]
    fn what_exceeds_one_limit_is_charged_to_none() {
        let config = Config {
            new_handles_per_day: 1_000,
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
            asked.map(|left| left.unwrap().remaining).map_err(|error| error.limit)
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
