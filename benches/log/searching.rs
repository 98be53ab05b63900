//! Searches the log for every row of one handle, with warm and cold files, and reads all rows.
//!
//! The peers use the measuring code here, too.

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

/// The measurements of loading the records.
#[derive(Serialize, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) records: u64,
    /// Without the time that the generator took.
    pub(crate) span: Duration,
    pub(crate) bytes: u64,
    pub(crate) peak: Memory,
}

/// The rows of one handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) rows: u64,
    /// The sum of the rows' timestamps in microseconds. It detects rows that differ.
    pub(crate) at_sum: u64,
}

/// The measurements of all handles, one search each.
#[derive(Serialize, Deserialize)]
pub(crate) struct Handles {
    pub(crate) found: Vec<Found>,
    pub(crate) warm: Vec<Duration>,
    pub(crate) cold: Vec<Duration>,
    /// Bytes that all cold searches read from the disk.
    pub(crate) cold_bytes: u64,
}

/// The measurements of searching.
#[derive(Serialize, Deserialize)]
pub(crate) struct Searched {
    pub(crate) opening: Duration,
    pub(crate) handles: Handles,
    /// The peak of memory above the idle process, with the files open.
    pub(crate) peak: Memory,
    pub(crate) everything: Option<Everything>,
    /// All rows in storage order, as an export reads them.
    pub(crate) walked: Option<Everything>,
    /// Handles whose route changed within one day.
    pub(crate) flips: Option<Everything>,
}

/// The most rows to read in time order. The log reads the segment again for every 262,144 rows, so this is slow.
const IN_ORDER_MAX: u64 = 5_000_000;

/// The measurements of reading many rows.
#[derive(Serialize, Deserialize)]
pub(crate) struct Everything {
    pub(crate) rows: u64,
    pub(crate) span: Duration,
    pub(crate) peak: Memory,
}

/// Searches for each handle with the files warm. Then it evicts the files in `folder` before each search and searches
/// again.
pub(crate) fn measure_handles<'h>(
    handles: impl Iterator<Item = &'h Handle> + Clone,
    folder: &Path,
    mut find: impl FnMut(&Handle) -> anyhow::Result<Found>,
) -> anyhow::Result<Handles> {
    // The kernel can evict only clean pages.
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

/// Opens the log as the command line opens that of a stopped server.
fn open(amounts: &Amounts) -> anyhow::Result<LogReader> {
    let keys = KeyFiles::new(&amounts.data().join("keys"), None);
    let (clock, retention) = (Arc::new(SystemClock), Config::default().retention);
    Ok(LogReader::open_read_only(&folder(amounts), keys, clock, retention)?)
}

fn folder(amounts: &Amounts) -> PathBuf {
    amounts.data().join("log")
}

/// Searches for each handle.
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

/// Reads rows in time order.
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

/// Reads every row in storage order.
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

/// Finds the handles whose route changed back and forth within one day. All hours of the bench lie within a day.
pub(crate) fn measure_flips(amounts: &Amounts) -> anyhow::Result<Everything> {
    let idle = Memory::now()?;
    let reader = open(amounts)?;
    let (watch, start) = (Watch::start(idle), Instant::now());
    let report = reader.flips(&FlipQuery::default(), &|| false)?;
    ensure!(report.summary.handles > 0, "no handle flipped");
    let span = start.elapsed();
    Ok(Everything { rows: report.summary.handles, span, peak: watch.peak_above_idle()? })
}
