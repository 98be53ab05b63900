//! [`Roll`]: the members that the engine has, and which version each of them runs.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;

use super::{
    Etcd,
    config::{Fence, Probed},
    members::{Fault, Member},
    messages::{Listed, Status},
    version::Version,
};
use crate::shared_log::interface::EngineError;

/// What members say of themselves.
pub(super) struct Roll {
    pub(super) known: Vec<Known>,
    /// Those that did not answer, each by its URL or name, and why.
    pub(super) silent: Vec<(String, String)>,
}

/// A member that answered.
pub(super) struct Known {
    pub(super) url: String,
    pub(super) version: Version,
    pub(super) status: Status,
}

/// Alarms of etcd: the name, what it means, and what to do.
pub(super) const ALARMS: [(&str, &str, &str); 2] = [
    (
        "NOSPACE",
        "etcd has no space and takes no entries",
        "compact and defragment it, or raise --quota-backend-bytes; then run `etcdctl alarm disarm`",
    ),
    ("CORRUPT", "etcd found its data damaged", "replace that member"),
];

impl Roll {
    /// Whether no member can answer a read with stale data, as far as this tells.
    pub(super) fn has_fresh_reads(&self) -> bool {
        self.silent.is_empty() && self.known.iter().all(|it| it.version.has_fresh_reads())
    }
}

impl Etcd {
    /// The members, by asking them now. It writes nothing.
    ///
    /// # Errors
    /// If no member says which there are.
    pub async fn members_now(&self) -> Result<Probed, EngineError> {
        Ok(self.probed(self.fresh_roll().await?))
    }

    pub(super) fn probed(&self, roll: Roll) -> Probed {
        let versions = roll.known.into_iter().map(|it| (it.url, it.status.version)).collect();
        Probed { fence: self.fence(), versions, silent: roll.silent }
    }

    /// Asks all members, and takes the fence that they allow.
    pub(super) async fn fresh_roll(&self) -> Result<Roll, EngineError> {
        let roll = self.call_roll().await;
        // Also if nobody answers: whoever comes back may have any version.
        let is_fresh = roll.as_ref().is_ok_and(Roll::has_fresh_reads);
        self.has_fresh_reads.store(is_fresh, Ordering::Relaxed);
        roll
    }

    /// Asks all members which version they have, and takes the fence that they allow. To be called each
    /// [`ETCD_MEMBERS_PAUSE`](crate::limits::ETCD_MEMBERS_PAUSE).
    pub async fn look_at_members(&self) {
        let before = self.fence();
        let is_fresh = self.fresh_roll().await.is_ok_and(|roll| roll.has_fresh_reads());
        let fence = self.fence();
        if fence != before {
            tracing::info!(
                ?fence,
                "the fence of the shared log changes with the versions of the etcd members"
            );
        }
        if fence == Fence::Read && !is_fresh {
            tracing::warn!(
                "not every etcd member is known to have the fix of etcd issue 20418: reads may be stale; \
                 take the fence `auto`"
            );
        }
    }

    /// Asks the configured members, and those that they name.
    async fn call_roll(&self) -> Result<Roll, EngineError> {
        let told = join_all(self.members.iter().map(Member::status)).await;
        let (mut known, mut silent) = (Vec::new(), Vec::new());
        for (member, told) in self.members.iter().zip(told) {
            let url = &member.url;
            match told {
                Ok(status) => known.push(Known::new(url, status)?),
                Err(Fault::Unknown(text)) => silent.push((url.clone(), text)),
                Err(fault) => return Err(refused(url, &format!("{}", EngineError::from(fault)))),
            }
        }
        let Some(first) = known.first() else {
            return Err(nobody_answers(&silent));
        };
        let cluster = first.cluster();
        if let Some(other) = known.iter().find(|other| other.cluster() != cluster) {
            return Err(refused(&other.url, "it belongs to another etcd cluster than the first"));
        }
        match self.members.list().await {
            Ok(list) => {
                let is_known = |it: &Listed| known.iter().any(|known| known.id() == it.id);
                let others = list.members.into_iter().filter(|it| !is_known(it));
                let others: Vec<_> = others.map(|it| self.ask_other(it, cluster)).collect();
                for told in join_all(others).await {
                    match told {
                        Ok(member) => known.push(member),
                        // It is configured, too.
                        Err((url, _)) if silent.iter().any(|(silent, _)| *silent == url) => {}
                        Err(told) => silent.push(told),
                    }
                }
            }
            Err(fault) => {
                silent
                    .push(("the list of members".to_owned(), EngineError::from(fault).to_string()));
            }
        }
        Ok(Roll { known, silent })
    }

    /// What a member says of itself that is not configured, by the first of its URLs at which it is.
    async fn ask_other(&self, other: Listed, cluster: u64) -> Result<Known, (String, String)> {
        let mut silent = (other.name, "it has no client URL".to_owned());
        for url in other.urls {
            let told = match self.members.other(&url) {
                Ok(member) => member.status().await.map_err(EngineError::from),
                Err(error) => Err(error),
            };
            match told.and_then(|status| Known::new(&url, status)) {
                // Such as a URL with the host name `localhost`.
                Ok(known) if known.cluster() != cluster || known.id() != other.id => {
                    silent = (url, "another member answers there".to_owned());
                }
                Ok(known) => return Ok(known),
                Err(error) => silent = (url, error.to_string()),
            }
        }
        Err(silent)
    }
}

impl Known {
    pub(super) fn new(url: &str, status: Status) -> Result<Self, EngineError> {
        let Some(version) = Version::parse(&status.version) else {
            return Err(refused(url, "it answers, but is no etcd"));
        };
        if !version.is_supported() {
            let text = format!("etcd {} is too old: take 3.4 or newer", status.version);
            return Err(refused(url, &text));
        }
        Ok(Self { url: url.to_owned(), version, status })
    }

    /// The number of its cluster.
    pub(super) fn cluster(&self) -> u64 {
        self.status.header.as_ref().map_or(0, |header| header.cluster)
    }

    /// Its number.
    pub(super) fn id(&self) -> u64 {
        self.status.header.as_ref().map_or(0, |header| header.member)
    }

    pub(super) fn judge_alarms(&self) -> Result<(), EngineError> {
        for (alarm, what, to_do) in ALARMS {
            if self.status.errors.iter().any(|error| error.contains(alarm)) {
                return Err(refused(&self.url, &format!("{what} (alarm {alarm}): {to_do}")));
            }
        }
        Ok(())
    }
}

/// A handshake that a member refuses looks like a connection that closes, so the text names what to check.
fn nobody_answers(silent: &[(String, String)]) -> EngineError {
    let texts: Vec<_> = silent.iter().map(|(url, text)| format!("{url}: {text}")).collect();
    let is_tls = silent.iter().any(|(url, _)| url.starts_with("https://"));
    let tls = if is_tls {
        "that etcd and this node accept each other's certificates"
    } else {
        "that etcd takes connections without TLS there"
    };
    let texts = texts.join("; ");
    EngineError::Unknown(format!("{texts}. Check that these are client URLs of etcd, and {tls}"))
}

fn refused(url: &str, text: &str) -> EngineError {
    EngineError::Refused(format!("{url}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(version: &str, errors: &[&str]) -> Result<Known, EngineError> {
        let errors = errors.iter().map(ToString::to_string).collect();
        let status = Status { version: version.to_owned(), errors, ..Status::default() };
        Known::new("http://m0", status)
    }

    #[test]
    fn members_that_cannot_be_used_are_told() {
        let judged = |version, errors: &[&str]| known(version, errors)?.judge_alarms();
        for (version, alarm, text) in [
            ("3.3.27", "", "3.3.27 is too old"),
            ("", "", "is no etcd"),
            ("3.4.23", "memberID:1 alarm:NOSPACE ", "no space"),
            ("3.6.9", "memberID:1 alarm:CORRUPT ", "damaged"),
        ] {
            let error = judged(version, &["etcdserver: no leader", alarm]).unwrap_err().to_string();
            assert!(error.contains("http://m0: ") && error.contains(text), "{error}");
        }
        assert_eq!(judged("3.4.0", &["etcdserver: no leader"]), Ok(()));
    }

    #[test]
    fn one_member_of_an_old_version_or_without_an_answer_is_enough_for_stale_reads() {
        let roll = |versions: &[&str], silent: &[&str]| {
            let known = versions.iter().map(|it| known(it, &[]).unwrap()).collect();
            let silent = silent.iter().map(|it| ((*it).to_owned(), String::new())).collect();
            Roll { known, silent }.has_fresh_reads()
        };
        assert!(roll(&["3.6.9", "3.5.28"], &[]));
        assert!(!roll(&["3.6.9", "3.5.27"], &[]));
        assert!(!roll(&["3.6.9", "3.5.28"], &["http://m2"]));
    }
}
