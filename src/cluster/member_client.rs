//! [`MemberClient`]: what one node asks another one, over its operators' listener.

use std::{path::Path, sync::Arc};

use http_body_util::BodyExt as _;
use reqwest::{Body, Certificate, Client, RequestBuilder, Response, StatusCode, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{
    answer_lines::AnswerLines,
    client_error::{ClientError, cut, unanswered},
    hour_keys::{HourKeysAnswer, HourKeysRequest},
    identity::Identity,
    member::Callee,
    report::MemberReport,
    shared_keys::{JoinAnswer, JoinRequest, SharedKeys},
};
use crate::{
    clock::SharedClock,
    files, limits,
    operators::node_token,
    query_log::ForgottenReport,
    quota::{QuotaNews, QuotaReceipt},
    registry::{ClusterId, NodeKey},
};

/// No answer about a node or its keys is longer, and no refusal.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The header by which a node says for which operator it asks another one.
pub const ON_BEHALF: &str = "dispatchd-operator";
/// The header of an answer that lacks the records up to this instant: the clocks of the node that answers disagree.
pub const HIDDEN_UNTIL: &str = "dispatchd-hidden-until";

/// An operator's call, as a node sends it to another one.
pub struct Asking<'a> {
    /// Where it is sent. A path says nothing about a person, since a proxy may log it.
    pub path: &'a str,
    /// What is asked for, as a JSON object that is posted; without one the call is a GET. It must be limited to the node that is asked.
    pub body: Option<&'a str>,
    /// The type of answer that is taken.
    pub takes: &'static str,
    /// The operator who made the call at this node.
    pub operator: &'a str,
}

/// Asks other nodes. Shows each of them a token for that one alone, of this hour.
#[derive(Clone)]
pub struct MemberClient {
    http: Client,
    /// For calls that may be silent for as long as they read.
    patient: Client,
    cluster: ClusterId,
    key: Arc<NodeKey>,
    clock: SharedClock,
}

impl MemberClient {
    /// Asks as the node `own`, of those who have a certificate of the system's authorities or of those in the file `members_ca`, if it names
    /// one.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn new(own: &Identity, members_ca: &Path, clock: SharedClock) -> Result<Self, ClientError> {
        let authorities = authorities(members_ca)?;
        // The token goes to that node alone: not to a proxy, nor to where it redirects.
        let builder = || {
            let http = Client::builder().no_proxy().redirect(Policy::none()).referer(false);
            // On one connection of HTTP/2, an answer that waits to be read would hold up the others.
            let http = http.http1_only();
            let http = match authorities.clone() {
                Some(authorities) => http.tls_certs_merge(authorities),
                None => http,
            };
            http.connect_timeout(limits::CLUSTER_PEER_PATIENCE)
        };
        let http = builder().read_timeout(limits::CLUSTER_STATE_PATIENCE).build();
        let (http, patient) = (http.map_err(unanswered)?, builder().build().map_err(unanswered)?);
        let (cluster, key) = (own.cluster, Arc::new(own.key()));
        Ok(Self { http, patient, cluster, key, clock })
    }

    fn get(&self, to: Callee<'_>, path: &str) -> RequestBuilder {
        self.signed(to, self.http.get(format!("{}{path}", to.address)))
    }

    fn signed(&self, to: Callee<'_>, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&*node_token(&self.key, self.cluster, to.node, self.clock.now()))
    }

    /// What a node tells of itself.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub async fn report(&self, of: Callee<'_>) -> Result<MemberReport, ClientError> {
        let asked = self.get(of, "/v1/cluster/member").timeout(limits::CLUSTER_PEER_PATIENCE);
        let mut told: MemberReport = json(asked.send().await.map_err(unanswered)?).await?;
        told.version = cut(told.version);
        Ok(told)
    }

    /// Tells a node of quotas.
    ///
    /// # Errors
    /// If it does not answer in time. It may have counted what it was told, also then.
    pub async fn tell_quota(
        &self,
        to: Callee<'_>,
        news: &QuotaNews,
    ) -> Result<QuotaReceipt, ClientError> {
        let told = self.signed(to, self.http.post(format!("{}/v1/cluster/quota", to.address)));
        let told = told.timeout(limits::CLUSTER_PEER_PATIENCE).json(news);
        json(told.send().await.map_err(unanswered)?).await
    }

    /// The answer to an operator's call, line by line. It waits for the head of the answer only.
    ///
    /// # Errors
    /// If the node refuses or does not answer.
    pub(super) async fn lines(
        &self,
        of: Callee<'_>,
        asking: &Asking<'_>,
    ) -> Result<AnswerLines<ClientError>, ClientError> {
        let asked = self.for_operator(of, asking).header("accept", asking.takes);
        let answer = accepted(asked.header("te", "trailers").send().await.map_err(unanswered)?);
        let answer = answer.await?;
        // What it gives looks complete and is not.
        if let Some(until) = answer.headers().get(HIDDEN_UNTIL) {
            return Err(ClientError::Hides(until.to_str().unwrap_or_default().to_owned()));
        }
        Ok(AnswerLines::of(Body::from(answer).map_err(unanswered)))
    }

    /// The answer to an operator's call in one piece.
    ///
    /// # Errors
    /// If the node refuses, does not answer, or answers with more than [`limits::CLUSTER_ANSWER_BYTES_MAX`].
    pub(super) async fn answer<T: DeserializeOwned>(
        &self,
        of: Callee<'_>,
        asking: &Asking<'_>,
    ) -> Result<T, ClientError> {
        let asked = self.for_operator(of, asking).header("accept", asking.takes);
        let answer = accepted(asked.send().await.map_err(unanswered)?).await?;
        read(&whole(answer, limits::CLUSTER_ANSWER_BYTES_MAX).await?)
    }

    fn for_operator(&self, of: Callee<'_>, asking: &Asking<'_>) -> RequestBuilder {
        let url = format!("{}{}", of.address, asking.path);
        let asked = match asking.body {
            None => self.patient.get(url),
            Some(body) => {
                let asked = self.patient.post(url).header("content-type", "application/json");
                asked.body(body.to_owned())
            }
        };
        self.signed(of, asked.header(ON_BEHALF, asking.operator))
    }

    /// Keys of hours, sealed to the key of the request.
    ///
    /// # Errors
    /// If the node refuses or does not answer in time.
    pub async fn hour_keys(
        &self,
        of: Callee<'_>,
        request: &HourKeysRequest,
    ) -> Result<HourKeysAnswer, ClientError> {
        let asked = self.signed(of, self.http.post(format!("{}/v1/cluster/hour-keys", of.address)));
        let asked = asked.timeout(limits::CLUSTER_HOUR_KEYS_PATIENCE).json(request);
        json(asked.send().await.map_err(unanswered)?).await
    }

    /// What a node should have forgotten and has not. It reads a little of each file of its log.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn forgotten(&self, of: Callee<'_>) -> Result<ForgottenReport, ClientError> {
        json(self.get(of, "/v1/cluster/forgotten").send().await.map_err(unanswered)?).await
    }

    /// Joins with the token of an invite.
    ///
    /// # Errors
    /// If the node refuses or does not answer. It may have let this node in, also if it does not answer.
    pub async fn join(
        &self,
        address: &str,
        invite: &str,
        request: &JoinRequest,
    ) -> Result<JoinAnswer, ClientError> {
        let asked = self.http.post(format!("{address}/v1/cluster/join")).bearer_auth(invite);
        json(asked.json(request).send().await.map_err(unanswered)?).await
    }

    /// The secrets that all nodes share.
    ///
    /// # Errors
    /// If the node refuses or does not answer.
    pub async fn keys(&self, of: Callee<'_>) -> Result<SharedKeys, ClientError> {
        json(self.get(of, "/v1/cluster/keys").send().await.map_err(unanswered)?).await
    }

    /// A copy of the store, which is to be read piece by piece.
    ///
    /// # Errors
    /// If the node refuses or does not answer.
    pub async fn snapshot(&self, of: Callee<'_>) -> Result<Snapshot, ClientError> {
        let answer = self.get(of, "/v1/cluster/snapshot").send().await.map_err(unanswered)?;
        let answer = accepted(answer).await?;
        let bytes = answer.content_length().ok_or(ClientError::Unreadable)?;
        Ok(Snapshot { answer, bytes })
    }
}

/// A copy of a store that is being received.
pub struct Snapshot {
    answer: Response,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Snapshot {
    /// The next piece. None at the end.
    ///
    /// # Errors
    /// If the answer breaks off.
    pub async fn piece(&mut self) -> Result<Option<bytes::Bytes>, ClientError> {
        self.answer.chunk().await.map_err(unanswered)
    }
}

/// The authorities of a file. None if no file is named.
fn authorities(file: &Path) -> Result<Option<Vec<Certificate>>, ClientError> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let shown = file.display();
    let unreadable = |why: String| ClientError::Authorities(format!("{shown}: {why}"));
    let text = files::read_small(file).map_err(|error| unreadable(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&text).ok().filter(|all| !all.is_empty());
    found.map(Some).ok_or_else(|| unreadable("it contains no certificate".to_owned()))
}

#[derive(Deserialize)]
struct Refusal {
    detail: String,
    code: String,
}

/// The answer, if it is good.
async fn accepted(answer: Response) -> Result<Response, ClientError> {
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer);
    }
    let body = whole(answer, ANSWER_BYTES_MAX).await?;
    let refusal = serde_json::from_slice::<Refusal>(&body).unwrap_or_else(|_| Refusal {
        detail: "it is no dispatchd, or of another version".to_owned(),
        code: String::new(),
    });
    let (detail, code) = (cut(refusal.detail), cut(refusal.code));
    Err(ClientError::Refused { status: status.as_u16(), code, detail })
}

async fn json<T: DeserializeOwned>(answer: Response) -> Result<T, ClientError> {
    read(&whole(accepted(answer).await?, ANSWER_BYTES_MAX).await?)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|_| ClientError::Unreadable)
}

/// A body that has at most so many bytes.
async fn whole(mut answer: Response, most: usize) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(piece) = answer.chunk().await.map_err(unanswered)? {
        if most < body.len() + piece.len() {
            return Err(ClientError::Unreadable);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
