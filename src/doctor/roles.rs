//! Operators and their roles.

use std::time::Duration;

use super::unreadable::unreadable;
use crate::{
    api::{Check, Finding},
    clock::Timestamp,
    operators::{Operators, Role},
};

/// A token has no expiry. One that is older than this is worth a look.
const OLD: Duration = Duration::from_secs(365 * 86_400);
/// Names in a finding.
const NAMED_MAX: usize = 5;

/// What is known of an operator.
struct Fact<'a> {
    name: &'a str,
    role: Role,
    age: Duration,
}

/// Looks at the operators of a running server.
pub(super) fn check(operators: &Operators, now: Timestamp) -> Vec<Finding> {
    let operators = match operators.list() {
        Ok(operators) => operators,
        Err(error) => return vec![unreadable(Check::Roles, "the list of operators", &error)],
    };
    // Nodes of the cluster are nobody who reads.
    let people = operators.iter().filter(|operator| operator.role != Role::Member);
    let facts = people.map(|operator| {
        let age = now.since(operator.added_at);
        Fact { name: &operator.name, role: operator.role, age }
    });
    judge(&facts.collect::<Vec<_>>())
}

fn judge(operators: &[Fact<'_>]) -> Vec<Finding> {
    if operators.is_empty() {
        let finding = Finding::warning(
            Check::Roles,
            "there is no operator, so nobody can read the log or the metrics of the running server",
            "`dispatchd operator add NAME --role reader`",
        );
        return vec![finding];
    }
    let mut findings = Vec::new();
    if operators.iter().all(|operator| operator.role == Role::Admin) {
        findings.push(Finding::warning(
            Check::Roles,
            "every operator has the role admin, also whoever only reads the log or scrapes metrics",
            "add operators with --role reader or --role metrics for those who need no more, and keep admin for changes",
        ));
    }
    let old: Vec<_> = operators.iter().filter(|operator| operator.age > OLD).collect();
    if !old.is_empty() {
        let mut names: Vec<_> = old.iter().map(|operator| operator.name).take(NAMED_MAX).collect();
        if old.len() > NAMED_MAX {
            names.push("…");
        }
        findings.push(Finding::warning(
            Check::Roles,
            format!("operators were added more than a year ago: {}", names.join(", ")),
            "`dispatchd operator revoke NAME` for those who have left; revoke and add the others again for a new token",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Severity;

    const DAY: Duration = Duration::from_secs(86_400);

    fn judged(operators: &[(&str, Role, u32)]) -> Vec<String> {
        let facts = operators.iter().map(|(name, role, days)| {
            let (role, age) = (*role, DAY * *days);
            Fact { name, role, age }
        });
        let found = judge(&facts.collect::<Vec<_>>());
        assert!(
            found.iter().all(|it| it.check == Check::Roles && it.severity == Severity::Warning)
        );
        found.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_reader_and_an_admin_of_this_year_are_good() {
        assert_eq!(judged(&[("ann", Role::Reader, 1), ("root", Role::Admin, 365)]), [""; 0]);
        assert!(judged(&[])[0].contains("no operator"));
        assert!(judged(&[("ann", Role::Admin, 1), ("root", Role::Admin, 2)])[0].contains("every"));
        let old = judged(&[("ann", Role::Reader, 1), ("eve", Role::Admin, 366)]);
        assert!(old.len() == 1 && old[0].ends_with(": eve"), "{old:?}");
        let many = ["a", "b", "c", "d", "e", "f"].map(|name| (name, Role::Metrics, 400));
        assert!(judged(&many)[0].ends_with(": a, b, c, d, e, …"));
    }

    #[test]
    fn a_damaged_row_is_a_finding() {
        let directory = tempfile::tempdir().unwrap();
        let (operators, _) = crate::operators::tests::damaged(directory.path());
        let found = check(&operators, Timestamp::EPOCH);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
        assert!(found[0].what.contains("cannot be read"), "{found:?}");
    }
}
