//! What a command works on: a running server, or the files in a data directory.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde::de::DeserializeOwned;

use super::{
    client::Client,
    environment::{self, ConfigFile},
    errors::Interrupted,
    interrupt::Interrupt,
};
use crate::{
    api::{Call as _, RecordFilter},
    audit::local_user,
    clock::{Clock as _, SystemClock},
    config::{Config, ConfigError},
    files::DataDirectory,
    query_log::{LogRow, SearchOutcome},
    reading::{Answer, DataFiles, ReadingError, Records, Rows, Stop, follow},
};

/// How often a tail over files looks for new records.
const POLL_EVERY: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(super) struct Source {
    /// Work on the files of this data directory instead of asking a server. The log can be read while a server writes it
    #[arg(long, value_name = "DIR", conflicts_with = "token_file")]
    pub(super) data: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
    /// The operators' address of the server to ask [env: DISPATCHD_SERVER] [default: server.operators of the configuration]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A file that holds the operator token; without it the variable DISPATCHD_TOKEN does
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Source {
    /// The answer of a call.
    pub(super) fn answer<C: Answer>(&self, call: &C) -> anyhow::Result<C::Answer>
    where
        C::Answer: DeserializeOwned,
    {
        call.resolve(SystemClock.now())?;
        match self.records()? {
            Some(records) => {
                let never: Stop = Arc::new(|| false);
                Ok(call.answer(&records, &local_user(), &never)?)
            }
            None => self.client()?.answer(call),
        }
    }

    /// The rows of a call, one by one; what was passed over, if that is known.
    pub(super) fn rows<C: Rows>(
        &self,
        call: &C,
        take: &mut dyn FnMut(C::Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<SearchOutcome>>
    where
        C::Row: DeserializeOwned,
    {
        call.resolve(SystemClock.now())?;
        let Some(records) = self.records()? else {
            return self.client()?.rows(call, take);
        };
        let reading = call.begin(&records, &local_user())?;
        let interrupt = Interrupt::watch()?;
        let stop: Stop = Arc::new(move || interrupt.has_come());
        let mut failed = None;
        let outcome = reading.each(&stop, |row| {
            failed = take(row).err();
            failed.is_none()
        });
        match (outcome, failed) {
            (_, Some(error)) => Err(error),
            (Err(ReadingError::Stopped), None) => Err(Interrupted.into()),
            (outcome, None) => Ok(Some(outcome?)),
        }
    }

    /// Records as they are written. Never ends well.
    pub(super) fn follow(
        &self,
        filter: &RecordFilter,
        take: &mut dyn FnMut(LogRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        filter.resolve(SystemClock.now())?;
        let Some(records) = self.records()? else {
            return self.client()?.follow(filter, take);
        };
        let (mut follower, mut audited) = follow(&records, &local_user(), filter)?;
        let interrupt = Interrupt::watch()?;
        loop {
            let (rows, is_at_end) = follower.next_rows(&audited)?;
            for row in rows {
                audited.add(1);
                take(row)?;
            }
            let pause = if is_at_end { POLL_EVERY } else { Duration::ZERO };
            if interrupt.wait(pause) {
                return Err(Interrupted.into());
            }
        }
    }

    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        self.config.load()
    }

    /// What is in the data directory named; none if none is named.
    pub(super) fn records(&self) -> anyhow::Result<Option<Records>> {
        let Some(data) = self.data.clone() else {
            return Ok(None);
        };
        DataDirectory::check(&data)?;
        if !data.join("log").is_dir() {
            bail!("{} is no data directory: it has no log/", data.display());
        }
        let config = self.config()?;
        Ok(Some(Records::of_files(DataFiles {
            data,
            root_key: config.keys.root_key,
            retention: config.log.retention,
            audit_retention: config.audit.retention,
            dispatch: config.dispatch,
        })?))
    }

    /// The server named, with the token from the file or the environment: other users of the machine can read arguments.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let token = match &self.token_file {
            Some(file) => fs::read_to_string(file)
                .with_context(|| format!("token file {}", file.display()))?,
            None => environment::text("DISPATCHD_TOKEN").ok_or_else(|| {
                anyhow!(
                    "no operator token: set DISPATCHD_TOKEN or --token-file (`dispatchd operator add \
                     NAME --role reader` makes one), or read files with --data DIR"
                )
            })?,
        };
        match self.server.clone().or_else(|| environment::text("DISPATCHD_SERVER")) {
            Some(server) => Client::new(&server, &token),
            None => Client::new(&format!("http://{}", self.config()?.server.operators), &token),
        }
    }
}

/// The arguments of a command that reads: its request, how to print, and where to read.
#[derive(Args)]
pub(super) struct Reading<R: Args> {
    #[command(flatten)]
    pub(super) request: R,
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) source: Source,
}

/// Says what a search could not read.
pub(super) fn print_passed_over(outcome: SearchOutcome) {
    let SearchOutcome { damaged, unreadable_segments } = outcome;
    if damaged > 0 || unreadable_segments > 0 {
        eprintln!(
            "dispatchd: {damaged} damaged places and {unreadable_segments} unreadable segments were \
             passed over; `dispatchd log verify` says which"
        );
    }
}
