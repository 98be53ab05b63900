//! Reports of which each node of a cluster makes one about its own files.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    audit::VerifyReport as AuditVerification, query_log::VerifyReport as LogVerification,
    vocabulary::MissingNode,
};

macro_rules! of_each_node {
    ($(#[$doc:meta])* $answer:ident of $report:ident, $(#[$doc_of_node:meta])* $of_node:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub struct $answer {
            /// What the node that was asked found. `sound` is true only if each other node answered and is sound, too.
            #[serde(flatten)]
            pub own: $report,
            /// Whether that node by itself is sound. Absent outside a cluster.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(nullable = false)]
            pub own_sound: Option<bool>,
            /// The name of the node that was asked. Absent outside a cluster.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(nullable = false, example = "a")]
            pub node: Option<String>,
            /// What the other nodes found, each in its own files. Absent if there are none.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub others: Vec<$of_node>,
        }

        $(#[$doc_of_node])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub struct $of_node {
            /// The name of the node.
            #[schema(example = "b")]
            pub node: String,
            /// Why it did not tell. Null if it did.
            #[schema(required)]
            pub error: Option<String>,
            /// What it found. Null if it did not tell.
            #[schema(required)]
            pub report: Option<$report>,
        }

        impl $answer {
            /// The report of the node that is asked, and those of the others, by name: the report, or why there is none.
            pub fn new(
                mut own: $report,
                node: Option<String>,
                others: Vec<(String, Result<$report, String>)>,
            ) -> Self {
                let of_node = |(node, told): (String, Result<$report, String>)| {
                    let (report, error) = match told {
                        Ok(report) => (Some(report), None),
                        Err(error) => (None, Some(error)),
                    };
                    $of_node { node, error, report }
                };
                let others: Vec<_> = others.into_iter().map(of_node).collect();
                let own_sound = node.is_some().then_some(own.sound);
                own.sound &= others.iter().all(|it| it.report.as_ref().is_some_and(|it| it.sound));
                Self { own, own_sound, node, others }
            }

            /// The reports that there are, each with the name of its node, in the order of names.
            pub fn reports(&self) -> Vec<(Option<&str>, &$report)> {
                let others = self.others.iter();
                let others = others.filter_map(|it| Some((Some(&*it.node), it.report.as_ref()?)));
                let mut all: Vec<_> = others.chain([(self.node.as_deref(), &self.own)]).collect();
                all.sort_by_key(|(node, _)| *node);
                all
            }

            /// The nodes that did not tell.
            pub fn missing(&self) -> Vec<MissingNode> {
                let silent = self.others.iter().filter_map(|it| {
                    Some(MissingNode { node: it.node.clone(), why: it.error.clone()? })
                });
                silent.collect()
            }

            /// The nodes that found something, by name.
            pub fn unsound(&self) -> Vec<&str> {
                let own = self.node.as_deref().filter(|_| self.own_sound == Some(false));
                let is_unsound = |report: &$report| !report.sound;
                let others = self.others.iter().filter(|it| it.report.as_ref().is_some_and(is_unsound));
                let mut all: Vec<_> = others.map(|it| &*it.node).chain(own).collect();
                all.sort_unstable();
                all
            }
        }
    };
}

of_each_node! {
    /// Whether the query log is sound, on each node.
    LogVerificationAnswer of LogVerification,
    /// What another node found in its query log.
    NodeLogVerification
}

of_each_node! {
    /// Whether the audit log is sound, on each node.
    AuditVerificationAnswer of AuditVerification,
    /// What another node found in its audit log.
    NodeAuditVerification
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_tell_is_no_sound_one() {
        let sound = LogVerification { sound: true, ..LogVerification::default() };
        let answer = |others: &[(&str, bool)]| {
            let others = others.iter().map(|(node, tells)| {
                let told = if *tells { Ok(sound.clone()) } else { Err("no answer".to_owned()) };
                ((*node).to_owned(), told)
            });
            LogVerificationAnswer::new(sound.clone(), Some("b".to_owned()), others.collect())
        };
        assert!(answer(&[]).own.sound && answer(&[("a", true), ("c", true)]).own.sound);
        let told = answer(&[("a", true), ("c", false)]);
        assert!(!told.own.sound, "nobody knows what c has");
        let names: Vec<_> = told.reports().into_iter().map(|(node, _)| node.unwrap()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(told.missing()[0].node, "c");
        assert!(told.unsound().is_empty() && told.own_sound == Some(true));
    }
}
