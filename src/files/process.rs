//! What the kernel counts of this process (`/proc`).

use std::io;

use procfs::{
    ProcError, WithCurrentSystemInfo as _,
    process::{LimitValue, Process},
};

/// Figures of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessFigures {
    /// Processor time of all threads, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Open files and sockets.
    pub open_files: u64,
    /// Files and sockets that the process may have open. `u64::MAX` if there is no limit.
    pub open_files_max: u64,
    /// When the process started, in seconds since the Unix epoch.
    pub started_at_seconds: f64,
    /// Threads.
    pub threads: u64,
}

impl ProcessFigures {
    /// The figures now.
    ///
    /// # Errors
    /// If one of them cannot be read: some sandboxes hide `/proc`.
    pub fn read() -> io::Result<Self> {
        Self::of(&Process::myself().map_err(io::Error::other)?).map_err(io::Error::other)
    }

    fn of(process: &Process) -> Result<Self, ProcError> {
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss_bytes().get(),
            open_files: process.fd_count()? as u64,
            open_files_max: match process.limits()?.max_open_files.soft_limit {
                LimitValue::Value(limit) => limit,
                LimitValue::Unlimited => u64::MAX,
            },
            started_at_seconds: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
            threads: stat.num_threads.unsigned_abs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The first number after `name` in a file below `/proc`.
    fn number(file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(file).unwrap();
        let (_, rest) = text.split_once(name).unwrap();
        rest.split_ascii_whitespace().next().unwrap().parse().unwrap()
    }

    /// A field of `/proc/self/stat`, by its number in proc(5).
    fn stat(field: usize) -> u64 {
        let text = fs::read_to_string("/proc/self/stat").unwrap();
        let (_, from_third) = text.rsplit_once(") ").unwrap();
        from_third.split(' ').nth(field - 3).unwrap().parse().unwrap()
    }

    /// Whether a figure is what `/proc` says. Other tests change some of them meanwhile, so it may take some tries.
    fn agrees(figure: impl Fn(ProcessFigures) -> u64, expected: impl Fn() -> u64) -> bool {
        (0..10_000).any(|_| figure(ProcessFigures::read().unwrap()) == expected())
    }

    #[test]
    fn the_figures_are_those_of_this_process() {
        assert!(agrees(|it| it.resident_bytes, || stat(24) * procfs::page_size()));
        assert!(agrees(|it| it.threads, || number("/proc/self/status", "Threads:")));
        let limit = || number("/proc/self/limits", "Max open files");
        assert!(agrees(|it| it.open_files_max, limit));
        let open = || fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        assert!(agrees(|it| it.open_files, open));
        let ticks = procfs::ticks_per_second();
        let started_at = || number("/proc/stat", "btime") + stat(22) / ticks;
        assert!(agrees(|it| it.started_at_seconds as u64, started_at));
        // The processor time only grows, and reading it takes some.
        let spent = || (stat(14) + stat(15)) as f64 / ticks as f64;
        assert!((0..1_000_000).any(|_| spent() > 0.0));
        let before = spent();
        let figure = ProcessFigures::read().unwrap().cpu_seconds;
        assert!(before <= figure && figure <= spent());
    }
}
