//! How many codes were sent, to whom and for whom: so that the service cannot be used to flood a phone.
//!
//! Each key (a handle, an account, a network) may have `burst` codes at once and gets one more every `span / burst`: the
//! generic cell rate algorithm, which keeps one instant a key. Not the `governor` crate's, because a code that could
//! not be delivered is taken back, and because the table must be bounded.

use std::{collections::HashMap, hash::Hash, net::IpAddr, time::Duration};

use crate::{handle::Handle, ids::AccountId, limits};

use super::{
    delivery::Purpose,
    error::{BeginError, SendLimit},
};

/// The part of an address that stands for one subscriber: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network(u64, bool);

/// Counts by one kind of key. Times are those of the boot clock, which nobody sets.
struct Meter<K> {
    limit: SendLimit,
    pause: Duration,
    span: Duration,
    /// When a key will have all its codes back.
    full_at: HashMap<K, Duration>,
}

/// All counts.
pub(super) struct Sends {
    /// Counted by purpose: whoever asks for deregistrations of a handle must not keep its owner from proving it.
    handles: Meter<(Purpose, Handle)>,
    accounts: Meter<AccountId>,
    networks: Meter<Network>,
}

/// For whom and to whom one code is sent.
pub(super) struct Sending {
    pub(super) purpose: Purpose,
    pub(super) handle: Handle,
    pub(super) account: Option<AccountId>,
    pub(super) network: Option<Network>,
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits()), false),
            IpAddr::V6(address) => Self((address.to_bits() >> 64) as u64, true),
        }
    }
}

impl<K: Hash + Eq + Clone> Meter<K> {
    fn new(limit: SendLimit, burst: u32) -> Self {
        let span = limits::CODE_SENDS_SPAN;
        Self { limit, pause: span / burst, span, full_at: HashMap::new() }
    }

    fn check(&mut self, key: &K, now: Duration) -> Result<(), BeginError> {
        let Some(full_at) = self.full_at.get(key) else {
            return self.make_room(now);
        };
        let after = (*full_at).max(now) + self.pause;
        match after.saturating_sub(now + self.span) {
            Duration::ZERO => Ok(()),
            retry_after => Err(BeginError::RateLimited { limit: self.limit, retry_after }),
        }
    }

    fn make_room(&mut self, now: Duration) -> Result<(), BeginError> {
        if self.full_at.len() >= limits::CODE_SENDERS_MAX {
            self.full_at.retain(|_, full_at| now < *full_at);
        }
        if self.full_at.len() >= limits::CODE_SENDERS_MAX {
            return Err(BeginError::Overloaded);
        }
        Ok(())
    }

    fn count(&mut self, key: &K, now: Duration) {
        let full_at = self.full_at.entry(key.clone()).or_insert(now);
        *full_at = (*full_at).max(now) + self.pause;
    }

    fn take_back(&mut self, key: &K) {
        if let Some(full_at) = self.full_at.get_mut(key) {
            *full_at = full_at.saturating_sub(self.pause);
        }
    }
}

impl Sends {
    pub(super) fn new() -> Self {
        Self {
            handles: Meter::new(SendLimit::Handle, limits::CODE_SENDS_PER_HANDLE_MAX),
            accounts: Meter::new(SendLimit::Account, limits::CODE_SENDS_PER_ACCOUNT_MAX),
            networks: Meter::new(SendLimit::Network, limits::CODE_SENDS_PER_NETWORK_MAX),
        }
    }

    /// Counts one code against every limit, or against none.
    pub(super) fn count(&mut self, sending: &Sending, now: Duration) -> Result<(), BeginError> {
        let handle = (sending.purpose, sending.handle.clone());
        self.handles.check(&handle, now)?;
        if let Some(account) = &sending.account {
            self.accounts.check(account, now)?;
        }
        if let Some(network) = &sending.network {
            self.networks.check(network, now)?;
        }
        self.handles.count(&handle, now);
        if let Some(account) = &sending.account {
            self.accounts.count(account, now);
        }
        if let Some(network) = &sending.network {
            self.networks.count(network, now);
        }
        Ok(())
    }

    /// The code could not be delivered.
    pub(super) fn take_back(&mut self, sending: &Sending) {
        self.handles.take_back(&(sending.purpose, sending.handle.clone()));
        if let Some(account) = &sending.account {
            self.accounts.take_back(account);
        }
        if let Some(network) = &sending.network {
            self.networks.take_back(network);
        }
    }
}
