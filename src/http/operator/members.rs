//! What `/metrics` shows of the other nodes of a cluster.

use std::borrow::Cow;

use super::families::{Family, Labels, Value};
use crate::{
    cluster::{HourKeys, MemberState, Peers},
    registry::Hold,
};

/// What this node knows of each node. The names of nodes are the labels: an operator gave them.
pub(super) fn families(peers: &Peers, keys: &HourKeys, held: Option<Hold>) -> [Family; 7] {
    let states = peers.states();
    let of =
        |state: &MemberState| -> Labels<'_> { vec![("member", Cow::from(state.name.clone()))] };
    let all = |family: Family, value: &dyn Fn(&MemberState) -> Option<f64>| {
        let known =
            states.iter().filter_map(|state| Some((of(state), Value::Gauge(value(state)?))));
        family.with_all(known)
    };
    let others = peers.others();
    let hour_keys = others.iter().map(|other| {
        let count = Value::Gauge(keys.count_of(other.node) as f64);
        (vec![("member", Cow::from(other.name.clone()))], count)
    });
    let unshared = keys.unshared().map_or(0.0, |hour| hour.began.as_micros() as f64 / 1e6);
    let reasons = Hold::ALL.map(|hold| {
        let is_so = f64::from(u8::from(held == Some(hold)));
        (vec![("reason", hold.code().into())], Value::Gauge(is_so))
    });
    [
        all(
            Family::gauge(
                "cluster_member_reachable",
                "Whether the member answered this node the last time",
            ),
            &|state| Some(f64::from(u8::from(state.reachable))),
        ),
        all(
            Family::gauge(
                "cluster_member_applied_place",
                "The place in the shared log of the last entry that the member told this node it had applied",
            ),
            &|state| state.applied.map(|place| place as f64),
        ),
        all(
            Family::gauge(
                "cluster_member_lag",
                "Entries by which the member is behind the one that is ahead of all",
            ),
            &|state| state.lag.map(|lag| lag as f64),
        ),
        all(
            Family::gauge(
                "cluster_member_clock_ahead",
                "How far the member's clock is ahead of this node's; negative if it is behind",
            )
            .in_seconds(),
            &|state| state.clock_ahead_ms.map(|ms| ms as f64 / 1e3),
        ),
        Family::gauge("cluster_held", "Whether this node takes no changes, by reason")
            .with_all(reasons),
        Family::gauge("cluster_hour_keys", "Keys of hours of the member's query log that this node holds")
            .with_all(hour_keys),
        Family::gauge(
            "cluster_unshared_hour_timestamp",
            "The start of the oldest hour of this node's query log whose key no other node holds, 0 if there is none",
        )
        .in_seconds()
        .value(Value::Gauge(unshared)),
    ]
}
