//! A node of a cluster, compared with a server alone (`-- --cluster`).
//!
//! Three members of Debian's etcd, three nodes, one server alone and the load generator share this machine. The node that is asked and
//! the server alone have one processor, as in the other modes; all others share the second one. Debian's etcd forces the write fence.
//! Quotas are off, and the log has `durability = "os"`.
//!
//! 1. Lookups and check-ins, in turn at the server alone and at the node. The bar is about processor time: the time of an answer
//!    depends on how many machines there are.
//! 2. How long the other nodes took to join.
//! 3. 5,000 check-ins a second for `BENCH_CHECK_IN_SECS` (default 60), and what etcd's members keep meanwhile.

mod engine;
mod node;

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;

use self::{engine::Engine, node::Node};
use crate::{
    Amounts,
    load::Fleet,
    number,
    pair::{self, Pair},
    population::{self, Population},
    process::{Server, keep_off_servers},
    report,
};

/// Check-ins at one moment, this many moments a second.
const CHECK_INS_AT_ONCE: usize = 500;
const MOMENTS_PER_SECOND: u32 = 10;
/// How often the sizes are printed.
const SHOWN_EACH: Duration = Duration::from_secs(30);

/// Registers the handles, measures, checks the logs and prints the report.
pub(crate) fn run(amounts: &Amounts) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&amounts.dir)?;
    let [alone, data] = ["alone", "a"].map(|name| folder.path().join(name));
    println!("registering {} handles", amounts.handles);
    let population = population::register(&alone, amounts.handles)?;
    let copied = Command::new("cp").arg("-r").args([&alone, &data]).status()?;
    ensure!(copied.success(), "the data directory could not be copied");
    let before = population::logged_lookups(&alone)?;

    keep_off_servers(amounts)?;
    let engine = Engine::start(folder.path())?;
    let node = Node::begin(&data, &engine)?;
    let asked = node.serve(amounts)?;
    let mut others = Vec::new();
    for name in ["b", "c"] {
        let begun = Instant::now();
        let other = Node::join(folder.path(), name, &engine, &node)?;
        println!("{name} joined in {:.1} s", begun.elapsed().as_secs_f64());
        others.push(other.serve(&Amounts { pin: false, dir: amounts.dir.clone(), ..*amounts })?);
    }
    let server = Server::dispatchd(&alone, "os", false, None, amounts)?;
    let answered = compare(amounts, &population, &server, &asked)?;
    server.stop()?;
    check_in_for(&population, &asked, &engine)?;
    for other in others {
        other.stop()?;
    }
    asked.stop()?;
    for (path, answered) in [&alone, &data].into_iter().zip(answered) {
        let logged = population::logged_lookups(path)? - before;
        ensure!(answered == logged, "{answered} lookups were answered, {logged} are in the log");
    }
    fs::remove_dir_all(folder.path())?;
    Ok(())
}

/// Measures both in turn, and prints the tables. Returns how many lookups each has answered.
fn compare(
    amounts: &Amounts,
    population: &Population,
    alone: &Server,
    node: &Server,
) -> anyhow::Result<[u64; 2]> {
    let check_ins: Vec<_> =
        (0..amounts.connections).map(|number| vec![population.check_in(number)]).collect();
    let of_lookups = Pair::measure(amounts, [alone, node], &pair::lookups(amounts, population))?;
    report::print_cluster(amounts, "lookups", &of_lookups.series, true);
    let of_check_ins = Pair::measure(amounts, [alone, node], &check_ins)?;
    report::print_cluster(amounts, "check-ins", &of_check_ins.series, false);
    Ok(of_lookups.answers)
}

/// Has devices check in at a fixed rate, and prints how many could, and what etcd keeps.
fn check_in_for(population: &Population, node: &Server, engine: &Engine) -> anyhow::Result<()> {
    let span = Duration::from_secs(number("BENCH_CHECK_IN_SECS", 60)?);
    let requests = (0..CHECK_INS_AT_ONCE).map(|first| {
        (0..64).map(move |more| population.check_in(first + more * CHECK_INS_AT_ONCE))
    });
    let requests = requests.map(Iterator::collect).collect();
    let mut fleet = Fleet::connect(node.address, requests, None)?;
    let (begun, mut shown) = (Instant::now(), Instant::now());
    println!("\n| s | check-ins/s | p99 ms | bytes of etcd's members, the largest |");
    println!("| ---: | ---: | ---: | ---: |");
    let (mut latencies, mut moment) = (Vec::new(), 0);
    while begun.elapsed() < span {
        latencies.extend(fleet.ask_for(Duration::ZERO)?.latencies_us);
        moment += 1;
        let due = Duration::from_secs(1) * moment / MOMENTS_PER_SECOND;
        thread::sleep(due.saturating_sub(begun.elapsed()));
        if shown.elapsed() >= SHOWN_EACH.min(span) {
            let rate = latencies.len() as f64 / shown.elapsed().as_secs_f64();
            latencies.sort_unstable();
            let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(0) / 1_000;
            let (seconds, bytes) = (begun.elapsed().as_secs(), engine.largest()?);
            println!("| {seconds} | {rate:.0} | {p99} | {bytes} |");
            latencies.clear();
            shown = Instant::now();
        }
    }
    Ok(())
}
