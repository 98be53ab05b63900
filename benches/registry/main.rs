//! Staging of an import: seconds, rows a second, peak memory.
//!
//! # What is measured
//!
//! A file of made-up people (`population.rs`, from a printed seed) is staged: read, checked, sorted, grouped, written,
//! synced. In both shapes: each handle an account of its own; accounts with a number and sometimes an address whose
//! devices back both.
//!
//! # How to run
//!
//! `cargo bench --bench registry`. `DISPATCHD_BENCH_HANDLES` (1,000,000), `DISPATCHD_BENCH_SEED`,
//! `DISPATCHD_BENCH_THREADS` (as many as processors), `DISPATCHD_BENCH_DIR` (should not be a tmpfs) change it.
//!
//! # What it does not show
//!
//! A cold disk: the file was just written and is read from the kernel's cache.

mod population;

use std::{
    cell::RefCell,
    env, fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
    thread,
    time::Instant,
};

use anyhow::Context as _;
use dispatchd::{
    clock::{Clock as _, SystemClock},
    exchange::{Phase, Source, StageOptions, Staged, stage, verify},
};
use population::Shape;

/// The same allocator as the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    let handles = number("DISPATCHD_BENCH_HANDLES", 1_000_000)?;
    let seed = number("DISPATCHD_BENCH_SEED", 20_261_123)?;
    let processors = thread::available_parallelism()?;
    let threads = number("DISPATCHD_BENCH_THREADS", processors)?;
    let dir = env::var_os("DISPATCHD_BENCH_DIR")
        .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
        .join("registry-bench");
    fs::create_dir_all(&dir)?;
    println!("{handles} handles, seed {seed}, {threads} parsing threads, in {}", dir.display());
    for shape in [Shape::Single, Shape::Shared] {
        measure(&dir, shape, handles, seed, threads)?;
    }
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
    let now = SystemClock.now();
    let path = dir.join("population.csv");
    let written = population::write(&path, shape, handles, seed, now)?;
    let options =
        StageOptions { skip_bad: false, region: None, devices_per_account: 20, now, threads };
    // The high-water mark of memory begins anew.
    fs::write("/proc/self/clear_refs", "5")?;

    let start = Instant::now();
    let (staged, phases) = staged(&path, dir, &options)?;
    let seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let (digest, totals) = verify(fs::File::open(&staged.path)?)?;
    let verified = start.elapsed().as_secs_f64();
    anyhow::ensure!(digest == staged.digest && totals == staged.totals, "it reads differently");
    anyhow::ensure!(totals.handles == handles, "handles were lost: {totals:?}");

    println!(
        "{shape:?}: {} rows ({:.2} GB), {} accounts, {} devices, staged file {:.2} GB",
        written.rows,
        written.bytes as f64 / 1e9,
        totals.accounts,
        totals.devices,
        fs::metadata(&staged.path)?.len() as f64 / 1e9,
    );
    println!(
        "  staged in {seconds:.2} s ({:.0} rows/s), peak memory {:.2} GiB; verified in {verified:.2} s",
        written.rows as f64 / seconds,
        peak_bytes()? as f64 / f64::from(1 << 30),
    );
    let phases: Vec<_> =
        phases.iter().map(|(phase, at)| format!("{} from {at:.2} s", phase.word())).collect();
    println!("  {}", phases.join(", "));
    Ok(())
}

/// Stages the file, and says when each phase began.
fn staged(
    path: &Path,
    dir: &Path,
    options: &StageOptions,
) -> anyhow::Result<(Staged, Vec<(Phase, f64)>)> {
    let start = Instant::now();
    let phases = RefCell::new(Vec::<(Phase, f64)>::new());
    let progress = |progress: dispatchd::exchange::Progress| {
        let mut phases = phases.borrow_mut();
        if phases.last().is_none_or(|(phase, _)| *phase != progress.phase) {
            phases.push((progress.phase, start.elapsed().as_secs_f64()));
        }
    };
    let source = Source::open(path, &progress)?;
    let staged = stage(&source, &dir.join("staging"), options, &progress)?;
    Ok((staged, phases.into_inner()))
}

/// The most memory this process held at once.
fn peak_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.context("no VmHWM")?.trim().trim_end_matches(" kB");
    Ok(kib.parse::<u64>()? * 1024)
}
