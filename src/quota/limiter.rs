//! [`Quota`]: the counters behind the limits.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    Quota as Rate, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DashMapStateStore,
};

use crate::{clock::SharedClock, handle::Handle, ids::AccountId, limits};

use super::{
    config::Config,
    limit::{Allowance, Exceeded, Limit},
    new_handles::NewHandles,
};

const MINUTE: Duration = Duration::from_secs(60);

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// Counts what accounts and networks ask.
#[derive(Debug)]
pub struct Quota {
    config: Config,
    clock: SharedClock,
    new_handles: NewHandles,
    requests: Keyed<AccountId>,
    sign_ups: Keyed<IpAddr>,
    changes: Keyed<AccountId>,
    refusals: Keyed<IpAddr>,
}

impl Quota {
    /// Counters at zero.
    pub fn new(config: Config, clock: SharedClock) -> Self {
        Self {
            new_handles: NewHandles::new(config.new_handles_per_day),
            requests: RateLimiter::keyed(rate(config.requests_per_minute, MINUTE)),
            sign_ups: RateLimiter::keyed(rate(config.sign_ups_per_hour, 60 * MINUTE)),
            changes: RateLimiter::keyed(rate(limits::CHANGES_PER_MINUTE_MAX, MINUTE)),
            refusals: RateLimiter::keyed(rate(limits::REFUSALS_RECORDED_PER_MINUTE_MAX, MINUTE)),
            config,
            clock,
        }
    }

    /// Whether quotas apply.
    pub fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    /// Charges one lookup request.
    pub fn charge_request(&self, account: AccountId) -> Result<(), Exceeded> {
        self.charge(&self.requests, &account, Limit::Requests, 1)
    }

    /// Charges a batch for its length, in addition to its request. Repeats are free of the limit on new handles, but the
    /// log needs a record for each of them.
    pub fn charge_batch(&self, account: AccountId, handles: usize) -> Result<(), Exceeded> {
        let cost = handles / limits::BATCH_HANDLES_PER_REQUEST;
        self.charge(&self.requests, &account, Limit::Requests, cost)
    }

    /// Charges those of `handles` that `account` has not asked for in 30 days: all of them or, if they are too many, none.
    /// Returns what is left; none if quotas are disabled.
    pub fn charge_handles<'a>(
        &self,
        account: AccountId,
        handles: impl Iterator<Item = &'a Handle> + Clone,
    ) -> Result<Option<Allowance>, Exceeded> {
        if !self.config.enabled {
            return Ok(None);
        }
        self.new_handles.charge(account, handles, self.clock.now(), self.clock.boot()).map(Some)
    }

    /// Charges one sign-up to the network of `ip`.
    pub fn charge_sign_up(&self, ip: IpAddr) -> Result<(), Exceeded> {
        self.charge(&self.sign_ups, &limits::network_of(ip), Limit::SignUps, 1)
    }

    /// Charges one change of the registry to `account`.
    pub fn charge_change(&self, account: AccountId) -> Result<(), Exceeded> {
        self.charge(&self.changes, &account, Limit::Changes, 1)
    }

    /// Whether `records` refused queries from the network of `ip` may be written into the log; answered ones always are.
    /// A refusal costs its client nothing, not even a token, so unlimited refusals could fill the disk.
    #[must_use]
    pub fn may_record_refusal(&self, ip: IpAddr, records: usize) -> bool {
        self.charge(&self.refusals, &limits::network_of(ip), Limit::Requests, records).is_ok()
    }

    /// Drops the counters that have no effect any more. Nothing else evicts them.
    pub fn tick(&self) {
        self.requests.retain_recent();
        self.sign_ups.retain_recent();
        self.changes.retain_recent();
        self.refusals.retain_recent();
        self.new_handles.evict(self.clock.now(), self.clock.boot());
    }

    fn charge<K: Clone + Hash + Eq>(
        &self,
        limiter: &Keyed<K>,
        key: &K,
        limit: Limit,
        cost: usize,
    ) -> Result<(), Exceeded> {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let Some(units) = NonZeroU32::new(cost).filter(|_| self.config.enabled) else {
            return Ok(());
        };
        let retry_after = match limiter.check_key_n(key, units) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(not_until)) => not_until.wait_time_from(DefaultClock::default().now()),
            // The cost exceeds the whole allowance, so only a smaller call can succeed.
            Err(_) => MINUTE,
        };
        Err(Exceeded { limit, cost, retry_after })
    }
}

/// `count` units at once, regained evenly over `window`.
fn rate(count: u32, window: Duration) -> Rate {
    let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let period = (window / count.get()).max(Duration::from_nanos(1));
    Rate::with_period(period).unwrap_or(Rate::per_second(count)).allow_burst(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{ManualClock, Timestamp},
        quota::whole_seconds,
    };

    #[test]
    fn sign_ups_are_limited_for_each_network() {
        let config = Config { sign_ups_per_hour: 3, ..Config::default() };
        let quota = Quota::new(config, ManualClock::at(Timestamp::EPOCH));
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..3 {
            quota.charge_sign_up(one).unwrap();
        }
        let exceeded = quota.charge_sign_up(one).unwrap_err();
        assert_eq!(exceeded.limit.name(), "sign-ups");
        assert!((1..=1200).contains(&whole_seconds(exceeded.retry_after)));
        quota.charge_sign_up(other).unwrap();
    }

    #[test]
    fn recorded_refusals_are_limited_for_each_network() {
        let quota = Quota::new(Config::default(), ManualClock::at(Timestamp::EPOCH));
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let asked = 2 * limits::REFUSALS_RECORDED_PER_MINUTE_MAX;
        let recorded = (0..asked).filter(|_| quota.may_record_refusal(one, 1)).count();
        let expected = limits::REFUSALS_RECORDED_PER_MINUTE_MAX as usize;
        // The bucket refills while the test runs.
        assert!((expected..asked as usize).contains(&recorded), "{recorded}");
        assert!(quota.may_record_refusal(other, 1_000));
    }

    #[test]
    fn a_long_batch_is_charged_as_several_requests() {
        let config = Config { requests_per_minute: 150, ..Config::default() };
        let quota = Quota::new(config, ManualClock::at(Timestamp::EPOCH));
        let account = AccountId::from_bits(1);
        quota.charge_batch(account, limits::BATCH_HANDLES_MAX).unwrap();
        let exceeded = quota.charge_batch(account, limits::BATCH_HANDLES_MAX).unwrap_err();
        assert_eq!((exceeded.limit, exceeded.cost), (Limit::Requests, 100));
        quota.charge_batch(account, limits::BATCH_HANDLES_PER_REQUEST - 1).unwrap();
    }

    #[test]
    fn disabled_quotas_charge_nothing() {
        let config = Config { enabled: false, sign_ups_per_hour: 1, ..Config::default() };
        let quota = Quota::new(config, ManualClock::at(Timestamp::EPOCH));
        let handle = Handle::from_canonical("+14155550123").unwrap();
        for _ in 0..10 {
            quota.charge_sign_up("192.0.2.1".parse().unwrap()).unwrap();
            let taken = quota.charge_handles(AccountId::from_bits(1), [&handle].into_iter());
            assert_eq!(taken, Ok(None));
        }
    }
}
