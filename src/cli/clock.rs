//! `dispatchd clock status|trust`.

use std::{fs, path::Path};

use clap::{Args, Subcommand};
use reqwest::Method;

use super::{
    client::block_on,
    output::{print_json, print_text},
    source::{Source, clock_of},
};
use crate::{
    api::{ClockReport, ClockStatus, Expiring, TrustRequest},
    audit::local_user,
    cli::note::note,
    clock::ClockFileError,
    files::DataDirectory,
    operators::Role,
};

#[derive(Subcommand)]
pub(super) enum Clock {
    /// Show trusted time and the machine's wall clock. If they disagree, show what to do and what trust would destroy
    Status(Options),
    /// Say that the machine's wall clock is right: trusted time follows it. What has expired by it is then destroyed
    Trust {
        #[command(flatten)]
        request: TrustRequest,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Args)]
pub(super) struct Options {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Clock {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (report, json) = match self {
            Self::Status(Options { json, source }) => (status(&source)?, json),
            Self::Trust { request, options: Options { json, source } } => {
                let status = match &source.data {
                    Some(data) => trust_of_files(data, &source, request)?,
                    None => {
                        let client = source.client(Role::Admin)?;
                        let call = client.request(Method::POST, "/v1/clock/trust");
                        block_on(client.json(call.query(&request)))?
                    }
                };
                (ClockReport { status, if_trusted: None }, json)
            }
        };
        match json {
            true => print_json(&report),
            false => Ok(print_text(&report.to_string(), 0)?),
        }
    }
}

fn status(source: &Source) -> anyhow::Result<ClockReport> {
    let Some(data) = &source.data else {
        let client = source.client(Role::Reader)?;
        return block_on(client.json(client.request(Method::GET, "/v1/clock")));
    };
    DataDirectory::check(data)?;
    if let Some(user) = DataDirectory::user(data)? {
        let pid = user.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        note!(
            "dispatchd: another dispatchd{pid} uses {}. This is what a new process would decide; leave out --data to ask the \
             running server",
            data.display()
        );
    }
    let config = source.running.config.load()?;
    let clock = clock_of(data, &config)?;
    ClockReport::of(clock.status(), |status| expiring(source, status))
}

fn trust_of_files(
    data: &Path,
    source: &Source,
    request: TrustRequest,
) -> anyhow::Result<ClockStatus> {
    DataDirectory::check(data)?;
    let config = source.running.config.load()?;
    let _directory = DataDirectory::open(data)?;
    let clock = match clock_of(data, &config) {
        // Whoever says that the wall clock is right needs no saved time. What that destroys is not known.
        Err(ClockFileError::Damaged(file)) if request.yes => {
            fs::remove_file(file)?;
            clock_of(data, &config)?
        }
        clock => clock?,
    };
    if !request.yes {
        request.check(&ClockReport::of(clock.status(), |status| expiring(source, status))?)?;
    }
    match source.records_and_clock()? {
        Some((records, _)) => Ok(records.trust_clock(&clock, &local_user())??),
        None => Ok(clock.trust()?),
    }
}

/// What of the query log would expire by the wall clock.
fn expiring(source: &Source, status: &ClockStatus) -> anyhow::Result<Expiring> {
    match source.records_and_clock()? {
        Some((records, _)) => Ok(records.expiring(status.wall)),
        None => Ok(Expiring::default()),
    }
}
