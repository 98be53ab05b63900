//! What the machine knows about time: its wall clock, its boot clock, and whether the kernel calls the wall clock right.

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rtime_clock::adjtime::{Timex, adjtimex};
use rustix::time::{ClockId, clock_gettime};

use super::timestamp::{Timestamp, micros};
use crate::files;

const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
/// Names the process's time namespace: in each, the boot clock counts from another instant.
const TIME_NAMESPACE: &str = "/proc/self/ns/time";
/// The kernel's own reading of the wall clock may differ by this much from ours. A larger difference means that something
/// between the kernel and this process changes the time. Then the kernel's status does not apply to our reading.
const READINGS_APART_MAX: Duration = Duration::from_secs(2);
/// `STA_UNSYNC` of `adjtimex(2)`: nobody keeps the clock synchronised. Whoever sets the clock by hand sets this bit, too.
const STA_UNSYNC: i32 = 0x40;
/// `STA_NANO` of `adjtimex(2)`: the reading is in nanoseconds.
const STA_NANO: i32 = 0x2000;

/// The clocks of a machine.
pub trait Machine: Send + Sync + fmt::Debug {
    /// The wall clock. Anybody may set it to anything.
    fn wall(&self) -> Timestamp;

    /// The boot clock: time since the machine started, suspension included. Nobody can set it. It stands still while a hypervisor pauses
    /// the machine.
    fn uptime(&self) -> Duration;

    /// Names the boot, from power-on to power-off, and the boot clock that this process sees. None if the system does not say
    /// it.
    fn boot_id(&self) -> Option<String>;

    /// Whether the kernel reports that a time service keeps the wall clock right, which showed `wall` a moment ago. False if that
    /// is not known.
    fn is_synchronised(&self, wall: Timestamp) -> bool;

    /// How long a comparison of wall clock and boot clock holds.
    fn compare_every(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// The machine's clocks, shared.
pub type SharedMachine = Arc<dyn Machine>;

/// The clocks of the machine that this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Machine for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads wall time")]
    fn wall(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(micros(since_epoch))
    }

    fn uptime(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let secs = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    fn boot_id(&self) -> Option<String> {
        let boot = files::read_text(Path::new(BOOT_ID_FILE)).ok()?;
        let namespace = Path::new(TIME_NAMESPACE).read_link().unwrap_or_default();
        Some(format!("{} {}", boot.trim(), namespace.display()))
    }

    /// Sandboxes refuse the call (EPERM, ENOSYS); then nothing is known.
    fn is_synchronised(&self, wall: Timestamp) -> bool {
        let mut timex = Timex::new();
        let Ok(_) = adjtimex(&mut timex) else { return false };
        let (status, time) = (timex.0.status, timex.0.time);
        let secs = u64::try_from(time.tv_sec).unwrap_or(0);
        let unit = if status & STA_NANO == 0 { 1 } else { 1_000 };
        let fraction = u64::try_from(time.tv_usec).unwrap_or(0) / unit;
        let kernel =
            Timestamp::from_micros(secs.saturating_mul(1_000_000).saturating_add(fraction));
        let apart = kernel.since(wall).max(wall.since(kernel));
        status & STA_UNSYNC == 0 && apart <= READINGS_APART_MAX
    }
}
