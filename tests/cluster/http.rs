//! Real nodes, as phones use them.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    answered::Answered,
    history::{Outcome, What},
    service::{Phone, Service},
};

/// How long an answer may take before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a code may be on its way to the outbox.
const CODE_PATIENCE: Duration = Duration::from_secs(2);
/// Names the request, in an answer.
const REQUEST_ID: &str = "x-request-id";
/// Refusals after which a change may be made all the same.
const IN_DOUBT: [&str; 3] = ["registry-unwritable", "log-unwritable", "internal"];

/// The codes that one node has sent, as far as its outbox was read.
struct Outbox {
    path: PathBuf,
    read: u64,
    rest: String,
    codes: HashMap<String, String>,
}

impl Outbox {
    /// The newest code of a verification.
    fn code(&mut self, verification: &str) -> Option<String> {
        self.catch_up();
        self.codes.get(verification).cloned()
    }

    fn catch_up(&mut self) -> Option<()> {
        let mut file = File::open(&self.path).ok()?;
        // Its disk was destroyed, and the file is a new one.
        if file.metadata().ok()?.len() < self.read {
            (self.read, self.rest) = (0, String::new());
        }
        file.seek(SeekFrom::Start(self.read)).ok()?;
        let mut text = String::new();
        self.read += file.read_to_string(&mut text).ok()? as u64;
        self.rest += &text;
        while let Some((line, rest)) = self.rest.split_once('\n') {
            if let Ok(message) = serde_json::from_str::<Value>(line)
                && let (Some(verification), Some(code)) =
                    (message["verification"].as_str(), message["code"].as_str())
            {
                self.codes.insert(verification.to_owned(), code.to_owned());
            }
            self.rest = rest.to_owned();
        }
        Some(())
    }
}

/// The nodes of a cluster.
pub(crate) struct Nodes {
    phones: Vec<String>,
    outboxes: Vec<Mutex<Outbox>>,
    client: Client,
    answered: Mutex<Vec<Answered>>,
}

/// An answer.
struct Reply {
    status: u16,
    body: Value,
    /// What records call the request.
    request: String,
}

impl Reply {
    /// Why the node refused a change.
    fn refusal(&self) -> Outcome {
        let code = self.body["code"].as_str().unwrap_or("an answer without a code");
        let code = self.body["limit"].as_str().unwrap_or(code).to_owned();
        match code.as_str() {
            "handle-not-bound" => Outcome::NotHeld,
            known if IN_DOUBT.contains(&known) || !self.body["code"].is_string() => {
                Outcome::Unknown(code)
            }
            _ => Outcome::Refused(code),
        }
    }
}

impl Nodes {
    /// Nodes at these addresses, which write codes to these files.
    pub(crate) fn new(nodes: impl Iterator<Item = (String, PathBuf)>) -> anyhow::Result<Self> {
        let (phones, paths): (Vec<_>, Vec<_>) = nodes.unzip();
        let new = |path| Outbox { path, read: 0, rest: String::new(), codes: HashMap::new() };
        let outboxes = paths.into_iter().map(|path| Mutex::new(new(path))).collect();
        let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { phones, outboxes, client, answered: Mutex::default() })
    }

    async fn call(
        &self,
        node: usize,
        (method, path): (Method, &str),
        token: Option<&str>,
        body: Option<Value>,
    ) -> Result<Reply, Outcome> {
        let mut request = self.client.request(method, format!("{}{path}", self.phones[node]));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| doubt(&error))?;
        let status = response.status().as_u16();
        let request = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let request = request.unwrap_or_default().to_owned();
        let text = response.bytes().await.map_err(|error| doubt(&error))?;
        Ok(Reply { status, body: serde_json::from_slice(&text).unwrap_or_default(), request })
    }

    /// The lookups that were answered, whatever they were told.
    pub(crate) fn answered(&self) -> Vec<Answered> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a code. It lies in the outbox of the node that sent it, which may be another one than was asked last.
    async fn code(&self, verification: &str) -> Option<String> {
        let begun = Instant::now();
        let find = |outbox: &Mutex<Outbox>| {
            outbox.lock().unwrap_or_else(PoisonError::into_inner).code(verification)
        };
        while begun.elapsed() < CODE_PATIENCE {
            let code = self.outboxes.iter().find_map(find);
            if code.is_some() {
                return code;
            }
            sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Claims a handle at one node and answers the code at the next one. If nobody knows what became of that, the same answer at a third node tells.
    async fn prove(&self, node: usize, phone: &Phone, handle: &str) -> Outcome {
        let claim = Some(json!({ "handle": handle }));
        let call = (Method::POST, "/v1/devices/me/handles");
        let claimed = match self.call(node, call, Some(&phone.token), claim).await {
            Ok(reply) => reply,
            // Only the code's answer gives the handle to anybody.
            Err(Outcome::Unknown(why)) => return Outcome::Refused(format!("claim: {why}")),
            Err(outcome) => return outcome,
        };
        match claimed.status {
            200 => return Outcome::Held,
            202 => {}
            _ => {
                return match claimed.refusal() {
                    Outcome::Unknown(why) => Outcome::Refused(format!("claim: {why}")),
                    refusal => refusal,
                };
            }
        }
        let verification = claimed.body["verification"].as_str().unwrap_or_default();
        let Some(code) = self.code(verification).await else {
            return Outcome::Refused("no code was sent".to_owned());
        };
        let path = format!("/v1/verifications/{verification}");
        let confirm = async |node: usize| {
            let body = Some(json!({ "code": code }));
            self.call(node % self.phones.len(), (Method::POST, &path), None, body).await
        };
        let first = outcome_of(confirm(node + 1).await, 200);
        match first {
            Outcome::Unknown(_) => match outcome_of(confirm(node + 2).await, 200) {
                Outcome::Done => Outcome::Done,
                // The first answer may still come to something.
                _ => first,
            },
            outcome => outcome,
        }
    }
}

/// What a call came to that succeeds with this status.
fn outcome_of(reply: Result<Reply, Outcome>, success: u16) -> Outcome {
    match reply {
        Ok(reply) if reply.status == success => Outcome::Done,
        Ok(reply) => reply.refusal(),
        Err(outcome) => outcome,
    }
}

/// A call without an answer. If there was no connection, nothing was asked.
fn doubt(error: &reqwest::Error) -> Outcome {
    if error.is_connect() {
        Outcome::Refused("no connection".to_owned())
    } else if error.is_timeout() {
        Outcome::Unknown("no answer in time".to_owned())
    } else {
        Outcome::Unknown("the connection broke".to_owned())
    }
}

impl Service for Nodes {
    fn nodes(&self) -> usize {
        self.phones.len()
    }

    fn sign_up(&self, node: usize) -> BoxFuture<'_, Result<Phone, Outcome>> {
        let sign_up = async move {
            let body = Some(json!({"platform": "ios"}));
            let reply = self.call(node, (Method::POST, "/v1/devices"), None, body).await?;
            let text = |field: &str| reply.body[field].as_str().map(str::to_owned);
            match (reply.status, text("token"), text("device")) {
                (201, Some(token), Some(device)) => Ok(Phone { token, device }),
                _ => Err(reply.refusal()),
            }
        };
        sign_up.boxed()
    }

    fn change<'a>(
        &'a self,
        node: usize,
        phone: &'a Phone,
        handle: &'a str,
        what: What,
    ) -> BoxFuture<'a, Outcome> {
        let change = async move {
            let path = format!("/v1/devices/me/handles/{handle}");
            let show = |shown: bool| Some(json!({ "discoverable": shown }));
            let (method, path, body, success) = match what {
                What::Prove => return self.prove(node, phone, handle).await,
                What::GiveUp => (Method::DELETE, path.as_str(), None, 204),
                What::SignOut => (Method::DELETE, "/v1/devices/me", None, 204),
                What::Hide => (Method::PATCH, path.as_str(), show(false), 200),
                What::Show => (Method::PATCH, path.as_str(), show(true), 200),
            };
            outcome_of(self.call(node, (method, path), Some(&phone.token), body).await, success)
        };
        change.boxed()
    }

    fn check_in<'a>(&'a self, node: usize, phone: &'a Phone) -> BoxFuture<'a, Outcome> {
        let check_in = async move {
            let call = (Method::POST, "/v1/devices/me/check-in");
            outcome_of(self.call(node, call, Some(&phone.token), None).await, 200)
        };
        check_in.boxed()
    }

    fn look_up<'a>(
        &'a self,
        node: usize,
        asker: &'a Phone,
        handles: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<String>>, Outcome>> {
        let look_up = async move {
            let token = Some(asker.token.as_str());
            let reply = match handles {
                [one] => {
                    self.call(node, (Method::GET, &format!("/v1/lookup/{one}")), token, None)
                        .await?
                }
                many => {
                    let body = Some(json!({ "handles": many }));
                    self.call(node, (Method::POST, "/v1/lookup"), token, body).await?
                }
            };
            if reply.status != 200 {
                return Err(reply.refusal());
            }
            let (request, at) = (reply.request.clone(), Instant::now());
            let handles = handles.len();
            let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
            answered.push(Answered { node, request, handles, at });
            drop(answered);
            let one = std::slice::from_ref(&reply.body);
            let answers = reply.body["answers"].as_array().map_or(one, Vec::as_slice);
            let holder = |answer: &Value| match answer["route"].as_str() {
                Some("imessage") => Ok(answer["subject"].as_str().map(str::to_owned)),
                Some("none" | "sms") => Ok(None),
                _ => Err(Outcome::Refused("an answer without a route".to_owned())),
            };
            answers.iter().map(holder).collect()
        };
        look_up.boxed()
    }
}
