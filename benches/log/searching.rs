//! Finding every row of one handle, warm and cold, and every row there is: the log's own way, and how all are measured.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use dispatchd::{
    clock::SystemClock,
    envelope::KeyFiles,
    handle::Handle,
    query_log::{Config, Filter, FlipQuery, LogReader, Order, Search},
};
use serde::{Deserialize, Serialize};

use crate::{
    Amounts, HOURS,
    asked::Asked,
    memory::{self, Memory, Watch},
};

pub(crate) const SUBJECT: &str = "searching";
pub(crate) const SUBJECT_EVERYTHING: &str = "in order of time";
pub(crate) const SUBJECT_WALK: &str = "in order of storage";
pub(crate) const SUBJECT_FLIPS: &str = "flips";

/// What taking the records in took.
#[derive(Serialize, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) records: u64,
    /// Without making the records up.
    pub(crate) span: Duration,
    pub(crate) bytes: u64,
    pub(crate) peak: Memory,
}

/// What was found of one handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) rows: u64,
    /// The sum of their instants in microseconds: other rows would give another.
    pub(crate) at_sum: u64,
}

/// One handle after the other.
#[derive(Serialize, Deserialize)]
pub(crate) struct Handles {
    pub(crate) found: Vec<Found>,
    pub(crate) warm: Vec<Duration>,
    pub(crate) cold: Vec<Duration>,
    /// Read from the disk in all cold searches.
    pub(crate) cold_bytes: u64,
}

/// What searching took.
#[derive(Serialize, Deserialize)]
pub(crate) struct Searched {
    pub(crate) opening: Duration,
    pub(crate) handles: Handles,
    /// The most memory above that of a process that does nothing, the files open.
    pub(crate) peak: Memory,
    pub(crate) everything: Option<Everything>,
    /// Everything again, in the order of storage: what an export does.
    pub(crate) walked: Option<Everything>,
    /// Handles that flipped over one day.
    pub(crate) flips: Option<Everything>,
}

/// Rows of the log in the order of time that are asked for at most: each 262,144 of them read their segment anew.
const IN_ORDER_MAX: u64 = 5_000_000;

/// A reading of many rows.
#[derive(Serialize, Deserialize)]
pub(crate) struct Everything {
    pub(crate) rows: u64,
    pub(crate) span: Duration,
    pub(crate) peak: Memory,
}

/// Searches for each of `handles` with its files warm, and again after the kernel was told to forget those in `folder`.
pub(crate) fn measure_handles<'h>(
    handles: impl Iterator<Item = &'h Handle> + Clone,
    folder: &Path,
    mut find: impl FnMut(&Handle) -> anyhow::Result<Found>,
) -> anyhow::Result<Handles> {
    // What was not written yet cannot be forgotten.
    memory::sync_files(folder)?;
    let (mut found, mut warm, mut cold, mut cold_bytes) = (vec![], vec![], vec![], 0);
    for handle in handles.clone() {
        find(handle)?;
        let start = Instant::now();
        found.push(find(handle)?);
        warm.push(start.elapsed());
    }
    for (handle, before) in handles.zip(&found) {
        memory::forget_files(folder)?;
        let read_before = memory::disk_read_bytes()?;
        let start = Instant::now();
        let again = find(handle)?;
        cold.push(start.elapsed());
        cold_bytes += memory::disk_read_bytes()? - read_before;
        ensure!(again == *before, "a cold search found something else");
    }
    Ok(Handles { found, warm, cold, cold_bytes })
}

/// The log, opened as the command line opens a stopped server's.
fn open(amounts: &Amounts) -> anyhow::Result<LogReader> {
    let keys = KeyFiles::new(&amounts.data().join("keys"), None);
    let (clock, retention) = (Arc::new(SystemClock), Config::default().retention);
    Ok(LogReader::open_read_only(&folder(amounts), keys, clock, retention)?)
}

fn folder(amounts: &Amounts) -> PathBuf {
    amounts.data().join("log")
}

/// One handle after the other.
pub(crate) fn measure(amounts: &Amounts) -> anyhow::Result<Searched> {
    let asked = Asked::choose(amounts);
    let idle = Memory::now()?;
    let start = Instant::now();
    let reader = open(amounts)?;
    let opening = start.elapsed();
    let watch = Watch::start(idle);
    let handles = measure_handles(asked.all(), &folder(amounts), |handle| {
        let filter = Filter { handle: Some(handle.clone()), ..Filter::default() };
        count(reader.search(&filter, Order::Asc, None))
    })?;
    let peak = watch.peak_above_idle()?;
    let occurring = handles.found.iter().take(asked.frequent.len() + asked.rare.len());
    ensure!(occurring.clone().all(|found| found.rows > 0), "a handle that occurs was not found");
    Ok(Searched { opening, handles, peak, everything: None, walked: None, flips: None })
}

/// Rows in the order of time.
pub(crate) fn measure_everything(amounts: &Amounts) -> anyhow::Result<Everything> {
    let idle = Memory::now()?;
    let reader = open(amounts)?;
    let wanted = (amounts.per_hour() * u64::from(HOURS)).min(IN_ORDER_MAX);
    let (watch, start) = (Watch::start(idle), Instant::now());
    let mut rows = 0;
    for row in reader.search(&Filter::default(), Order::Asc, None).take(wanted as usize) {
        row?;
        rows += 1;
    }
    let (span, peak) = (start.elapsed(), watch.peak_above_idle()?);
    ensure!(rows == wanted, "{rows} of {wanted} records were found");
    Ok(Everything { rows, span, peak })
}

fn count(mut search: Search) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for row in search.by_ref() {
        let (_, row) = row?;
        found.rows += 1;
        found.at_sum = found.at_sum.wrapping_add(row.at.as_micros());
    }
    let outcome = search.outcome();
    ensure!(outcome.damaged + outcome.unreadable_segments == 0, "damaged: {outcome:?}");
    Ok(found)
}

/// Every row, in the order of storage.
pub(crate) fn measure_walk(amounts: &Amounts) -> anyhow::Result<Everything> {
    let idle = Memory::now()?;
    let reader = open(amounts)?;
    let written = amounts.per_hour() * u64::from(HOURS);
    let (watch, start) = (Watch::start(idle), Instant::now());
    let mut walk = reader.walk(&Filter::default());
    let mut rows = 0;
    for row in walk.by_ref() {
        row?;
        rows += 1;
    }
    ensure!(rows == written, "{rows} of {written} records were walked");
    Ok(Everything { rows, span: start.elapsed(), peak: watch.peak_above_idle()? })
}

/// The handles whose route went back and forth within one day, which all the hours here are of.
pub(crate) fn measure_flips(amounts: &Amounts) -> anyhow::Result<Everything> {
    let idle = Memory::now()?;
    let reader = open(amounts)?;
    let (watch, start) = (Watch::start(idle), Instant::now());
    let report = reader.flips(&FlipQuery::default(), &|| false)?;
    ensure!(report.summary.handles > 0, "no handle flipped");
    let span = start.elapsed();
    Ok(Everything { rows: report.summary.handles, span, peak: watch.peak_above_idle()? })
}
