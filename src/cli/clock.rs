//! `dispatchd clock status|trust`.

use std::{
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
use crate::{clock::ClockStatus, config::Config, files::DataDirectory};

#[derive(Subcommand)]
pub(super) enum Clock {
    /// Show trusted time and the machine's wall clock, and what to do if they disagree
    Status(Status),
    /// Say that the machine's wall clock is right: trusted time follows it. What has expired by it is then destroyed
    Trust(Status),
}

#[derive(Args)]
pub(super) struct Status {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Clock {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (is_trust, Status { json, source }) = match self {
            Self::Status(status) => (false, status),
            Self::Trust(status) => (true, status),
        };
        let status = match &source.data {
            Some(data) => of_files(data, &source.config.load()?, is_trust)?,
            None => of_server(&source, is_trust)?,
        };
        match json {
            true => print_json(&status),
            false => Ok(write!(stdout(), "{status}")?),
        }
    }
}

fn of_files(data: &Path, config: &Config, is_trust: bool) -> anyhow::Result<ClockStatus> {
    DataDirectory::check(data)?;
    let _directory = if is_trust { Some(DataDirectory::open(data)?) } else { None };
    let clock = clock_of(data, config)?;
    Ok(if is_trust { clock.trust()? } else { clock.status() })
}

fn of_server(source: &Source, is_trust: bool) -> anyhow::Result<ClockStatus> {
    let client = source.client()?;
    let (method, path) =
        if is_trust { (Method::POST, "/v1/clock/trust") } else { (Method::GET, "/v1/clock") };
    block_on(client.json(client.request(method, path)))
}
