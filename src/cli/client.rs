//! The operators' API of a running server, as commands ask it.

use std::future::Future;

use anyhow::{Context as _, anyhow, bail};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use reqwest::{Body, Method, RequestBuilder, Response, header::HeaderMap};
use serde::de::DeserializeOwned;

use super::errors::UsageError;
use crate::{
    api::{Call, LogRow, Problem, RecordFilter, Row as _},
    cli::note::note,
    query_log::SearchOutcome,
    reading::{Answer, Rows},
    vocabulary::ProblemCode,
};

const NDJSON: &str = "application/x-ndjson";

pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: String,
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
        _ => anyhow!("{code}: {title}; {detail}"),
    }
}

impl Client {
    pub(super) fn new(server: &str, token: &str) -> anyhow::Result<Self> {
        let server = server.trim_end_matches('/').to_owned();
        if !server.starts_with("http://") && !server.starts_with("https://") {
            let fault = format!("--server: \"{server}\" is no URL; did you mean http://{server}?");
            return Err(UsageError(fault).into());
        }
        // No proxy that the environment happens to name may see tokens and records.
        let mut http = reqwest::Client::builder().no_proxy();
        if server.starts_with("http:") {
            // A machine without the system's certificates can do without them.
            http = http.tls_certs_only([]);
        }
        // Editors of some systems begin a file with a mark of its byte order.
        let token = token.trim_start_matches('\u{feff}').trim();
        let token = token.strip_prefix("Bearer ").unwrap_or(token).trim().to_owned();
        Ok(Self { http: http.build()?, server, token })
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
        while let Some(line) = lines.next().await.context("the server's answer breaks off")? {
            let row: C::Row = read(&line)?;
            records += u64::from(row.is_record());
            take(row)?;
        }
        if lines.trailer("dispatchd-records").is_some_and(|sent| sent != records) {
            bail!("not as many records arrived as the server sent");
        }
        Ok(lines.outcome())
    }

    pub(super) async fn follow(
        &self,
        filter: &RecordFilter,
        mut take: impl FnMut(LogRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let request = self.request(Method::GET, "/v1/log/tail").query(filter);
        let mut lines = Lines::of(self.send(request.header("accept", "text/event-stream")).await?);
        while let Some(line) = lines.next().await? {
            if let Some(record) = line.strip_prefix(b"data: ") {
                take(read(record)?)?;
            }
        }
        bail!("the server ended the stream")
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
        Ok(self.send(request).await?.json().await.map_err(reqwest::Error::without_url)?)
    }

    /// The answer, if it is good.
    pub(super) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let server = &self.server;
        let response = request
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("no answer from {server}: is the server running? With --data DIR this command uses the files of a stopped one"))?;
        let status = response.status();
        if status.is_success() {
            print_hidden(response.headers());
            return Ok(response);
        }
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if problem.code == ProblemCode::NotFound => bail!(
                "--server: {server} is not an operators' listener but the phones'; name the address in server.operators \
                 (port 8081 by default)"
            ),
            Ok(problem) => Err(refused(problem)),
            Err(_) => bail!(
                "--server: {server} answered {status}, and not as the operators' listener of this version does; name the \
                 address in server.operators (port 8081 by default)"
            ),
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

/// A row that arrived. The error does not say what is in it.
fn read<T: DeserializeOwned>(line: &[u8]) -> anyhow::Result<T> {
    let unknown = |_| anyhow!("the server sends what is no record; is it a newer version?");
    serde_json::from_slice(line).map_err(unknown)
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
