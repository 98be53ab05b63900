//! A shared log in memory, for tests. It is linearizable, and each node's handle fails on command.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::interface::{Appended, EngineError, Entry, Head, SharedLog};
use crate::{limits, lock::lock};

/// A call of [`SharedLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`SharedLog::append`]
    Append,
    /// [`SharedLog::head`]
    Head,
    /// [`SharedLog::read`]
    Read,
    /// [`SharedLog::trim`]
    Trim,
}

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is lost on its way: nothing is done, and the caller gets [`EngineError::Unknown`].
    RequestLost,
    /// The answer is lost on its way: it is done, and the caller gets [`EngineError::Unknown`].
    AnswerLost,
    /// The caller gets [`EngineError::Unknown`]. The request arrives later, when [`MemoryLog::deliver`] is called.
    Late,
    /// The request arrives twice, as from a client that turns to a second member. The caller gets the second answer, which for an
    /// append is [`Appended::Taken`] by its own entry.
    Twice,
    /// The engine refuses: nothing is done, and the caller gets [`EngineError::Refused`].
    Refused,
}

/// One node's handle of a log in memory. [`MemoryLog::handle`] makes those of other nodes.
pub struct MemoryLog {
    log: Arc<Mutex<Log>>,
    link: Mutex<Link>,
}

/// What a log held at one moment, for [`MemoryLog::restore`].
#[derive(Clone)]
pub struct Backup(Log);

#[derive(Clone)]
struct Log {
    head: Head,
    /// The last entries, up to the head.
    entries: VecDeque<Vec<u8>>,
}

type Action = Box<dyn FnOnce(&mut Log) + Send>;
type Chooser = Box<dyn FnMut(Call) -> Option<Fault> + Send>;

/// The way of one node to the log.
#[derive(Default)]
struct Link {
    is_away: bool,
    delay: Duration,
    calls: Vec<Call>,
    /// Faults of the calls to come.
    next: Vec<(Call, Fault)>,
    chooser: Option<Chooser>,
    /// Requests that arrive later.
    late: Vec<Action>,
}

impl MemoryLog {
    /// The handle of a log without entries.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default handle would be of which log?")]
    pub fn new() -> Self {
        let log = Log { head: Head::EMPTY, entries: VecDeque::new() };
        Self { log: Arc::new(Mutex::new(log)), link: Mutex::default() }
    }

    /// Another node's handle of the same log. It has no faults, whatever this one's are.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self { log: Arc::clone(&self.log), link: Mutex::default() }
    }

    /// Makes the log unreachable through this handle, or reachable again.
    pub fn set_away(&self, is_away: bool) {
        lock(&self.link).is_away = is_away;
    }

    /// Sets how long a request and an answer travel each.
    pub fn set_delay(&self, delay: Duration) {
        lock(&self.link).delay = delay;
    }

    /// Gives the next `call` this fault. Faults of one kind of call come in the order in which they were given.
    pub fn fail(&self, call: Call, fault: Fault) {
        lock(&self.link).next.push((call, fault));
    }

    /// Asks `chooser` at each call that [`Self::fail`] gave no fault.
    pub fn fail_by(&self, chooser: impl FnMut(Call) -> Option<Fault> + Send + 'static) {
        lock(&self.link).chooser = Some(Box::new(chooser));
    }

    /// Delivers the requests that [`Fault::Late`] held back.
    pub fn deliver(&self) {
        let late = std::mem::take(&mut lock(&self.link).late);
        let mut log = lock(&self.log);
        late.into_iter().for_each(|action| action(&mut log));
    }

    /// How often `call` was begun through this handle.
    pub fn count(&self, call: Call) -> usize {
        lock(&self.link).calls.iter().filter(|begun| **begun == call).count()
    }

    /// What the log holds now.
    pub fn backup(&self) -> Backup {
        Backup(lock(&self.log).clone())
    }

    /// Makes the log hold what `backup` holds, as an operator would who restores an engine.
    pub fn restore(&self, backup: &Backup) {
        *lock(&self.log) = backup.0.clone();
    }

    /// Carries out `action`, or what the fault of this call makes of it.
    fn call<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        action: impl Fn(&mut Log) -> Result<T, EngineError> + Send + 'static,
    ) -> BoxFuture<'a, Result<T, EngineError>> {
        let unknown = |text: &str| Err(EngineError::Unknown(text.to_owned()));
        Box::pin(async move {
            let (delay, fault) = lock(&self.link).begin(call);
            wait(delay).await;
            if lock(&self.link).is_away {
                return unknown("it is away");
            }
            match fault {
                Some(Fault::RequestLost) => return unknown("the request was lost"),
                Some(Fault::Refused) => return Err(EngineError::Refused("as told".to_owned())),
                Some(Fault::Late) => {
                    let late = Box::new(move |log: &mut Log| drop(action(log)));
                    lock(&self.link).late.push(late);
                    return unknown("the request is late");
                }
                Some(Fault::Twice) => drop(action(&mut lock(&self.log))),
                Some(Fault::AnswerLost) | None => {}
            }
            let answer = action(&mut lock(&self.log));
            wait(delay).await;
            if lock(&self.link).is_away || fault == Some(Fault::AnswerLost) {
                return unknown("the answer was lost");
            }
            answer
        })
    }
}

/// Without the entries.
impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = lock(&self.log);
        write!(f, "MemoryLog({:?}, first {})", log.head, log.first())
    }
}

/// Needs a runtime with timers only if there is a delay.
async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

impl Link {
    fn begin(&mut self, call: Call) -> (Duration, Option<Fault>) {
        self.calls.push(call);
        let fault = match self.next.iter().position(|(of, _)| *of == call) {
            Some(at) => Some(self.next.remove(at).1),
            None => self.chooser.as_mut().and_then(|chooser| chooser(call)),
        };
        (self.delay, fault)
    }
}

impl Log {
    /// The place of the first entry, or of the next one.
    fn first(&self) -> u64 {
        self.head.place + 1 - self.entries.len() as u64
    }

    fn append(&mut self, expected: Head, entry: &[u8]) -> Appended {
        if self.head != expected {
            return Appended::Taken(self.head);
        }
        self.head = expected.after(entry);
        self.entries.push_back(entry.to_vec());
        Appended::Mine
    }

    fn read(&self, first: u64, bytes: usize) -> Result<Vec<Entry>, EngineError> {
        let skipped = match first.checked_sub(self.first()) {
            Some(skipped) => usize::try_from(skipped).unwrap_or(usize::MAX),
            None => return Err(EngineError::Trimmed { first: self.first() }),
        };
        let mut left = bytes;
        let mut read = Vec::new();
        for (place, entry) in (first..).zip(self.entries.iter().skip(skipped)) {
            match left.checked_sub(entry.len()) {
                Some(rest) => left = rest,
                None if read.is_empty() => left = 0,
                None => break,
            }
            read.push(Entry { place, bytes: entry.clone() });
        }
        Ok(read)
    }

    fn trim(&mut self, below: u64) {
        while self.first() < below && self.entries.pop_front().is_some() {}
    }
}

impl SharedLog for MemoryLog {
    fn append<'a>(
        &'a self,
        expected: Head,
        entry: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>> {
        let entry = entry.to_vec();
        self.call(Call::Append, move |log| {
            if entry.len() > limits::SHARED_LOG_ENTRY_MAX {
                return Err(EngineError::Refused("the entry is too large".to_owned()));
            }
            Ok(log.append(expected, &entry))
        })
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        self.call(Call::Head, |log| Ok(log.head))
    }

    fn read(&self, first: u64, bytes: usize) -> BoxFuture<'_, Result<Vec<Entry>, EngineError>> {
        self.call(Call::Read, move |log| log.read(first, bytes))
    }

    fn trim(&self, below: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        self.call(Call::Trim, move |log| {
            log.trim(below);
            Ok(())
        })
    }
}
