//! The memory of asked handles at its full size: bytes, what it loses, what it takes for a repeat, and how long a restart takes.
//!
//! # What is measured
//!
//! Accounts ask for 100 million new handles over 30 days of a clock that the bench moves, five in a call. All of them go through
//! the public calls, with limits that they do not reach, into the default memory and into files. Then the bench asks again for a
//! million of them (those that are new were lost), and for ten million others (those that are not new would be free). At last it
//! opens the files again.
//!
//! # How to run
//!
//! `cargo bench --bench quota` takes some minutes, 0.6 GB of memory and 2 GB of disk. `BENCH_HANDLES` changes the number of handles,
//! `BENCH_WRITES` how often in an hour the files are written, `BENCH_DIR` the directory.
//!
//! # What it does not show
//!
//! The disk: its syncs are left out. Other threads.

use std::{
    env, fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use dispatchd::{
    clock::{ManualClock, Timestamp},
    envelope::{KeyFiles, Keyring},
    files::{Disk, DiskFile, OsDisk},
    handle::{Handle, PhoneKey},
    ids::{AccountId, RequestId},
    limits,
    quota::{Config, LookupCall, Quota, QuotaFiles, Standing},
};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HOURS: u64 = 719;
const HANDLES_PER_CALL: u64 = 5;
const ACCOUNTS: u64 = 1_000_000;
const AGAIN: u64 = 1_000_000;
const OTHERS: u64 = 10_000_000;
const HOUR: Duration = Duration::from_secs(3600);

/// The bars.
const BYTES_MAX: f64 = 8.0;
const LOST_MAX: f64 = 0.001;

fn number(name: &str, default: u64) -> anyhow::Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number")),
        Err(_) => Ok(default),
    }
}

/// The operating system's disk without syncs.
#[derive(Debug)]
struct Unsynced(OsDisk);

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>);

impl Disk for Unsynced {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(self.0.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.0.unlink(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for UnsyncedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }

    fn wipe(&mut self) -> io::Result<()> {
        self.0.wipe()
    }
}

struct Bench {
    quota: Quota,
    clock: Arc<ManualClock>,
    files: QuotaFiles,
}

fn config() -> Config {
    let most = u32::MAX;
    Config {
        new_handles_per_day: most,
        import_handles: most,
        network_new_handles_per_day: most,
        lookups_per_day: most,
        network_lookups_per_minute: most,
        ..Config::default()
    }
}

/// The account of a call, and its handles. Every call of a bench has other handles.
fn call(number: u64) -> (LookupCall, Vec<Handle>) {
    let account = AccountId::from_bits(RequestId::from_count(number % ACCOUNTS).bits());
    let ip = IpAddr::from([10, 0, (number % 250) as u8, 1]);
    let call = LookupCall { account, standing: Standing::Older, is_flagged: false, ip, units: 5 };
    let first = 14_150_000_000 + number * HANDLES_PER_CALL;
    let keys = (first..first + HANDLES_PER_CALL).filter_map(PhoneKey::from_bits);
    (call, keys.map(Handle::Phone).collect())
}

impl Bench {
    fn open(dir: PathBuf) -> anyhow::Result<Self> {
        let clock = ManualClock::at(Timestamp::from_secs(1_795_424_400));
        let keys = KeyFiles::new(&dir.join("keys"), None);
        let keyring = Arc::new(Keyring::open(OsDisk::shared(), keys, false)?);
        let disk = Arc::new(Unsynced(OsDisk));
        let retention = limits::LOG_RETENTION_MAX;
        let (dir, shared_key) = (dir.join("quota"), None);
        let files = QuotaFiles { dir, disk, keyring, retention, shared_key };
        let quota = Quota::open(config(), Arc::clone(&clock) as _, files.clone())?;
        // Nothing is written before.
        quota.restore()?;
        Ok(Self { quota, clock, files })
    }

    /// Asks for everything once.
    fn fill(&self, calls: u64, writes: u64) -> anyhow::Result<()> {
        let (mut number, each) = (0, calls / HOURS / writes + 1);
        for _ in 0..HOURS {
            for _ in 0..writes {
                for _ in 0..each {
                    let (call, handles) = call(number);
                    let charged = self.quota.charge_lookups(call, handles.iter());
                    ensure!(charged.is_ok(), "call {number}: {charged:?}");
                    number += 1;
                }
                self.quota.write();
            }
            self.clock.advance(HOUR);
        }
        Ok(())
    }

    /// How many of the handles of these calls are new.
    fn new_of(&self, calls: impl Iterator<Item = u64>) -> u64 {
        let is_new = |number| {
            let (call, handles) = call(number);
            handles
                .iter()
                .filter(|it| !self.quota.find_new(call.account, [*it].into_iter()).is_empty())
                .count() as u64
        };
        calls.map(is_new).sum()
    }
}

/// Resident bytes of this process.
fn resident() -> anyhow::Result<f64> {
    let pages = procfs::process::Process::myself()?.statm()?.resident;
    Ok((pages * procfs::page_size()) as f64)
}

fn bytes_in(dir: &Path, ending: &str) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(ending) {
            sum += entry.metadata()?.len();
        }
    }
    Ok(sum)
}

fn run() -> anyhow::Result<()> {
    let handles = number("BENCH_HANDLES", 100_000_000)?;
    let writes = number("BENCH_WRITES", 1_000)?;
    let dir =
        env::var_os("BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let folder = tempfile::tempdir_in(dir)?;
    let bench = Bench::open(folder.path().to_owned())?;
    let before = resident()?;
    let (calls, begun) = (handles / HANDLES_PER_CALL, Instant::now());
    bench.fill(calls, writes)?;
    let filling = begun.elapsed();
    let figures = bench.quota.figures();
    let asked = (calls / HOURS / writes + 1) * HOURS * writes;
    let step = asked / (AGAIN / HANDLES_PER_CALL);
    let lost = bench.new_of((0..AGAIN / HANDLES_PER_CALL).map(|n| n * step)) as f64 / AGAIN as f64;
    let others = asked..asked + OTHERS / HANDLES_PER_CALL;
    let begun = Instant::now();
    let free = 1.0 - bench.new_of(others) as f64 / OTHERS as f64;
    let finding = begun.elapsed();
    let memory = resident()? - before;
    let begun = Instant::now();
    bench.quota.tick();
    let sweeping = begun.elapsed();
    let files = ["handles", "states"].map(|it| bytes_in(&bench.files.dir, it));
    let [of_handles, of_states] = files;
    let clock = Arc::clone(&bench.clock);
    drop(bench.quota);
    let begun = Instant::now();
    let again = Quota::open(config(), clock, bench.files)?;
    again.restore()?;
    let restoring = begun.elapsed();

    let count = figures.remembered_handles as f64;
    let total = (asked * HANDLES_PER_CALL) as f64;
    println!(
        "{total:.0} handles asked by {} accounts, {:.0} remembered, {} evicted",
        figures.accounts, count, figures.evicted_handles
    );
    println!(
        "memory: {} MiB of {} MiB by count, {:.0} MiB resident",
        figures.memory_bytes >> 20,
        figures.budget_bytes >> 20,
        memory / f64::from(1 << 20)
    );
    let bytes = memory / count;
    for (what, value, most) in
        [("resident bytes a remembered handle", bytes, BYTES_MAX), ("lost", lost, LOST_MAX)]
    {
        let verdict = if value <= most { "met" } else { "NOT MET" };
        println!("bar: {what} <= {most}: {value:.6}, {verdict}");
    }
    println!("new handles that look like repeats: {free:.7}");
    println!(
        "{:.0} ns to charge a new handle, with writing; {:.0} ns to find one new",
        filling.as_nanos() as f64 / total,
        finding.as_nanos() as f64 / OTHERS as f64
    );
    println!(
        "{sweeping:?} to sweep; files: {} MB of handles, {} MB of states",
        of_handles? / 1_000_000,
        of_states? / 1_000_000
    );
    println!("{restoring:?} to read them back, {} remembered", again.figures().remembered_handles);
    Ok(())
}

fn main() -> anyhow::Result<ExitCode> {
    if env::args().any(|argument| argument == "--bench") {
        run()?;
    } else {
        println!("nothing to test here: run it with `cargo bench --bench quota`");
    }
    Ok(ExitCode::SUCCESS)
}
