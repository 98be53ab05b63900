//! A registry of ten million handles: import, start and memory, and lookups during an import.
//!
//! # What is measured
//!
//! `population.rs` generates import files from a seed, which the bench prints. There are two shapes. In the first,
//! which is the worst case, each handle is an account of its own. In the second, an account has a number and
//! sometimes an address, and its devices back both. For each shape the bench measures:
//!
//! - staging alone, phase by phase, in this process (`staging.rs`);
//! - `dispatchd registry import FILE --data DIR`, from start to end;
//! - `dispatchd serve` on the result: the time from start to ready, and its memory, part by part. An empty server's
//!   memory is printed beside it;
//! - the peer: `DashMap<String, Vec<Device>>` filled from the same file in a process of its own (`peer.rs`).
//!
//! Then `importing.rs` starts a server that has a tenth of the accounts. It measures lookups before and during
//! `dispatchd registry import FILE --server URL`, which imports the rest.
//!
//! # How to run
//!
//! `cargo bench --bench registry`. These variables change the amounts:
//!
//! - `DISPATCHD_BENCH_HANDLES`: default 1,000,000; the promise is about 10,000,000.
//! - `DISPATCHD_BENCH_SEED`: seed of the population.
//! - `DISPATCHD_BENCH_THREADS`: parsing threads. Default: as many as processors.
//! - `DISPATCHD_BENCH_DIR`: directory for the data, not on a tmpfs. Ten million handles take 5 GB.
//!
//! # What it does not show
//!
//! A cold disk: the bench has just written the file, so the page cache has it.

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

/// The server's allocator, so that memory figures compare.
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
        "  of it: accounts with devices, tokens, handles {:.1}, their spare capacity {:.1}, table of handles {:.1}, \
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

/// Runs `dispatchd registry import` on the data of a stopped server. Returns the seconds it took.
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

/// Reads a size from the kernel's status of a process, in bytes. `None` means this process.
pub(crate) fn memory_bytes(name: &str, process: Option<u32>) -> anyhow::Result<u64> {
    let process = process.map_or("self".to_owned(), |number| number.to_string());
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.context("the kernel does not report it")?.trim().trim_end_matches(" kB");
    Ok(kib.parse::<u64>()? * 1024)
}
