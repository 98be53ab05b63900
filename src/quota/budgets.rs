//! [`Budgets`]: new handles of all accounts behind one network, and of all accounts that hold no handle.

use std::{net::IpAddr, time::Duration};

use super::{config::Config, keyed::Keyed, limit::Exceeded};
use crate::{limits, vocabulary::QuotaLimit};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A network as a number: an IPv4 address, or the first 48 bits of an IPv6 address.
type Network = u64;

/// One allowance of [`Budgets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Budget {
    /// Of a network.
    Network(Network),
    /// Of the accounts without a handle behind a network.
    UnprovenNetwork(Network),
    /// Of all accounts without a handle.
    Unproven,
}

/// New handles that many accounts may ask for together.
pub(super) struct Budgets {
    networks: Keyed<Network>,
    unproven_networks: Keyed<Network>,
    /// It has one key.
    unproven: Keyed<Network>,
}

impl Budgets {
    pub(super) fn new(config: &Config) -> Self {
        // Half of it at once and half regained in a day, so that any 24 hours have no more than the whole.
        let within_a_day = |handles: u32| handles.div_ceil(2);
        Self {
            networks: Keyed::new(config.network_new_handles_per_day, DAY),
            unproven_networks: Keyed::new(
                within_a_day(config.network_unproven_handles_per_day),
                DAY,
            ),
            unproven: Keyed::new(within_a_day(config.unproven_new_handles_per_day), DAY),
        }
    }

    /// Charges new handles to the budgets of a call: everything or, if that exceeds one, nothing.
    pub(super) fn charge(
        &self,
        budgets: &[Budget],
        cost: u32,
        now: Duration,
    ) -> Result<(), Exceeded> {
        let mut used = 0.0;
        for (place, budget) in budgets.iter().enumerate() {
            // Shared by need, as lookups: networks that ask for many leave half of the last budget to those that ask for few.
            let share = if *budget == Budget::Unproven { 1.0 - used / 2.0 } else { 1.0 };
            let (keyed, key) = self.part(*budget);
            used = keyed.charge(key, cost, share, now).map_err(|retry_after| {
                self.refund(&budgets[..place], cost);
                let (limit, remaining) = (budget.limit(), keyed.left(key, share, now));
                Exceeded { limit, cost, remaining, most: keyed.most(), retry_after }
            })?;
        }
        Ok(())
    }

    /// Takes charges back.
    pub(super) fn refund(&self, budgets: &[Budget], cost: u32) {
        for budget in budgets {
            let (keyed, key) = self.part(*budget);
            keyed.refund(key, cost);
        }
    }

    /// The span after which a budget is whole again.
    pub(super) fn debt(&self, budget: Budget, now: Duration) -> Duration {
        let (keyed, key) = self.part(budget);
        keyed.debt(key, now)
    }

    /// Lets a budget be whole again after `debt`, as in an earlier run of the service.
    pub(super) fn restore(&self, budget: Budget, debt: Duration, now: Duration) {
        let (keyed, key) = self.part(budget);
        keyed.restore(key, debt, now);
    }

    fn part(&self, budget: Budget) -> (&Keyed<Network>, Network) {
        match budget {
            Budget::Network(network) => (&self.networks, network),
            Budget::UnprovenNetwork(network) => (&self.unproven_networks, network),
            Budget::Unproven => (&self.unproven, 0),
        }
    }

    /// Calls `each` with every budget that is not whole, and its debt.
    pub(super) fn for_each_debt(&self, now: Duration, mut each: impl FnMut(Budget, Duration)) {
        self.networks.for_each_debt(now, |network, debt| each(Budget::Network(network), debt));
        let of_unproven = |network, debt| each(Budget::UnprovenNetwork(network), debt);
        self.unproven_networks.for_each_debt(now, of_unproven);
        self.unproven.for_each_debt(now, |_, debt| each(Budget::Unproven, debt));
    }

    /// Drops the counters that have no effect any more.
    pub(super) fn evict(&self, now: Duration) {
        self.networks.evict(now);
        self.unproven_networks.evict(now);
    }
}

impl Budget {
    const fn limit(self) -> QuotaLimit {
        match self {
            Self::Network(_) | Self::UnprovenNetwork(_) => QuotaLimit::NetworkNewHandles,
            Self::Unproven => QuotaLimit::UnprovenNewHandles,
        }
    }
}

/// The budgets that a call from `ip` is charged to, from the narrowest to the widest: the first of them if the account holds a
/// handle, else all.
pub(super) fn of_call(ip: IpAddr) -> [Budget; 3] {
    let network = match limits::network_of(ip) {
        IpAddr::V4(v4) => u64::from(v4.to_bits()) | 1 << 63,
        IpAddr::V6(v6) => (v6.to_bits() >> 80) as u64,
    };
    [Budget::Network(network), Budget::UnprovenNetwork(network), Budget::Unproven]
}
