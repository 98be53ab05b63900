//! What a command works on: a running server, or the files in a data directory.

use std::{
    env, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{anyhow, bail};
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
    listener::Listener,
    tail::follow_server,
    trust::Authorities,
    variables::token,
    window::AskedWindow,
};
use crate::{
    api::{Call as _, FoundRow, RecordFilter},
    audit::local_user,
    cli::note::note,
    clock::{ClockFileError, SharedClock, SystemClock, TrustedClock},
    config::Config,
    files::{DataDirectory, OsDisk},
    operators::Role,
    reading::{Answer, DataFiles, Outcome, ReadingError, Records, Rows, Stop, follow},
    server::copy_options,
};

/// How often a tail over files looks for new records.
const POLL_EVERY: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(super) struct Source {
    /// Work on the files of this data directory instead of asking a server. The log can be read while a server writes it
    #[arg(long, value_name = "DIR", conflicts_with = "token_file")]
    pub(super) data: Option<PathBuf>,
    #[command(flatten)]
    pub(super) running: RunningServer,
}

/// Which running server a command asks, and with which token.
#[derive(Args)]
pub(super) struct RunningServer {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// The operators' address of the server to ask [env: DISPATCHD_SERVER] [default: server.operators of the configuration]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    authorities: Authorities,
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
        let window = AskedWindow::of(call)?;
        let (answer, horizon) = match self.records()? {
            Some(records) => {
                let never: Stop = Arc::new(|| false);
                (call.answer(&records, &local_user(), &never)?, Some(records.horizon()))
            }
            None => {
                let client = self.client(C::ROLE)?;
                (block_on(client.answer(call))?, client.horizon())
            }
        };
        window.print_past(horizon);
        Ok(answer)
    }

    /// The rows of a call, one by one; what was passed over, if that is known.
    pub(super) fn rows<C: Rows<Row: DeserializeOwned>>(
        &self,
        call: &C,
        mut take: impl FnMut(C::Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Outcome>> {
        let window = AskedWindow::of(call)?;
        let mut is_empty = true;
        let mut take = |row| {
            is_empty = false;
            take(row)
        };
        let (outcome, horizon) = match self.records()? {
            Some(records) => (Self::read(call, &records, take)?, Some(records.horizon())),
            None => {
                let client = self.client(C::ROLE)?;
                (block_on(client.rows(call, &mut take))?, client.horizon())
            }
        };
        window.print_past(horizon);
        if is_empty && C::HAS_WINDOW {
            window.print_empty(horizon);
        }
        Ok(outcome)
    }

    /// The rows of a call, from files.
    fn read<C: Rows>(
        call: &C,
        records: &Records,
        mut take: impl FnMut(C::Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Outcome>> {
        let reading = call.begin(records, &local_user())?;
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

    /// Records as they are written. It ends when it is interrupted, or for good.
    pub(super) fn follow(
        &self,
        filter: &RecordFilter,
        mut take: impl FnMut(FoundRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        AskedWindow::of(filter)?;
        let Some(records) = self.records()? else {
            let client = self.client(RecordFilter::ROLE)?;
            return block_on(follow_server(&client, filter, take));
        };
        let (mut follower, mut audited) = follow(&records, &local_user(), filter)?;
        let interrupt = Interrupt::watch()?;
        note!("dispatchd: waiting for records; Ctrl-C ends");
        loop {
            let (rows, is_at_end) = follower.next_rows()?;
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
        let config = self.running.config.load()?;
        let clock = Arc::new(clock_of(&data, &config)?);
        let shared: SharedClock = Arc::clone(&clock) as _;
        let copies = copy_options(&config.log, &data, Arc::new(|_| true))?;
        let records = Records::of_files(DataFiles {
            data,
            copies,
            clock: shared,
            root_key: config.keys.root_key,
            retention: config.log.retention,
            audit_retention: config.audit.retention,
            dispatch: config.dispatch,
        })?;
        Ok(Some((records, clock)))
    }

    /// The server named, with the operator's token. `least` is the role that the call takes.
    pub(super) fn client(&self, least: Role) -> anyhow::Result<Client> {
        self.running.client(least)
    }
}

impl RunningServer {
    /// The server named, with the operator's token. `least` is the role that the call takes.
    pub(super) fn client(&self, least: Role) -> anyhow::Result<Client> {
        self.config.check_named()?;
        let token = token(self.token_file.as_deref(), "DISPATCHD_TOKEN")?;
        let token = token.ok_or_else(|| no_token(least))?;
        let named = || env::var("DISPATCHD_SERVER").ok().filter(|server| !server.is_empty());
        let server = self.server.clone().or_else(named);
        let (server, trust) =
            Listener::Operators.server(server, &self.authorities, &self.config)?;
        Client::trusting(&server, trust, &token)
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

fn no_token(least: Role) -> anyhow::Error {
    anyhow!(
        "no operator token: set DISPATCHD_TOKEN or --token-file (`dispatchd operator add NAME --role {}` makes one), \
         or use the files with --data DIR",
        least.name()
    )
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
