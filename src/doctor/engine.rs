//! Whether etcd, which holds the shared log of a cluster, is in good order.

use std::time::Duration;

use bytesize::ByteSize;

use crate::{
    api::{Check, Finding},
    cluster::Fence,
    shared_log::{
        EngineError,
        etcd::{self, Examined, ExaminedMember},
    },
};

/// 99 of 100 syncs of a member's log should take less, by etcd's own advice for its metrics.
const SYNC_P99_MAX: Duration = Duration::from_millis(10);
/// A file that is fuller than that many hundredths of its quota needs attention: at the quota etcd takes no entries.
const QUOTA_USED_MAX: u64 = 80;

/// Judges what etcd says of itself. `fence` is the configured one.
pub(super) fn judge(fence: Fence, examined: &Result<Examined, EngineError>) -> Vec<Finding> {
    let examined = match examined {
        Ok(examined) => examined,
        Err(error) => {
            let what = format!("etcd cannot be asked: {error}");
            let to_do = "start its members, or repair what the message names; until then the node refuses phones";
            return vec![Finding::error(Check::Engine, what, to_do)];
        }
    };
    let alarms = examined.alarms.iter().map(|alarm| {
        let what = format!("{} has raised the alarm {}: {}", alarm.member, alarm.name, alarm.what);
        Finding::error(Check::Engine, what, alarm.to_do)
    });
    let silent = examined.silent.iter().map(|(member, why)| {
        let what = format!("the etcd member {member} does not answer: {why}");
        let to_do = "start it, or remove it with `etcdctl member remove`; without a majority of the members the nodes refuse phones";
        Finding::warning(Check::Engine, what, to_do)
    });
    let mut findings: Vec<_> = alarms.chain(silent).collect();
    findings.extend(judge_fence(fence, examined));
    findings.extend(examined.members.iter().flat_map(judge_member));
    findings
}

/// Whether reads may be stale, or writes prevent that.
fn judge_fence(fence: Fence, examined: &Examined) -> Option<Finding> {
    let old = examined.members.iter().filter(|member| !member.has_fresh_reads);
    let old: Vec<_> = old.map(|it| format!("{} has {}", it.url, it.version)).collect();
    let old = (!old.is_empty()).then(|| old.join(", "))?;
    let to_do = "upgrade etcd to 3.4.42, 3.5.28, 3.6.9 or later";
    if examined.fence == etcd::Fence::Read {
        let what = format!(
            "lookups may miss changes of other nodes: {old}, whose reads can be stale (etcd issue 20418)"
        );
        return Some(Finding::error(
            Check::Engine,
            what,
            format!("remove cluster.fence, and {to_do}"),
        ));
    }
    let what = format!(
        "lookups wait for a write, which takes about twice as long as a read: {old}, whose reads can be stale (etcd issue 20418)"
    );
    // Who configured the write knows what it costs.
    (fence == Fence::Auto).then(|| Finding::warning(Check::Engine, what, to_do))
}

fn judge_member(member: &ExaminedMember) -> Vec<Finding> {
    let (url, mut findings) = (&member.url, Vec::new());
    if !member.has_leader {
        let what = format!("the etcd member {url} knows no leader");
        let to_do = "see whether its members reach each other at their peer URLs";
        findings.push(Finding::error(Check::Engine, what, to_do));
    }
    match &member.sync_p99 {
        Ok(Some(time)) if *time > SYNC_P99_MAX => {
            let (found, most) = (time.as_millis(), SYNC_P99_MAX.as_millis());
            let what = format!(
                "a sync of the disk of the etcd member {url} takes {found} ms or more, once in a hundred; it should take less than {most} ms"
            );
            let to_do = "put etcd's data on a fast disk that nothing else keeps busy; each change waits for a majority of these syncs";
            findings.push(Finding::warning(Check::Engine, what, to_do));
        }
        Ok(_) => {}
        Err(why) => {
            let what = format!(
                "the metrics of the etcd member {url} cannot be read, so how long its disk takes is not known: {why}"
            );
            let to_do = "let this node read /metrics at the member's client URL";
            findings.push(Finding::warning(Check::Engine, what, to_do));
        }
    }
    findings.extend(judge_size(member));
    findings
}

fn judge_size(member: &ExaminedMember) -> Option<Finding> {
    let ExaminedMember { url, file_bytes, used_bytes, quota_bytes, .. } = member;
    let quota = (*quota_bytes)?;
    let is_full = |bytes: u64| bytes.saturating_mul(100) > quota.saturating_mul(QUOTA_USED_MAX);
    if !is_full(*file_bytes) {
        return None;
    }
    let [file, used, most] = [*file_bytes, *used_bytes, quota].map(ByteSize);
    let what = format!(
        "the database of the etcd member {url} has {file} of the {most} that it may have, {used} of them in use; etcd takes no entries once it is full"
    );
    let to_do = if is_full(*used_bytes) {
        "set --auto-compaction-mode=periodic and --auto-compaction-retention=5m, or raise --quota-backend-bytes"
    } else {
        "run `etcdctl defrag` for this member, which answers nobody meanwhile"
    };
    Some(Finding::warning(Check::Engine, what, to_do))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Severity, shared_log::etcd::RaisedAlarm};

    fn member() -> ExaminedMember {
        ExaminedMember {
            url: "http://m0:2379".to_owned(),
            version: "3.6.9".to_owned(),
            has_fresh_reads: true,
            has_leader: true,
            file_bytes: 80,
            used_bytes: 80,
            quota_bytes: Some(100),
            sync_p99: Ok(Some(SYNC_P99_MAX)),
        }
    }

    fn examined(member: ExaminedMember) -> Examined {
        let (silent, alarms) = (Vec::new(), Vec::new());
        Examined { fence: etcd::Fence::Read, members: vec![member], silent, alarms }
    }

    /// The one finding, and what to do about it.
    #[track_caller]
    fn one(fence: Fence, examined: Result<Examined, EngineError>) -> (Severity, String, String) {
        let found = judge(fence, &examined);
        let [finding] = &*found else { panic!("{found:?}") };
        assert_eq!(finding.check, Check::Engine);
        (finding.severity, finding.what.clone(), finding.to_do.clone())
    }

    #[test]
    fn an_engine_in_good_order_has_no_finding() {
        assert_eq!(judge(Fence::Auto, &Ok(examined(member()))), []);
        let unknown = ExaminedMember { sync_p99: Ok(None), quota_bytes: None, ..member() };
        assert_eq!(judge(Fence::Auto, &Ok(examined(unknown))), []);
    }

    #[test]
    fn each_thing_that_is_wrong_with_a_member_is_found_with_what_to_do() {
        let with = |change: fn(&mut ExaminedMember)| {
            let mut member = member();
            change(&mut member);
            one(Fence::Auto, Ok(examined(member)))
        };
        for (change, severity, what, to_do) in [
            (
                (|it| it.has_leader = false) as fn(&mut ExaminedMember),
                Severity::Error,
                "no leader",
                "reach each other",
            ),
            (|it| it.file_bytes = 81, Severity::Warning, "has 81 B of the 100 B", "defrag"),
            (
                |it| (it.file_bytes, it.used_bytes) = (90, 81),
                Severity::Warning,
                "81 B of them in use",
                "compaction",
            ),
            (
                |it| it.sync_p99 = Ok(Some(Duration::from_millis(31))),
                Severity::Warning,
                "31 ms",
                "fast disk",
            ),
            (
                |it| it.sync_p99 = Err("no answer".to_owned()),
                Severity::Warning,
                "no answer",
                "/metrics",
            ),
            (|it| it.has_fresh_reads = false, Severity::Error, "20418", "3.6.9"),
        ] {
            let (found, said, advice) = with(change);
            assert_eq!(found, severity, "{said}");
            assert!(
                said.contains(what) && said.contains("m0") && advice.contains(to_do),
                "{said}: {advice}"
            );
        }
    }

    #[test]
    fn old_members_are_no_fault_if_the_fence_is_a_write() {
        let old = || {
            let member = ExaminedMember { has_fresh_reads: false, ..member() };
            Examined { fence: etcd::Fence::Write, ..examined(member) }
        };
        let (severity, what, _) = one(Fence::Auto, Ok(old()));
        assert!(severity == Severity::Warning && what.contains("wait for a write"), "{what}");
        assert_eq!(judge(Fence::Write, &Ok(old())), [], "it was configured");
    }

    #[test]
    fn what_does_not_answer_and_alarms_are_found() {
        let nobody = Err(EngineError::Unknown("http://m0:2379: refused".to_owned()));
        assert_eq!(one(Fence::Auto, nobody).0, Severity::Error);
        let silent = vec![("http://m1:2379".to_owned(), "no answer within 1s".to_owned())];
        let (severity, what, _) = one(Fence::Auto, Ok(Examined { silent, ..examined(member()) }));
        assert!(
            severity == Severity::Warning && what.contains("m1:2379 does not answer"),
            "{what}"
        );
        let alarms = vec![RaisedAlarm {
            member: "http://m1:2379".to_owned(),
            name: "NOSPACE",
            what: "it has no space",
            to_do: "defragment it",
        }];
        let (severity, what, to_do) =
            one(Fence::Auto, Ok(Examined { alarms, ..examined(member()) }));
        assert!(severity == Severity::Error && what.contains("alarm NOSPACE"), "{what}");
        assert_eq!(to_do, "defragment it");
    }
}
