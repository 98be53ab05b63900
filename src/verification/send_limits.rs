//! Limits on sent codes, so that nobody can use the service to flood a phone.
//!
//! Each key (a handle, an account, a network) may use `burst` codes at once, and regains one every `span / burst`. This is
//! the generic cell rate algorithm, which keeps one instant for each key. The `governor` crate does not fit: a code that
//! was not sent must be refunded, and the table must be bounded.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use crate::{handle::Handle, ids::AccountId, limits, vocabulary::Limit};

use super::{delivery::Purpose, error::BeginError};

/// What codes are counted by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum SendKey {
    /// The recipient. Deregistrations count separately: whoever requests them must not use up the codes with which the
    /// owner proves the handle.
    Handle(Purpose, Handle),
    Account(AccountId),
    /// The network that the request comes from, as [`limits::network_of`] returns it.
    Network(IpAddr),
}

/// For each key, the instant of the boot clock at which its whole burst is available again.
#[derive(Default)]
pub(super) struct SendLimits {
    full_at: HashMap<SendKey, Duration>,
}

impl SendKey {
    /// The limit, and the burst.
    const fn limit(&self) -> (Limit, u32) {
        match self {
            Self::Handle(..) => (Limit::CodesPerHandle, limits::CODE_SENDS_PER_HANDLE_MAX),
            Self::Account(_) => (Limit::CodesPerAccount, limits::CODE_SENDS_PER_ACCOUNT_MAX),
            Self::Network(_) => (Limit::CodesPerNetwork, limits::CODE_SENDS_PER_NETWORK_MAX),
        }
    }

    /// The span after which one code is regained.
    fn period(&self) -> Duration {
        limits::CODE_SENDS_SPAN / self.limit().1
    }
}

impl SendLimits {
    /// Charges one code to every key, or to none if any key has used up its burst.
    pub(super) fn charge(&mut self, keys: &[SendKey], now: Duration) -> Result<(), BeginError> {
        for key in keys {
            let after = self.full_at(key, now) + key.period();
            let retry_after = after.saturating_sub(now + limits::CODE_SENDS_SPAN);
            if !retry_after.is_zero() {
                return Err(BeginError::RateLimited { limit: key.limit().0, retry_after });
            }
        }
        self.check_capacity(keys, now)?;
        for key in keys {
            let after = self.full_at(key, now) + key.period();
            self.full_at.insert(key.clone(), after);
        }
        Ok(())
    }

    pub(super) fn refund(&mut self, keys: &[SendKey]) {
        for key in keys {
            if let Some(full_at) = self.full_at.get_mut(key) {
                *full_at = full_at.saturating_sub(key.period());
            }
        }
    }

    fn full_at(&self, key: &SendKey, now: Duration) -> Duration {
        self.full_at.get(key).map_or(now, |full_at| now.max(*full_at))
    }

    fn check_capacity(&mut self, keys: &[SendKey], now: Duration) -> Result<(), BeginError> {
        let unknown = keys.iter().filter(|key| !self.full_at.contains_key(key)).count();
        let has_capacity = |count: usize| count + unknown <= limits::CODE_SEND_KEYS_MAX;
        if !has_capacity(self.full_at.len()) {
            self.full_at.retain(|_, full_at| now < *full_at);
        }
        if has_capacity(self.full_at.len()) { Ok(()) } else { Err(BeginError::Overloaded) }
    }
}
