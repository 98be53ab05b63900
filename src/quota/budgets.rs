//! [`Budgets`]: new handles of all accounts behind one network, and of all accounts that hold no handle.

use std::{net::IpAddr, time::Duration};

use super::{
    config::Config,
    counter::Counter,
    keyed::{Key, Keyed, network_key},
    limit::Exceeded,
};

/// One allowance of [`Budgets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Budget {
    /// Of a network.
    Network(Key),
    /// Of the accounts without a handle behind a network.
    UnprovenNetwork(Key),
    /// Of all accounts without a handle.
    Unproven,
}

/// New handles that many accounts may ask for together.
pub(super) struct Budgets {
    pub(super) networks: Keyed,
    pub(super) unproven_networks: Keyed,
    pub(super) unproven: Keyed,
}

impl Budgets {
    pub(super) fn new(config: &Config) -> Self {
        let counting = |counter: Counter| counter.counting(config);
        Self {
            networks: counting(Counter::NetworkNewHandles),
            unproven_networks: counting(Counter::UnprovenNetworkNewHandles),
            unproven: counting(Counter::UnprovenNewHandles),
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
                let (limit, remaining) = (budget.counter().limit(), keyed.left(key, share, now));
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

    fn part(&self, budget: Budget) -> (&Keyed, Key) {
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
    /// The budget that `counter` counts for `key`, if it counts one.
    pub(super) const fn of(counter: Counter, key: Key) -> Option<Self> {
        match counter {
            Counter::NetworkNewHandles => Some(Self::Network(key)),
            Counter::UnprovenNetworkNewHandles => Some(Self::UnprovenNetwork(key)),
            Counter::UnprovenNewHandles => Some(Self::Unproven),
            _ => None,
        }
    }

    pub(super) const fn counter(self) -> Counter {
        match self {
            Self::Network(_) => Counter::NetworkNewHandles,
            Self::UnprovenNetwork(_) => Counter::UnprovenNetworkNewHandles,
            Self::Unproven => Counter::UnprovenNewHandles,
        }
    }
}

/// The budgets that a call from `ip` is charged to, from the narrowest to the widest: the first of them if the account holds a
/// handle, else all.
pub(super) fn of_call(ip: IpAddr) -> [Budget; 3] {
    let network = network_key(ip);
    [Budget::Network(network), Budget::UnprovenNetwork(network), Budget::Unproven]
}
