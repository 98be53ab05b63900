//! The limits on records of lookups: each lookup makes one, repeat or not.

use std::time::Duration;

use super::{call::LookupCall, limit::Exceeded, limiter::Quota, standing::Standing};
use crate::vocabulary::QuotaLimit;

/// From the narrowest to the widest.
const RECORD_LIMITS: [QuotaLimit; 3] =
    [QuotaLimit::Lookups, QuotaLimit::NetworkLookups, QuotaLimit::UnprovenLookups];

impl Quota {
    /// Charges the records of a lookup call. Each limit is shared by need: what one may use of its upper half is the part that
    /// is left of the limit before it. So an account or a network that asks little is answered although others ask as much
    /// as they can.
    pub(super) fn charge_records(&self, call: LookupCall, now: Duration) -> Result<(), Exceeded> {
        let cost = call.cost();
        let mut used = 0.0;
        for (place, limit) in RECORD_LIMITS.into_iter().enumerate() {
            let share = 1.0 - used / 2.0;
            let (charged, most) = match limit {
                QuotaLimit::Lookups => (
                    self.lookups.charge(call.account.bits(), cost, share, now),
                    self.lookups.most(),
                ),
                QuotaLimit::NetworkLookups => {
                    let charged = self.network_lookups.charge(call.network(), cost, share, now);
                    (charged, self.network_lookups.most())
                }
                _ if call.standing != Standing::Unproven => return Ok(()),
                _ => {
                    let charged = self.unproven_lookups.charge(0, cost, share, now);
                    (charged, self.unproven_lookups.most())
                }
            };
            used = charged.map_err(|retry_after| {
                self.refund(call, &RECORD_LIMITS[..place]);
                Exceeded { limit, cost, remaining: 0, most, retry_after }
            })?;
        }
        Ok(())
    }

    /// Takes the charges of [`Self::charge_records`] back.
    pub(super) fn refund_records(&self, call: LookupCall) {
        self.refund(call, &RECORD_LIMITS);
    }

    fn refund(&self, call: LookupCall, limits: &[QuotaLimit]) {
        let cost = call.cost();
        for limit in limits {
            match limit {
                QuotaLimit::Lookups => self.lookups.refund(call.account.bits(), cost),
                QuotaLimit::NetworkLookups => self.network_lookups.refund(call.network(), cost),
                _ if call.standing != Standing::Unproven => {}
                _ => self.unproven_lookups.refund(0, cost),
            }
        }
    }
}
