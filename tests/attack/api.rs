//! The phones' API, as its clients use it.

use std::{fs, net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use dispatchd::clock::Timestamp;
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long an answer may take. It guards against a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is called from any address.
pub(crate) struct Api {
    phones: String,
    client: Client,
    outbox: PathBuf,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// A device that signed up, and the address that it asks from.
pub(crate) struct Phone {
    token: String,
    pub(crate) ip: IpAddr,
}

/// A message in the outbox.
#[derive(Deserialize)]
pub(crate) struct Sent {
    at: Timestamp,
    pub(crate) to: String,
    code: String,
    verification: String,
}

impl Sent {
    /// When it was sent, in seconds.
    pub(crate) fn second(&self) -> u64 {
        self.at.as_secs()
    }
}

impl Reply {
    /// The problem's code, or the empty text.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The limit that was exceeded, or the problem's code.
    pub(crate) fn limit(&self) -> &str {
        self.body["limit"].as_str().unwrap_or_else(|| self.code())
    }

    /// The session's id, or the empty text.
    pub(crate) fn verification(&self) -> &str {
        self.body["verification"].as_str().unwrap_or_default()
    }

    /// How many of the answers of a batch are routes to the service.
    pub(crate) fn hits(&self) -> usize {
        let answers = self.body["answers"].as_array();
        answers.map_or(0, |all| all.iter().filter(|it| it["route"] == "imessage").count())
    }
}

impl Api {
    /// The server at `http://phones` with the data directory `data`.
    pub(crate) fn new(phones: String, data: &std::path::Path) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { phones, client, outbox: data.join("outbox.ndjson") })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        ip: IpAddr,
        body: Option<Value>,
    ) -> anyhow::Result<Reply> {
        let mut request = self.client.request(method, format!("{}{path}", self.phones));
        request = request.header("x-forwarded-for", ip.to_string());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
        Ok(Reply { status, body })
    }

    /// Signs a device up with a new account.
    pub(crate) async fn sign_up(&self, ip: IpAddr) -> anyhow::Result<Phone> {
        self.join(ip, &json!({"platform": "ios"})).await
    }

    /// Signs a device up with what the body says.
    async fn join(&self, ip: IpAddr, body: &Value) -> anyhow::Result<Phone> {
        let reply = self.call(Method::POST, "/v1/devices", None, ip, Some(body.clone())).await?;
        ensure!(reply.status == 201, "sign-up: {} {}", reply.status, reply.limit());
        let token = reply.body["token"].as_str().context("no token")?.to_owned();
        Ok(Phone { token, ip })
    }

    /// Asks for a code that binds the handle to the phone.
    pub(crate) async fn claim(&self, phone: &Phone, handle: &str) -> anyhow::Result<Reply> {
        let body = json!({ "handle": handle });
        let (path, token) = ("/v1/devices/me/handles", Some(phone.token.as_str()));
        self.call(Method::POST, path, token, phone.ip, Some(body)).await
    }

    /// Asks, without a token, for a code that takes the handle from every device.
    pub(crate) async fn deregister(&self, handle: &str, ip: IpAddr) -> anyhow::Result<Reply> {
        let body = json!({ "handle": handle });
        self.call(Method::POST, "/v1/deregistrations", None, ip, Some(body)).await
    }

    /// Sends a code back.
    pub(crate) async fn confirm(
        &self,
        verification: &str,
        code: &str,
        ip: IpAddr,
    ) -> anyhow::Result<Reply> {
        let path = format!("/v1/verifications/{verification}");
        self.call(Method::POST, &path, None, ip, Some(json!({ "code": code }))).await
    }

    /// Claims a handle and sends the code back that its owner received.
    pub(crate) async fn prove(&self, phone: &Phone, handle: &str) -> anyhow::Result<()> {
        let claimed = self.claim(phone, handle).await?;
        ensure!(claimed.status == 202, "claim: {} {}", claimed.status, claimed.limit());
        let code = self.code(claimed.verification())?;
        let confirmed = self.confirm(claimed.verification(), &code, phone.ip).await?;
        ensure!(confirmed.status == 200, "confirm: {} {}", confirmed.status, confirmed.code());
        Ok(())
    }

    /// Signs a handle out of the phone.
    pub(crate) async fn release(&self, phone: &Phone, handle: &str) -> anyhow::Result<Reply> {
        let path = format!("/v1/devices/me/handles/{handle}");
        self.call(Method::DELETE, &path, Some(&phone.token), phone.ip, None).await
    }

    /// Asks for many handles at once.
    pub(crate) async fn lookup(&self, phone: &Phone, handles: &[String]) -> anyhow::Result<Reply> {
        let body = json!({ "handles": handles });
        self.call(Method::POST, "/v1/lookup", Some(&phone.token), phone.ip, Some(body)).await
    }

    /// Asks for a code with which another device joins the phone's account.
    pub(crate) async fn link_code(&self, phone: &Phone) -> anyhow::Result<String> {
        let (path, token) = ("/v1/devices/me/link-codes", Some(phone.token.as_str()));
        let reply = self.call(Method::POST, path, token, phone.ip, None).await?;
        Ok(reply.body["link_code"].as_str().context("no link code")?.to_owned())
    }

    /// Signs a device up that joins an account.
    pub(crate) async fn link(&self, code: &str, ip: IpAddr) -> anyhow::Result<Phone> {
        self.join(ip, &json!({"platform": "macos", "link_code": code})).await
    }

    /// All messages so far.
    pub(crate) fn messages(&self) -> anyhow::Result<Vec<Sent>> {
        let text = match fs::read_to_string(&self.outbox) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        text.lines()
            .map(|line| serde_json::from_str(line).context("a line of the outbox"))
            .collect()
    }

    /// The last code of a session.
    pub(crate) fn code(&self, verification: &str) -> anyhow::Result<String> {
        let sent = self.messages()?;
        let last = sent.into_iter().rfind(|message| message.verification == verification);
        Ok(last.context("no code was sent")?.code)
    }
}
