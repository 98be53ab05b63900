//! Registers handles through the library before any server starts, and prepares the requests.

use std::{collections::HashSet, ops::ControlFlow, path::Path, sync::Arc};

use anyhow::Context as _;
use dispatchd::{
    clock::SystemClock,
    dispatch::LogSink,
    envelope::KeyFiles,
    files::DataDirectory,
    handle::Handle,
    query_log::{self, Durability, Filter, Kind, LogOptions, LogReader, Order, QueryLog},
    registry::{self, Registry, SignUp},
    shutdown::Shutdown,
    vocabulary::Platform,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

const HANDLES_PER_ACCOUNT: usize = 4;
/// How many changes wait at the same time, enough for a few commits.
const CHANGES_AT_ONCE: usize = 2_048;
/// One handle in this many is an email address.
const EMAIL_EACH: u64 = 10;
/// Handles in one batch.
pub(crate) const BATCH: usize = 1_000;

/// Registered handles, and the device tokens of their owners.
pub(crate) struct Population {
    handles: Vec<String>,
    tokens: Vec<String>,
}

/// A small seeded generator (SplitMix64). Every run asks the same.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// A random handle out of about 10^10. Two may be equal.
    fn handle(&mut self) -> String {
        let bits = self.next();
        if self.next().is_multiple_of(EMAIL_EACH) {
            return format!("user{bits:x}@example.com");
        }
        let subscriber = bits % 10_000_000;
        match bits >> 60 {
            0..8 => format!("+1{}5{subscriber:07}", 20 + (bits >> 32) % 70),
            8..12 => format!("+4477{:08}", bits % 100_000_000),
            _ => format!("+336{:08}", bits % 100_000_000),
        }
    }
}

/// Registers `count` handles under `data`.
pub(crate) fn register(data: &Path, count: usize) -> anyhow::Result<Population> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Arc::new(SystemClock);
    let config = query_log::Config { durability: Durability::Os, ..query_log::Config::default() };
    DataDirectory::prepare(data)?;
    let keys = KeyFiles::new(&data.join("keys"), None);
    let options = LogOptions::new(data.join("log"), keys, config, clock.clone());
    let (log, _) = QueryLog::open(options, &Shutdown::new())?;
    let registry = Registry::open(&data.join("registry"), registry::Config::default(), clock)?;
    registry.load()?;
    registry.start(Arc::new(LogSink(log.clone())), &|_| HashSet::new())?;
    let population = runtime.block_on(fill(&registry, count))?;
    registry.close();
    log.close();
    Ok(population)
}

async fn fill(registry: &Registry, count: usize) -> anyhow::Result<Population> {
    let sign_up = |_| {
        let (platform, name, link) = (Platform::Ios, None, None);
        registry.sign_up(SignUp { platform, name, link })
    };
    let accounts = count.div_ceil(HANDLES_PER_ACCOUNT);
    let signed_up: Vec<_> = stream::iter(0..accounts)
        .map(sign_up)
        .buffer_unordered(CHANGES_AT_ONCE)
        .try_collect()
        .await?;
    let mut random = Random(1);
    let mut distinct = HashSet::new();
    while distinct.len() < count {
        distinct.insert(random.handle());
    }
    let mut handles: Vec<_> = distinct.into_iter().collect();
    handles.sort_unstable();
    let proofs = handles.iter().zip(signed_up.iter().cycle());
    let prove = |(handle, owner): (&String, &registry::SignedUp)| {
        let (handle, device) = (Handle::parse(handle, None), owner.device);
        async move {
            let _ =
                registry.prove_with(device, handle?, |_| ControlFlow::<()>::Continue(())).await?;
            anyhow::Ok(())
        }
    };
    stream::iter(proofs)
        .map(prove)
        .buffer_unordered(CHANGES_AT_ONCE)
        .try_collect::<()>()
        .await
        .context("proving the handles")?;
    let tokens = signed_up.iter().map(|device| device.token.expose().to_owned()).collect();
    Ok(Population { handles, tokens })
}

impl Population {
    fn token(&self, connection: usize) -> &str {
        &self.tokens[connection % self.tokens.len()]
    }

    fn asked(&self, random: &mut Random) -> String {
        if random.below(4) == 0 {
            random.handle()
        } else {
            self.handles[random.below(self.handles.len())].clone()
        }
    }

    /// Prepares `count` lookups of one handle each, with the device token of this connection.
    pub(crate) fn lookups(&self, connection: usize, count: usize) -> Vec<Vec<u8>> {
        let token = self.token(connection);
        let mut random = Random(1_000 + connection as u64);
        let request = |_| {
            let handle = self.asked(&mut random).replace('+', "%2B");
            format!(
                "GET /v1/lookup/{handle} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
            )
            .into_bytes()
        };
        (0..count).map(request).collect()
    }

    /// Prepares the check-in of a device.
    pub(crate) fn check_in(&self, device: usize) -> Vec<u8> {
        let token = self.token(device);
        format!(
            "POST /v1/devices/me/check-in HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// Prepares `count` batches.
    pub(crate) fn batches(&self, connection: usize, count: usize) -> Vec<Vec<u8>> {
        let token = self.token(connection);
        let mut random = Random(2_000 + connection as u64);
        let request = |_| {
            let handles: Vec<_> =
                (0..BATCH).map(|_| format!("\"{}\"", self.asked(&mut random))).collect();
            let body = format!("{{\"handles\":[{}]}}", handles.join(","));
            format!(
                "POST /v1/lookup HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        };
        (0..count).map(request).collect()
    }
}

/// Counts the lookups in the log of a stopped server. Fails if any is damaged.
pub(crate) fn logged_lookups(data: &Path) -> anyhow::Result<u64> {
    let keys = KeyFiles::new(&data.join("keys"), None);
    let retention = query_log::Config::default().retention;
    let reader =
        LogReader::open_read_only(&data.join("log"), keys, Arc::new(SystemClock), retention)?;
    let filter = Filter { kind: Some(Kind::Lookup), ..Filter::default() };
    let mut search = reader.search(&filter, Order::Asc, None);
    let mut found = 0;
    for row in search.by_ref() {
        row?;
        found += 1;
    }
    let outcome = search.outcome();
    anyhow::ensure!(
        outcome.damaged + outcome.unreadable_segments == 0,
        "the log is damaged: {outcome:?}"
    );
    Ok(found)
}
