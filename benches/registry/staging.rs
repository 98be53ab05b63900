//! Measures staging: reading, checking, sorting, grouping and writing an import file, phase by phase.

use std::{cell::RefCell, fs, num::NonZeroUsize, path::Path, time::Instant};

use dispatchd::{
    clock::{Clock as _, SystemClock},
    limits,
    tables::accounts::{Phase, Source, StageOptions, Staged, stage, verify},
};

use crate::population::Written;

/// Stages `population`, prints how long each phase took, and deletes the result.
pub(crate) fn measure(
    population: &Path,
    dir: &Path,
    written: &Written,
    threads: NonZeroUsize,
) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let (devices_per_account, record_bytes_max) = (20, limits::IMPORT_RECORD_BYTES_MAX);
    let (skip_bad, region) = (false, None);
    let options =
        StageOptions { skip_bad, region, devices_per_account, now, threads, record_bytes_max };
    // This resets the peak of resident memory (`VmHWM`).
    fs::write("/proc/self/clear_refs", "5")?;
    let start = Instant::now();
    let (staged, phases) = staged(population, dir, &options)?;
    let seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let (digest, totals) = verify(fs::File::open(&staged.path)?)?;
    let verified = start.elapsed().as_secs_f64();
    anyhow::ensure!(
        digest == staged.digest && totals == staged.totals,
        "the staged file reads back differently"
    );
    println!(
        "  staging: {seconds:.2} s ({:.0} rows/s), peak memory {:.2} GiB, {:.2} GB; an upload is verified in {verified:.2} s",
        written.rows as f64 / seconds,
        crate::memory_bytes("VmHWM:", None)? as f64 / f64::from(1 << 30),
        fs::metadata(&staged.path)?.len() as f64 / 1e9,
    );
    let phases: Vec<_> =
        phases.iter().map(|(phase, at)| format!("{} from {at:.2} s", phase.name())).collect();
    println!("  {}", phases.join(", "));
    fs::remove_file(&staged.path)?;
    Ok(())
}

/// Stages the file. Returns when each phase began, in seconds.
fn staged(
    path: &Path,
    dir: &Path,
    options: &StageOptions,
) -> anyhow::Result<(Staged, Vec<(Phase, f64)>)> {
    let start = Instant::now();
    let phases = RefCell::new(Vec::<(Phase, f64)>::new());
    let progress = |progress: dispatchd::tables::accounts::Progress| {
        let mut phases = phases.borrow_mut();
        if phases.last().is_none_or(|(phase, _)| *phase != progress.phase) {
            phases.push((progress.phase, start.elapsed().as_secs_f64()));
        }
    };
    let source = Source::open(path, &progress)?;
    let staged = stage(&source, &dir.join("staging"), options, &progress)?;
    Ok((staged, phases.into_inner()))
}
