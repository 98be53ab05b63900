//! The API of a running server, as commands ask it.

use std::{future::Future, sync::Mutex};

use anyhow::{anyhow, bail};
use reqwest::{Method, RequestBuilder, Response, header::HeaderMap};
use serde::de::DeserializeOwned;

use super::{
    address::{origin, reach, redirect_of},
    answers::{Lines, body, read, whole},
    errors::{UsageError, as_options},
    listener::Listener,
    trust::Trust,
};
use crate::{
    api::{Call, Fields, NodeNote, Problem, RecordFilter, Row as _},
    cli::note::note,
    clock::Timestamp,
    lock::lock,
    reading::{Answer, Outcome, Rows},
    vocabulary::{ProblemCode, Retry},
};

const NDJSON: &str = "application/x-ndjson";
/// A call of operators that reads next to nothing.
const CHEAPEST: &str = "/v1/clock";
/// No problem is longer.
const PROBLEM_BYTES_MAX: usize = 1 << 20;

pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: String,
    trust: Trust,
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
        Self::trusting(server, Trust::Authorities(None), token)
    }

    /// Asks the operators' listener at the URL `server`.
    pub(super) fn trusting(server: &str, trust: Trust, token: &str) -> anyhow::Result<Self> {
        let server = origin(server, &Listener::Operators.example())?;
        let (http, token) = (reach(&server, &trust)?, token.to_owned());
        Ok(Self { http, server, token, trust, horizon: Mutex::default() })
    }

    pub(super) async fn answer<C: Answer>(&self, call: &C) -> anyhow::Result<C::Answer>
    where
        C::Answer: DeserializeOwned,
    {
        self.json(self.call(call).header("accept", "application/json")).await
    }

    /// The rows of a call as they arrive. The outcome is none if a proxy dropped the trailers. If it keeps back that this client takes them,
    /// the server names nodes in the last lines.
    pub(super) async fn rows<C: Rows<Row: DeserializeOwned>>(
        &self,
        call: &C,
        mut take: impl FnMut(C::Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Outcome>> {
        let request = self.call(call).header("accept", NDJSON).header("te", "trailers");
        let mut lines = Lines::of(self.send(request).await?);
        let (mut records, mut notes) = (0, Vec::new());
        loop {
            let line = match lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => return Err(self.broken_off(error).await),
            };
            if let Some(note) = NodeNote::of_line(&line) {
                notes.push(note);
                continue;
            }
            let row: C::Row = read(&line)?;
            records += u64::from(row.is_record());
            take(row)?;
        }
        if lines.trailer("dispatchd-records").is_some_and(|sent| sent != records) {
            bail!("not as many records arrived as the server sent");
        }
        let outcome = lines.outcome();
        if notes.is_empty() {
            return Ok(outcome);
        }
        Ok(Some(outcome.unwrap_or_default().with_notes(notes)))
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
        let request = self.post(RecordFilter::TAIL_POSTED_TO, Fields::json_of(filter));
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

    fn post(&self, path: &str, json: String) -> RequestBuilder {
        self.request(Method::POST, path).header("content-type", "application/json").body(json)
    }

    /// What can hold a handle is posted: proxies log the lines of requests.
    fn call<C: Call>(&self, call: &C) -> RequestBuilder {
        match call.body() {
            Some(json) => self.post(C::PATH, json),
            None => self.request(Method::GET, C::PATH).query(call),
        }
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
        let response = response.map_err(|error| {
            Listener::Operators.unanswered(server, &self.trust, error.without_url())
        })?;
        let status = response.status();
        if status.is_success() {
            print_hidden(response.headers());
            *lock(&self.horizon) = instant(response.headers(), "dispatchd-horizon");
            return Ok(response);
        }
        let headers = response.headers().clone();
        let body = whole(response, PROBLEM_BYTES_MAX).await.unwrap_or_default();
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

fn instant(headers: &HeaderMap, name: &str) -> Option<Timestamp> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::api::{FoundRow, SearchRequest};

    #[tokio::test]
    async fn last_lines_that_name_nodes_are_no_rows() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client =
            Client::new(&format!("http://{}", listener.local_addr().unwrap()), "do_x").unwrap();
        let row = r#"{"at":"2026-11-23T08:41:00Z","kind":"refusals","reason":"token-invalid","status":401,"count":1,"node":"a"}"#;
        let missing = r#"{"kind":"missing","node":"c","why":"no answer"}"#;
        let stored = r#"{"kind":"from_store","node":"d","why":"weg","until":null,"complete":false,"gaps":[]}"#;
        let answer =
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{row}\n{missing}\n{stored}\n");
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            assert!(0 < socket.read(&mut head).unwrap());
            socket.write_all(answer.as_bytes()).unwrap();
        });
        let mut rows = 0;
        let take = |_: FoundRow| {
            rows += 1;
            Ok(())
        };
        let outcome = client.rows(&SearchRequest::default(), take).await.unwrap().unwrap();
        server.join().unwrap();
        assert_eq!((rows, outcome.missing()[0].node.as_str()), (1, "c"));
        assert_eq!(outcome.from_store[0].node, "d");
    }
}
