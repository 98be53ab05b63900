//! Measures the latency of lookups while the same server searches its log and seals segments, and while it does
//! neither.
//!
//! Four connections send 2,000 lookups a second in all, at a fixed rate, even when the server falls behind. If a
//! lookup must wait for the answer before it, the wait counts as latency. Oversleep of the client thread does not
//! count.
//!
//! The phases:
//!
//! 1. Lookups only. A server begins to seal within half a minute of its start, and this phase ends then.
//! 2. Lookups, sealing and two searches. One search returns every lookup, the other reads the log and finds nothing.
//!    Each search starts again when it ends. The phase ends when all segments are sealed, or after its time.
//! 3. Lookups only, when all segments are sealed.
//! 4. Ten short phases of a fifth of the time: lookups only, and lookups with both searches, in turn. Other load on
//!    the machine then affects both kinds equally.
//!
//! The thread that reads the rows of the large search runs at the lowest priority. In production that client runs on
//! another machine.

use std::{
    cell::Cell,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use dispatchd::query_log::SegmentState;
use serde::Deserialize;

use crate::{
    Amounts, registered,
    serving::{Connection, Server, dispatchd, stream_rows},
};

const CONNECTIONS: u64 = 4;
/// The interval between two lookups on one connection.
const EVERY: Duration = Duration::from_millis(2);
/// Each phase ignores this much at its beginning, because its connections are new.
const WARM_UP: Duration = Duration::from_millis(200);
const TURNS: u32 = 5;
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(600);
const SEALING_WITHIN: Duration = Duration::from_secs(40);

const EVERYTHING: &str = "/v1/log?kind=lookup";
/// No request came from this network. Its address lies among those of other requests.
const NOTHING: &str = "/v1/log?ip=203.0.113.0/24";

/// The measurements of one phase.
#[derive(Default)]
pub(crate) struct Phase {
    pub(crate) span: Duration,
    /// Sorted in ascending order.
    pub(crate) latencies: Vec<Duration>,
    /// Rows that searches returned during the phase, and how many searches ended.
    pub(crate) rows: u64,
    pub(crate) searches: u64,
}

/// The measurements of all phases.
pub(crate) struct Lookups {
    pub(crate) sealing: Phase,
    /// The phases before and after the sealing.
    pub(crate) beside_sealing: [Phase; 2],
    /// Pairs of phases: lookups only, then lookups with searches.
    pub(crate) turns: Vec<[Phase; 2]>,
    /// Unsealed segments when the lookups began, and when the phase with sealing ended.
    pub(crate) unsealed: [usize; 2],
    /// How often the bench sampled the log during the phase with sealing, and how many samples saw a segment being
    /// sealed.
    pub(crate) samples: [u32; 2],
}

struct Bench {
    phones: SocketAddr,
    operators: SocketAddr,
    operator: String,
    /// For each connection, the requests that it repeats in order.
    requests: Vec<Vec<Vec<u8>>>,
    span: Duration,
    log: PathBuf,
}

/// Starts a server whose log has `unsealed` unsealed records, and measures its lookups.
pub(crate) fn measure(amounts: &Amounts, unsealed: u64) -> anyhow::Result<Lookups> {
    let data = amounts.data();
    let handles = registered::register(amounts)?;
    let operator = dispatchd(&["operator", "add", "bench", "--role", "admin", "--data"])
        .arg(&data)
        .output()?;
    ensure!(operator.status.success(), "no operator's token");
    let operator = String::from_utf8(operator.stdout)?.trim().to_owned();
    println!(
        "lookups, while a server seals {unsealed} records and searches, and while it does not"
    );
    let server = Server::start(&data)?;
    let phones = server.addresses.phones;
    let requests = (0..CONNECTIONS).map(|number| registered::requests(phones, &handles, number));
    let bench = Bench {
        phones,
        operators: server.addresses.operators,
        operator,
        requests: requests.collect::<anyhow::Result<_>>()?,
        span: Duration::from_secs(amounts.seconds),
        log: data.join("log"),
    };
    let before = bench.unsealed()?;
    let first = bench.phase(false, SEALING_WITHIN, || bench.is_sealing())?;
    let (sampled, met) = (Cell::new(0), Cell::new(0));
    let sealing = bench.phase(true, bench.span, || {
        let is_sealing = bench.is_sealing()?;
        sampled.set(sampled.get() + 1);
        met.set(met.get() + u32::from(is_sealing));
        Ok(!is_sealing && bench.unsealed()? == 0)
    })?;
    let unsealed = [before, bench.unsealed()?];
    bench.wait_for_sealing()?;
    let second = bench.phase(false, bench.span, || Ok(false))?;
    let turn = |searches| bench.phase(searches, bench.span / TURNS, || Ok(false));
    let turns = (0..TURNS).map(|_| Ok([turn(false)?, turn(true)?]));
    let turns = turns.collect::<anyhow::Result<_>>()?;
    server.stop()?;
    let samples = [sampled.get(), met.get()];
    Ok(Lookups { sealing, beside_sealing: [first, second], turns, unsealed, samples })
}

impl Bench {
    /// Counts closed segments that the server has not sealed.
    fn unsealed(&self) -> anyhow::Result<usize> {
        #[derive(Deserialize)]
        struct Segment {
            state: String,
        }
        let request = format!(
            "GET /v1/log/segments HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n",
            self.operator
        );
        let mut connection = Connection::open(self.operators)?;
        let segments: Vec<Segment> = serde_json::from_slice(connection.ask(request.as_bytes())?)?;
        let done = [SegmentState::Active, SegmentState::Sealed];
        let done: Vec<_> = done.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        let is_done = |segment: &&Segment| done.iter().any(|done| *done == segment.state);
        Ok(segments.len() - segments.iter().filter(is_done).count())
    }

    fn wait_for_sealing(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.unsealed()? > 0 {
            ensure!(start.elapsed() < PATIENCE, "the server does not seal its segments");
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Whether the server is sealing a segment now.
    fn is_sealing(&self) -> anyhow::Result<bool> {
        for entry in fs::read_dir(&self.log)? {
            if entry?.path().extension().is_some_and(|extension| extension == "sealing") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends lookups until `span` has passed or `is_over` returns true.
    fn phase(
        &self,
        searches: bool,
        span: Duration,
        is_over: impl Fn() -> anyhow::Result<bool>,
    ) -> anyhow::Result<Phase> {
        let stop = &AtomicBool::new(false);
        let start = Instant::now();
        let mut phase = Phase::default();
        thread::scope(|scope| -> anyhow::Result<()> {
            let paths: &[&str] = if searches { &[EVERYTHING, NOTHING] } else { &[] };
            let searching: Vec<_> =
                paths.iter().map(|path| scope.spawn(|| self.search(path, stop))).collect();
            let asking: Vec<_> = (0..)
                .zip(&self.requests)
                .map(|(number, requests)| {
                    scope.spawn(move || look_up(self.phones, requests, number, stop))
                })
                .collect();
            let mut watched = Ok(false);
            while start.elapsed() < span && matches!(watched, Ok(false)) {
                thread::sleep(SAMPLE_EVERY);
                watched = is_over();
            }
            phase.span = start.elapsed();
            stop.store(true, Ordering::Relaxed);
            watched?;
            for thread in asking {
                phase.latencies.extend(thread.join().expect("it does not panic")?);
            }
            for thread in searching {
                let (rows, searches) = thread.join().expect("it does not panic")?;
                phase.rows += rows;
                phase.searches += searches;
            }
            Ok(())
        })?;
        phase.latencies.sort_unstable();
        Ok(phase)
    }

    /// Searches again and again. Returns how many rows came, and how many searches ended.
    fn search(&self, path: &str, stop: &AtomicBool) -> anyhow::Result<(u64, u64)> {
        // On Linux `nice` changes the calling thread only.
        rustix::process::nice(19)?;
        let (mut rows, mut ended) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            let streamed = stream_rows(self.operators, &self.operator, path, stop)?;
            rows += streamed.rows;
            ended += u64::from(streamed.whole);
        }
        Ok((rows, ended))
    }
}

/// Sends a lookup every two milliseconds. Measures each latency from the time at which the request was due.
fn look_up(
    phones: SocketAddr,
    requests: &[Vec<u8>],
    number: u64,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(phones)?;
    let start = Instant::now();
    let mut due = start + EVERY * u32::try_from(number)? / u32::try_from(CONNECTIONS)?;
    let mut latencies = Vec::new();
    for request in requests.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let wait = due.saturating_duration_since(Instant::now());
        let from = if wait.is_zero() {
            due
        } else {
            thread::sleep(wait);
            Instant::now()
        };
        connection.ask(request)?;
        if start.elapsed() > WARM_UP {
            latencies.push(from.elapsed());
        }
        due += EVERY;
    }
    Ok(latencies)
}
