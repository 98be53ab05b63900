//! Reads memory, disk reads and processor time from the kernel, and evicts files from the page cache.

use std::{
    fs::{self, File},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use rustix::{
    fs::{Advice, fadvise},
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};

const EVERY: Duration = Duration::from_millis(3);

fn field(text: &str, name: &str) -> anyhow::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.context("the kernel does not report it")?.trim().trim_end_matches(" kB").parse()?)
}

/// Memory of this process, in bytes.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// All resident memory, including executed program code and mapped files.
    pub(crate) resident: u64,
    /// Memory that the process allocated.
    pub(crate) anonymous: u64,
}

impl Memory {
    /// The memory in use now.
    pub(crate) fn now() -> anyhow::Result<Self> {
        Self::of(std::process::id())
    }

    /// The memory that a process uses now.
    pub(crate) fn of(process: u32) -> anyhow::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/status"))?;
        let bytes = |name| Ok::<_, anyhow::Error>(field(&text, name)? * 1024);
        Ok(Self { resident: bytes("VmRSS:")?, anonymous: bytes("RssAnon:")? })
    }

    /// The larger value of each field.
    pub(crate) fn max(self, other: Self) -> Self {
        let resident = self.resident.max(other.resident);
        Self { resident, anonymous: self.anonymous.max(other.anonymous) }
    }

    /// What it is more than `idle`.
    pub(crate) fn above(self, idle: Self) -> Self {
        let resident = self.resident.saturating_sub(idle.resident);
        Self { resident, anonymous: self.anonymous.saturating_sub(idle.anonymous) }
    }
}

/// Bytes that this process has read from disks, without reads from the page cache.
pub(crate) fn disk_read_bytes() -> anyhow::Result<u64> {
    field(&fs::read_to_string("/proc/self/io")?, "read_bytes:")
}

/// Processor time of all threads of this process.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Samples a process's memory every few milliseconds.
pub(crate) struct Watch {
    process: u32,
    idle: Memory,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Memory>,
}

impl Watch {
    /// Starts sampling this process. `idle` is what it held before the measured work.
    pub(crate) fn start(idle: Memory) -> Self {
        Self::of(std::process::id(), idle)
    }

    /// Starts sampling a process, which held `idle` before the measured work.
    pub(crate) fn of(process: u32, idle: Memory) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut peak = Memory::default();
            while !over.load(Ordering::Relaxed) {
                peak = Memory::of(process).unwrap_or_default().max(peak);
                thread::sleep(EVERY);
            }
            peak
        });
        Self { process, idle, stop, thread }
    }

    /// Stops sampling. Returns the peak minus `idle`.
    pub(crate) fn peak_above_idle(self) -> anyhow::Result<Memory> {
        self.stop.store(true, Ordering::Relaxed);
        let peak = self.thread.join().expect("it does not panic");
        Ok(peak.max(Memory::of(self.process)?).above(self.idle))
    }
}

/// Flushes the files in `folder` to the disk. The kernel can evict only clean pages.
pub(crate) fn sync_files(folder: &Path) -> anyhow::Result<()> {
    for_each_file(folder, |file| Ok(file.sync_all()?))
}

/// Evicts every file in `folder` from the page cache. Fails if the kernel refuses.
pub(crate) fn forget_files(folder: &Path) -> anyhow::Result<()> {
    for_each_file(folder, |file| Ok(fadvise(file, 0, None, Advice::DontNeed)?))
}

fn for_each_file(folder: &Path, each: impl Fn(&File) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            each(&File::open(entry.path())?)?;
        }
    }
    Ok(())
}

/// The size of all files in `folder`, in bytes.
pub(crate) fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
