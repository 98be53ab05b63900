//! [`Counter`]: what the nodes of a cluster count together, and at which rate each of it is regained.

use std::time::Duration;

use super::{config::Config, keyed::Keyed, rate::Rate};
use crate::{
    limits,
    vocabulary::{QuotaLimit, codes},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

codes! {
    /// An allowance that counts on all nodes of a cluster together. Limits that protect the disk of one machine are not among them: each node has its own log.
    Counter {
        /// Lookup requests of an account.
        Requests = 1 "requests",
        /// Lookups of an account.
        Lookups = 2 "lookups",
        /// Lookups of a network.
        NetworkLookups = 3 "network-lookups",
        /// Lookups of all accounts without a handle.
        UnprovenLookups = 4 "unproven-lookups",
        /// Changes of an account.
        Changes = 5 "changes",
        /// Sign-ups of a network.
        SignUps = 6 "sign-ups",
        /// Sign-ups of all networks.
        AllSignUps = 7 "all-sign-ups",
        /// New handles of an account in a day.
        NewHandles = 8 "new-handles",
        /// New handles of an account beyond those.
        AddressBook = 9 "address-book",
        /// New handles of a network.
        NetworkNewHandles = 10 "network-new-handles",
        /// New handles of the accounts without a handle behind a network.
        UnprovenNetworkNewHandles = 11 "unproven-network-new-handles",
        /// New handles of all accounts without a handle.
        UnprovenNewHandles = 12 "unproven-new-handles",
    }
}

impl Counter {
    /// How much of it there is, and how it is regained.
    pub(super) fn rate(self, config: &Config) -> Rate {
        // Half of it at once and half regained in a day, so that any 24 hours have no more than the whole.
        let within_a_day = |handles: u32| handles.div_ceil(2);
        let (burst, span) = match self {
            Self::Requests => (config.requests_per_minute, MINUTE),
            Self::Lookups => (config.lookups_per_day, DAY),
            Self::NetworkLookups => (config.network_lookups_per_minute, MINUTE),
            Self::UnprovenLookups => (config.unproven_lookups_per_minute, MINUTE),
            Self::Changes => (limits::CHANGES_PER_HOUR_MAX, HOUR),
            Self::SignUps => (config.sign_ups_per_hour, HOUR),
            Self::AllSignUps => (config.all_sign_ups_per_hour, HOUR),
            Self::NewHandles => (config.new_handles_per_day, DAY),
            Self::AddressBook => (config.import_handles, config.import_span),
            Self::NetworkNewHandles => (config.network_new_handles_per_day, DAY),
            Self::UnprovenNetworkNewHandles => {
                (within_a_day(config.network_unproven_handles_per_day), DAY)
            }
            Self::UnprovenNewHandles => (within_a_day(config.unproven_new_handles_per_day), DAY),
        };
        Rate::new(burst, span)
    }

    /// Counts it for each key from zero.
    pub(super) fn counting(self, config: &Config) -> Keyed {
        Keyed::of(self.rate(config))
    }

    /// What a refusal names that exceeds it.
    pub(super) const fn limit(self) -> QuotaLimit {
        match self {
            Self::Requests => QuotaLimit::Requests,
            Self::Lookups => QuotaLimit::Lookups,
            Self::NetworkLookups => QuotaLimit::NetworkLookups,
            Self::UnprovenLookups => QuotaLimit::UnprovenLookups,
            Self::Changes => QuotaLimit::Changes,
            Self::SignUps => QuotaLimit::SignUps,
            Self::AllSignUps => QuotaLimit::AllSignUps,
            Self::NewHandles | Self::AddressBook => QuotaLimit::NewHandles,
            Self::NetworkNewHandles | Self::UnprovenNetworkNewHandles => {
                QuotaLimit::NetworkNewHandles
            }
            Self::UnprovenNewHandles => QuotaLimit::UnprovenNewHandles,
        }
    }
}
