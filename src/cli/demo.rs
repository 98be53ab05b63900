//! `dispatchd serve --demo`: a handful of sample devices through the real API, a few lookups, the log, and commands to
//! paste. Nothing here reaches into the server: what the demo does, anybody with `curl` can do.

use std::{
    io::{BufRead as _, BufReader, Write as _, stdout},
    path::Path,
};

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    client::Client,
    output::{Form, RowPrinter, cell},
};
use crate::{
    api::{
        BatchAnswer, BatchItem, BatchRequest, CodeRequest, Confirmation, FoundRow, HandleRequest,
        Paging, RecordFilter, SearchRequest, SignUpAnswer, SignUpRequest, Verification,
    },
    files::{self, DataDirectory, OsDisk},
    operators::{NewOperator, OperatorsError, Reached, Role},
    server::Addresses,
    vocabulary::Platform,
};

/// Marks a data directory as a demo's, so that sample devices are never added to real ones.
const MARKER: &str = "demo";
const OPERATOR: &str = "demo-reader";

/// The sample devices and the handles they prove. The numbers are reserved for fiction. README's tour uses others, and so works
/// in the directory of a demo.
const DEVICES: &[(&str, Platform, &[&str])] = &[
    ("Ann's iPhone", Platform::Ios, &["+14155550142", "ann@example.com"]),
    ("Ben's Mac", Platform::Macos, &["ben@example.org"]),
    ("Chloé's iPhone", Platform::Ios, &["+33639981234"]),
    ("Dan's old iPhone", Platform::Ios, &["+447700900123"]),
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

pub(super) async fn run(data: &Path, addresses: Addresses) -> anyhow::Result<()> {
    let phones = format!("http://{}", addresses.phones);
    let stranger = Client::new(&phones, "")?;
    say("\nSigning up sample devices (codes come from the outbox):")?;
    let mut tokens = Vec::new();
    for (name, platform, handles) in DEVICES {
        let request =
            SignUpRequest { platform: *platform, name: Some((*name).to_owned()), link_code: None };
        let SignUpAnswer { token, .. } = post(&stranger, "/v1/devices", &request).await?;
        let phone = Client::new(&phones, &token)?;
        for handle in *handles {
            prove(&phone, handle, data).await?;
        }
        say(&format!("  {name:<18} {}", handles.join(", ")))?;
        tokens.push(token);
    }
    // The last device signs out: its number turns green at the next lookup.
    let gone = tokens.pop().context("there are sample devices")?;
    let phone = Client::new(&phones, &gone)?;
    phone.send(phone.request(Method::DELETE, "/v1/devices/me")).await?;
    say("  Dan signs out again.")?;

    let asker = tokens.last().context("there are sample devices")?;
    let phone = Client::new(&phones, asker)?;
    say("\nChloé asks which way her messages go:")?;
    for handle in [
        "+1 (415) 555-0142",
        "ANN@example.com",
        "+447700900123",
        "+14155550199",
        "nobody@example.net",
    ] {
        let request = BatchRequest { handles: vec![handle.to_owned()], region: None };
        let batch: BatchAnswer = post(&phone, "/v1/lookup", &request).await?;
        for item in batch.answers {
            let BatchItem::Answer(answer) = item else { bail!("{handle} is no handle") };
            say(&format!("  {handle:<20} {:<9} {}", answer.route, cell(answer.subject)))?;
        }
    }

    let reader = add_reader(data)?;
    let reader = reader.token().reveal();
    say("\nThe log, as an operator reads it:")?;
    print_log(addresses, reader).await?;
    print_commands(addresses, asker, reader)
}

/// Adds the operator as the command line does. A former run may have left one.
fn add_reader(data: &Path) -> anyhow::Result<NewOperator> {
    let (mut operators, new) = (Reached::find(data)?, NewOperator::new(OPERATOR, Role::Reader)?);
    match operators.revoke(OPERATOR) {
        Ok(()) | Err(OperatorsError::Unknown) => {}
        Err(error) => return Err(error.into()),
    }
    operators.add(&new)?;
    Ok(new)
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout().lock(), "{line}")?)
}

async fn post<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    body: &impl Serialize,
) -> anyhow::Result<T> {
    client.json(client.request(Method::POST, path).json(body)).await
}

/// Asks for a code, reads it from the outbox as the phone's owner would from a message, and sends it back.
async fn prove(phone: &Client, handle: &str, data: &Path) -> anyhow::Result<()> {
    let request = HandleRequest { handle: handle.to_owned(), region: None };
    // The device is new, so its account holds no proof: a code is sent.
    let Verification { verification, .. } = post(phone, "/v1/devices/me/handles", &request).await?;
    let code = code_for(&data.join("outbox.ndjson"), &verification.to_string())?;
    let path = format!("/v1/verifications/{verification}");
    post::<Confirmation>(phone, &path, &CodeRequest { code }).await.map(drop)
}

/// What the demo reads of a line of the outbox.
#[derive(Deserialize)]
struct Message {
    verification: String,
    code: String,
}

fn code_for(outbox: &Path, verification: &str) -> anyhow::Result<String> {
    let file = files::open(outbox)
        .context("the demo reads codes from the outbox file: leave ownership.outbox = \"file\"")?;
    let mut code = None;
    for line in BufReader::new(file).lines() {
        let message: Message = serde_json::from_str(&line?)?;
        if message.verification == verification {
            code = Some(message.code);
        }
    }
    code.context("the code is not in the outbox")
}

async fn print_log(addresses: Addresses, token: &str) -> anyhow::Result<()> {
    let filter = RecordFilter {
        since: Some("1h".into()),
        case: Some("demo".into()),
        ..RecordFilter::default()
    };
    let page = Paging { order: Some("asc".into()), ..Paging::default() };
    let operator = Client::new(&format!("http://{}", addresses.operators), token)?;
    let mut rows = Vec::new();
    let take = |row: FoundRow| {
        rows.push(row.into_parts().0);
        Ok(())
    };
    operator.rows(&SearchRequest { filter, page }, take).await?;
    let mut printer = RowPrinter::stdout(Form::default());
    rows.iter().try_for_each(|row| printer.print(row))?;
    Ok(printer.flush()?)
}

fn print_commands(addresses: Addresses, device: &str, operator: &str) -> anyhow::Result<()> {
    let Addresses { phones, operators } = addresses;
    // As this process was started: `cargo run` gives the path of the binary that it built.
    let program = std::env::args().next().unwrap_or_else(|| "dispatchd".to_owned());
    say(&format!(
        r#"
A browser shows every call at http://{phones}/docs and http://{operators}/docs.
The console is at http://{operators}/console/. Sign in with {operator}
and ask why +447700900123 is green.

Try it yourself (Chloé's phone asks, an operator reads):

  curl -s -H 'Authorization: Bearer {device}' 'http://{phones}/v1/lookup/+14155550142'
  curl -s -H 'Authorization: Bearer {device}' \
       --json '{{"handles":["+1 415 555 0142","ben@example.org","+447700900123"]}}' 'http://{phones}/v1/lookup'
  curl -s -H 'Authorization: Bearer {operator}' 'http://{operators}/v1/log?since=10m&route=sms'
  curl -sN -H 'Authorization: Bearer {operator}' 'http://{operators}/v1/log/tail'
  DISPATCHD_TOKEN={operator} {program} log search --since 10m --server http://{operators}

Ctrl-C stops the server."#
    ))
}
