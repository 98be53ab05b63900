//! What an account has left of its new handles, and when it has more.

use std::time::Duration;

use super::{
    accounts::AccountState, limit::Allowance, new_handles::NewHandles, rate::micros,
    standing::Standing,
};
use crate::ids::AccountId;

impl NewHandles {
    /// What an account in this state has left.
    pub(super) fn allowance(
        &self,
        state: &AccountState,
        standing: Standing,
        boot: Duration,
    ) -> Allowance {
        let now_us = micros(boot);
        let mut import = self.import.left(state.import_us, now_us);
        // Two nodes may charge the same day at once: what is beyond it is of the address book.
        let beyond = self.daily.overdrawn(state.daily_us, now_us);
        import.remaining = import.remaining.saturating_sub(beyond);
        Allowance {
            daily: self.daily.left(state.daily_us, now_us),
            import: (standing != Standing::Unproven).then_some(import),
        }
    }

    /// The span after which an account has no debt beyond what it may use, if other nodes have charged more than that.
    pub(super) fn excess(
        &self,
        account: AccountId,
        standing: Standing,
        boot: Duration,
    ) -> Option<Duration> {
        let (state, now_us) = (self.accounts.get(account), micros(boot));
        let is_over = |at_us| {
            let daily = self.daily.overdrawn(state.daily_us, at_us);
            let spare = self.import.left(state.import_us, at_us).remaining;
            let spare = if standing == Standing::Unproven { 0 } else { spare };
            daily > spare || self.import.overdrawn(state.import_us, at_us) > 0
        };
        is_over(now_us).then(|| {
            let whole = state.daily_us.max(state.import_us).saturating_sub(now_us);
            first(Duration::from_micros(whole), |span| !is_over(now_us + micros(span)))
        })
    }

    /// The span after which the account can ask for so many; after which it has everything, if it never can.
    pub(super) fn wait(
        &self,
        state: &AccountState,
        standing: Standing,
        cost: u32,
        boot: Duration,
    ) -> Duration {
        let after = |span: Duration| self.allowance(state, standing, boot + span);
        let now = after(Duration::ZERO);
        let whole = now.daily.reset.max(now.import.map_or(Duration::ZERO, |it| it.reset));
        first(whole, |span| after(span).remaining() >= cost)
    }
}

/// The shortest span up to `longest`, to a millisecond, after which something `is_so` that stays so; else `longest`.
fn first(longest: Duration, is_so: impl Fn(Duration) -> bool) -> Duration {
    let (mut too_short, mut enough) = (Duration::ZERO, longest);
    while enough - too_short > Duration::from_millis(1) {
        let middle = (too_short + enough) / 2;
        if is_so(middle) { enough = middle } else { too_short = middle }
    }
    enough
}
