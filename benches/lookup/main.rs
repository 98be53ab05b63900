//! Logged lookups per second, beside a bare axum hello in the same run.
//!
//! # What is measured
//!
//! Three servers, each a process of its own on one and the same processor: a bare axum hello (one route, a small JSON,
//! `axum::serve` on a current-thread runtime), the real `dispatchd` with `log.durability = "os"`, and the same with
//! `"disk"`. The load generator has another processor to itself: 64 keep-alive connections, one request under way on
//! each. A lookup is `GET /v1/lookup/{handle}` with a device token, three in four of a registered handle (out of 100,000,
//! one in ten an e-mail address), one in four of a random one; quotas are off. Then batches of 1,000 such handles.
//!
//! The servers are asked in turn for a quarter of a second each, so that whatever else the machine does meets all of
//! them; a ratio compares neighbours, and the table shows the median of the ratios. After each block of rounds the
//! servers are stopped and every answer must be in the log: exactly as many records as answers, or the bench fails.
//! Missing a bar does not fail it.
//!
//! # How to run
//!
//! `cargo bench --bench lookup`, about a minute. `BENCH_BLOCKS`, `BENCH_ROUNDS` (of a block), `BENCH_SLICE_MS`,
//! `BENCH_CONNECTIONS`, `BENCH_HANDLES` change the amounts; `BENCH_PIN=0` lets every process use every processor, with
//! `BENCH_THREADS` serving threads; `BENCH_DIR` is where data lies (it must not be a tmpfs for `disk` to mean anything).
//!
//! # What it does not show
//!
//! A network, TLS, quotas, many gigabytes of index, connections that come and go; how low latency can be (with one request
//! always under way on each connection, latency is connections divided by throughput). On a virtual disk `disk` says
//! what that disk's cache promises. Busy neighbours lower all figures; the column "waited" says by how much.

mod load;
mod peer;
mod population;
mod process;
mod report;
mod rounds;

use std::{env, path::PathBuf, process::ExitCode, str::FromStr, time::Duration};

use anyhow::Context as _;

/// The same allocator as the server, for the peer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much is measured.
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
    } else if arguments.iter().any(|argument| argument == "--bench") {
        rounds::run(&Amounts::from_env()?)?;
    } else {
        println!("nothing to test here: run it with `cargo bench --bench lookup`");
    }
    Ok(ExitCode::SUCCESS)
}
