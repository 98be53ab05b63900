//! `dispatchd serve --demo`: a handful of sample devices through the real API, a few lookups, the log, and commands to
//! paste. Nothing here reaches into the server: what the demo does, anybody with `curl` can do.

use std::{
    io::{BufRead as _, BufReader, Write as _, stdout},
    path::Path,
};

use anyhow::{Context as _, bail};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::output::RecordPrinter;
use crate::{
    clock::{Clock as _, SystemClock},
    files::{self, DataDirectory, OsDisk},
    operators::{Operators, Role},
    server::Addresses,
};

/// Marks a data directory as a demo's, so that sample devices are never added to real ones.
const MARKER: &str = "demo";
const OPERATOR: &str = "demo-reader";

/// The sample devices and the handles they prove. The numbers are reserved for fiction.
const DEVICES: &[(&str, &str, &[&str])] = &[
    ("Ann's iPhone", "ios", &["+14155550123", "ann@example.com"]),
    ("Ben's Mac", "macos", &["ben@example.org"]),
    ("Chloé's iPhone", "ios", &["+33639981234"]),
    ("Dan's old iPhone", "ios", &["+447700900123"]),
];

/// Marks the directory as a demo's, before anything is in it. Refuses one that holds a registry which no demo made.
pub(super) fn mark_directory(data: &Path) -> anyhow::Result<()> {
    let is_new = !data.join("registry").exists();
    if !is_new && !data.join(MARKER).exists() {
        bail!(
            "{} holds a registry already; --demo would add sample devices to it. \
             Name another directory: DISPATCHD_SERVER__DATA=demo-data",
            data.display()
        );
    }
    DataDirectory::prepare(data)?;
    files::replace(&OsDisk::shared(), &data.join(MARKER), b"")
        .context("marking the data directory as a demo's")
}

/// Runs the demo against a server that has just started.
pub(super) async fn run(data: &Path, addresses: Addresses) -> anyhow::Result<()> {
    let api = Api {
        // No certificates are looked for: the server is this very process.
        client: Client::builder().no_proxy().tls_certs_only([]).build()?,
        base: format!("http://{}", addresses.phones),
    };
    say("\nSigning up sample devices (codes come from the outbox):")?;
    let mut tokens = Vec::new();
    for (name, platform, handles) in DEVICES {
        let token = api.sign_up(name, platform).await?;
        for handle in *handles {
            api.prove(&token, handle, data).await?;
        }
        say(&format!("  {name:<18} {}", handles.join(", ")))?;
        tokens.push(token);
    }
    // The last device signs out: its number turns green at the next lookup.
    let gone = tokens.pop().context("there are sample devices")?;
    api.send(api.client.delete(api.url("/v1/devices/me")).bearer_auth(&gone)).await?;
    say("  Dan signs out again.")?;

    let asker = tokens.last().context("there are sample devices")?;
    say("\nChloé asks which way her messages go:")?;
    for handle in [
        "+1 (415) 555-0123",
        "ANN@example.com",
        "+447700900123",
        "+14155550199",
        "nobody@example.net",
    ] {
        let answer = api.lookup(asker, handle).await?;
        let text =
            |field: &str| answer.get(field).and_then(Value::as_str).unwrap_or("-").to_owned();
        say(&format!("  {handle:<20} {:<9} {}", text("route"), text("subject")))?;
    }

    let operators = Operators::of(data);
    if operators.list()?.iter().any(|operator| operator.name == OPERATOR) {
        operators.revoke(OPERATOR)?;
    }
    let reader = operators.add(OPERATOR, Role::Reader, SystemClock.now())?;
    say("\nThe log, as an operator reads it:")?;
    print_log(addresses, reader.reveal()).await?;
    print_commands(addresses, asker, reader.reveal())
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout().lock(), "{line}")?)
}

struct Api {
    client: Client,
    base: String,
}

impl Api {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem: Value = response.json().await.unwrap_or_default();
        let code = problem.get("code").and_then(Value::as_str).unwrap_or("no code");
        bail!("the server answered {status} ({code})")
    }

    async fn sign_up(&self, name: &str, platform: &str) -> anyhow::Result<String> {
        let body = json!({"name": name, "platform": platform});
        let response = self.send(self.client.post(self.url("/v1/devices")).json(&body)).await?;
        let device: Value = response.json().await?;
        let token =
            device.get("token").and_then(Value::as_str).context("no token in the answer")?;
        Ok(token.to_owned())
    }

    /// Asks for a code, reads it from the outbox as the phone's owner would from a message, and sends it back.
    async fn prove(&self, token: &str, handle: &str, data: &Path) -> anyhow::Result<()> {
        let claim = self.client.post(self.url("/v1/devices/me/handles")).bearer_auth(token);
        let response = self.send(claim.json(&json!({"handle": handle}))).await?;
        let started: Value = response.json().await?;
        let Some(verification) = started.get("verification").and_then(Value::as_str) else {
            return Ok(());
        };
        let code = code_for(&data.join("outbox.ndjson"), verification)?;
        let path = format!("/v1/verifications/{verification}");
        self.send(self.client.post(self.url(&path)).json(&json!({"code": code}))).await?;
        Ok(())
    }

    async fn lookup(&self, token: &str, handle: &str) -> anyhow::Result<Value> {
        let request = self.client.post(self.url("/v1/lookup")).bearer_auth(token);
        let response = self.send(request.json(&json!({"handles": [handle]}))).await?;
        let mut answers: Value = response.json().await?;
        Ok(answers.pointer_mut("/answers/0").map(Value::take).unwrap_or_default())
    }
}

/// The code that was sent for a verification.
fn code_for(outbox: &Path, verification: &str) -> anyhow::Result<String> {
    let file = files::open(outbox)
        .context("the demo reads codes from the outbox file: leave ownership.outbox = \"file\"")?;
    let mut code = None;
    for line in BufReader::new(file).lines() {
        let message: Value = serde_json::from_str(&line?)?;
        if message.get("verification").and_then(Value::as_str) == Some(verification) {
            code = message.get("code").and_then(Value::as_str).map(str::to_owned);
        }
    }
    code.context("the code is not in the outbox")
}

async fn print_log(addresses: Addresses, token: &str) -> anyhow::Result<()> {
    let response = Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()?
        .get(format!("http://{}/v1/log?since=1h&order=asc", addresses.operators))
        .bearer_auth(token)
        .header("accept", "application/x-ndjson")
        .send()
        .await?
        .error_for_status()?;
    let records = response.bytes().await?;
    let mut rows = RecordPrinter::stdout(false);
    for line in records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        rows.print(&serde_json::from_slice(line)?)?;
    }
    Ok(rows.flush()?)
}

fn print_commands(addresses: Addresses, device: &str, operator: &str) -> anyhow::Result<()> {
    let Addresses { phones, operators } = addresses;
    say(&format!(
        r#"
Try it yourself (Chloé's phone asks, an operator reads):

  curl -s -H 'Authorization: Bearer {device}' 'http://{phones}/v1/lookup/+14155550123'
  curl -s -H 'Authorization: Bearer {device}' -H 'Content-Type: application/json' \
       -d '{{"handles":["+1 415 555 0123","ben@example.org","+447700900123"]}}' 'http://{phones}/v1/lookup'
  curl -s -H 'Authorization: Bearer {operator}' 'http://{operators}/v1/log?since=10m&route=sms'
  curl -sN -H 'Authorization: Bearer {operator}' 'http://{operators}/v1/log/tail'
  DISPATCHD_TOKEN={operator} cargo run --release -- log search --since 10m --server http://{operators}

Ctrl-C stops the server."#
    ))
}
