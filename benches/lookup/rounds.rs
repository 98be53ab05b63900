//! Runs the rounds: each round measures every server in turn. Afterwards counts the log's records.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::ensure;

use crate::{
    Amounts,
    load::{Fleet, Slice},
    peer,
    population::{self, BATCH, Population},
    process::{CpuTime, Server, keep_off_servers},
    report,
};

/// Prepared lookups over all connections. They outnumber the registered handles.
pub(crate) const LOOKUPS_PREPARED: usize = 128 * 1024;
/// Connections that send batches, and the prepared batches of each.
const BATCH_CONNECTIONS: usize = 4;
const BATCHES_PREPARED: usize = 16;
/// Rounds of batches in each block.
const BATCH_ROUNDS: usize = 3;

/// One time slice, and the server's processor time in it.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) slice: Slice,
    pub(crate) cpu: CpuTime,
}

/// The slices of one subject in order. Slices of two subjects with the same index were measured one after the other.
#[derive(Debug, Default)]
pub(crate) struct Series(pub(crate) Vec<Measured>);

/// All measurements.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    pub(crate) hello: Series,
    pub(crate) os: Series,
    pub(crate) disk: Series,
    /// As `os`, with quotas.
    pub(crate) quotas: Series,
    pub(crate) os_batch: Series,
    pub(crate) disk_batch: Series,
    /// Lookups that were answered and that the log has.
    pub(crate) accounted_for: u64,
}

/// A `dispatchd` under measurement, with the number of its answers so far.
struct Logged {
    data: PathBuf,
    before: u64,
    server: Server,
    single: Fleet,
    batches: Vec<Vec<Vec<u8>>>,
    answered_batches: u64,
}

/// Registers the handles, measures, checks the logs and prints the report.
pub(crate) fn run(amounts: &Amounts) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&amounts.dir)?;
    let [os, disk, quotas] = ["os", "disk", "quotas"].map(|name| folder.path().join(name));
    println!("registering {} handles", amounts.handles);
    let population = population::register(&os, amounts.handles)?;
    for copy in [&disk, &quotas] {
        let copied = Command::new("cp").arg("-r").args([&os, copy]).status()?;
        ensure!(copied.success(), "the data directory could not be copied");
    }
    keep_off_servers(amounts)?;
    let mut measured = Measurements::default();
    for block in 0..amounts.blocks {
        measure_block(amounts, &population, [&os, &disk, &quotas], &mut measured)?;
        println!("block {} of {} done", block + 1, amounts.blocks);
    }
    report::print(amounts, &measured);
    fs::remove_dir_all(folder.path())?;
    Ok(())
}

fn measure_block(
    amounts: &Amounts,
    population: &Population,
    [os, disk, quotas]: [&Path; 3],
    measured: &mut Measurements,
) -> anyhow::Result<()> {
    let hello_server = Server::hello(amounts)?;
    let requests = vec![vec![peer::request()]; amounts.connections];
    let mut hello = Fleet::connect(hello_server.address, requests, None)?;
    let mut os = Logged::start(os, "os", false, amounts, population)?;
    let mut disk = Logged::start(disk, "disk", false, amounts, population)?;
    let mut quotas = Logged::start(quotas, "os", true, amounts, population)?;
    // Warm up caches and buffers. The log counts these lookups like all others.
    hello.ask_for(amounts.slice)?;
    os.single.ask_for(amounts.slice)?;
    disk.single.ask_for(amounts.slice)?;
    // Until every lookup was asked for once: afterwards all are repeats.
    while quotas.single.answers < LOOKUPS_PREPARED as u64 * 5 / 4 {
        quotas.single.ask_for(amounts.slice)?;
    }
    for _ in 0..amounts.rounds {
        let Measurements { hello: hellos, os: oses, disk: disks, quotas: with, .. } = measured;
        hellos.measure(&hello_server, &mut hello, amounts)?;
        oses.measure(&os.server, &mut os.single, amounts)?;
        with.measure(&quotas.server, &mut quotas.single, amounts)?;
        disks.measure(&disk.server, &mut disk.single, amounts)?;
    }
    for _ in 0..BATCH_ROUNDS {
        os.measure_batches(&mut measured.os_batch, amounts)?;
        disk.measure_batches(&mut measured.disk_batch, amounts)?;
    }
    drop(hello_server);
    for subject in [os, disk, quotas] {
        measured.accounted_for += subject.stop_and_count()?;
    }
    Ok(())
}

impl Series {
    pub(crate) fn measure(
        &mut self,
        server: &Server,
        fleet: &mut Fleet,
        amounts: &Amounts,
    ) -> anyhow::Result<()> {
        let before = server.cpu_time()?;
        let slice = fleet.ask_for(amounts.slice)?;
        let after = server.cpu_time()?;
        let cpu = CpuTime {
            ran: after.ran.saturating_sub(before.ran),
            waited: after.waited.saturating_sub(before.waited),
        };
        self.0.push(Measured { slice, cpu });
        Ok(())
    }
}

impl Logged {
    fn start(
        data: &Path,
        durability: &str,
        has_quotas: bool,
        amounts: &Amounts,
        population: &Population,
    ) -> anyhow::Result<Self> {
        let before = population::logged_lookups(data)?;
        let server = Server::dispatchd(data, durability, has_quotas, None, amounts)?;
        let each = LOOKUPS_PREPARED.div_ceil(amounts.connections);
        let lookups = (0..amounts.connections).map(|number| population.lookups(number, each));
        let batches =
            (0..BATCH_CONNECTIONS).map(|number| population.batches(number, BATCHES_PREPARED));
        let batches = batches.collect();
        let single = Fleet::connect(server.address, lookups.collect(), None)?;
        Ok(Self { data: data.to_owned(), before, server, single, batches, answered_batches: 0 })
    }

    /// Measures one slice of batches on new connections, because the server closes those that are idle for ten
    /// seconds.
    fn measure_batches(&mut self, series: &mut Series, amounts: &Amounts) -> anyhow::Result<()> {
        let mut fleet = Fleet::connect(self.server.address, self.batches.clone(), None)?;
        series.measure(&self.server, &mut fleet, amounts)?;
        self.answered_batches += fleet.answers;
        Ok(())
    }

    /// Stops the server. Fails unless its log has every answered lookup and no other.
    fn stop_and_count(self) -> anyhow::Result<u64> {
        self.server.stop()?;
        let answered = self.single.answers + self.answered_batches * BATCH as u64;
        let logged = population::logged_lookups(&self.data)? - self.before;
        ensure!(
            answered == logged,
            "{answered} lookups were answered, but {logged} are in the log"
        );
        Ok(answered)
    }
}
