//! What `/metrics` shows of the defence against abuse: flags, the memory of the quota, pauses.

use std::{collections::BTreeSet, sync::Arc};

use super::families::{Family, Value};
use crate::{
    quota::{Quota, Sharing},
    registry::Registry,
    verification::{CodesSent, DeliveryPauses, SendingMethod, VerificationService},
    vocabulary::{Cause, FlagReason},
};

/// The parts.
#[derive(Clone)]
pub struct Defences {
    /// The flags.
    pub registry: Arc<Registry>,
    /// The memory of asked handles, and the sweep detector.
    pub quota: Arc<Quota>,
    /// The countries that are paused.
    pub verifications: Arc<VerificationService>,
    /// The countries that codes were sent to.
    pub codes: Arc<CodesSent>,
    /// The ways of delivery that are paused.
    pub deliveries: DeliveryPauses,
}

impl Defences {
    pub(super) fn families(&self) -> Vec<Family> {
        let mut families: Vec<_> = self.flags().into();
        families.extend(self.quota());
        families.extend(self.sharing());
        families.push(self.countries());
        families.push(self.deliveries());
        families
    }

    fn flags(&self) -> [Family; 3] {
        let count = |cause| Value::Count(self.registry.flags_changed(cause));
        let flagged = FlagReason::ALL
            .iter()
            .map(|reason| (vec![("reason", reason.code().into())], count(Cause::Flag(*reason))));
        let cleared = [Cause::Proof, Cause::Operator];
        let cleared = cleared.map(|cause| (vec![("cause", cause.code().into())], count(cause)));
        [
            gauge(
                "flagged_accounts",
                "Accounts that get no new handles until they prove a handle or an operator clears the flag",
                self.registry.flag_count() as u64,
            ),
            Family::counter("flags", "Accounts that were flagged, by reason").with_all(flagged),
            Family::counter("flags_cleared", "Flags that were cleared, by cause").with_all(cleared),
        ]
    }

    /// What counts together with other nodes; zero without a cluster.
    fn sharing(&self) -> [Family; 2] {
        let figures = self.quota.sharing().map(Sharing::figures).unwrap_or_default();
        [
            Family::counter(
                "quota_waits",
                "Calls that waited until the other nodes of the cluster knew of their charge",
            )
            .value(Value::Count(figures.waits)),
            Family::counter(
                "quota_lost",
                "Charges that the other nodes of the cluster were not told, because too much waited to be told",
            )
            .value(Value::Count(figures.lost)),
        ]
    }

    fn quota(&self) -> [Family; 7] {
        let figures = self.quota.figures();
        let evicted = [("handle", figures.evicted_handles), ("account", figures.evicted_accounts)];
        let evicted =
            evicted.map(|(kind, count)| (vec![("kind", kind.into())], Value::Count(count)));
        [
            gauge(
                "quota_remembered_handles",
                "Handles that the quota remembers because an account asked for them within 30 days",
                figures.remembered_handles,
            ),
            gauge("quota_accounts", "Accounts whose use the quota remembers", figures.accounts),
            gauge("quota_memory", "Memory that the quota uses", figures.memory_bytes).in_bytes(),
            gauge(
                "quota_memory_budget",
                "Memory that the quota may use for asked handles and accounts",
                figures.budget_bytes,
            )
            .in_bytes(),
            Family::counter(
                "quota_evicted",
                "What the quota evicted because its memory was full: handles, which cost again, and idle accounts",
            )
            .with_all(evicted),
            Family::gauge(
                "quota_hit_ratio",
                "The part of new handles that is on the service, as the sweep detector knows it; NaN until it knows enough",
            )
            .value(Value::Gauge(figures.hit_ratio.map_or(f64::NAN, Into::into))),
            gauge(
                "quota_swept_blocks",
                "Blocks of 10,000 numbers in which accounts without an older proof get no new handles",
                figures.swept_blocks,
            ),
        ]
    }

    /// A country with neither codes nor a pause is not shown.
    fn countries(&self) -> Family {
        let paused: BTreeSet<_> = self.verifications.paused_countries().into_iter().collect();
        let met = self.codes.all().into_iter().filter_map(|((_, _, country), _)| country);
        let all: BTreeSet<_> = met.chain(paused.iter().copied()).collect();
        let all = all
            .into_iter()
            .map(|code| (vec![("country", code.to_string().into())], yes(paused.contains(&code))));
        Family::gauge(
            "country_paused",
            "Whether strangers get no codes to the country, by calling code, because hardly any is answered",
        )
        .with_all(all)
    }

    fn deliveries(&self) -> Family {
        let methods = [SendingMethod::Mail, SendingMethod::Text].map(|method| {
            (vec![("method", method.name().into())], yes(self.deliveries.is_paused(method)))
        });
        Family::gauge(
            "delivery_paused",
            "Whether no code is sent by the method for now, because its server fails or asked for a pause",
        )
        .with_all(methods)
    }
}

/// A gauge that is 1 or 0.
fn yes(is_so: bool) -> Value {
    Value::Gauge(f64::from(u8::from(is_so)))
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Family {
    Family::gauge(name, help).value(Value::Gauge(value as f64))
}
