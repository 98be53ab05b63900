//! A share of the processors for one process, as if it had a small machine of its own.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Microseconds of one period of the scheduler: short against the times that are measured.
const PERIOD: u64 = 10_000;
/// Microseconds that the process may run in each of them.
const QUOTA: u64 = 5_000;

/// Half of a processor for one process, by a Linux control group (version 2 or 1). Dropping it moves the process to the group above.
pub(crate) struct Share {
    group: PathBuf,
}

impl Share {
    /// Limits a process.
    ///
    /// # Errors
    /// If this user or this machine cannot.
    pub(crate) fn of(process: u32) -> io::Result<Self> {
        if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            let both = format!("{QUOTA} {PERIOD}");
            return Self::limit("/sys/fs/cgroup", process, &[("cpu.max", &both)]);
        }
        let (quota, period) = (QUOTA.to_string(), PERIOD.to_string());
        let settings = [("cpu.cfs_period_us", &*period), ("cpu.cfs_quota_us", &*quota)];
        Self::limit("/sys/fs/cgroup/cpu", process, &settings)
    }

    fn limit(root: &str, process: u32, settings: &[(&str, &str)]) -> io::Result<Self> {
        let group = Path::new(root).join(format!("dispatchd-bench-{process}"));
        fs::create_dir(&group)?;
        // Dropped if the rest fails.
        let share = Self { group };
        for (name, value) in settings {
            put(&share.group.join(name), value)?;
        }
        put(&share.group.join("cgroup.procs"), &process.to_string())?;
        Ok(share)
    }
}

/// Writes a setting. The kernel makes its file with the group: where it does not exist, there are no such groups.
fn put(file: &Path, value: &str) -> io::Result<()> {
    File::options().write(true).open(file)?.write_all(value.as_bytes())
}

impl Drop for Share {
    fn drop(&mut self) {
        let processes = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        let above = self.group.with_file_name("cgroup.procs");
        for process in processes.lines() {
            let _ = put(&above, process);
        }
        let _ = fs::remove_dir(&self.group);
    }
}
