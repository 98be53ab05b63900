//! Registers and hides handles through the library before the server starts.

use std::{cell::RefCell, collections::HashSet, ops::ControlFlow, path::Path, sync::Arc};

use dispatchd::{
    clock::SystemClock,
    dispatch::LogSink,
    envelope::KeyFiles,
    files::DataDirectory,
    handle::Handle,
    ids::DeviceId,
    query_log::{self, Durability, LogOptions, QueryLog},
    registry::{self, Registry, SignUp},
    shutdown::Shutdown,
    vocabulary::Platform,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

const HANDLES_PER_ACCOUNT: usize = 50;
/// How many changes wait at the same time, enough for a few commits.
const CHANGES_AT_ONCE: usize = 2_048;

/// Registered and hidden handles, and the device token of an account that holds none of them.
pub(crate) struct Population {
    pub(crate) registered: Vec<String>,
    pub(crate) hidden: Vec<String>,
    pub(crate) token: String,
    /// Every number drawn so far.
    drawn: RefCell<HashSet<u64>>,
}

/// A small seeded generator (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 (included) to `end` (excluded).
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Shuffles the items.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl Population {
    /// Registers `samples` visible handles and `samples` hidden ones.
    pub(crate) fn register(
        data: &Path,
        samples: usize,
        random: &mut Random,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let clock = Arc::new(SystemClock);
        let config =
            query_log::Config { durability: Durability::Os, ..query_log::Config::default() };
        DataDirectory::prepare(data)?;
        let keys = KeyFiles::new(&data.join("keys"), None);
        let options = LogOptions::new(data.join("log"), keys, config, clock.clone());
        let (log, _) = QueryLog::open(options, &Shutdown::new())?;
        let registry = Registry::open(&data.join("registry"), registry::Config::default(), clock)?;
        registry.load()?;
        registry.start(Arc::new(LogSink(log.clone())), &|_| HashSet::new())?;
        let mut population = Self {
            registered: Vec::new(),
            hidden: Vec::new(),
            token: String::new(),
            drawn: RefCell::default(),
        };
        population.registered = population.unregistered(samples, random);
        population.hidden = population.unregistered(samples, random);
        runtime.block_on(population.sign_up(&registry))?;
        registry.close();
        log.close();
        Ok(population)
    }

    async fn sign_up(&mut self, registry: &Registry) -> anyhow::Result<()> {
        let sign_up = |_| {
            let (platform, name, link) = (Platform::Ios, None, None);
            registry.sign_up(SignUp { platform, name, link })
        };
        let accounts = self.registered.len().div_ceil(HANDLES_PER_ACCOUNT) * 2;
        let owners: Vec<_> = stream::iter(0..accounts)
            .map(sign_up)
            .buffer_unordered(CHANGES_AT_ONCE)
            .map_ok(|owner| owner.device)
            .try_collect()
            .await?;
        let handles = self.registered.iter().map(|handle| (handle, false));
        let handles = handles.chain(self.hidden.iter().map(|handle| (handle, true)));
        let held = handles.zip(owners.iter().cycle());
        stream::iter(held)
            .map(|((handle, is_hidden), owner)| hold(registry, handle, is_hidden, *owner))
            .buffer_unordered(CHANGES_AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await?;
        self.token = sign_up(0).await?.token.expose().to_owned();
        Ok(())
    }

    /// New numbers from the same range as all others.
    pub(crate) fn unregistered(&self, count: usize, random: &mut Random) -> Vec<String> {
        let mut drawn = self.drawn.borrow_mut();
        let fresh = std::iter::repeat_with(|| 2_000_000_000 + random.next() % 8_000_000_000);
        let fresh = fresh.filter(|number| drawn.insert(*number));
        fresh.take(count).map(|number| format!("+1{number}")).collect()
    }
}

async fn hold(
    registry: &Registry,
    handle: &str,
    is_hidden: bool,
    owner: DeviceId,
) -> anyhow::Result<()> {
    let handle = Handle::parse(handle, None)?;
    let _ = registry.prove_with(owner, handle.clone(), |_| ControlFlow::<()>::Continue(())).await?;
    if is_hidden {
        registry.set_discoverable(owner, handle, false).await?;
    }
    Ok(())
}
