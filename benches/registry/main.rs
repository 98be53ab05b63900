//! A user base of ten million handles: import, start, memory; and lookups while an import runs.
//!
//! # What is measured
//!
//! Files of made-up people (`population.rs`, from a printed seed), in both shapes: each handle an account of its own,
//! which is the worst case; accounts with a number and sometimes an address whose devices back both. For each:
//!
//! - staging by itself, phase by phase, in this process (`staging.rs`);
//! - `dispatchd registry import FILE --data DIR`, from start to end;
//! - `dispatchd serve` on that: from its start until it answers; what it holds in memory, less what an empty server
//!   holds, part by part;
//! - the peer: `DashMap<String, Vec<Device>>` filled from the same file in a process of its own (`peer.rs`).
//!
//! Then (`importing.rs`) a server with a tenth of the people answers lookups, before and while the rest is imported into
//! it by `dispatchd registry import FILE --server URL`.
//!
//! # How to run
//!
//! `cargo bench --bench registry`. `DISPATCHD_BENCH_HANDLES` (1,000,000; the promise is about 10,000,000),
//! `DISPATCHD_BENCH_SEED`, `DISPATCHD_BENCH_THREADS` (as many as processors), `DISPATCHD_BENCH_DIR` (should not be a
//! tmpfs; ten million handles take 5 GB there) change it.
//!
//! # What it does not show
//!
//! A cold disk: the file was just written and is read from the kernel's cache.

mod importing;
mod peer;
mod population;
mod serving;
mod staging;

use std::{
    env, fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    thread,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use dispatchd::{
    clock::{Clock as _, SystemClock},
    registry::{self, Counts, StoppedRegistry},
};
use population::Shape;
use serving::{Server, dispatchd};

/// The same allocator as the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const IMPORT_LIMIT_SECS: f64 = 45.0;
const READY_LIMIT_SECS: f64 = 5.0;
const HANDLE_LIMIT_BYTES: f64 = 100.0;

fn number<N: FromStr>(name: &str, default: N) -> anyhow::Result<N>
where
    N::Err: std::error::Error + Send + Sync + 'static,
{
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number")),
        Err(_) => Ok(default),
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == peer::ARGUMENT) {
        return peer::run(Path::new(&arguments.next().context("the peer needs a file")?));
    }
    let handles = number("DISPATCHD_BENCH_HANDLES", 1_000_000)?;
    let seed = number("DISPATCHD_BENCH_SEED", 20_261_123)?;
    let processors = thread::available_parallelism()?;
    let threads = number("DISPATCHD_BENCH_THREADS", processors)?;
    let dir = env::var_os("DISPATCHD_BENCH_DIR")
        .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
        .join("registry-bench");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    println!("{handles} handles, seed {seed}, {threads} parsing threads, in {}", dir.display());
    println!(
        "limits, for 10,000,000 handles: import {IMPORT_LIMIT_SECS} s, ready {READY_LIMIT_SECS} s, \
         {HANDLE_LIMIT_BYTES} bytes a handle in all"
    );
    for shape in [Shape::Single, Shape::Shared] {
        measure(&dir, shape, handles, seed, threads)?;
    }
    importing::measure(&dir, handles, seed)?;
    fs::remove_dir_all(&dir)?;
    Ok(())
}

fn measure(
    dir: &Path,
    shape: Shape,
    handles: u64,
    seed: u64,
    threads: NonZeroUsize,
) -> anyhow::Result<()> {
    let (file, data) = (dir.join("population.csv"), dir.join("data"));
    let written = population::write(&file, shape, handles, seed, SystemClock.now())?;
    println!("{shape:?}: {} rows ({:.2} GB)", written.rows, written.bytes as f64 / 1e9);
    staging::measure(&file, dir, &written, threads)?;

    let seconds = import(&file, &data)?;
    println!("  import: {seconds:.2} s ({:.0} rows/s)", written.rows as f64 / seconds);

    let empty = dir.join("empty");
    let server = Server::start(&empty)?;
    let idle = server.resident_bytes()?;
    server.stop()?;
    fs::remove_dir_all(empty)?;
    let server = Server::start(&data)?;
    let resident = server.resident_bytes()?;
    let ready = server.ready_after.as_secs_f64();
    server.stop()?;
    println!("  start to ready: {ready:.2} s");
    let per_handle = |bytes: u64| bytes as f64 / handles as f64;
    println!(
        "  memory: {:.1} bytes a handle in all; {:.0} MiB, of which {:.0} MiB are an empty server's",
        per_handle(resident),
        resident as f64 / f64::from(1 << 20),
        idle as f64 / f64::from(1 << 20),
    );
    let counts = counts(&data)?;
    ensure!(counts.handles == handles, "handles were lost: {counts:?}");
    let bytes = counts.bytes;
    println!(
        "  of it: accounts with devices, tokens, handles {:.1}, their spare room {:.1}, table of handles {:.1}, \
         table of devices {:.1}; {} accounts, {} devices",
        per_handle(bytes.accounts),
        per_handle(bytes.spare),
        per_handle(bytes.handle_table),
        per_handle(bytes.device_table),
        counts.accounts,
        counts.devices,
    );
    let plain = peer::measure(&file)?;
    println!(
        "  peer, DashMap<String, Vec<Device>>: {:.1} bytes a handle, filled in {:.2} s",
        per_handle(plain.bytes),
        plain.seconds,
    );
    fs::remove_dir_all(data)?;
    Ok(())
}

/// `dispatchd registry import`, of a stopped server. Seconds.
fn import(file: &Path, data: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let output = dispatchd(&["registry", "import"]).arg(file).arg("--data").arg(data).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the import ended with {}: {said}", output.status);
    Ok(start.elapsed().as_secs_f64())
}

fn counts(data: &Path) -> anyhow::Result<Counts> {
    let clock = Arc::new(SystemClock);
    let now = clock.now();
    let config = registry::Config::default();
    Ok(StoppedRegistry::open(&data.join("registry"), config, clock)?.counts(now)?)
}

/// A line of the kernel's account of a process's memory: this one, or the one with the number.
pub(crate) fn memory_bytes(name: &str, process: Option<u32>) -> anyhow::Result<u64> {
    let process = process.map_or("self".to_owned(), |number| number.to_string());
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.context("the kernel does not say")?.trim().trim_end_matches(" kB");
    Ok(kib.parse::<u64>()? * 1024)
}
