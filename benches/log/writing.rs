//! Writes the traffic through the real log, hour by hour, in commits of a thousand records. Seals each hour when it
//! ends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use dispatchd::{
    clock::{Clock as _, ManualClock, Timestamp},
    envelope::KeyFiles,
    files::DataDirectory,
    query_log::{Config, Durability, LogOptions, QueryLog, Record, SegmentState},
    shutdown::Shutdown,
};
use serde::{Deserialize, Serialize};
use tokio::{runtime::Runtime, task};

use crate::{
    Amounts, HOURS, HOURS_UNSEALED,
    generator::{PAUSE, Traffic},
    memory::{self, Memory, Watch},
    population::Population,
};

pub(crate) const SUBJECT: &str = "writing";
pub(crate) const SUBJECT_UNSEALED: &str = "unsealed";
/// The approximate number of records in one commit.
const COMMIT: usize = 1_000;

/// The measurements of writing and sealing.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) records: u64,
    /// The time that the generator took.
    pub(crate) generation: Duration,
    /// The time to append and commit.
    pub(crate) writing: Duration,
    /// Bytes of the frames before sealing.
    pub(crate) active_bytes: u64,
    pub(crate) sealed_bytes: u64,
    pub(crate) sealing: Duration,
    /// Processor time of all threads while sealing.
    pub(crate) sealing_cpu: Duration,
    /// The peak of memory above the idle process.
    pub(crate) sealing_peak: Memory,
}

struct Writer {
    log: QueryLog,
    clock: Arc<ManualClock>,
    runtime: Runtime,
}

/// Writes and seals the hours that the searches use.
pub(crate) fn measure(amounts: &Amounts) -> anyhow::Result<Written> {
    let idle = Memory::now()?;
    let population = Population::new(amounts.seed, amounts.per_hour());
    let writer = Writer::open(amounts, 0)?;
    let mut written = Written::default();
    for number in 0..HOURS {
        let (hour, of) = (amounts.hour(number), (amounts.seed, number));
        let mut traffic = Traffic::new(&population, of, hour, amounts.per_hour());
        writer.write(&mut traffic, &mut written)?;
        writer.move_to(hour.end().plus(PAUSE));
        writer.log.tick();
        let segments = writer.log.reader().segments();
        let closed = segments.iter().filter(|segment| segment.state == SegmentState::Closed);
        ensure!(closed.count() == 1, "an hour is not one segment that waits to be sealed");
        let watch = Watch::start(idle);
        let (start, cpu_before) = (Instant::now(), memory::cpu_time());
        let outcome = writer.log.seal(&|| false);
        let took = start.elapsed();
        written.sealing += took;
        written.sealing_cpu += memory::cpu_time().saturating_sub(cpu_before);
        written.sealing_peak = written.sealing_peak.max(watch.peak_above_idle()?);
        ensure!(outcome.failed.is_empty(), "not sealed: {:?}", outcome.failed);
        ensure!(outcome.records == amounts.per_hour(), "sealed only {}", outcome.records);
        written.active_bytes += outcome.bytes_before;
        written.sealed_bytes += outcome.bytes_after;
        eprintln!("  hour {} of {HOURS}: written, sealed in {took:.2?}", number + 1);
    }
    writer.log.close();
    Ok(written)
}

/// Writes hours and leaves them for the server to seal. Returns how many records they have.
pub(crate) fn leave_unsealed(amounts: &Amounts) -> anyhow::Result<u64> {
    let per_hour = (amounts.seal_records / u64::from(HOURS_UNSEALED)).max(1_000);
    let population = Population::new(amounts.seed, per_hour);
    let writer = Writer::open(amounts, HOURS)?;
    let mut written = Written::default();
    for number in HOURS..HOURS + HOURS_UNSEALED {
        let hour = amounts.hour(number);
        let mut traffic = Traffic::new(&population, (amounts.seed, number), hour, per_hour);
        writer.write(&mut traffic, &mut written)?;
        writer.move_to(hour.end().plus(PAUSE));
        writer.log.tick();
    }
    writer.log.close();
    Ok(written.records)
}

impl Writer {
    /// Opens the log with a clock at the beginning of the hour with index `number`.
    fn open(amounts: &Amounts, number: u32) -> anyhow::Result<Self> {
        let clock = ManualClock::at(amounts.hour(number).start());
        let data = amounts.data();
        DataDirectory::prepare(&data)?;
        let keys = KeyFiles::new(&data.join("keys"), None);
        let config = Config { durability: Durability::Os, ..Config::default() };
        let options = LogOptions::new(data.join("log"), keys, config, clock.clone());
        let shutdown = Shutdown::new();
        let (log, _) = QueryLog::open(options, &shutdown)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        // As in the server, the appending thread commits, once in each turn of its runtime.
        runtime.spawn(log.clone().run_inline_flusher(shutdown));
        runtime.block_on(task::yield_now());
        Ok(Self { log, clock, runtime })
    }

    fn move_to(&self, at: Timestamp) {
        self.clock.advance(at.since(self.clock.now()));
    }

    fn write(&self, traffic: &mut Traffic<'_>, written: &mut Written) -> anyhow::Result<()> {
        let (mut request, mut records) = (Vec::new(), Vec::with_capacity(2 * COMMIT));
        let mut arrivals = Vec::new();
        loop {
            let start = Instant::now();
            records.clear();
            arrivals.clear();
            while records.len() < COMMIT
                && let Some(at) = traffic.next_request(&mut request)
            {
                let begin = records.len();
                records.append(&mut request);
                arrivals.push((at, begin..records.len()));
            }
            written.generation += start.elapsed();
            if records.is_empty() {
                return Ok(());
            }
            let start = Instant::now();
            let requests =
                arrivals.iter().map(|(at, range)| (*at, records.get(range.clone()).unwrap_or(&[])));
            self.runtime.block_on(self.commit(requests))?;
            written.writing += start.elapsed();
            written.records += records.len() as u64;
        }
    }

    async fn commit<'r>(
        &self,
        requests: impl Iterator<Item = (Timestamp, &'r [Record])>,
    ) -> anyhow::Result<()> {
        let mut last = None;
        for (at, records) in requests {
            self.move_to(at);
            last = Some(self.log.append_all(records)?);
        }
        Ok(last.context("a commit of nothing")?.await?)
    }
}
