//! The API of a running server, as commands ask it.

use std::{future::Future, sync::Mutex};

use anyhow::{Context as _, anyhow, bail};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde::de::DeserializeOwned;

use super::{
    address::{origin, reach, redirect_of},
    errors::{UsageError, as_options},
    trust::Trust,
};
use crate::{
    api::{Call, Problem, RecordFilter, Row as _},
    cli::note::note,
    clock::Timestamp,
    config::Config,
    lock::lock,
    query_log::SearchOutcome,
    reading::{Answer, Rows},
    vocabulary::{ProblemCode, Retry},
};

const NDJSON: &str = "application/x-ndjson";
/// A call of operators that reads next to nothing.
const CHEAPEST: &str = "/v1/clock";
/// No answer in one piece is longer.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// No line is longer, and no problem.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What to say of an answer that cannot be read.
pub(super) const UNREADABLE: &str =
    "the server sends what this command cannot read; is it a newer version?";

/// Which listener a command asks.
#[derive(Clone, Copy)]
pub(super) enum Listener {
    Phones,
    Operators,
}

impl Listener {
    /// Its name, its key, its port by default.
    const fn names(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::Phones => ("phones'", "server.phones", 8080),
            Self::Operators => ("operators'", "server.operators", 8081),
        }
    }

    /// The URL at which a server with this configuration listens, and the certificate that it has there.
    pub(super) fn configured(self, config: &Config) -> (String, Trust) {
        let (address, has_tls) = match self {
            Self::Phones => (config.server.phones, config.tls.is_for_phones()),
            Self::Operators => (config.server.operators, config.tls.is_for_operators()),
        };
        match has_tls {
            true => (format!("https://{address}"), Trust::Own(config.tls.certificate.clone())),
            false => (format!("http://{address}"), Trust::Authorities(None)),
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Phones => Self::Operators,
            Self::Operators => Self::Phones,
        }
    }

    /// The URL of a listener by default.
    pub(super) fn example(self) -> String {
        format!("http://127.0.0.1:{}", self.names().2)
    }

    /// What to say if `server` does not answer. `hint` is what to look at.
    pub(super) fn silent(self, server: &str, hint: &str) -> String {
        let files = match self {
            Self::Phones => "",
            Self::Operators => " With --data DIR this command uses the files.",
        };
        format!(
            "no answer from {server}: is the server running?{files} For another address give --server, or --config with the server's \
             file. {hint}"
        )
    }

    /// What to say if `server` has no such call.
    pub(super) fn mistaken(self, server: &str) -> String {
        let ((wanted, key, port), (other, ..)) = (self.names(), self.other().names());
        format!(
            "{server} is not the {wanted} listener but the {other}; give --server the address in {key} (port {port} by default)"
        )
    }

    /// What to say if `server` answers with something else than a problem. `redirect` is the server that it redirects to.
    pub(super) fn foreign(
        self,
        server: &str,
        status: StatusCode,
        redirect: impl FnOnce() -> String,
    ) -> String {
        if status.is_redirection() {
            return format!(
                "{server} answered {status} and names {}. No redirect is followed: give --server the address of dispatchd itself",
                redirect()
            );
        }
        let (wanted, key, port) = self.names();
        format!(
            "{server} answered {status}, and not as the {wanted} listener of this version does; give --server the address in {key} \
             (port {port} by default)"
        )
    }
}

pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: String,
    /// What to look at if the server does not answer.
    hint: String,
    /// The instant after which the log has records, as the last answer said.
    horizon: Mutex<Option<Timestamp>>,
}

/// The server refused the request.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Refusal {
    text: String,
    code: ProblemCode,
    /// Whether the same request can succeed another time.
    pub(super) retry: Retry,
}

/// Runs what waits for a server to its end.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// A refusal, as an error of a command.
pub(super) fn refused(Problem { code, title, detail, .. }: Problem) -> anyhow::Error {
    match code {
        ProblemCode::RequestInvalid | ProblemCode::HandleInvalid => {
            UsageError(detail.into_owned()).into()
        }
        _ => {
            let detail = match code {
                ProblemCode::CaseRequired => as_options(&detail),
                _ => detail.into_owned(),
            };
            let text = format!("{code}: {title}; {detail}");
            Refusal { text, code, retry: code.retry() }.into()
        }
    }
}

impl Client {
    /// Asks the operators' listener at the URL `server`, as the system trusts it.
    pub(super) fn new(server: &str, token: &str) -> anyhow::Result<Self> {
        Self::trusting(server, &Trust::Authorities(None), token)
    }

    /// Asks the operators' listener at the URL `server`.
    pub(super) fn trusting(server: &str, trust: &Trust, token: &str) -> anyhow::Result<Self> {
        let server = origin(server, &Listener::Operators.example())?;
        let (http, token) = (reach(&server, trust)?, token.to_owned());
        let hint = trust.hint(&server);
        Ok(Self { http, server, token, hint, horizon: Mutex::default() })
    }

    pub(super) async fn answer<C: Answer>(&self, call: &C) -> anyhow::Result<C::Answer>
    where
        C::Answer: DeserializeOwned,
    {
        self.json(self.call(call).header("accept", "application/json")).await
    }

    /// The rows of a call as they arrive. The outcome is none if a proxy dropped the trailers.
    pub(super) async fn rows<C: Rows<Row: DeserializeOwned>>(
        &self,
        call: &C,
        mut take: impl FnMut(C::Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<SearchOutcome>> {
        let request = self.call(call).header("accept", NDJSON).header("te", "trailers");
        let mut lines = Lines::of(self.send(request).await?);
        let mut records = 0;
        loop {
            let line = match lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => return Err(self.broken_off(error).await),
            };
            let row: C::Row = read(&line)?;
            records += u64::from(row.is_record());
            take(row)?;
        }
        if lines.trailer("dispatchd-records").is_some_and(|sent| sent != records) {
            bail!("not as many records arrived as the server sent");
        }
        Ok(lines.outcome())
    }

    /// Why an answer broke off, with what `error` says. A server breaks an answer off when it revokes its operator: it then refuses
    /// the token.
    pub(super) async fn broken_off(&self, error: anyhow::Error) -> anyhow::Error {
        let asked = self.json::<serde_json::Value>(self.request(Method::GET, CHEAPEST)).await;
        let is_revoked = asked.is_err_and(|error| {
            let refusal = error.downcast_ref::<Refusal>();
            refusal.is_some_and(|refusal| refusal.code == ProblemCode::TokenInvalid)
        });
        match is_revoked {
            true => anyhow!(
                "the server ended the answer: the token was revoked, or its operator has another role"
            ),
            false => error.context("the server's answer breaks off"),
        }
    }

    /// The lines of a tail, and the server's time when it began.
    pub(super) async fn tail(
        &self,
        filter: &RecordFilter,
    ) -> anyhow::Result<(Lines, Option<Timestamp>)> {
        let request = self.request(Method::GET, "/v1/log/tail").query(filter);
        let response = self.send(request.header("accept", "text/event-stream")).await?;
        let from = instant(response.headers(), "dispatchd-tail-from");
        Ok((Lines::of(response), from))
    }

    /// The instant after which the log has records, if the last answer was about the log.
    pub(super) fn horizon(&self) -> Option<Timestamp> {
        *lock(&self.horizon)
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.server))
    }

    fn call(&self, call: &impl Call) -> RequestBuilder {
        self.request(Method::GET, &call.path()).query(call)
    }

    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> anyhow::Result<T> {
        body(self.send(request).await?).await
    }

    /// The answer, if it is good.
    pub(super) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let server = &self.server;
        let response = request.bearer_auth(&self.token).send().await;
        let response = response
            .map_err(reqwest::Error::without_url)
            .with_context(|| Listener::Operators.silent(server, &self.hint))?;
        let status = response.status();
        if status.is_success() {
            print_hidden(response.headers());
            *lock(&self.horizon) = instant(response.headers(), "dispatchd-horizon");
            return Ok(response);
        }
        let headers = response.headers().clone();
        let body = whole(response, LINE_BYTES_MAX).await.unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if problem.code == ProblemCode::NotFound => {
                bail!(Listener::Operators.mistaken(server))
            }
            Ok(problem) => Err(refused(problem)),
            Err(_) => {
                bail!(Listener::Operators.foreign(server, status, || redirect_of(&headers)))
            }
        }
    }
}

/// Says that the server's clocks hide records. Without it an empty answer looks like an empty log.
fn print_hidden(headers: &HeaderMap) {
    let until = headers.get("dispatchd-hidden-until").and_then(|until| until.to_str().ok());
    if let Some(until) = until {
        note!(
            "dispatchd: records of the query log up to {until} are hidden: the server's wall clock is ahead of trusted time. \
             `dispatchd clock status` says what to do"
        );
    }
}

async fn body<T: DeserializeOwned>(response: Response) -> anyhow::Result<T> {
    read(&whole(response, ANSWER_BYTES_MAX).await?)
}

/// The body of an answer that has at most so many bytes.
async fn whole(mut response: Response, most: usize) -> anyhow::Result<BytesMut> {
    let mut whole = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        whole.extend_from_slice(&piece);
        if whole.len() > most {
            bail!("the server's answer is longer than {most} bytes");
        }
    }
    Ok(whole)
}

fn instant(headers: &HeaderMap, name: &str) -> Option<Timestamp> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// What arrived. The error does not say what is in it.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(text).map_err(|_| anyhow!(UNREADABLE))
}

/// The lines of a body as it arrives.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    trailers: HeaderMap,
}

impl Lines {
    pub(super) fn of(response: Response) -> Self {
        let (buffer, trailers) = (BytesMut::new(), HeaderMap::new());
        Self { body: response.into(), buffer, trailers }
    }

    /// The next line, without its line end; none at the end of the body. A body that breaks off is an error.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<BytesMut>> {
        let mut searched = 0;
        loop {
            let mut fresh = self.buffer.iter().skip(searched);
            if let Some(end) = fresh.position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(searched + end + 1);
                line.truncate(searched + end);
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                bail!("a line of the server's answer is longer than {LINE_BYTES_MAX} bytes");
            }
            let Some(frame) = self.body.frame().await else {
                if !self.buffer.is_empty() {
                    bail!("the server's answer ends within a line");
                }
                return Ok(None);
            };
            match frame.map_err(reqwest::Error::without_url)?.into_data() {
                Ok(chunk) => self.buffer.extend_from_slice(&chunk),
                Err(frame) => self.trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
    }

    /// What the server could not read, from the trailers; none if a proxy dropped them.
    fn outcome(&self) -> Option<SearchOutcome> {
        let damaged = self.trailer("dispatchd-damaged")?;
        let unreadable_segments = self.trailer("dispatchd-unreadable-segments")?;
        Some(SearchOutcome { damaged, unreadable_segments })
    }

    fn trailer(&self, name: &str) -> Option<u64> {
        self.trailers.get(name)?.to_str().ok()?.parse().ok()
    }
}
