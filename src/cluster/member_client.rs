//! [`MemberClient`]: what one node asks another one, over its operators' listener.

use std::{error::Error as _, path::Path, sync::Arc};

use data_encoding::HEXLOWER;
use http_body_util::BodyExt as _;
use reqwest::{Body, Certificate, Client, RequestBuilder, Response, StatusCode, redirect::Policy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{
    answer_lines::{AnswerLines, LinesError},
    hour_keys::{HourKeysAnswer, HourKeysRequest},
    identity::Identity,
    member::Callee,
    report::MemberReport,
};
use crate::{
    clock::SharedClock,
    files, limits,
    operators::node_token,
    query_log::ForgottenReport,
    quota::{QuotaNews, QuotaReceipt},
    registry::{ClusterId, NodeKey},
    vocabulary::ProblemCode,
};

/// No answer about a node or its keys is longer, and no refusal.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The header by which a node says for which operator it asks another one.
pub const ON_BEHALF: &str = "dispatchd-operator";
/// The header of an answer that lacks the records up to this instant: the clocks of the node that answers disagree.
pub const HIDDEN_UNTIL: &str = "dispatchd-hidden-until";
/// How the TLS library begins to say what is wrong with a certificate.
const UNTRUSTED: &str = "invalid peer certificate: ";

/// A node that wants to join, to the node that lets it in.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// Its name, which must be that of the invite.
    #[schema(example = "b")]
    pub name: String,
    /// The origin at which the others reach its operators' listener.
    #[schema(example = "http://10.0.0.2:8081")]
    pub address: String,
    /// Its Ed25519 public key, in hexadecimal: it signs its calls and its entries with it.
    pub public: String,
    /// The newest format of entries that it reads.
    pub format: u8,
    /// Its X25519 public key, in hexadecimal: keys of entries are sealed to it.
    pub receiving: String,
    /// The cluster that its engine holds, in hexadecimal. It must be the cluster that it joins.
    #[schema(example = "00112233445566778899aabbccddeeff")]
    pub cluster: String,
}

/// What a node that has joined needs to know.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct JoinAnswer {
    /// The number of the node, in hexadecimal.
    #[schema(example = "00c0ffee00c0ffee")]
    pub node: String,
}

/// The secrets that all nodes share.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SharedKeys {
    /// The keys of entries.
    pub entries: Vec<SharedKey>,
    /// The key that hashes codes, in hexadecimal: a code that one node sent is answered at any.
    #[schema(value_type = String)]
    pub verification: Zeroizing<String>,
}

/// A key of entries.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SharedKey {
    /// Its number.
    pub number: u32,
    /// Its bytes, in hexadecimal.
    #[schema(value_type = String)]
    pub key: Zeroizing<String>,
}

/// Why another node gave nothing. The texts hold no token.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of authorities cannot be used.
    #[error("cluster.members_ca: {0}")]
    Authorities(String),
    /// There was no answer.
    #[error("no answer: {0}")]
    Unanswered(String),
    /// It has stopped answering. The text says what became of the last call.
    #[error("{0}")]
    Silent(String),
    /// It was removed from the cluster.
    #[error("it is no node of the cluster any more")]
    Removed,
    /// Its clocks disagree, so it does not show all records that it has.
    #[error("its clocks disagree, and records up to {0} are hidden")]
    Hides(String),
    /// Its certificate is none that this node trusts, or is for another name.
    #[error(
        "its certificate is not trusted ({0}); cluster.members_ca names the authority, and the certificate must be for the name in the address"
    )]
    Untrusted(String),
    /// It refuses. The text is its own.
    #[error("{status}: {detail}")]
    Refused {
        /// The status.
        status: u16,
        /// The code of the problem.
        code: String,
        /// What it said.
        detail: String,
    },
    /// The answer is none of this version.
    #[error("its answer cannot be read; is it of another version?")]
    Unreadable,
    /// Another node has the address.
    #[error("another node answers at its address")]
    OtherNode,
}

impl ClientError {
    /// Whether nobody answers as the node any more. One that refuses is there.
    pub const fn is_gone(&self) -> bool {
        match self {
            Self::Unanswered(_)
            | Self::Silent(_)
            | Self::Removed
            | Self::Untrusted(_)
            | Self::OtherNode => true,
            Self::Authorities(_) | Self::Hides(_) | Self::Refused { .. } | Self::Unreadable => {
                false
            }
        }
    }

    /// Whether the node lacks something that it gets soon.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == ProblemCode::RegistryBehind.code())
    }
}

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

/// The number and bytes of keys of entries, and the key that hashes codes.
type ReadKeys = (Vec<(u32, Zeroizing<[u8; 32]>)>, Zeroizing<[u8; 32]>);

impl SharedKeys {
    /// As a node shares them.
    pub fn new(entries: &[(u32, Zeroizing<[u8; 32]>)], verification: &[u8; 32]) -> Self {
        let hex = |key: &[u8; 32]| Zeroizing::new(HEXLOWER.encode(key));
        let entries =
            entries.iter().map(|(number, key)| SharedKey { number: *number, key: hex(key) });
        Self { entries: entries.collect(), verification: hex(verification) }
    }

    /// The keys of entries, and the key that hashes codes. None if a text is no key.
    pub fn read(&self) -> Option<ReadKeys> {
        let entries = self.entries.iter().map(|it| Some((it.number, key(&it.key)?)));
        Some((entries.collect::<Option<_>>()?, key(&self.verification)?))
    }
}

fn key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(HEXLOWER.decode(text.as_bytes()).ok()?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
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

impl From<LinesError<Self>> for ClientError {
    fn from(error: LinesError<Self>) -> Self {
        match error {
            LinesError::Broken(error) => error,
            LinesError::TooLong | LinesError::WithinLine => Self::Unanswered(error.to_string()),
        }
    }
}

/// Without the URL, and with what lies behind the library's own words.
fn unanswered(error: reqwest::Error) -> ClientError {
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    let why = cause.map_or_else(|| error.to_string(), ToString::to_string);
    match why.strip_prefix(UNTRUSTED) {
        Some(fault) => ClientError::Untrusted(cut(fault.to_owned())),
        None => ClientError::Unanswered(cut(why)),
    }
}

/// A text of another node, or about what it sent: short, and without what would end or overwrite a line.
fn cut(text: String) -> String {
    let is_short = text.len() <= limits::CLUSTER_TEXT_CHARS_MAX;
    if is_short && !text.contains(char::is_control) {
        return text;
    }
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut cut: String = shown.take(limits::CLUSTER_TEXT_CHARS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
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
