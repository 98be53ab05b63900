//! `dispatchd clock status|trust`.

use std::{
    fs,
    io::{Write as _, stdout},
    path::Path,
};

use clap::{Args, Subcommand};
use reqwest::Method;

use super::{
    client::block_on,
    output::print_json,
    source::{Source, clock_of},
};
use crate::{
    audit::local_user,
    clock::{ClockFileError, ClockStatus},
    files::DataDirectory,
};

#[derive(Subcommand)]
pub(super) enum Clock {
    /// Show trusted time and the machine's wall clock, and what to do if they disagree
    Status(Options),
    /// Say that the machine's wall clock is right: trusted time follows it. What has expired by it is then destroyed
    Trust(Options),
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
        let (is_trust, Options { json, source }) = match self {
            Self::Status(options) => (false, options),
            Self::Trust(options) => (true, options),
        };
        let status = match &source.data {
            Some(data) => of_files(data, &source, is_trust)?,
            None => of_server(&source, is_trust)?,
        };
        match json {
            true => print_json(&status),
            false => Ok(write!(stdout(), "{status}")?),
        }
    }
}

fn of_files(data: &Path, source: &Source, is_trust: bool) -> anyhow::Result<ClockStatus> {
    DataDirectory::check(data)?;
    let config = source.config.load()?;
    if !is_trust {
        return Ok(clock_of(data, &config)?.status());
    }
    let _directory = DataDirectory::open(data)?;
    let clock = match clock_of(data, &config) {
        // Whoever says that the wall clock is right needs no saved time.
        Err(ClockFileError::Damaged(file)) => {
            fs::remove_file(file)?;
            clock_of(data, &config)?
        }
        clock => clock?,
    };
    match source.records()? {
        Some(records) => Ok(records.trust_clock(&clock, &local_user())??),
        None => Ok(clock.trust()?),
    }
}

fn of_server(source: &Source, is_trust: bool) -> anyhow::Result<ClockStatus> {
    let client = source.client()?;
    let (method, path) =
        if is_trust { (Method::POST, "/v1/clock/trust") } else { (Method::GET, "/v1/clock") };
    block_on(client.json(client.request(method, path)))
}
