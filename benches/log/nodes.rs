//! A search over three nodes of a cluster, compared with the same search in the log of one of them (`-- --nodes`).
//!
//! Three members of Debian's etcd and three nodes share this machine. Each node has a log of its own with `DISPATCHD_BENCH_RECORDS`
//! records, all sealed. A page of 100 rows is asked for at one node, in turn of that node only and of all. The files are in the page
//! cache. Then one client reads all rows of all nodes for `DISPATCHD_BENCH_SECONDS`. The memory of the asked node counts above what it
//! held before the first search.
//!
//! On machines of their own the nodes search at the same time. Here each gets half of a processor, so that they do not wait for each
//! other either. Where control groups do not allow that, they share the processors, and the ratio is higher. How much the peer shows:
//! three clients that ask each node for a page of its own log at the same time.

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
    memory::{Memory, Watch},
    serving::{Connection, Server, dispatchd, stream_rows},
    share::Share,
    table, writing,
};

/// Searches of each kind, in each scope.
const SEARCHES: usize = 40;
/// How long etcd may take to elect a leader.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node: its data directory, its name, and the settings that make it one.
struct Node {
    data: PathBuf,
    settings: Vec<(&'static str, OsString)>,
    operators: String,
}

/// The time of a page.
pub(crate) struct Pages {
    pub(crate) of: &'static str,
    /// In the log of one node.
    pub(crate) one: Vec<Duration>,
    /// In the log of each node, asked by three clients at the same time: until the last of them has its page.
    pub(crate) apart: Vec<Duration>,
    /// In the logs of all nodes, asked by one client.
    pub(crate) all: Vec<Duration>,
    /// Of the asked node, above idle.
    pub(crate) memory: Memory,
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
    let mut nodes = vec![a.serve()?];
    for number in 1..3 {
        let of_other = of(number);
        fs::create_dir_all(&of_other.folder)?;
        let other = node(&of_other)?;
        let name = &of_other.folder.file_name().unwrap_or_default().to_string_lossy();
        let token = a.run(&["cluster", "invite", name])?;
        let url = format!("http://{}", a.operators);
        other.run(&["cluster", "join", &url, "--token", token.trim()])?;
        writing::measure(&of_other)?;
        nodes.push(other.serve()?);
    }
    let handles = Asked::choose(&first).frequent;
    let handle = handles.first().context("no handle")?.canonical().replace('+', "%2B");
    let shares = nodes.iter().map(|node| Share::of(node.id())).collect::<Result<Vec<_>, _>>();
    match &shares {
        Ok(_) => println!("each node has half of a processor"),
        Err(error) => println!("THE NODES SHARE THE PROCESSORS: {error}"),
    }
    measure(amounts, &nodes, operator.trim(), &handle)?;
    drop(shares);
    for server in nodes.into_iter().rev() {
        server.stop()?;
    }
    drop(engine);
    fs::remove_dir_all(&amounts.folder)?;
    Ok(())
}

/// Asks the first of `nodes`, in turn of its log and of all, and all of them for their own logs.
fn pages(
    nodes: &[Server],
    token: &str,
    (of, filter): (&'static str, &str),
    idle: Memory,
) -> anyhow::Result<Pages> {
    let open = |node: &Server| Connection::open(node.addresses.operators);
    let mut connections: Vec<_> = nodes.iter().map(open).collect::<Result<_, _>>()?;
    let request = |scope: &str| {
        format!(
            "GET /v1/log?{filter}scope={scope} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        )
    };
    let ask = |connection: &mut Connection, scope: &str| {
        let body = connection.ask(request(scope).as_bytes())?;
        ensure!(memchr::memmem::find(body, b"\"missing\"").is_none(), "a node is missing");
        Ok(())
    };
    let watch = Watch::of(nodes[0].id(), idle);
    let (mut one, mut apart, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=SEARCHES {
        let took = |times: &mut Vec<Duration>, asked: &mut [Connection], scope: &str| {
            let begun = Instant::now();
            thread::scope(|threads| {
                let asks = asked.iter_mut().map(|it| threads.spawn(|| ask(it, scope)));
                let asks: Vec<_> = asks.collect();
                asks.into_iter().try_for_each(|it| it.join().expect("it does not panic"))
            })?;
            // The first search of each kind reads the files into the page cache.
            if turn > 0 {
                times.push(begun.elapsed());
            }
            anyhow::Ok(())
        };
        took(&mut one, &mut connections[..1], "node")?;
        took(&mut apart, &mut connections, "node")?;
        took(&mut all, &mut connections[..1], "cluster")?;
    }
    Ok(Pages { of, one, apart, all, memory: watch.peak_above_idle()? })
}

fn measure(amounts: &Amounts, nodes: &[Server], token: &str, handle: &str) -> anyhow::Result<()> {
    let asked = &nodes[0];
    let idle = Memory::of(asked.id())?;
    let kinds = [
        ("the newest", String::new()),
        ("one handle", format!("handle={handle}&")),
        ("oldest first", "order=asc&".to_owned()),
        ("one network", "ip=198.51.100.0/24&".to_owned()),
    ];
    let kinds = kinds.iter().map(|(of, filter)| pages(nodes, token, (of, filter), idle));
    let kinds: Vec<_> = kinds.collect::<Result<_, _>>()?;
    let (stop, span) = (AtomicBool::new(false), Duration::from_secs(amounts.seconds));
    let watch = Watch::of(asked.id(), idle);
    let rows = thread::scope(|scope| {
        let reading = scope
            .spawn(|| stream_rows(asked.addresses.operators, token, "/v1/log?order=desc", &stop));
        thread::sleep(span);
        stop.store(true, Ordering::Relaxed);
        reading.join().expect("it does not panic")
    })?;
    table::print_nodes(&kinds, (rows.rows, watch.peak_above_idle()?), amounts.seconds);
    Ok(())
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
