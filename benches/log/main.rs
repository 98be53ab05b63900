//! The log: the cost of writing, sealing and searching it, compared with zstd-compressed JSON lines and with SQLite.
//! Also what that work costs concurrent lookups.
//!
//! # What is measured
//!
//! The bench generates ten hours of traffic. `generator.rs` and `population.rs` state the assumptions; the bench
//! prints the seed.
//!
//! - `writing.rs` writes through the real log in commits of a thousand records and seals each hour when it ends.
//!   Figures: bytes per record before and after sealing, records sealed per second of processor time, memory.
//! - `searching.rs` finds all rows of one handle in all ten segments, for 200 handles. Of them, 100 are drawn by
//!   frequency, 50 come from the least asked, and 50 never occur. It searches with the files in the page cache, and
//!   again after it evicted them. Then it reads every row. Memory counts above what the process held before it opened
//!   the log.
//! - `json_peer.rs` and `sqlite_peer.rs` take the same records, generated again from the seed, and the same handles.
//!   If SQLite has all records, the bench fails unless the log and SQLite find the same rows for each handle.
//! - `lookups.rs` measures the latency of lookups while the same server searches and seals, and while it does
//!   neither.
//!
//! Each subject but the last runs in a process of its own, so that no subject counts the memory of another.
//!
//! # How to run
//!
//! `cargo bench --bench log`. These variables change the amounts; each name begins with `DISPATCHD_BENCH`:
//!
//! - `_RECORDS`: records in all. Default 2,000,000; the promise is about 100,000,000.
//! - `_SEED`: seed of the traffic.
//! - `_DIR`: directory for the data, not on a tmpfs. 100 million records take 10 GB, with the peers 35 GB.
//! - `_PEERS`: 0 leaves the peers out.
//! - `_PEER_RECORDS`: the peers take only the first so many records.
//! - `_SEAL_RECORDS`: records that the server has to seal during the lookups. Default 10,000,000.
//! - `_SECONDS`: length of each lookup phase. Default 10; 0 leaves the lookups out.
//!
//! `cargo bench --bench log -- --nodes` measures a search over three nodes of a cluster instead (see `nodes.rs`). There
//! `_RECORDS` is of each node, and `_SECONDS` how long all rows are read.
//!
//! # What it does not show
//!
//! - Real traffic. The bench draws everybody's contacts independently, and such data compresses worse than real
//!   contacts.
//! - A slower disk. The bench prints how many bytes each cold search read from the disk.

mod asked;
mod child;
#[expect(dead_code, reason = "the lookup bench uses the rest")]
#[path = "../lookup/cluster/engine.rs"]
mod engine;
mod generator;
mod json_peer;
mod lookups;
mod memory;
mod nodes;
mod population;
mod registered;
mod searching;
mod serving;
mod share;
mod sqlite_peer;
mod table;
mod writing;

use std::{env, fs, path::PathBuf, str::FromStr};

use anyhow::{Context as _, ensure};
use dispatchd::clock::{Clock as _, Hour, SystemClock};
use searching::{Loaded, Searched};

/// The server's allocator, so that memory figures compare.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// This argument compares a search over three nodes with one in the log of one node instead.
const NODES: &str = "--nodes";
/// Hours that the bench seals and searches.
const HOURS: u32 = 10;
/// Later hours, which the bench leaves for the server to seal.
const HOURS_UNSEALED: u32 = 4;

/// The amounts to measure, and the directory for the data.
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
            "fewer than 1,000 records an hour give no useful figures"
        );
        let folder = env::var_os("DISPATCHD_BENCH_DIR")
            .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
            .join("log-bench");
        // All hours have ended before now, by every clock.
        let first_hour =
            SystemClock.now().hour(Default::default()).number() - HOURS - HOURS_UNSEALED;
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

    /// The hour with index `number`. The bench seals the hours below [`HOURS`] and leaves those from there on
    /// unsealed.
    pub(crate) const fn hour(&self, number: u32) -> Hour {
        Hour::from_number(self.first_hour + number)
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
        ref others if others.contains(&NODES) => nodes::run(&Amounts::from_env()?),
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

/// The measurements of the peers.
pub(crate) struct Peers {
    pub(crate) json: (Loaded, Searched),
    pub(crate) sqlite: (Loaded, Searched),
}

fn run_peers(amounts: &Amounts, ours: &Searched) -> anyhow::Result<Peers> {
    if !amounts.peers_have_all() {
        println!("the peers load only the first {} records", amounts.peer_records);
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
