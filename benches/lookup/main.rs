//! Logged lookups per second, compared with a bare axum hello server in the same run.
//!
//! # What is measured
//!
//! Four servers, each in a process of its own, share one processor:
//!
//! - hello: a bare axum server (one route, a small JSON body, `axum::serve` on a current-thread runtime);
//! - the real `dispatchd` with `log.durability = "os"`;
//! - the same with `"disk"`;
//! - the same with `"os"` and with quotas, whose limits are raised beyond the load. All its lookups are repeats: before the first
//!   slice each was asked for once.
//!
//! The load generator has another processor to itself. It opens 64 keep-alive connections with one outstanding
//! request on each. A lookup is `GET /v1/lookup/{handle}` with a device token. Three in four ask for a registered
//! handle, one in four for a random handle. There are 100,000 registered handles, and one in ten is an email address.
//! Quotas are off but for the last. Then the bench sends batches of 1,000 such handles.
//!
//! The generator asks the servers in turn, for a quarter of a second each, so other load on the machine affects all
//! of them. A ratio compares adjacent slices; the table shows the median ratio. After each block of rounds the bench
//! stops the servers and counts the log's records. It fails unless there are exactly as many records as answers. A
//! missed bar does not fail the bench.
//!
//! # How to run
//!
//! `cargo bench --bench lookup` takes about a minute. `cargo bench --bench lookup -- --tls` compares lookups over TLS 1.3 with
//! nginx, which returns a fixed body, in the same way (see `tls.rs`). `cargo bench --bench lookup -- --cluster` compares a node of a
//! cluster with a server alone (see `cluster/mod.rs`), and `-- --copies` one that copies its log into an object store with one that does
//! not (see `copies.rs`). These variables change the amounts:
//!
//! - `BENCH_BLOCKS`, `BENCH_ROUNDS` (rounds in a block), `BENCH_SLICE_MS`, `BENCH_CONNECTIONS`, `BENCH_HANDLES`.
//! - `BENCH_PIN=0` lets every process use every processor, with `BENCH_THREADS` serving threads.
//! - `BENCH_DIR`: directory for the data. On a tmpfs the figures for `disk` mean nothing.
//!
//! `BENCH_OVERLOAD=1 cargo bench --bench lookup` measures the goodput under ten times the peak instead; see [`overload`].
//!
//! # What it does not show
//!
//! - A network, an index of many gigabytes, connections that open and close.
//! - The lowest possible latency. Each connection always has an outstanding request, so latency is connections
//!   divided by throughput.
//! - The durability of a virtual disk: `disk` flushes as far as the disk's cache does.
//!
//! Other load on the host lowers all figures. The column "waited" shows by how much.

mod cluster;
mod copies;
mod load;
mod overload;
mod pair;
mod peer;
mod population;
mod process;
mod report;
mod rounds;
mod tls;

use std::{env, path::PathBuf, process::ExitCode, str::FromStr, time::Duration};

use anyhow::Context as _;

/// The server's allocator, so that the hello server has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// This argument compares lookups over TLS with nginx instead.
const TLS: &str = "--tls";
/// This argument compares a node of a cluster with a server alone instead.
const CLUSTER: &str = "--cluster";
/// This argument compares servers with and without an object store instead.
const COPIES: &str = "--copies";
/// Connections of the comparison with a cluster.
const CLUSTER_CONNECTIONS: usize = 512;

/// The amounts to measure.
struct Amounts {
    blocks: usize,
    rounds: usize,
    slice: Duration,
    connections: usize,
    handles: usize,
    threads: usize,
    pin: bool,
    dir: PathBuf,
}

impl Amounts {
    fn from_env() -> anyhow::Result<Self> {
        Ok(Self {
            blocks: number("BENCH_BLOCKS", 3)?,
            rounds: number("BENCH_ROUNDS", 12)?,
            slice: Duration::from_millis(number("BENCH_SLICE_MS", 250)?),
            connections: number("BENCH_CONNECTIONS", 64)?,
            handles: number("BENCH_HANDLES", 100_000)?,
            threads: number("BENCH_THREADS", 1)?,
            pin: number("BENCH_PIN", 1)? == 1,
            dir: env::var_os("BENCH_DIR")
                .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from),
        })
    }
}

fn number<N: FromStr>(name: &str, default: N) -> anyhow::Result<N>
where
    N::Err: std::error::Error + Send + Sync + 'static,
{
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number")),
        Err(_) => Ok(default),
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == peer::ARGUMENT) {
        peer::serve()?;
    } else if env::var_os("BENCH_OVERLOAD").is_some() {
        overload::run(&Amounts::from_env()?)?;
    } else if arguments.iter().any(|argument| argument == TLS) {
        tls::run(&Amounts::from_env()?)?;
    } else if arguments.iter().any(|argument| argument == CLUSTER) {
        let connections = number("BENCH_CONNECTIONS", CLUSTER_CONNECTIONS)?;
        cluster::run(&Amounts { connections, ..Amounts::from_env()? })?;
    } else if arguments.iter().any(|argument| argument == COPIES) {
        copies::run(&Amounts::from_env()?)?;
    } else if arguments.iter().any(|argument| argument == "--bench") {
        rounds::run(&Amounts::from_env()?)?;
    } else {
        println!("nothing to test here: run it with `cargo bench --bench lookup`");
    }
    Ok(ExitCode::SUCCESS)
}
