//! The log: what it takes to write, seal and search it, beside JSON lines with zstd and beside SQLite; and what look-ups
//! notice of that.
//!
//! # What is measured
//!
//! Ten hours of made-up traffic (`generator.rs` and `population.rs` say what is assumed; the seed is printed).
//!
//! - `writing.rs`: through the real log in commits of a thousand, hour by hour, each sealed when it is over: bytes a
//!   record before and after, records/s of sealing for each second of processor time, memory.
//! - `searching.rs`: all rows of one handle over all ten segments, for 200 handles (100 as often asked for as they come,
//!   50 of the least asked, 50 that never occur), with the files in the kernel's cache and after it was told to forget
//!   them; then every row there is. Memory above what the process held before it opened the log.
//! - `json_peer.rs`, `sqlite_peer.rs`: the very same records, made again from the seed, and the same handles. Where all
//!   records went to SQLite, the rows found must be the same, handle by handle, or the bench fails.
//! - `lookups.rs`: latency of look-ups while searches and sealing run in the same server, and without.
//!
//! Each but the last in a process of its own, so that what one leaves in memory is not the other's.
//!
//! # How to run
//!
//! `cargo bench --bench log`. `DISPATCHD_BENCH_RECORDS` (2,000,000; the promise is about 100,000,000), `_SEED`, `_DIR`
//! (not a tmpfs; 100 million records take 10 GB there, and 35 GB with the peers), `_PEERS` (0 leaves them out),
//! `_PEER_RECORDS` (they take only so many, the first ones), `_SEAL_RECORDS` (that a server finds unsealed while it is
//! asked; 10,000,000), `_SECONDS` (of each phase of look-ups, 10; 0 leaves them out) change it, each name with
//! `DISPATCHD_BENCH` in front.
//!
//! # What it does not show
//!
//! Traffic as it is: everybody's contacts are drawn independently here, which is harder to compress than people are. A
//! disk that is slower than this one; how cold "cold" was is printed as bytes read from it.

mod asked;
mod child;
mod generator;
mod json_peer;
mod lookups;
mod memory;
mod population;
mod registered;
mod searching;
mod serving;
mod sqlite_peer;
mod table;
mod writing;

use std::{env, fs, path::PathBuf, str::FromStr};

use anyhow::{Context as _, ensure};
use dispatchd::clock::{Clock as _, Hour, SystemClock};
use searching::{Loaded, Searched};

/// The same allocator as the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Hours that are sealed and searched.
const HOURS: u32 = 10;
/// Hours after those, which a server finds unsealed.
const HOURS_UNSEALED: u32 = 4;

/// How much is measured, and where.
#[derive(Clone, Debug)]
pub(crate) struct Amounts {
    pub(crate) records: u64,
    pub(crate) seed: u64,
    pub(crate) folder: PathBuf,
    pub(crate) peers: bool,
    pub(crate) peer_records: u64,
    pub(crate) seal_records: u64,
    pub(crate) seconds: u64,
    pub(crate) first_hour: u32,
}

impl Amounts {
    fn from_env() -> anyhow::Result<Self> {
        let records = number("RECORDS", 2_000_000)?;
        ensure!(
            records >= u64::from(HOURS) * 1_000,
            "fewer than 1,000 records an hour say nothing"
        );
        let folder = env::var_os("DISPATCHD_BENCH_DIR")
            .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
            .join("log-bench");
        // Ended well before now, so that they are over for every clock.
        let first_hour = SystemClock.now().hour().epoch_hours() - HOURS - HOURS_UNSEALED;
        Ok(Self {
            records,
            seed: number("SEED", 20_261_123)?,
            folder,
            peers: number("PEERS", 1)? == 1,
            peer_records: number("PEER_RECORDS", records)?.min(records),
            seal_records: number("SEAL_RECORDS", 10_000_000)?,
            seconds: number("SECONDS", 10)?,
            first_hour: number("FIRST_HOUR", first_hour)?,
        })
    }

    pub(crate) fn per_hour(&self) -> u64 {
        self.records / u64::from(HOURS)
    }

    /// The hour with a number; the first that is not sealed here has the number [`HOURS`].
    pub(crate) const fn hour(&self, number: u32) -> Hour {
        Hour::from_epoch_hours(self.first_hour + number)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn peers_have_all(&self) -> bool {
        self.peer_records >= self.per_hour() * u64::from(HOURS)
    }
}

fn number<N: FromStr>(name: &str, default: N) -> anyhow::Result<N>
where
    N::Err: std::error::Error + Send + Sync + 'static,
{
    let name = format!("DISPATCHD_BENCH_{name}");
    match env::var(&name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number")),
        Err(_) => Ok(default),
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        [child::ARGUMENT, subject] => become_child(subject, &Amounts::from_env()?),
        ref others if others.contains(&"--bench") => run(&Amounts::from_env()?),
        _ => {
            println!("nothing to test here: run it with `cargo bench --bench log`");
            Ok(())
        }
    }
}

fn become_child(subject: &str, amounts: &Amounts) -> anyhow::Result<()> {
    match subject {
        writing::SUBJECT => child::report(&writing::measure(amounts)?),
        writing::SUBJECT_UNSEALED => child::report(&writing::leave_unsealed(amounts)?),
        searching::SUBJECT => child::report(&searching::measure(amounts)?),
        searching::SUBJECT_EVERYTHING => child::report(&searching::measure_everything(amounts)?),
        searching::SUBJECT_WALK => child::report(&searching::measure_walk(amounts)?),
        searching::SUBJECT_FLIPS => child::report(&searching::measure_flips(amounts)?),
        json_peer::SUBJECT => child::report(&json_peer::write(amounts)?),
        json_peer::SUBJECT_SEARCH => child::report(&json_peer::search(amounts)?),
        sqlite_peer::SUBJECT => child::report(&sqlite_peer::load(amounts)?),
        sqlite_peer::SUBJECT_SEARCH => child::report(&sqlite_peer::search(amounts)?),
        _ => anyhow::bail!("no such subject"),
    }
}

fn run(amounts: &Amounts) -> anyhow::Result<()> {
    if amounts.folder.exists() {
        fs::remove_dir_all(&amounts.folder)?;
    }
    fs::create_dir_all(&amounts.folder)?;
    let Amounts { records, seed, .. } = *amounts;
    println!("{records} records in {HOURS} hours, seed {seed}, in {}", amounts.folder.display());
    let written: writing::Written = child::run(writing::SUBJECT, amounts)?;
    table::print_written(&written);
    let mut searched: Searched = child::run(searching::SUBJECT, amounts)?;
    searched.everything = Some(child::run(searching::SUBJECT_EVERYTHING, amounts)?);
    searched.walked = Some(child::run(searching::SUBJECT_WALK, amounts)?);
    searched.flips = Some(child::run(searching::SUBJECT_FLIPS, amounts)?);
    table::print_searched(&searched);
    let peers = if amounts.peers { Some(run_peers(amounts, &searched)?) } else { None };
    let lookups = if amounts.seconds > 0 {
        let unsealed: u64 = child::run(writing::SUBJECT_UNSEALED, amounts)?;
        Some(lookups::measure(amounts, unsealed)?)
    } else {
        None
    };
    table::print(&written, &searched, peers.as_ref(), lookups.as_ref());
    fs::remove_dir_all(&amounts.folder)?;
    Ok(())
}

/// What the peers took.
pub(crate) struct Peers {
    pub(crate) json: (Loaded, Searched),
    pub(crate) sqlite: (Loaded, Searched),
}

fn run_peers(amounts: &Amounts, ours: &Searched) -> anyhow::Result<Peers> {
    if !amounts.peers_have_all() {
        println!("the peers take the first {} records only", amounts.peer_records);
    }
    let json: Loaded = child::run(json_peer::SUBJECT, amounts)?;
    let found = child::run(json_peer::SUBJECT_SEARCH, amounts)?;
    table::print_peer("JSON lines, zstd", &json, &found);
    fs::remove_dir_all(amounts.folder.join(json_peer::FOLDER))?;
    let json = (json, found);
    let sqlite: Loaded = child::run(sqlite_peer::SUBJECT, amounts)?;
    let found: Searched = child::run(sqlite_peer::SUBJECT_SEARCH, amounts)?;
    table::print_peer("SQLite", &sqlite, &found);
    fs::remove_dir_all(amounts.folder.join(sqlite_peer::FOLDER))?;
    if amounts.peers_have_all() {
        ensure!(
            found.handles.found == ours.handles.found,
            "SQLite has other rows of the same handles than the log"
        );
        println!("  the log and SQLite gave the same rows for every handle");
    }
    Ok(Peers { json, sqlite: (sqlite, found) })
}
