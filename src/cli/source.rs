//! What a command works on: a running server, or the files in a data directory.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde::de::DeserializeOwned;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use super::{
    client::{Client, block_on},
    config::ConfigFile,
    errors::{EXIT_INTERRUPTED, Interrupted},
};
use crate::{
    api::{Call as _, LogRow, RecordFilter},
    audit::local_user,
    cli::note::note,
    clock::{Clock as _, ClockFileError, SharedClock, SystemClock, TrustedClock},
    config::Config,
    files::{DataDirectory, OsDisk},
    operators::Role,
    query_log::SearchOutcome,
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
    pub(super) config: ConfigFile,
    /// The operators' address of the server to ask [env: DISPATCHD_SERVER] [default: server.operators of the configuration]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A file that holds the operator token; without it the variable DISPATCHD_TOKEN does
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// The trusted clock of a data directory. Whoever changes the directory saves it.
pub(super) fn clock_of(data: &Path, config: &Config) -> Result<TrustedClock, ClockFileError> {
    TrustedClock::open(Arc::new(SystemClock), OsDisk::shared(), data, &config.clock)
}

impl Source {
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
            None => block_on(self.client(C::ROLE)?.answer(call)),
        }
    }

    /// The rows of a call, one by one; what was passed over, if that is known.
    pub(super) fn rows<C: Rows<Row: DeserializeOwned>>(
        &self,
        call: &C,
        mut take: impl FnMut(C::Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<SearchOutcome>> {
        call.resolve(SystemClock.now())?;
        let Some(records) = self.records()? else {
            return block_on(self.client(C::ROLE)?.rows(call, take));
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
        mut take: impl FnMut(LogRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        filter.resolve(SystemClock.now())?;
        let Some(records) = self.records()? else {
            return block_on(self.client(RecordFilter::ROLE)?.follow(filter, take));
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
            // The signal unparks this thread, also if it comes before.
            thread::park_timeout(pause);
            if interrupt.has_come() {
                return Err(Interrupted.into());
            }
        }
    }

    /// What is in the data directory named; none if none is named. Says what the clocks hide.
    pub(super) fn records(&self) -> anyhow::Result<Option<Records>> {
        let Some((records, clock)) = self.records_and_clock()? else { return Ok(None) };
        if let Some(advice) = clock.status().advice() {
            note!("dispatchd: {advice}. What is too old by either time is hidden.");
        }
        Ok(Some(records))
    }

    /// As [`Self::records`], with the clock that they are read by.
    pub(super) fn records_and_clock(&self) -> anyhow::Result<Option<(Records, Arc<TrustedClock>)>> {
        let Some(data) = self.data.clone() else {
            return Ok(None);
        };
        DataDirectory::check(&data)?;
        if !data.join("log").is_dir() {
            bail!("{} is no data directory: it has no log/", data.display());
        }
        let config = self.config.load()?;
        let clock = Arc::new(clock_of(&data, &config)?);
        let shared: SharedClock = Arc::clone(&clock) as _;
        let records = Records::of_files(DataFiles {
            data,
            clock: shared,
            root_key: config.keys.root_key,
            retention: config.log.retention,
            audit_retention: config.audit.retention,
            dispatch: config.dispatch,
        })?;
        Ok(Some((records, clock)))
    }

    /// The server named, with the token from the file or the environment: other users of the machine can read arguments.
    /// `least` is the role that the call takes.
    pub(super) fn client(&self, least: Role) -> anyhow::Result<Client> {
        let token = match &self.token_file {
            Some(file) => fs::read_to_string(file)
                .with_context(|| format!("token file {}", file.display()))?,
            None => variable("DISPATCHD_TOKEN").ok_or_else(|| {
                anyhow!(
                    "no operator token: set DISPATCHD_TOKEN or --token-file (`dispatchd operator add NAME --role {}` \
                     makes one), or use the files of a stopped server with --data DIR",
                    least.name()
                )
            })?,
        };
        match self.server.clone().or_else(|| variable("DISPATCHD_SERVER")) {
            Some(server) => Client::new(&server, &token),
            None => {
                Client::new(&format!("http://{}", self.config.load()?.server.operators), &token)
            }
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

/// The value of an environment variable, unless it is empty or not UTF-8.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Ctrl-C while files are read: reading stops in an orderly way, so that the audit log counts what was printed.
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches SIGINT and SIGTERM from now on, on a thread of its own. The second signal ends the process at once: after
    /// the first it may still wait for a slow reader of its output.
    fn watch() -> io::Result<Self> {
        let has_come = Arc::new(AtomicBool::new(false));
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut int, mut term) = {
            let _entered = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let (noted, waiting) = (Arc::clone(&has_come), thread::current());
        thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = int.recv() => {}
                        _ = term.recv() => {}
                    }
                    if noted.swap(true, Ordering::SeqCst) {
                        std::process::exit(EXIT_INTERRUPTED.into());
                    }
                    waiting.unpark();
                }
            });
        })?;
        Ok(Self(has_come))
    }

    fn has_come(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Says what a search could not read.
pub(super) fn print_passed_over(outcome: SearchOutcome) {
    let SearchOutcome { damaged, unreadable_segments } = outcome;
    if damaged > 0 || unreadable_segments > 0 {
        note!(
            "dispatchd: {damaged} damaged places and {unreadable_segments} unreadable segments were \
             passed over; `dispatchd log verify` says which"
        );
    }
}
