//! Quotas: who may ask how much.
//!
//! A directory without quotas is an address-book scraper's gift. Three limits stand:
//!
//! * **new handles**: each handle that an account asks for the first time in 30 days counts one; a repeat is free, so
//!   that an honest phone never meets the limit and a scraper does at once ([`handles`]);
//! * **requests** of one account, whatever they ask, a long batch counting for several; its **changes**;
//! * **sign-ups** from one network (an IPv4 address, an IPv6 /64), since they need no token.
//!
//! All are kept in memory: a restart forgives what was counted. The handles seen are kept as keyed 64-bit hashes under
//! a key that dies with the process, so that memory (or a core dump) holds no list of who asked for whom. A collision
//! makes one new handle free, which costs nothing but that one unit.

mod handles;

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    Quota as Rate, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DashMapStateStore,
};
use serde::{Deserialize, Serialize};

use crate::{
    clock::{SharedClock, Timestamp},
    handle::Handle,
    ids::AccountId,
    limits,
};

pub use handles::Allowance;
use handles::SeenHandles;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// Section `[quota]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Off only for closed networks and load tests.
    pub enabled: bool,
    /// New handles one account may ask for in 24 hours.
    pub new_handles_per_day: u32,
    /// Look-up requests of one account in a minute; a batch counts one, and one more for each ten of its handles.
    pub requests_per_minute: u32,
    /// Sign-ups from one network in an hour.
    pub sign_ups_per_hour: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            new_handles_per_day: 5_000,
            requests_per_minute: 6_000,
            sign_ups_per_hour: 600,
        }
    }
}

impl Config {
    /// Checks the values.
    ///
    /// # Errors
    /// The key at fault and what it may be.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.new_handles_per_day < u32::try_from(limits::BATCH_HANDLES_MAX).unwrap_or(u32::MAX) {
            let least = limits::BATCH_HANDLES_MAX;
            let why = format!("must be at least {least}, one full batch");
            return Err(("new_handles_per_day", why));
        }
        for (key, value) in [
            ("requests_per_minute", self.requests_per_minute),
            ("sign_ups_per_hour", self.sign_ups_per_hour),
        ] {
            if value == 0 {
                return Err((
                    key,
                    "must be at least 1; to lift all limits set enabled = false".into(),
                ));
            }
        }
        Ok(())
    }
}

/// A limit was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which limit.
    pub limit: Limit,
    /// What this call would have cost.
    pub cost: u32,
    /// When the same call can succeed.
    pub retry_after: Duration,
}

/// The limits by name, as `RateLimit` headers and 429 bodies name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// New handles of one account.
    NewHandles,
    /// Look-up requests of one account.
    Requests,
    /// Sign-ups from one network.
    SignUps,
    /// Changes of one account: check-ins, claims, hidings.
    Changes,
}

impl Limit {
    /// The limit's public name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewHandles => "new-handles",
            Self::Requests => "requests",
            Self::SignUps => "sign-ups",
            Self::Changes => "changes",
        }
    }
}

/// The counters behind the limits.
#[derive(Debug)]
pub struct Quota {
    config: Config,
    clock: SharedClock,
    seen: SeenHandles,
    requests: Keyed<AccountId>,
    sign_ups: Keyed<IpAddr>,
    changes: Keyed<AccountId>,
    refusals: Keyed<IpAddr>,
}

impl Quota {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(config: Config, clock: SharedClock) -> Self {
        let rate = |count: u32, window: Duration| {
            let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
            let each = (window / count.get()).max(Duration::from_nanos(1));
            Rate::with_period(each).unwrap_or(Rate::per_second(count)).allow_burst(count)
        };
        let hour = Duration::from_secs(3600);
        Self {
            seen: SeenHandles::new(config.new_handles_per_day),
            requests: RateLimiter::keyed(rate(config.requests_per_minute, hour / 60)),
            sign_ups: RateLimiter::keyed(rate(config.sign_ups_per_hour, hour)),
            changes: RateLimiter::keyed(rate(limits::CHANGES_PER_MINUTE_MAX, hour / 60)),
            refusals: RateLimiter::keyed(rate(limits::REFUSALS_RECORDED_PER_MINUTE_MAX, hour / 60)),
            config,
            clock,
        }
    }

    /// Whether limits are on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    /// Counts one look-up request.
    ///
    /// # Errors
    /// If the account asks too often.
    pub fn take_request(&self, account: AccountId) -> Result<(), Exceeded> {
        if !self.config.enabled {
            return Ok(());
        }
        check(&self.requests, &account, Limit::Requests, 1)
    }

    /// Counts a batch of `handles` by its length, beyond the one request that it is: repeats are free of the limit on
    /// new handles, but each makes a record.
    ///
    /// # Errors
    /// If the account asks too often.
    pub fn take_batch(&self, account: AccountId, handles: usize) -> Result<(), Exceeded> {
        let Ok(cost) = u32::try_from(handles / limits::BATCH_HANDLES_PER_REQUEST) else {
            return Ok(());
        };
        if !self.config.enabled || cost == 0 {
            return Ok(());
        }
        check(&self.requests, &account, Limit::Requests, cost)
    }

    /// Counts those of `handles` that `account` has not asked for in 30 days: all of them or, if they are too many,
    /// none. Gives what is left; nothing if limits are off.
    ///
    /// # Errors
    /// If they are more than the account has left.
    pub fn take_handles<'a>(
        &self,
        account: AccountId,
        handles: impl Iterator<Item = &'a Handle> + Clone,
    ) -> Result<Option<Allowance>, Exceeded> {
        if !self.config.enabled {
            return Ok(None);
        }
        self.seen.take(account, handles, self.clock.now(), self.clock.boot()).map(Some)
    }

    /// Counts one sign-up from the network of `ip`.
    ///
    /// # Errors
    /// If too many came from there.
    pub fn take_sign_up(&self, ip: IpAddr) -> Result<(), Exceeded> {
        if !self.config.enabled {
            return Ok(());
        }
        check(&self.sign_ups, &network(ip), Limit::SignUps, 1)
    }

    /// Counts one change of `account`: each is a durable commit.
    ///
    /// # Errors
    /// If the account changes things too often.
    pub fn take_change(&self, account: AccountId) -> Result<(), Exceeded> {
        if !self.config.enabled {
            return Ok(());
        }
        check(&self.changes, &account, Limit::Changes, 1)
    }

    /// Whether `records` refusals from the network of `ip` may be written into the log. Answers always are. A refusal
    /// costs its asker nothing, so without this limit anybody, even without a token, could fill the disk with them;
    /// beyond it they are only counted.
    #[must_use]
    pub fn may_record_refusal(&self, ip: IpAddr, records: usize) -> bool {
        let cost = u32::try_from(records).unwrap_or(u32::MAX);
        !self.config.enabled || check(&self.refusals, &network(ip), Limit::Requests, cost).is_ok()
    }

    /// Forgets what no longer counts. Nothing is evicted otherwise.
    pub fn tick(&self) {
        self.requests.retain_recent();
        self.sign_ups.retain_recent();
        self.changes.retain_recent();
        self.refusals.retain_recent();
        self.seen.forget_older(self.clock.now(), self.clock.boot());
    }
}

fn check<K: Clone + std::hash::Hash + Eq>(
    limiter: &Keyed<K>,
    key: &K,
    limit: Limit,
    cost: u32,
) -> Result<(), Exceeded> {
    let units = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
    let retry_after = match limiter.check_key_n(key, units) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(not_until)) => not_until.wait_time_from(DefaultClock::default().now()),
        // More than the whole allowance: a smaller call may succeed, this one never.
        Err(_) => Duration::from_secs(60),
    };
    Err(Exceeded { limit, cost, retry_after })
}

/// What counts as one network: an IPv4 address, an IPv6 /64 (RFC 6177: what one site gets at least).
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Seconds, rounded up, at least one: what `Retry-After` takes.
#[must_use]
pub fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}

/// When a handle seen now counts as new again.
fn forgotten_at(now: Timestamp) -> Timestamp {
    now.plus(limits::QUOTA_REPEAT_FREE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn an_ipv6_site_is_one_network_and_a_mapped_address_its_ipv4() {
        let ip = |text: &str| network(text.parse().unwrap());
        assert_eq!(ip("2001:db8:1:2:3:4:5:6"), ip("2001:db8:1:2:ffff::1"));
        assert_ne!(ip("2001:db8:1:2::1"), ip("2001:db8:1:3::1"));
        assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
        assert_ne!(ip("192.0.2.2"), ip("192.0.2.1"));
    }

    #[test]
    fn sign_ups_of_one_network_end_and_another_goes_on() {
        let config = Config { sign_ups_per_hour: 3, ..Config::default() };
        let quota = Quota::new(config, ManualClock::at(Timestamp::EPOCH));
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..3 {
            quota.take_sign_up(one).unwrap();
        }
        let exceeded = quota.take_sign_up(one).unwrap_err();
        assert_eq!(exceeded.limit.name(), "sign-ups");
        assert!((1..=1200).contains(&whole_seconds(exceeded.retry_after)));
        quota.take_sign_up(other).unwrap();
    }

    #[test]
    fn refusals_of_a_flood_are_recorded_up_to_a_limit() {
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
    fn a_long_batch_counts_for_several_requests() {
        let config = Config { requests_per_minute: 150, ..Config::default() };
        let quota = Quota::new(config, ManualClock::at(Timestamp::EPOCH));
        let account = AccountId::from_bits(1);
        quota.take_batch(account, limits::BATCH_HANDLES_MAX).unwrap();
        let exceeded = quota.take_batch(account, limits::BATCH_HANDLES_MAX).unwrap_err();
        assert_eq!((exceeded.limit, exceeded.cost), (Limit::Requests, 100));
        quota.take_batch(account, limits::BATCH_HANDLES_PER_REQUEST - 1).unwrap();
    }

    #[test]
    fn disabled_limits_count_nothing() {
        let config = Config { enabled: false, sign_ups_per_hour: 1, ..Config::default() };
        let quota = Quota::new(config, ManualClock::at(Timestamp::EPOCH));
        let handle = Handle::from_canonical("+14155550123").unwrap();
        for _ in 0..10 {
            quota.take_sign_up("192.0.2.1".parse().unwrap()).unwrap();
            let taken = quota.take_handles(AccountId::from_bits(1), [&handle].into_iter());
            assert_eq!(taken, Ok(None));
        }
    }
}
