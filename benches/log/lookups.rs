//! Latency of look-ups while the same server searches its log and seals segments, and while it does not.
//!
//! Four connections ask at a fixed rate, two thousand look-ups a second in all, whether the server keeps up or not: who
//! must wait for the answer before is late, and that counts. What the asking thread itself overslept does not.
//!
//! A server begins to seal within half a minute of its start. Until then look-ups are alone; then, until all is sealed but
//! no longer than a phase, beside the sealing and two searches that begin anew whenever they end (one gives out every
//! look-up there is, the other reads and finds none); when all is sealed, alone. Then turns, a fifth of a phase each: alone,
//! and beside the searches, so that whatever else the machine does meets both. The thread that takes the rows of the
//! large search runs at the lowest priority: elsewhere that is another machine's work.

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
/// Of each connection.
const EVERY: Duration = Duration::from_millis(2);
/// Left out at the beginning of each phase: connections are new.
const WARM_UP: Duration = Duration::from_millis(200);
const TURNS: u32 = 5;
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(600);
const SEALING_WITHIN: Duration = Duration::from_secs(40);

const EVERYTHING: &str = "/v1/log?kind=lookup";
/// A network of which no request came, amid those of which some did.
const NOTHING: &str = "/v1/log?ip=203.0.113.0/24";

/// One span of look-ups.
#[derive(Default)]
pub(crate) struct Phase {
    pub(crate) span: Duration,
    /// Sorted.
    pub(crate) latencies: Vec<Duration>,
    /// Rows that searches gave out meanwhile, and how often one came to its end.
    pub(crate) rows: u64,
    pub(crate) searches: u64,
}

/// All of them.
pub(crate) struct Lookups {
    pub(crate) sealing: Phase,
    /// Before the sealing and after it.
    pub(crate) beside_sealing: [Phase; 2],
    /// Alone and with searches, in turns.
    pub(crate) turns: Vec<[Phase; 2]>,
    /// Segments that waited to be sealed when look-ups began, and when the phase with sealing ended.
    pub(crate) unsealed: [usize; 2],
    /// Looks at the log during that phase, and those that found a segment being sealed.
    pub(crate) looks: [u32; 2],
}

struct Bench {
    phones: SocketAddr,
    operators: SocketAddr,
    operator: String,
    /// Of each connection, the requests in turn.
    requests: Vec<Vec<Vec<u8>>>,
    span: Duration,
    log: PathBuf,
}

/// Starts a server where `unsealed` records wait to be sealed, and asks it.
pub(crate) fn measure(amounts: &Amounts, unsealed: u64) -> anyhow::Result<Lookups> {
    let data = amounts.data();
    let handles = registered::register(amounts)?;
    let operator = dispatchd(&["operator", "add", "bench", "--role", "admin", "--data"])
        .arg(&data)
        .output()?;
    ensure!(operator.status.success(), "no operator's token");
    let operator = String::from_utf8(operator.stdout)?.trim().to_owned();
    println!(
        "look-ups, while a server seals {unsealed} records and searches, and while it does not"
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
    let (looked, met) = (Cell::new(0), Cell::new(0));
    let sealing = bench.phase(true, bench.span, || {
        let is_sealing = bench.is_sealing()?;
        looked.set(looked.get() + 1);
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
    let looks = [looked.get(), met.get()];
    Ok(Lookups { sealing, beside_sealing: [first, second], turns, unsealed, looks })
}

impl Bench {
    /// Segments that wait to be sealed.
    fn unsealed(&self) -> anyhow::Result<usize> {
        #[derive(Deserialize)]
        struct Segment {
            state: String,
        }
        let request = format!(
            "GET /v1/log/segments HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\r\n",
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
            ensure!(start.elapsed() < PATIENCE, "the server does not seal what is there");
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Whether a segment is being sealed right now.
    fn is_sealing(&self) -> anyhow::Result<bool> {
        for entry in fs::read_dir(&self.log)? {
            if entry?.path().extension().is_some_and(|extension| extension == "sealing") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Look-ups until the span is over or `is_over` says so.
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
                thread::sleep(LOOK);
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

    /// One search after the other. Rows, and how many came to their end.
    fn search(&self, path: &str, stop: &AtomicBool) -> anyhow::Result<(u64, u64)> {
        // Of this thread only, as Linux has it.
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

/// Asks every two milliseconds, and gives the time to each answer from when it was due.
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
