//! Calls of the etcd members: each member gets a try of bounded time, and the next one is asked if it fails.

use std::{
    error::Error,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::FutureExt as _;
use prost::Message;
use tokio::time::timeout;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri},
};
use tonic_prost::ProstCodec;

use super::config::{Config, Tls};
use crate::{limits, shared_log::interface::EngineError};

const TXN: &str = "/etcdserverpb.KV/Txn";
const STATUS: &str = "/etcdserverpb.Maintenance/Status";
const MEMBER_LIST: &str = "/etcdserverpb.Cluster/MemberList";

/// The members of one etcd cluster.
pub(super) struct Members {
    members: Vec<Member>,
    pub(super) config: Config,
    /// The one that is asked first: the one after the last that failed.
    preferred: AtomicUsize,
}

pub(super) struct Member {
    pub(super) url: String,
    channel: Channel,
    try_timeout: Duration,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// It may have been done.
    Unknown(String),
    /// It was not done.
    Refused(String),
    /// The answer is larger than the caller takes.
    TooLarge,
}

impl From<Fault> for EngineError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unknown(text) => Self::Unknown(text),
            Fault::Refused(text) => Self::Refused(text),
            Fault::TooLarge => Self::Damaged("a value is larger than an entry can be"),
        }
    }
}

impl Members {
    /// Connects nowhere yet. Connections belong to the runtime that this is called in.
    pub(super) fn new(config: &Config) -> Result<Self, EngineError> {
        if config.urls.is_empty() {
            return Err(EngineError::Refused("no URL of a member is given".to_owned()));
        }
        let members = config.urls.iter().map(|url| Member::new(url, config));
        let members = members.collect::<Result<_, _>>()?;
        Ok(Self { members, config: config.clone(), preferred: AtomicUsize::new(0) })
    }

    /// A member that is not configured.
    pub(super) fn other(&self, url: &str) -> Result<Member, EngineError> {
        Member::new(url, &self.config)
    }

    /// The members that the cluster has.
    pub(super) async fn list(&self) -> Result<super::messages::MemberList, Fault> {
        let request = super::messages::MemberListRequest {};
        self.call(MEMBER_LIST, || request.clone(), limits::SHARED_LOG_ENTRY_MAX).await
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// Has a member carry out what `request` makes. Each is tried once, so after a member that did not answer another may do it a second
    /// time.
    pub(super) async fn call<Q, A>(
        &self,
        method: &'static str,
        mut request: impl FnMut() -> Q,
        answer_max: usize,
    ) -> Result<A, Fault>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (count, first) = (self.members.len(), self.preferred.load(Ordering::Relaxed));
        let mut faults = Vec::new();
        for at in (first..first + count).map(|at| at % count) {
            let member = &self.members[at];
            let text = match member.call(method, request(), answer_max).await {
                Err(Fault::Unknown(text)) => text,
                // A member before it may have done it.
                Err(Fault::Refused(text)) if !faults.is_empty() => text,
                known => return known,
            };
            faults.push(format!("{}: {text}", member.url));
            let next = (at + 1) % count;
            // It fails if another call was faster: both saw the same member fail.
            let _ = self.preferred.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        Err(Fault::Unknown(faults.join("; ")))
    }

    pub(super) async fn txn(
        &self,
        txn: super::messages::Txn,
        answer_max: usize,
    ) -> Result<super::messages::TxnAnswer, Fault> {
        self.txn_by(|| txn.clone(), answer_max).await
    }

    /// The same with a transaction of its own for each try.
    pub(super) async fn txn_by(
        &self,
        txn: impl FnMut() -> super::messages::Txn,
        answer_max: usize,
    ) -> Result<super::messages::TxnAnswer, Fault> {
        self.call(TXN, txn, answer_max).await
    }
}

impl Member {
    fn new(url: &str, config: &Config) -> Result<Self, EngineError> {
        let refuse = |error: tonic::transport::Error| {
            EngineError::Refused(format!("{url}: {}", chain(&error)))
        };
        let mut endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(refuse)?
            .connect_timeout(config.try_timeout)
            .http2_keep_alive_interval(limits::ETCD_PING_INTERVAL)
            .keep_alive_timeout(limits::ETCD_PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        match (endpoint.uri().scheme_str(), &config.tls) {
            (Some("http"), None) => {}
            (Some("https"), Some(tls)) => {
                endpoint = endpoint.tls_config(tls_config(tls)).map_err(refuse)?;
            }
            _ => {
                let text = "takes http:// without and https:// with files of TLS";
                return Err(EngineError::Refused(format!("{url}: a URL of a member {text}")));
            }
        }
        let channel = endpoint.connect_lazy();
        Ok(Self { url: url.to_owned(), channel, try_timeout: config.try_timeout })
    }

    /// What the member says of itself.
    pub(super) async fn status(&self) -> Result<super::messages::Status, Fault> {
        let request = super::messages::StatusRequest {};
        self.call(STATUS, request, limits::SHARED_LOG_ENTRY_MAX).await
    }

    async fn call<Q, A>(
        &self,
        method: &'static str,
        request: Q,
        answer_max: usize,
    ) -> Result<A, Fault>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(answer_max);
        let called = async {
            grpc.ready().await.map_err(|error| Fault::Unknown(chain(&error)))?;
            let path = Uri::from_static(method).into_parts().path_and_query;
            let path = path.expect("a method is a path");
            let codec = ProstCodec::<Q, A>::default();
            // tonic panics if the details of a status are not base64, as a broken peer may send them.
            let unary = AssertUnwindSafe(grpc.unary(Request::new(request), path, codec));
            let answer = unary.catch_unwind().await;
            let answer = answer.map_err(|_| Fault::Unknown("its answer is no gRPC".to_owned()))?;
            Ok(answer.map_err(|status| fault(&status))?.into_inner())
        };
        let late = |_| Fault::Unknown(format!("no answer within {:?}", self.try_timeout));
        timeout(self.try_timeout, called).await.map_err(late)?
    }
}

fn tls_config(tls: &Tls) -> ClientTlsConfig {
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.authority));
    match &tls.identity {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        None => config,
    }
}

/// What an answer other than OK says of the request. A transaction that found too little room was carried out all the same
/// (`quotaApplierV3` of etcd), so "no space" and everything else that is not listed leaves it open.
fn fault(status: &Status) -> Fault {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition => Fault::Refused(status.message().to_owned()),
        Code::Unimplemented => Fault::Refused("it answers, but is no etcd".to_owned()),
        // The codec says so of an answer beyond the limit. etcd says so of revisions only, which are not asked for.
        Code::OutOfRange => Fault::TooLarge,
        _ => Fault::Unknown(match status.source() {
            Some(source) => chain(source),
            None => status.message().to_owned(),
        }),
    }
}

/// The texts of an error and of its causes, each once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    for text in causes.map(ToString::to_string) {
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}
