//! What a command works on: a running server, or the files of a stopped one.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Body, Client, RequestBuilder, Response};
use serde_json::Value;

use super::environment;
use crate::{
    audit::{self, Audit, AuditOptions, Audited, Call, Filters},
    clock::SystemClock,
    config::{Config, ConfigError},
    envelope::KeyFiles,
    files::DataDirectory,
    query_log::{ForgottenReport, LogReader, SegmentSummary},
};

/// The server to ask when none is named.
const SERVER_DEFAULT: &str = "http://127.0.0.1:8081";
/// One JSON object a line.
const NDJSON: &str = "application/x-ndjson";

#[derive(Args)]
pub(super) struct Source {
    /// Work on the files of this data directory instead of asking a running server
    #[arg(long, value_name = "DIR", conflicts_with = "token_file")]
    pub(super) data: Option<PathBuf>,
    /// With --data: the configuration that names the root key's place, the retention and the registry's limits
    /// [env: DISPATCHD_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The operators' address of the server to ask [env: DISPATCHD_SERVER] [default: http://127.0.0.1:8081]
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<String>,
    /// A file that holds the operator token; without it the variable DISPATCHD_TOKEN does
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

/// The operators' API of a running server.
pub(super) struct Api {
    client: Client,
    server: String,
    token: String,
}

impl Source {
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        environment::load_config(self.config.as_deref())
    }

    /// A reader of the log's files in the data directory named, once it is noted in the directory's audit log who reads
    /// what: there is no other way to one. A server that runs there notes its own readers in the same log.
    pub(super) fn read(
        &self,
        call: Call,
        filters: &Filters,
    ) -> anyhow::Result<(LogReader, Audited)> {
        let reader = self.reader()?;
        let audited = self.audit_of(&reader)?.begin(&audit::local_user(), call, filters)?;
        Ok((reader, audited))
    }

    /// The audit log in the data directory named, once it is noted there who reads it.
    pub(super) fn read_audit(
        &self,
        call: Call,
        filters: &Filters,
    ) -> anyhow::Result<(Audit, Audited)> {
        let audit = self.audit_of(&self.reader()?)?;
        let audited = audit.begin(&audit::local_user(), call, filters)?;
        Ok((audit, audited))
    }

    /// The hours of the log: no records, no entry.
    pub(super) fn segments(&self) -> anyhow::Result<Vec<SegmentSummary>> {
        Ok(self.reader()?.segments())
    }

    /// What should be forgotten and is not: no records, no entry.
    pub(super) fn prove_forgotten(&self) -> anyhow::Result<ForgottenReport> {
        Ok(self.reader()?.prove_forgotten()?)
    }

    /// The reader of an audited call, opened anew: the key of a new hour is in a new keyring.
    pub(super) fn reopen(&self, _: &Audited) -> anyhow::Result<LogReader> {
        self.reader()
    }

    fn data_config(&self) -> anyhow::Result<Config> {
        let mut config = self.config()?;
        config.server.data = self.data.clone().context("--data names no directory")?;
        DataDirectory::check(&config.server.data)?;
        Ok(config)
    }

    fn reader(&self) -> anyhow::Result<LogReader> {
        let config = self.data_config()?;
        let data = &config.server.data;
        let log = data.join("log");
        if !log.is_dir() {
            bail!("{} is no data directory: it has no log/", data.display());
        }
        let keys = KeyFiles::new(&data.join("keys"), config.keys.root_key.as_deref());
        let clock = Arc::new(SystemClock);
        Ok(LogReader::open_read_only(&log, keys, clock, config.log.retention)?)
    }

    fn audit_of(&self, reader: &LogReader) -> anyhow::Result<Audit> {
        let config = self.data_config()?;
        let (dir, clock) = (config.server.data.join("audit"), Arc::new(SystemClock));
        let retention = config.audit.retention;
        Ok(Audit::new(AuditOptions::new(dir, reader.keyring(), clock, retention)))
    }

    /// The API of the server named, with the token from the file or the environment (never from an argument, which
    /// other users of the machine can read).
    pub(super) fn api(&self) -> anyhow::Result<Api> {
        let token = match &self.token_file {
            Some(file) => fs::read_to_string(file)
                .with_context(|| format!("token file {}", file.display()))?,
            None => environment::variable("DISPATCHD_TOKEN")
                .and_then(|token| token.into_string().ok())
                .context(
                "no operator token: set DISPATCHD_TOKEN or --token-file \
                 (`dispatchd operator add NAME --role reader` makes one), or read files with --data DIR",
            )?,
        };
        let from_env = || environment::variable("DISPATCHD_SERVER")?.into_string().ok();
        let server = self.server.clone().or_else(from_env);
        let server = server.as_deref().unwrap_or(SERVER_DEFAULT).trim_end_matches('/').to_owned();
        // Tokens and records are nobody's on the way: not a proxy's that the environment happens to name.
        let mut client = Client::builder().no_proxy();
        if server.starts_with("http:") {
            // A machine without the system's certificates can do without them.
            client = client.tls_certs_only([]);
        }
        Ok(Api { client: client.build()?, server, token: token.trim().to_owned() })
    }
}

impl Api {
    /// A GET whose answer is good.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
        accept: &str,
    ) -> anyhow::Result<Response> {
        let request = self.client.get(format!("{}{path}", self.server)).query(query);
        self.answer(request.header("accept", accept)).await
    }

    /// A POST of bytes whose answer is good.
    pub(super) async fn post(&self, path: &str, body: Body) -> anyhow::Result<Response> {
        let request = self.client.post(format!("{}{path}", self.server)).body(body);
        self.answer(request.header("content-type", "application/octet-stream")).await
    }

    /// A GET of rows, which says behind the last one what could not be read, if nobody on the way keeps that back.
    pub(super) async fn rows(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<Response> {
        let request = self.client.get(format!("{}{path}", self.server)).query(query);
        self.answer(request.header("accept", NDJSON).header("te", "trailers")).await
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("no answer from {}: is the server running?", self.server))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        match told(&serde_json::from_slice(&body).unwrap_or_default()) {
            Some(problem) => bail!(problem),
            None => bail!("{} answered {status}: is this its operators' address?", self.server),
        }
    }
}

/// A problem's body in a line.
pub(super) fn told(problem: &Value) -> Option<String> {
    let text = |field: &str| problem.get(field).and_then(Value::as_str);
    let (code, title, detail) = (text("code")?, text("title")?, text("detail")?);
    Some(format!("{code}: {title}; {detail}"))
}
