//! A search over three nodes of a cluster, compared with the same search in the log of one of them (`-- --nodes`).
//!
//! Three members of Debian's etcd and three nodes share this machine. Each node has a log of its own with `DISPATCHD_BENCH_RECORDS`
//! records, all sealed. A page of 100 rows is asked for at one node, in turn of that node only and of all. The files are in the page
//! cache. Then one client reads all rows of all nodes for `DISPATCHD_BENCH_SECONDS`. The memory of the asked node counts above what it
//! held before the first search.
//!
//! On machines of their own the three nodes search at the same time. Here they share the processors, so the ratio is higher.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::{
    Amounts,
    asked::Asked,
    engine::{Engine, free_port},
    memory::Memory,
    serving::{Connection, Server, dispatchd, stream_rows},
    table, writing,
};

/// Searches of each kind, in each scope.
const SEARCHES: usize = 40;
const SAMPLE_EVERY: Duration = Duration::from_millis(5);
/// How long etcd may take to elect a leader.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node: its data directory, its name, and the settings that make it one.
struct Node {
    data: PathBuf,
    settings: Vec<(&'static str, OsString)>,
    operators: String,
}

/// The time of a page in the log of one node and in those of all.
pub(crate) struct Pages {
    pub(crate) of: &'static str,
    pub(crate) one: Vec<Duration>,
    pub(crate) all: Vec<Duration>,
}

/// Writes the logs, measures and prints the report.
pub(crate) fn run(amounts: &Amounts) -> anyhow::Result<()> {
    if amounts.folder.exists() {
        fs::remove_dir_all(&amounts.folder)?;
    }
    fs::create_dir_all(&amounts.folder)?;
    println!("{} records in the log of each of three nodes", amounts.records);
    let engine = Engine::start(&amounts.folder)?;
    let of = |number: u64| Amounts {
        folder: amounts.folder.join(["a", "b", "c"][number as usize]),
        seed: amounts.seed + number,
        ..amounts.clone()
    };
    let node = |amounts: &Amounts| Node::new(amounts, &engine);
    let first = of(0);
    fs::create_dir_all(&first.folder)?;
    let a = node(&first)?;
    writing::measure(&first)?;
    a.trust_clock()?;
    let operator = a.run(&["operator", "add", "bench", "--role", "admin"])?;
    let begun = Instant::now();
    while let Err(error) = a.run(&["cluster", "init"]) {
        ensure!(begun.elapsed() < PATIENCE, "{error}");
        thread::sleep(Duration::from_millis(200));
    }
    let asked = a.serve()?;
    let mut others = Vec::new();
    for number in 1..3 {
        let of_other = of(number);
        fs::create_dir_all(&of_other.folder)?;
        let other = node(&of_other)?;
        let name = &of_other.folder.file_name().unwrap_or_default().to_string_lossy();
        let token = a.run(&["cluster", "invite", name])?;
        let url = format!("http://{}", a.operators);
        other.run(&["cluster", "join", &url, "--token", token.trim()])?;
        writing::measure(&of_other)?;
        others.push(other.serve()?);
    }
    let handles = Asked::choose(&first).frequent;
    let handle = handles.first().context("no handle")?.canonical().replace('+', "%2B");
    measure(amounts, &asked, operator.trim(), &handle)?;
    for server in others.into_iter().chain([asked]) {
        server.stop()?;
    }
    drop(engine);
    fs::remove_dir_all(&amounts.folder)?;
    Ok(())
}

fn measure(amounts: &Amounts, asked: &Server, token: &str, handle: &str) -> anyhow::Result<()> {
    let idle = Memory::of(asked.id())?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut peak = Memory::default();
            while !is_over.load(Ordering::Relaxed) {
                peak = Memory::of(asked.id()).unwrap_or_default().max(peak);
                thread::sleep(SAMPLE_EVERY);
            }
            peak
        });
        let done = searches(amounts, asked, token, handle);
        is_over.store(true, Ordering::Relaxed);
        let peak = sampler.join().expect("it does not panic");
        let (pages, rows) = done?;
        table::print_nodes(&pages, rows, amounts.seconds, peak.above(idle));
        Ok(())
    })
}

fn searches(
    amounts: &Amounts,
    asked: &Server,
    token: &str,
    handle: &str,
) -> anyhow::Result<(Vec<Pages>, u64)> {
    let mut connection = Connection::open(asked.addresses.operators)?;
    let kinds = [
        ("the newest", String::new()),
        ("one handle", format!("handle={handle}&")),
        ("oldest first", "order=asc&".to_owned()),
        ("one network", "ip=198.51.100.0/24&".to_owned()),
    ];
    let mut pages = Vec::new();
    for (of, filter) in kinds {
        let mut kind = Pages { of, one: Vec::new(), all: Vec::new() };
        for turn in 0..=SEARCHES {
            for (scope, times) in [("node", &mut kind.one), ("cluster", &mut kind.all)] {
                let request = format!(
                    "GET /v1/log?{filter}scope={scope} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
                );
                let begun = Instant::now();
                let body = connection.ask(request.as_bytes())?;
                let took = begun.elapsed();
                ensure!(memchr::memmem::find(body, b"\"missing\"").is_none(), "a node is missing");
                // The first search of each kind reads the files into the page cache.
                if turn > 0 {
                    times.push(took);
                }
            }
        }
        pages.push(kind);
    }
    let (stop, span) = (AtomicBool::new(false), Duration::from_secs(amounts.seconds));
    let rows = thread::scope(|scope| {
        let reading = scope
            .spawn(|| stream_rows(asked.addresses.operators, token, "/v1/log?order=desc", &stop));
        thread::sleep(span);
        stop.store(true, Ordering::Relaxed);
        reading.join().expect("it does not panic")
    })?;
    Ok((pages, rows.rows))
}

impl Node {
    fn new(amounts: &Amounts, engine: &Engine) -> anyhow::Result<Self> {
        let operators = format!("127.0.0.1:{}", free_port()?);
        let name = amounts.folder.file_name().context("a folder without a name")?.to_owned();
        let settings = vec![
            ("DISPATCHD_CLUSTER__ENGINE", OsString::from(&engine.urls)),
            ("DISPATCHD_CLUSTER__NODE", name),
            ("DISPATCHD_SERVER__OPERATORS", OsString::from(&operators)),
        ];
        Ok(Self { data: amounts.data(), settings, operators })
    }

    /// Runs the program on the node. Returns what it printed.
    fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = dispatchd(words)
            .env("DISPATCHD_SERVER__DATA", &self.data)
            .envs(self.settings.iter().cloned())
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Its log ended hours ago, and trusted time would go on from there.
    fn trust_clock(&self) -> anyhow::Result<()> {
        self.run(&["clock", "trust", "--yes", "--data", &self.data.to_string_lossy()]).map(drop)
    }

    fn serve(&self) -> anyhow::Result<Server> {
        self.trust_clock()?;
        Server::start_with(Path::new(&self.data), &self.settings)
    }
}
