//! The peer: a plain `DashMap<String, Vec<Device>>`, the obvious first design, filled from the same file.

use std::{
    env,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use dashmap::DashMap;

/// This argument makes the program the peer.
pub(crate) const ARGUMENT: &str = "--plain-map";

/// What a plain design stores of a device.
#[expect(dead_code, reason = "it is kept to be weighed, not to be read")]
struct Device {
    id: String,
    account: String,
    token_hash: [u8; 32],
    platform: String,
    last_check_in_at: String,
}

/// The measurements of filling the map.
pub(crate) struct Plain {
    pub(crate) seconds: f64,
    pub(crate) bytes: u64,
}

/// Fills the map in a process of its own.
pub(crate) fn measure(population: &Path) -> anyhow::Result<Plain> {
    let output = Command::new(env::current_exe()?).arg(ARGUMENT).arg(population).output()?;
    ensure!(output.status.success(), "the peer ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let (seconds, bytes) = text.trim().split_once(' ').context("the peer printed no figures")?;
    Ok(Plain { seconds: seconds.parse()?, bytes: bytes.parse()? })
}

/// Runs the peer: fills the map and prints seconds and bytes.
pub(crate) fn run(population: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    let map: DashMap<String, Vec<Device>> = DashMap::new();
    for line in BufReader::with_capacity(1 << 20, File::open(population)?).lines().skip(1) {
        let line = line?;
        let mut cells = line.split(',').map(str::to_owned);
        let mut cell = || cells.next().context("a short line");
        let (handle, account, id) = (cell()?, cell()?, cell()?);
        let (platform, last_check_in_at) = (cell()?, cell()?);
        let device = Device { id, account, token_hash: [1; 32], platform, last_check_in_at };
        map.entry(handle).or_default().push(device);
    }
    println!("{} {}", start.elapsed().as_secs_f64(), crate::memory_bytes("VmRSS:", None)?);
    Ok(())
}
