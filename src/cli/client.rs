//! The operators' API of a running server, as commands ask it.

use std::future::Future;

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Body, RequestBuilder, Response};
use serde::{Deserialize, de::DeserializeOwned};

use super::{errors::UsageError, lines::Lines};
use crate::{
    api::{Call, RecordFilter},
    query_log::{LogRow, SearchOutcome},
    reading::{Answer, Rows},
};

/// One JSON object a line.
const NDJSON: &str = "application/x-ndjson";

/// The operators' API of a running server.
pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: String,
}

/// Runs what waits for a server to its end.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// The body of a refusal.
#[derive(Deserialize)]
pub(super) struct Refusal {
    code: String,
    title: String,
    detail: String,
}

impl From<Refusal> for anyhow::Error {
    fn from(Refusal { code, title, detail }: Refusal) -> Self {
        match code.as_str() {
            "request-invalid" | "handle-invalid" => UsageError(detail).into(),
            _ => anyhow!("{code}: {title}; {detail}"),
        }
    }
}

impl Client {
    pub(super) fn new(server: &str, token: &str) -> anyhow::Result<Self> {
        let server = server.trim_end_matches('/').to_owned();
        if !server.starts_with("http://") && !server.starts_with("https://") {
            let takes = "--server takes a URL such as http://127.0.0.1:8081";
            return Err(UsageError(takes.to_owned()).into());
        }
        // No proxy that the environment happens to name may see tokens and records.
        let mut http = reqwest::Client::builder().no_proxy();
        if server.starts_with("http:") {
            // A machine without the system's certificates can do without them.
            http = http.tls_certs_only([]);
        }
        // Editors of some systems begin a file with a mark of its byte order.
        let token = token.trim_start_matches('\u{feff}').trim().to_owned();
        Ok(Self { http: http.build()?, server, token })
    }

    /// The answer of a call.
    pub(super) fn answer<C: Answer>(&self, call: &C) -> anyhow::Result<C::Answer>
    where
        C::Answer: DeserializeOwned,
    {
        block_on(async {
            let response = self.send(self.request(call).header("accept", "application/json"));
            Ok(response.await?.json().await.map_err(reqwest::Error::without_url)?)
        })
    }

    /// The rows of a call, each as it arrives; what the server passed over, unless somebody on the way keeps that back.
    pub(super) fn rows<C: Rows>(
        &self,
        call: &C,
        take: &mut dyn FnMut(C::Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<SearchOutcome>>
    where
        C::Row: DeserializeOwned,
    {
        use crate::api::Row as _;
        block_on(async {
            let request = self.request(call).header("accept", NDJSON).header("te", "trailers");
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
        })
    }

    /// Records as they are written, until the server ends.
    pub(super) fn follow(
        &self,
        filter: &RecordFilter,
        take: &mut dyn FnMut(LogRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        block_on(async {
            let request = self.get("/v1/log/tail").query(filter);
            let response = self.send(request.header("accept", "text/event-stream")).await?;
            let mut lines = Lines::of(response);
            while let Some(line) = lines.next().await? {
                if let Some(record) = line.strip_prefix(b"data: ") {
                    take(read(record)?)?;
                }
            }
            bail!("the server ended the stream")
        })
    }

    /// A GET.
    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.server))
    }

    /// A POST of bytes whose answer is good.
    pub(super) async fn post(&self, path: &str, body: Body) -> anyhow::Result<Response> {
        let request = self.http.post(format!("{}{path}", self.server)).body(body);
        self.send(request.header("content-type", "application/octet-stream")).await
    }

    fn request(&self, call: &impl Call) -> RequestBuilder {
        self.get(&call.path()).query(call)
    }

    /// The answer, if it is good.
    pub(super) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let server = &self.server;
        let response = request
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("no answer from {server}: is the server running?"))?;
        const NOT_FOUND: u16 = 404;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) if status.as_u16() != NOT_FOUND => Err(refusal.into()),
            _ => bail!(
                "{server} answered {status}: this is not an operators' listener; name the address in \
                 server.operators (port 8081 by default), not the phones'"
            ),
        }
    }
}

/// A row that arrived. The error does not say what is in it.
fn read<T: DeserializeOwned>(line: &[u8]) -> anyhow::Result<T> {
    let unknown = |_| anyhow!("the server sends what is no record; is it a newer version?");
    serde_json::from_slice(line).map_err(unknown)
}
