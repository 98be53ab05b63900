//! `dispatchd log fetch`: brings copies back from the object store.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use clap::{Args, ValueHint};

use crate::{
    cli::note::note,
    cli::{config::ConfigFile, errors::UsageError, source::clock_of, text::counted},
    clock::SharedClock,
    envelope::KeyFiles,
    files::{self, DataDirectory, OsDisk},
    query_log::{FetchReport, LogReader},
    server::copy_options,
};

#[derive(Args)]
pub(in crate::cli) struct Fetch {
    /// The data directory. Its server must be stopped
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

impl Fetch {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        DataDirectory::check(&self.data)?;
        let config = self.config.load()?;
        let options = copy_options(&config.log, &self.data, Arc::new(|_| true))?;
        let Some(options) = options else {
            let why = "log.store.url is empty: name the object store in the configuration";
            return Err(UsageError(why.to_owned()).into());
        };
        let _directory = DataDirectory::open(&self.data)?;
        let clock: SharedClock = Arc::new(clock_of(&self.data, &config)?);
        let keys = KeyFiles::new(&self.data.join("keys"), config.keys.root_key.as_deref());
        let log = self.data.join("log");
        files::create_dir(&log).with_context(|| log.display().to_string())?;
        let retention = config.log.retention;
        let reader = LogReader::open_read_only(&log, keys, clock.clone(), retention)?;
        let objects = (options.open)().context("log.store")?;
        let mut report = reader.fetch_copies(&objects, &options.node, &OsDisk::shared())?;
        // What was copied under another name may be all that there is of an hour.
        for name in &options.former {
            let reader = LogReader::open_with(&log, reader.keyring(), clock.clone(), retention)?;
            report.add(reader.fetch_copies(&objects, name, &OsDisk::shared())?);
        }
        print(&report);
        if report == FetchReport::default() {
            let folders = [vec![options.node], options.former].concat().join(", ");
            bail!(
                "the object store has nothing in {folders} that has not expired; keys/store.names lists the folders of this server"
            );
        }
        if !report.lost.is_empty() {
            bail!("not everything could be fetched");
        }
        Ok(())
    }
}

fn print(report: &FetchReport) {
    let FetchReport { fetched, records, kept, without_key, lost } = report;
    for segment in fetched {
        note!("dispatchd: segment {segment} was fetched");
    }
    for what in lost {
        note!("dispatchd: {what}");
    }
    let segments = counted(fetched.len() as u64, "segment");
    note!("dispatchd: fetched {segments} with {}", counted(*records, "record"));
    if *kept > 0 {
        note!("dispatchd: {} of the store need no fetching", counted(*kept as u64, "segment"));
    }
    if *without_key > 0 {
        let segments = counted(*without_key as u64, "segment");
        note!("dispatchd: the keys of {segments} of the store are not in this directory");
    }
}
