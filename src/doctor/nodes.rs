//! Whether the nodes of a cluster answer, take changes and agree on the time.

use std::time::Duration;

use crate::{
    api::{Check, Finding},
    cluster::{ClusterReport, MemberState, UnsharedHour},
    limits,
};

/// A clock that is farther off than this is on its way to [`limits::CLUSTER_CLOCK_DIFFERENCE_MAX`]. Time services keep clocks within some
/// milliseconds.
const AHEAD_MAX: Duration = Duration::from_millis(250);

/// Judges the cluster as this node knows it.
pub(super) fn judge(report: &ClusterReport) -> Vec<Finding> {
    let own = &report.node;
    let held = report.held.iter().map(|why| {
        let what = format!("this node, {own}, takes no changes: {why}");
        Finding::error(
            Check::Nodes,
            what,
            "the runbook of the alert DispatchdClusterHeld says what to do",
        )
    });
    let others = report.members.iter().filter(|member| member.name != *own);
    held.chain(others.flat_map(|member| judge_other(own, member))).collect()
}

/// Judges that no other node holds the key of an hour of this one.
pub(super) fn judge_unshared(hour: UnsharedHour) -> Option<Finding> {
    let UnsharedHour { began, lasted } = hour;
    let is_long = limits::CLUSTER_HOUR_UNSHARED_MAX <= lasted;
    let what = format!(
        "for {} minutes no other node has held the key of this node's hour that began at {began}: if this machine is lost, no copy of \
         that hour can be read",
        lasted.as_secs() / 60
    );
    let to_do = "the runbook of the alert DispatchdHourKeyUnshared says what to do";
    is_long.then(|| Finding::warning(Check::Nodes, what, to_do))
}

fn judge_other(own: &str, member: &MemberState) -> Vec<Finding> {
    let (name, mut findings) = (&member.name, Vec::new());
    if let Some(error) = &member.error {
        let what = format!("the node {name} does not answer {own}: {error}");
        let to_do = "start it, see whether the machines reach each other, or remove it with `dispatchd cluster remove`";
        findings.push(Finding::warning(Check::Nodes, what, to_do));
    } else if member.ready == Some(false) {
        let what = format!("the node {name} takes no changes, or does not follow the log");
        let to_do = "`GET /readyz` on its listeners says why";
        findings.push(Finding::warning(Check::Nodes, what, to_do));
    }
    let ahead = member.clock_ahead_ms.unwrap_or(0);
    let is_beyond = |most: Duration| u128::from(ahead.unsigned_abs()) > most.as_millis();
    if is_beyond(AHEAD_MAX) {
        let direction = if ahead < 0 { "behind" } else { "ahead of" };
        let far = ahead.unsigned_abs();
        let what = format!("the clock of the node {name} is {far} ms {direction} that of {own}");
        let to_do =
            "run a time service on both machines; a node whose clock is wrong takes no changes";
        let is_fault = is_beyond(limits::CLUSTER_CLOCK_DIFFERENCE_MAX);
        let finding = if is_fault { Finding::error } else { Finding::warning };
        findings.push(finding(Check::Nodes, what, to_do));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Severity, clock::Timestamp};

    fn node(name: &str) -> MemberState {
        MemberState {
            name: name.to_owned(),
            node: "00c0ffee00c0ffee".to_owned(),
            address: "http://b:8081".to_owned(),
            reachable: true,
            error: None,
            applied: Some(7),
            lag: Some(0),
            clock_ahead_ms: Some(-250),
            ready: Some(true),
            version: None,
        }
    }

    fn judged(held: Option<&str>, other: MemberState) -> Vec<(Severity, String)> {
        let (cluster, held) = (String::new(), held.map(str::to_owned));
        let members = vec![node("a"), other];
        let report =
            ClusterReport { cluster, node: "a".to_owned(), held, members, engine: Vec::new() };
        let found = judge(&report).into_iter();
        found.map(|finding| (finding.severity, finding.what)).collect()
    }

    #[test]
    fn an_hour_that_nobody_else_holds_is_found_after_ten_minutes() {
        let judged = |seconds| {
            let lasted = Duration::from_secs(seconds);
            judge_unshared(UnsharedHour { began: Timestamp::from_secs(1_795_420_800), lasted })
        };
        assert!(judged(599).is_none());
        let what = judged(660).unwrap().what;
        assert!(
            what.starts_with("for 11 minutes") && what.contains("2026-11-23T08:00:00"),
            "{what}"
        );
    }

    #[test]
    fn each_thing_that_is_wrong_with_a_node_is_found() {
        assert_eq!(judged(None, node("b")), []);
        let away = MemberState {
            error: Some("no answer: refused".to_owned()),
            reachable: false,
            ..node("b")
        };
        for (held, other, severity, said) in [
            (
                Some("its clock is wrong"),
                node("b"),
                Severity::Error,
                "a, takes no changes: its clock is wrong",
            ),
            (None, away, Severity::Warning, "b does not answer a: no answer: refused"),
            (
                None,
                MemberState { ready: Some(false), ..node("b") },
                Severity::Warning,
                "b takes no changes",
            ),
            (
                None,
                MemberState { clock_ahead_ms: Some(251), ..node("b") },
                Severity::Warning,
                "251 ms ahead of that of a",
            ),
            (
                None,
                MemberState { clock_ahead_ms: Some(-501), ..node("b") },
                Severity::Error,
                "501 ms behind that of a",
            ),
        ] {
            let found = judged(held, other);
            let [(found, what)] = &*found else { panic!("{said}: {found:?}") };
            assert!(*found == severity && what.contains(said), "{what}");
        }
    }
}
