//! Charges that the nodes of a cluster agree on. Without other nodes, they are those of [`limiter`](super::limiter).

use std::{net::IpAddr, time::Duration};

use super::{
    budgets::Budget,
    call::LookupCall,
    counter::Counter,
    keyed::{Key, Keyed, network_key},
    limit::{Charged, Exceeded},
    limiter::Quota,
    new_handles::NewToAccount,
    sharing::Spent,
    standing::Standing,
};
use crate::{handle::Handle, ids::AccountId, limits};

impl Quota {
    /// Charges one lookup request. On a node of a cluster it waits, if the charge is large, until the other nodes know of it, as
    /// all calls of this kind.
    ///
    /// # Errors
    /// If a limit is exceeded, also by what other nodes granted meanwhile. Then nothing is charged, as by all calls of this kind.
    pub async fn spend_request(&self, account: AccountId) -> Result<(), Exceeded> {
        self.charge_request(account)?;
        self.agree_on(Counter::Requests, account.bits(), 1).await
    }

    /// Charges a batch for its length, in addition to its request.
    ///
    /// # Errors
    /// If a limit is exceeded.
    pub async fn spend_batch(&self, account: AccountId, handles: usize) -> Result<(), Exceeded> {
        self.charge_batch(account, handles)?;
        let cost = handles / limits::BATCH_HANDLES_PER_REQUEST;
        self.agree_on(Counter::Requests, account.bits(), cost as u32).await
    }

    /// Charges one change of the registry.
    ///
    /// # Errors
    /// If a limit is exceeded.
    pub async fn spend_change(&self, account: AccountId) -> Result<(), Exceeded> {
        self.charge_change(account)?;
        self.agree_on(Counter::Changes, account.bits(), 1).await
    }

    /// Charges one sign-up, as [`Self::charge_sign_up`] does.
    ///
    /// # Errors
    /// If a limit is exceeded.
    pub async fn spend_sign_up(&self, ip: IpAddr, joins_account: bool) -> Result<(), Exceeded> {
        self.charge_sign_up(ip, joins_account)?;
        if self.sharing.is_none() {
            return Ok(());
        }
        let of_network = Spent::new(Counter::SignUps, network_key(ip), 1);
        let of_all = Spent::new(Counter::AllSignUps, 0, u32::from(!joins_account));
        self.agree(&[of_network, of_all]).await
    }

    /// Charges a lookup call, as [`Self::charge_found`] does.
    ///
    /// # Errors
    /// If a limit is exceeded.
    pub async fn spend_lookups<'a>(
        &self,
        call: LookupCall,
        handles: impl Iterator<Item = &'a Handle> + Clone,
        new: NewToAccount,
    ) -> Result<Option<Charged>, Exceeded> {
        let Some(paid) = self.pay_found(call, handles, new)? else { return Ok(None) };
        let parts = paid.parts;
        // Nothing is remembered as asked before the others agree: else the account could ask for it at this moment as a repeat, which
        // costs nothing and which the sweep detector does not see.
        if self.sharing.is_some() {
            self.agree_on_lookups(&call, parts).await?;
        }
        let charged = self.new_handles.settle(&call, paid);
        let doubles = (parts.0 - charged.parts.0, parts.1 - charged.parts.1);
        if doubles != (0, 0) {
            self.tell_back(&spent_on(&call, 0, doubles));
        }
        Ok(Some(charged))
    }

    async fn agree_on_lookups(&self, call: &LookupCall, parts: (u32, u32)) -> Result<(), Exceeded> {
        let spent = spent_on(call, call.cost(), parts);
        let Some((counter, retry_after)) = self.overdrawn(&spent, call.standing).await else {
            return Ok(());
        };
        self.new_handles.refund_account(call, parts, self.clock.boot());
        self.refund_shared(&spent);
        let budgets = spent.iter().filter_map(|row| Budget::of(row.counter, row.key));
        let budgets: Vec<_> = budgets.collect();
        self.new_handles.unwritten.add(&[], Some(call.account), &budgets);
        Err(self.exceeded(counter, &spent, retry_after))
    }

    async fn agree_on(&self, counter: Counter, key: Key, units: u32) -> Result<(), Exceeded> {
        if self.sharing.is_none() {
            return Ok(());
        }
        self.agree(&[Spent::new(counter, key, units)]).await
    }

    async fn agree(&self, spent: &[Spent]) -> Result<(), Exceeded> {
        // None of these counters depends on the standing.
        let Some((counter, retry_after)) = self.overdrawn(spent, Standing::Unproven).await else {
            return Ok(());
        };
        self.refund_shared(spent);
        Err(self.exceeded(counter, spent, retry_after))
    }

    /// Which of these allowances is overdrawn, once the other nodes know what was spent, and for how long. None if none is, or little
    /// was spent.
    async fn overdrawn(&self, spent: &[Spent], standing: Standing) -> Option<(Counter, Duration)> {
        let sharing = self.sharing.as_ref()?;
        let round = sharing.note(spent, self.clock.boot())?;
        sharing.until_told(round).await;
        let now = self.clock.boot();
        let mut excesses = spent.iter().filter_map(|row| {
            let excess = match self.counting(row.counter) {
                Some(counting) => counting.excess(row.key, now),
                None => self.new_handles.excess(AccountId::from_bits(row.key), standing, now),
            };
            Some((row.counter, excess?))
        });
        excesses.next()
    }

    fn exceeded(&self, counter: Counter, spent: &[Spent], retry_after: Duration) -> Exceeded {
        let is_of_account = |counter| self.counting(counter).is_none();
        let is_it = |row: &&Spent| {
            row.counter == counter || (is_of_account(row.counter) && is_of_account(counter))
        };
        let cost = spent.iter().filter(is_it).map(Spent::count).sum();
        let most = self.counting(counter).map_or(cost, Keyed::most);
        Exceeded { limit: counter.limit(), cost, remaining: 0, most, retry_after }
    }

    /// Takes charges back that the other nodes know of. Those of an account's new handles are only told.
    fn refund_shared(&self, spent: &[Spent]) {
        for row in spent {
            if let Some(counting) = self.counting(row.counter) {
                counting.refund(row.key, row.count());
            }
        }
        self.tell_back(spent);
    }

    /// Tells the other nodes what is charged no more. What is not told stays charged there until it is regained.
    fn tell_back(&self, spent: &[Spent]) {
        if let Some(sharing) = &self.sharing {
            sharing.tell(spent.iter().map(|row| row.negative()));
        }
    }

    /// What counts this, unless it is in the states of accounts.
    pub(super) fn counting(&self, counter: Counter) -> Option<&Keyed> {
        let budgets = &self.new_handles.budgets;
        Some(match counter {
            Counter::Requests => &self.requests,
            Counter::Lookups => &self.lookups,
            Counter::NetworkLookups => &self.network_lookups,
            Counter::UnprovenLookups => &self.unproven_lookups,
            Counter::Changes => &self.changes,
            Counter::SignUps => &self.sign_ups,
            Counter::AllSignUps => &self.all_sign_ups,
            Counter::NetworkNewHandles => &budgets.networks,
            Counter::UnprovenNetworkNewHandles => &budgets.unproven_networks,
            Counter::UnprovenNewHandles => &budgets.unproven,
            Counter::NewHandles | Counter::AddressBook => return None,
        })
    }
}

/// What a lookup call was charged, by counter.
fn spent_on(call: &LookupCall, records: u32, (day, book): (u32, u32)) -> Vec<Spent> {
    let (account, network, new) = (call.account.bits(), call.network(), day + book);
    let of_unproven = |units| if call.standing == Standing::Unproven { units } else { 0 };
    let all = [
        Spent::new(Counter::Lookups, account, records),
        Spent::new(Counter::NetworkLookups, network, records),
        Spent::new(Counter::UnprovenLookups, 0, of_unproven(records)),
        Spent::new(Counter::NewHandles, account, day),
        Spent::new(Counter::AddressBook, account, book),
        Spent::new(Counter::NetworkNewHandles, network, new),
        Spent::new(Counter::UnprovenNetworkNewHandles, network, of_unproven(new)),
        Spent::new(Counter::UnprovenNewHandles, 0, of_unproven(new)),
    ];
    all.into_iter().filter(|row| row.units > 0).collect()
}
