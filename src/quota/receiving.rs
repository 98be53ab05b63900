//! What the other nodes of a cluster tell of their quotas, and what a node is told that has missed it.

use std::time::Duration;

use super::{
    asked::hour_mark,
    budgets::Budget,
    counter::Counter,
    keyed::Key,
    limiter::Quota,
    rate::{Rate, micros},
    sharing::{Owed, QuotaNews, Spent},
};
use crate::{ids::AccountId, limits};

/// The quota's files are not read yet. What was counted now would be lost: what they say of an account replaces what the memory says.
#[derive(Debug, PartialEq, Eq)]
pub struct NotRestored;

impl Quota {
    /// Counts what another node has told. Blocks for some milliseconds.
    ///
    /// # Errors
    /// Before [`Self::restore`] succeeded. Then nothing is counted, and the other node is to tell it again.
    pub fn receive(&self, news: &QuotaNews) -> Result<(), NotRestored> {
        if !self.is_restored() {
            return Err(NotRestored);
        }
        let boot = self.clock.boot();
        for row in &news.spent {
            self.receive_spent(*row, boot);
            self.note_change(row.counter, row.key);
        }
        for row in &news.owed {
            self.receive_owed(*row, boot);
            self.note_change(row.counter, row.key);
        }
        let (hour, new_handles) = (hour_mark(self.clock.now()), &self.new_handles);
        let mut asked = news.asked.clone();
        asked.retain(|fingerprint| new_handles.asked.insert(*fingerprint, hour, hour));
        if !asked.is_empty() {
            new_handles.unwritten.add(&asked, None, &[]);
        }
        Ok(())
    }

    /// What this node knows to be owed, in parts: for a node that has missed what was spent.
    pub fn owed(&self) -> Vec<QuotaNews> {
        let Some(sharing) = &self.sharing else { return Vec::new() };
        let (boot, mut owed) = (self.clock.boot(), Vec::new());
        let mut add = |counter, key, debt| {
            if sharing.is_worth_telling(counter, debt) {
                owed.push(Owed { counter, key, debt_us: micros(debt) });
            }
        };
        for counter in Counter::ALL {
            if let Some(counting) = self.counting(*counter) {
                counting.for_each_debt(boot, |key, debt| add(*counter, key, debt));
            }
        }
        let debt = |full_at_us: u64| Duration::from_micros(full_at_us.saturating_sub(micros(boot)));
        for (account, state) in self.new_handles.accounts.shards().flatten() {
            add(Counter::NewHandles, account.bits(), debt(state.daily_us));
            add(Counter::AddressBook, account.bits(), debt(state.import_us));
        }
        let parts = owed.chunks(limits::QUOTA_NEWS_ROWS_MAX);
        parts.map(|owed| QuotaNews { owed: owed.to_vec(), ..QuotaNews::default() }).collect()
    }

    fn receive_spent(&self, spent: Spent, boot: Duration) {
        let (key, units, is_refund) = (spent.key, spent.count(), spent.units < 0);
        if let Some(counting) = self.counting(spent.counter) {
            if is_refund {
                counting.refund(key, units);
            } else {
                counting.debit(key, units, boot);
            }
            return;
        }
        let rate = self.rate_of_account(spent.counter);
        self.change_account(spent.counter, key, boot, |full_at_us| match is_refund {
            true => rate.with(full_at_us, units),
            false => rate.without(full_at_us, units, micros(boot)),
        });
    }

    fn receive_owed(&self, owed: Owed, boot: Duration) {
        let debt = Duration::from_micros(owed.debt_us);
        if let Some(counting) = self.counting(owed.counter) {
            counting.raise(owed.key, debt, boot);
            return;
        }
        let raised_us = micros(boot + debt.min(self.rate_of_account(owed.counter).debt_max()));
        self.change_account(owed.counter, owed.key, boot, |full_at_us| full_at_us.max(raised_us));
    }

    /// The rate of an account's new handles.
    fn rate_of_account(&self, counter: Counter) -> Rate {
        match counter {
            Counter::NewHandles => self.new_handles.daily,
            _ => self.new_handles.import,
        }
    }

    /// Changes a bucket of an account's new handles.
    fn change_account(
        &self,
        counter: Counter,
        key: Key,
        boot: Duration,
        change: impl FnOnce(u64) -> u64,
    ) {
        // If no state is free, the account gets no new handles anyway.
        let _ = self.new_handles.accounts.change_or_add(
            AccountId::from_bits(key),
            micros(boot),
            |state| {
                let bucket = match counter {
                    Counter::NewHandles => &mut state.daily_us,
                    _ => &mut state.import_us,
                };
                *bucket = change(*bucket);
                state.active_us = micros(boot);
            },
        );
    }

    /// Lets the files have what another node has told.
    fn note_change(&self, counter: Counter, key: Key) {
        let unwritten = &self.new_handles.unwritten;
        match (counter, Budget::of(counter, key)) {
            (Counter::NewHandles | Counter::AddressBook, _) => {
                unwritten.add(&[], Some(AccountId::from_bits(key)), &[]);
            }
            (_, Some(budget)) => unwritten.add(&[], None, &[budget]),
            (_, None) => {}
        }
    }
}
