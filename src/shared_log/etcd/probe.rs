//! What a node finds out about its engine when it starts.

use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use futures_util::future::join_all;
use prost::bytes::Bytes;
use std::sync::atomic::Ordering;

use super::{
    Etcd,
    config::Fence,
    members::{Fault, Member},
    messages::{Compare, Deleted, LESS, Part, PartAnswer, Status, Txn, VERSION},
    version::Version,
};
use crate::{limits, shared_log::interface::EngineError};

/// What a probe found of an engine that does what is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// How the newest head is found from now on: [`Fence::Read`] or [`Fence::Write`].
    pub fence: Fence,
    /// The members that answered, each by its URL and version.
    pub versions: Vec<(String, String)>,
    /// The members that did not, each by its URL and why.
    pub silent: Vec<(String, String)>,
}

impl Etcd {
    /// Finds out whether the engine does what is needed, and which fence its members allow. A node may call it again at any time.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] if too few members answer. [`EngineError::Refused`] if a member is no etcd, too old, of another cluster, or
    /// refuses this node; if the engine has no room; if it does not carry out a transaction as it must.
    pub async fn probe(&self) -> Result<Probed, EngineError> {
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
        if let Some(other) = known.iter().find(|other| other.cluster != first.cluster) {
            return Err(refused(&other.url, "it belongs to another etcd cluster than the first"));
        }
        let is_fresh = silent.is_empty() && known.iter().all(|it| it.version.has_fresh_reads());
        self.has_fresh_reads.store(is_fresh, Ordering::Relaxed);
        if self.fence() == Fence::Read && !is_fresh {
            let text = "not every member is known to have the fix of etcd issue 20418, so reads may \
                        be stale: take the fence `auto`";
            return Err(EngineError::Refused(text.to_owned()));
        }
        for member in &known {
            member.judge_alarms()?;
        }
        self.judge_transactions().await?;
        self.judge_size().await?;
        let versions = known.into_iter().map(|it| (it.url, it.text)).collect();
        Ok(Probed { fence: self.fence(), versions, silent })
    }

    /// A transaction compares, writes and deletes.
    async fn judge_transactions(&self) -> Result<(), EngineError> {
        let mut random = [0; 8];
        rand::fill(&mut random).map_err(|_| {
            EngineError::Refused("the operating system gives no random bytes".to_owned())
        })?;
        let key = self.keys.probe(&HEXLOWER.encode(&random));
        let create = || Txn {
            compare: vec![Compare { target: VERSION, key: key.clone(), ..Compare::default() }],
            success: vec![Part::put(key.clone(), Bytes::from_static(b"probe"))],
            failure: vec![Part::delete(key.clone(), Bytes::new())],
        };
        let first = self.txn(create()).await?;
        // The key is there now, so this deletes it.
        let second = self.txn(create()).await?;
        let deleted = second.answers.into_iter().next().and_then(|it| it.answer);
        let is_deleted = deleted == Some(PartAnswer::Deleted(Deleted { count: 1 }));
        if !first.is_success || second.is_success || !is_deleted {
            let text = "a transaction with a comparison did something else than it must";
            return Err(EngineError::Refused(text.to_owned()));
        }
        Ok(())
    }

    /// A request may hold the largest entry. The one that is sent compares with what never holds, so it writes nothing.
    async fn judge_size(&self) -> Result<(), EngineError> {
        let never = Compare { result: LESS, target: VERSION, ..self.head_is(super::Head::EMPTY) };
        let largest = Bytes::from(vec![0; limits::SHARED_LOG_ENTRY_MAX]);
        let success = vec![Part::put(self.keys.entry(0), largest)];
        let txn = Txn { compare: vec![never], success, failure: Vec::new() };
        match self.txn(txn).await {
            Ok(answer) if !answer.is_success => Ok(()),
            Ok(_) => {
                Err(EngineError::Damaged("a transaction was carried out whose condition failed"))
            }
            Err(error) => {
                let bytes = limits::SHARED_LOG_ENTRY_MAX;
                Err(EngineError::Refused(format!(
                    "it does not take an entry of {bytes} bytes ({error}): set --max-request-bytes \
                     to 1572864, which is etcd's default"
                )))
            }
        }
    }
}

/// A member that answered.
struct Known {
    url: String,
    cluster: u64,
    text: String,
    version: Version,
    errors: Vec<String>,
}

impl Known {
    fn new(url: &str, status: Status) -> Result<Self, EngineError> {
        let cluster = status.header.unwrap_or_default().cluster;
        let Some(version) = Version::parse(&status.version) else {
            return Err(refused(url, "it answers, but is no etcd"));
        };
        if !version.is_supported() {
            let text = format!("etcd {} is too old: take 3.4 or newer", status.version);
            return Err(refused(url, &text));
        }
        let (url, text, errors) = (url.to_owned(), status.version, status.errors);
        Ok(Self { url, cluster, text, version, errors })
    }

    fn judge_alarms(&self) -> Result<(), EngineError> {
        for (alarm, text) in [
            (
                "NOSPACE",
                "etcd has no room and takes no entries (alarm NOSPACE): compact and defragment it, or \
                 raise --quota-backend-bytes; then run `etcdctl alarm disarm`",
            ),
            ("CORRUPT", "etcd found its data damaged (alarm CORRUPT): replace that member"),
        ] {
            if self.errors.iter().any(|error| error.contains(alarm)) {
                return Err(refused(&self.url, text));
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

    fn judged(version: &str, errors: &[&str]) -> Result<(), EngineError> {
        let errors = errors.iter().map(ToString::to_string).collect();
        let status = Status { header: None, version: version.to_owned(), errors };
        Known::new("http://m0", status)?.judge_alarms()
    }

    #[test]
    fn members_that_cannot_be_used_are_told() {
        for (version, alarm, text) in [
            ("3.3.27", "", "3.3.27 is too old"),
            ("", "", "is no etcd"),
            ("3.4.23", "memberID:1 alarm:NOSPACE ", "no room"),
            ("3.6.9", "memberID:1 alarm:CORRUPT ", "damaged"),
        ] {
            let error = judged(version, &["etcdserver: no leader", alarm]).unwrap_err().to_string();
            assert!(error.contains("http://m0: ") && error.contains(text), "{error}");
        }
        assert_eq!(judged("3.4.0", &["etcdserver: no leader"]), Ok(()));
    }
}
