//! The counts of the phones' calls that `/metrics` shows.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::{
    dispatch::LookupCounts,
    quota::Quota,
    verification::VerificationService,
    vocabulary::{QuotaLimit, Reason},
};

/// Where the counts are.
#[derive(Clone, Debug)]
pub struct Counters {
    /// What became of lookups.
    pub lookups: Arc<LookupCounts>,
    /// Refused lookups that have no record of their own.
    pub unrecorded: Arc<LookupCounts>,
    /// The limits.
    pub quota: Arc<Quota>,
    /// The verification sessions.
    pub verifications: Arc<VerificationService>,
}

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sessions = self.verifications.session_counts();
        let help = "Handles asked for, by what became of them";
        counter(&mut encoder, "lookups", help, "reason", self.by_reason())?;
        let help = "Refused lookups that the log counts and does not record one by one";
        let refused = Reason::ALL.iter().filter(|reason| matches!(reason, Reason::Refused(_)));
        let unrecorded = refused.map(|reason| (reason.code(), self.unrecorded.of(*reason)));
        counter(&mut encoder, "refusals_unrecorded", help, "reason", unrecorded.filter(is_met))?;
        let limits = QuotaLimit::ALL.iter();
        let limits = limits
            .map(|limit| (limit.code(), self.quota.refused_by(*limit)))
            .chain([("sessions", sessions.refused)]);
        counter(&mut encoder, "limited", "Calls that a limit refused", "limit", limits)?;
        let (name, help) = ("verification_sessions", "Verification sessions, by purpose");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (purpose, count) in [("bind", sessions.binding), ("deregister", sessions.deregistering)]
        {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            gauge.encode(family.encode_family(&[("purpose", purpose)])?)?;
        }
        Ok(())
    }
}

impl Counters {
    fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Reason::ALL.iter().filter_map(|&reason| {
            // Hidden handles are counted as unknown ones; only the log shows the difference.
            let count = match reason {
                Reason::Undiscoverable => return None,
                // Most problems are none that a lookup meets.
                Reason::Refused(_) if self.lookups.of(reason) == 0 => return None,
                Reason::NeverRegistered => {
                    self.lookups.of(reason) + self.lookups.of(Reason::Undiscoverable)
                }
                reason => self.lookups.of(reason),
            };
            Some((reason.code(), count))
        })
    }
}

fn is_met(count: &(&str, u64)) -> bool {
    count.1 > 0
}

/// Writes a counter with one value for each value of its label.
fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in values {
        ConstCounter::new(count).encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}
