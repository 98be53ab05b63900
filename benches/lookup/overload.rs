//! Goodput under overload: batches at ten times the peak, by clients that give up after a second.
//!
//! 1. The peak: a few connections, each with one outstanding batch.
//! 2. The overload: a batch begins at each tick of a clock, at ten times the rate of the peak, whatever became of others. It takes
//!    a connection that is free, or a new one. A client that has waited for a second closes its connection. A refused client
//!    does not try again: the clock stands for all clients.
//! 3. The same with `server.shed_after = "0s"`, which sheds nothing.
//!
//! The server has one processor, the load generator another. The table shows how much of its processor the server had, and how long
//! it waited while other programs had it.
//!
//! Goodput is the number of batches a second that were answered within a second. If the load generator falls behind its clock, the
//! load is what it offered, and the table says so.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
};

use crate::{
    Amounts,
    load::Fleet,
    population::{self, Population},
    process::{Server, keep_off_servers},
};

/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many times the peak is offered.
const TIMES: f64 = 10.0;
const SPAN: Duration = Duration::from_secs(15);
/// The first part, in which queues fill, does not count.
const WARM_UP: Duration = Duration::from_secs(5);
const PEAK_CONNECTIONS: usize = 8;
/// The least part of the peak that must be answered.
const BAR: f64 = 0.80;
/// Below the server's limit, so that it closes none.
const CONNECTIONS_MAX: usize = 8_000;
const BATCHES_PREPARED: usize = 64;

/// What became of the batches that began after the warm-up.
#[derive(Debug, Default)]
struct Outcome {
    offered: u64,
    answered: u64,
    refused: u64,
    gave_up: u64,
}

/// A connection with its outstanding batch.
struct Client {
    stream: TcpStream,
    /// The number of the batch, so that a deadline of an earlier one is not taken for its own.
    batch: u64,
    began: Instant,
    is_waiting: bool,
    /// The bytes of the request that the kernel has not taken.
    unsent: std::ops::Range<usize>,
    request: usize,
    /// The head of the answer, and how many of its bytes are missing.
    head: Vec<u8>,
    missing: Option<usize>,
}

/// All clients.
struct Crowd<'a> {
    address: SocketAddr,
    requests: &'a [Vec<u8>],
    epoll: OwnedFd,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    empty: Vec<usize>,
    deadlines: VecDeque<(Instant, usize, u64)>,
    buffer: Vec<u8>,
}

/// Runs all three parts and prints the table.
pub(crate) fn run(amounts: &Amounts) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&amounts.dir)?;
    let data = folder.path().join("data");
    let population = population::register(&data, amounts.handles)?;
    keep_off_servers(amounts)?;
    println!(
        "\n| log | shedding | peak | offered | answered in 1 s | of the peak | refused | gave up | server ran | waited |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for durability in ["os", "disk"] {
        for shed_after in ["100ms", "0s"] {
            compare(amounts, &data, &population, durability, shed_after)?;
        }
    }
    Ok(())
}

fn compare(
    amounts: &Amounts,
    data: &Path,
    population: &Population,
    durability: &str,
    shed_after: &str,
) -> anyhow::Result<()> {
    // All clients have one address here. A trusted proxy may have as many connections as there are.
    let env = [
        ("SERVER__SHED_AFTER", shed_after.into()),
        ("SERVER__TRUSTED_PROXIES", "[\"127.0.0.1/32\"]".into()),
    ];
    let server = Server::dispatchd_with(data, durability, false, env, amounts)?;
    let batches = |number| population.batches(number, BATCHES_PREPARED / PEAK_CONNECTIONS);
    let requests: Vec<_> = (0..PEAK_CONNECTIONS).map(batches).collect();
    let mut fleet = Fleet::connect(server.address, requests.clone(), None)?;
    fleet.ask_for(Duration::from_secs(2))?;
    let slice = fleet.ask_for(Duration::from_secs(5))?;
    let peak = slice.answers as f64 / slice.elapsed.as_secs_f64();
    drop(fleet);
    let requests = requests.concat();
    let before = server.cpu_time()?;
    let outcome = Crowd::new(server.address, &requests)?.press(peak * TIMES)?;
    let after = server.cpu_time()?;
    let of_span = |time: Duration| 100.0 * time.as_secs_f64() / SPAN.as_secs_f64();
    let (ran, waited) = (of_span(after.ran - before.ran), of_span(after.waited - before.waited));
    let seconds = (SPAN - WARM_UP).as_secs_f64();
    let [offered, answered, refused, gave_up] =
        [outcome.offered, outcome.answered, outcome.refused, outcome.gave_up]
            .map(|count| count as f64 / seconds);
    let part = answered / peak;
    let verdict = match (shed_after, part >= BAR) {
        ("0s", _) => "",
        (_, true) => " (bar met)",
        (_, false) => " (bar NOT MET)",
    };
    println!(
        "| {durability} | {shed_after} | {peak:.0}/s | {offered:.0}/s | {answered:.0}/s | {:.0} %{verdict} | {refused:.0}/s | {gave_up:.0}/s | {ran:.0} % | {waited:.0} % |",
        part * 100.0
    );
    server.stop()
}

impl<'a> Crowd<'a> {
    fn new(address: SocketAddr, requests: &'a [Vec<u8>]) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (clients, free, empty) = Default::default();
        let (deadlines, buffer) = (VecDeque::new(), vec![0; 256 * 1024]);
        Ok(Self { address, requests, epoll, clients, free, empty, deadlines, buffer })
    }

    /// Begins `rate` batches a second for [`SPAN`].
    fn press(mut self, rate: f64) -> anyhow::Result<Outcome> {
        let (mut outcome, started) = (Outcome::default(), Instant::now());
        let (mut begun, mut ready) = (0_u64, Vec::with_capacity(1_024));
        while started.elapsed() < SPAN {
            let due = (started.elapsed().as_secs_f64() * rate) as u64;
            // Not all at once: answers must be read meanwhile.
            let now = begun..due.min(begun + 64);
            begun = begun.max(now.end);
            for batch in now {
                self.begin(batch, started, &mut outcome)?;
            }
            // A generator that is far behind leaves out what it cannot offer.
            begun = begun.max(due.saturating_sub(1_024));
            self.give_up(started, &mut outcome);
            ready.clear();
            let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(due <= begun) * 200_000 };
            epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&patience))?;
            for event in &ready {
                self.serve(event.data.u64() as usize, started, &mut outcome)?;
            }
        }
        Ok(outcome)
    }

    fn begin(&mut self, batch: u64, started: Instant, outcome: &mut Outcome) -> anyhow::Result<()> {
        let number = match self.free.pop() {
            Some(number) => number,
            None => match self.open()? {
                Some(number) => number,
                None => return Ok(()),
            },
        };
        let now = Instant::now();
        outcome.offered += u64::from(now - started >= WARM_UP);
        let request = batch as usize % self.requests.len();
        let client = self.clients[number].as_mut().context("a free client")?;
        (client.batch, client.began, client.is_waiting) = (batch, now, true);
        (client.request, client.unsent) = (request, 0..self.requests[request].len());
        client.head.clear();
        client.missing = None;
        self.deadlines.push_back((now + PATIENCE, number, batch));
        self.send(number)
    }

    /// Opens a connection, unless there are too many.
    fn open(&mut self) -> anyhow::Result<Option<usize>> {
        let number = match self.empty.pop() {
            Some(number) => number,
            None if self.clients.len() < CONNECTIONS_MAX => {
                self.clients.push(None);
                self.clients.len() - 1
            }
            None => return Ok(None),
        };
        let stream = TcpStream::connect(self.address).context("connecting")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(number as u64), flags)?;
        let (batch, began) = (u64::MAX, Instant::now());
        self.clients[number] = Some(Client {
            stream,
            batch,
            began,
            is_waiting: false,
            unsent: 0..0,
            request: 0,
            head: Vec::new(),
            missing: None,
        });
        Ok(Some(number))
    }

    fn send(&mut self, number: usize) -> anyhow::Result<()> {
        let Some(client) = &mut self.clients[number] else {
            return Ok(());
        };
        while !client.unsent.is_empty() {
            let bytes = &self.requests[client.request][client.unsent.clone()];
            #[expect(clippy::disallowed_methods, reason = "what is not taken is sent later")]
            match client.stream.write(bytes) {
                Ok(taken) => client.unsent.start += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The read tells that the connection is closed.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Closes the connections whose clients have waited long enough.
    fn give_up(&mut self, started: Instant, outcome: &mut Outcome) {
        let now = Instant::now();
        while let Some((deadline, number, batch)) = self.deadlines.front().copied()
            && deadline <= now
        {
            self.deadlines.pop_front();
            let is_late = |client: &Client| client.is_waiting && client.batch == batch;
            if self.clients[number].as_ref().is_some_and(is_late) {
                self.close(number, started, outcome);
            }
        }
    }

    fn close(&mut self, number: usize, started: Instant, outcome: &mut Outcome) {
        if let Some(client) = self.clients[number].take() {
            let counts = client.is_waiting && client.began - started >= WARM_UP;
            outcome.gave_up += u64::from(counts);
            self.free.retain(|free| *free != number);
            self.empty.push(number);
        }
    }

    fn serve(
        &mut self,
        number: usize,
        started: Instant,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        self.send(number)?;
        loop {
            let Some(client) = &mut self.clients[number] else {
                return Ok(());
            };
            let got = match client.stream.read(&mut self.buffer) {
                Ok(0) => 0,
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => 0,
            };
            if got == 0 {
                self.close(number, started, outcome);
                return Ok(());
            }
            let Some(status) = client.take(&self.buffer[..got])? else {
                continue;
            };
            client.is_waiting = false;
            if client.began - started >= WARM_UP {
                match status {
                    200 => outcome.answered += 1,
                    _ => outcome.refused += 1,
                }
            }
            self.free.push(number);
        }
    }
}

impl Client {
    /// Takes a part of the answer. The status, once the answer is complete.
    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<Option<u16>> {
        let missing = match self.missing {
            Some(missing) => missing.checked_sub(bytes.len()),
            None => {
                self.head.extend_from_slice(bytes);
                let Some(end) = self.head.windows(4).position(|end| end == b"\r\n\r\n") else {
                    return Ok(None);
                };
                let rest = self.head.len() - end - 4;
                self.head.truncate(end);
                let head = std::str::from_utf8(&self.head)?;
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                length.context("an answer without a length")?.parse::<usize>()?.checked_sub(rest)
            }
        };
        let missing = missing.context("an answer is longer than it says")?;
        self.missing = Some(missing);
        if missing > 0 {
            return Ok(None);
        }
        let status = std::str::from_utf8(self.head.get(9..12).unwrap_or_default())?.parse()?;
        ensure!(status == 200 || status == 503, "not answered: {status}");
        Ok(Some(status))
    }
}
