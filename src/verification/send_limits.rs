//! [`SendLimits`]: charges each message to everything that limits it, in rows that outlive a restart.
//!
//! | counted by | row's key |
//! | --- | --- |
//! | person, account, network | keyed hash: the row does not say whose it is |
//! | country | calling code |
//! | everybody | |
//!
//! A message is charged before it is sent, and nothing is refunded if its delivery fails: a gateway that refuses must not
//! lift the limits.

use std::{net::IpAddr, time::Duration};

use crate::{handle::Handle, ids::AccountId, limits, registry::RowKind, vocabulary::Limit};

use super::{
    asker_class::AskerClass,
    config::Config,
    conversion::Conversion,
    error::BeginError,
    hash_key::{HashKey, Hashed},
    rows::{ReadRows, RowChange},
    send_policy::{Bucket, Level, PersonSends},
};

/// The limits of all messages.
pub(super) struct SendLimits {
    account: Bucket,
    network: Bucket,
    country: Bucket,
    overall: Bucket,
}

/// Whom a message is charged to.
pub(super) struct Charge<'a> {
    pub(super) to: &'a Handle,
    pub(super) class: AskerClass,
    pub(super) account: Option<AccountId>,
    /// The asker's network, as [`limits::sending_network_of`] returns it.
    pub(super) network: Option<IpAddr>,
}

/// A charge of one counter.
struct Charged {
    /// The row with the message counted, or why it is not.
    outcome: Result<RowChange, BeginError>,
    /// The row as it must be written even if nothing is sent, since it lay ahead of the present.
    repair: Option<RowChange>,
}

/// The first byte of a counter's key.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Counter {
    Person = 1,
    Account = 2,
    Network = 3,
    Country = 4,
    Overall = 5,
}

impl SendLimits {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            account: Bucket::regained(limits::CODE_SENDS_PER_ACCOUNT_MAX),
            network: Bucket::any_span(config.codes_per_network_per_day),
            country: Bucket::any_span(config.codes_per_country_per_day),
            overall: Bucket::any_span(config.codes_per_day),
        }
    }

    /// Adds to `changes` the counters with this message counted. If a limit is exceeded, only the counters that lay ahead of
    /// the present, because the clock was set back.
    pub(super) fn charge(
        &self,
        rows: &impl ReadRows,
        key: &HashKey,
        charge: &Charge<'_>,
        changes: &mut Vec<RowChange>,
    ) -> Result<(), BeginError> {
        let mut all = vec![person(rows, key, charge)];
        let of_all = self.shared(key, charge);
        let need = of_all.iter().find(|(limit, ..)| *limit == Limit::CodesPerNetwork);
        let need = need.map_or(0, |(_, bucket, counter)| {
            bucket.used(level(rows, counter).recalled(rows.now()), charge.class, rows.now())
        });
        all.extend(of_all.into_iter().map(|(limit, bucket, counter)| {
            let is_stranger = charge.class < AskerClass::Proven;
            let (class, need) = match limit {
                // An account need not leave a part of its own codes to others.
                Limit::CodesPerAccount => (AskerClass::Holder, 0),
                Limit::CodesPerCountry | Limit::CodesOverall if is_stranger => (charge.class, need),
                _ => (charge.class, 0),
            };
            shared(rows, limit, bucket, counter, (class, need))
        }));
        let refused = all.iter().find_map(|one| one.outcome.as_ref().err().copied());
        for Charged { outcome, repair } in all {
            match refused {
                None => changes.extend(outcome.ok()),
                Some(_) => changes.extend(repair),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// What many messages share, with the keys of its counters.
    fn shared(&self, key: &HashKey, charge: &Charge<'_>) -> Vec<(Limit, Bucket, Vec<u8>)> {
        let mut shared = vec![(Limit::CodesOverall, self.overall, vec![Counter::Overall as u8])];
        if let Some(code) = calling_code(charge.to) {
            let counter = counter_key(Counter::Country, &code.to_be_bytes());
            shared.push((Limit::CodesPerCountry, self.country, counter));
        }
        if let Some(account) = charge.account {
            let hash = key.hash(Hashed::Account, &[&account.bits().to_be_bytes()]);
            let counter = counter_key(Counter::Account, &hash);
            shared.push((Limit::CodesPerAccount, self.account, counter));
        }
        if let Some(network) = charge.network {
            let hash = match network {
                IpAddr::V4(network) => key.hash(Hashed::Network, &[&network.octets()]),
                IpAddr::V6(network) => key.hash(Hashed::Network, &[&network.octets()]),
            };
            let counter = counter_key(Counter::Network, &hash);
            shared.push((Limit::CodesPerNetwork, self.network, counter));
        }
        shared
    }
}

fn counter_key(counter: Counter, of: &[u8]) -> Vec<u8> {
    [&[counter as u8], of].concat()
}

fn calling_code(handle: &Handle) -> Option<u16> {
    match handle {
        Handle::Phone(key) => Some(key.calling_code()),
        Handle::Email(_) => None,
    }
}

fn limited(limit: Limit, retry_after: Duration) -> BeginError {
    BeginError::RateLimited { limit, retry_after }
}

fn person(rows: &impl ReadRows, key: &HashKey, charge: &Charge<'_>) -> Charged {
    let hash = key.hash(Hashed::Person, &[charge.to.subscriber().as_bytes()]);
    let (counter, now) = (counter_key(Counter::Person, &hash), rows.now());
    let mut sends: PersonSends = rows.read(RowKind::Sends, &counter).unwrap_or_default();
    let row = |sends: &PersonSends| {
        RowChange::put(RowKind::Sends, counter.clone(), sends.ends_at(), sends)
    };
    let repair = sends.recall(now).then(|| row(&sends));
    let outcome = sends.charge(charge.class, now);
    let outcome = outcome.map_err(|wait| limited(Limit::CodesPerHandle, wait));
    Charged { outcome: outcome.map(|()| row(&sends)), repair }
}

fn level(rows: &impl ReadRows, counter: &[u8]) -> Level {
    rows.read(RowKind::Sends, counter).unwrap_or(Level::empty(rows.now()))
}

fn shared(
    rows: &impl ReadRows,
    limit: Limit,
    bucket: Bucket,
    counter: Vec<u8>,
    (class, need): (AskerClass, u32),
) -> Charged {
    let now = rows.now();
    let stored = level(rows, &counter);
    let level = stored.recalled(now);
    let row =
        |level: Level| RowChange::put(RowKind::Sends, counter.clone(), level.ends_at(), &level);
    let repair = (level != stored).then(|| row(level));
    let outcome = bucket.charge(level, class, need, now);
    Charged { outcome: outcome.map(row).map_err(|wait| limited(limit, wait)), repair }
}

/// The key of the row that counts answered codes of a country: its calling code, and whether the askers had a token. None
/// for mail.
fn conversion_key(handle: &Handle, class: AskerClass) -> Option<[u8; 3]> {
    let [high, low] = calling_code(handle)?.to_be_bytes();
    Some([high, low, u8::from(class.has_token())])
}

/// The calling code in a key of [`conversion_key`].
pub(super) fn country_of(key: &[u8]) -> Option<u16> {
    key.first_chunk().map(|code| u16::from_be_bytes(*code))
}

/// Counts a code to a country, and pauses the country if hardly any of its codes are answered. Who holds a handle goes on.
/// Returns the country if the pause begins.
pub(super) fn count_sent(
    rows: &impl ReadRows,
    handle: &Handle,
    class: AskerClass,
    changes: &mut Vec<RowChange>,
) -> Result<Option<u16>, BeginError> {
    let Some(key) = conversion_key(handle, class) else { return Ok(None) };
    let mut conversion: Conversion = rows.read(RowKind::Conversion, &key).unwrap_or_default();
    if let Some(until) = conversion.paused_until(rows.now())
        && class < AskerClass::Proven
    {
        return Err(limited(Limit::CountryPaused, until.since(rows.now())));
    }
    let is_paused = conversion.sent(rows.now());
    changes.push(RowChange::put(RowKind::Conversion, key, conversion.ends_at(), &conversion));
    Ok(country_of(&key).filter(|_| is_paused))
}

/// Takes back a code to a country, since its delivery failed: an outage of the gateway must not pause the country. The
/// limits stay charged.
pub(super) fn count_unsent(
    rows: &impl ReadRows,
    handle: &Handle,
    class: AskerClass,
    changes: &mut Vec<RowChange>,
) {
    let Some(key) = conversion_key(handle, class) else { return };
    let Some(mut conversion) = rows.read::<Conversion>(RowKind::Conversion, &key) else { return };
    conversion.unsent(rows.now());
    changes.push(RowChange::put(RowKind::Conversion, key, conversion.ends_at(), &conversion));
}

/// Counts an answered code.
pub(super) fn count_answered(
    rows: &impl ReadRows,
    handle: &Handle,
    class: AskerClass,
    changes: &mut Vec<RowChange>,
) {
    let Some(key) = conversion_key(handle, class) else { return };
    let mut conversion: Conversion = rows.read(RowKind::Conversion, &key).unwrap_or_default();
    conversion.answered(rows.now());
    changes.push(RowChange::put(RowKind::Conversion, key, conversion.ends_at(), &conversion));
}
