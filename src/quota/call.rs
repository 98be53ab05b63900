//! [`LookupCall`]: what is charged for a lookup.

use std::net::IpAddr;

use super::{
    keyed::{Key, network_key},
    standing::Standing,
};
use crate::{ids::AccountId, redacted::redacted_debug};

/// Who looks up how much in one call.
#[derive(Clone, Copy)]
pub struct LookupCall {
    /// The asker's account.
    pub account: AccountId,
    /// What the account has proved. Young or older matters only if a handle is new.
    pub standing: Standing,
    /// Whether the registry holds a flag of the account. It matters only if a handle is new.
    pub is_flagged: bool,
    /// The client's address.
    pub ip: IpAddr,
    /// The size of the records that the call makes: one for each item, repeated or malformed ones as well; more for long e-mail
    /// addresses.
    pub units: usize,
}

impl LookupCall {
    pub(super) fn network(&self) -> Key {
        network_key(self.ip)
    }

    /// What its records cost.
    pub(super) fn cost(&self) -> u32 {
        u32::try_from(self.units).unwrap_or(u32::MAX)
    }
}

redacted_debug!(LookupCall);
