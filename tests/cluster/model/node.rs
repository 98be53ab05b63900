//! One small node.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use data_encoding::HEXLOWER;
use dispatchd::shared_log::{Appended, EngineError, Head, SharedLog};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout},
};

use super::Flaw;
use crate::{
    checks::State,
    history::{Actor, Outcome, Recorded, What},
};

/// How long a caller waits for the fence, and for a change.
const FENCE_TIMEOUT: Duration = Duration::from_secs(2);
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How old the head of a serializable read is here.
const STALENESS: Duration = Duration::from_millis(40);
/// Bytes of a page of entries.
const PAGE: usize = 64 * 1024;

type Round = Shared<BoxFuture<'static, Result<(), Stopped>>>;

/// It does not know what others were told, and gives no answers any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    Behind,
    Diverged,
}

impl From<Stopped> for Outcome {
    fn from(stopped: Stopped) -> Self {
        Self::Refused(format!("registry-{stopped:?}").to_lowercase())
    }
}

/// What a node has applied.
struct Applied {
    head: Head,
    handles: BTreeMap<usize, State>,
    recorded: Vec<Recorded>,
    /// The number of each entry's batch.
    batches: Vec<u64>,
    has_diverged: bool,
}

/// The number of the next batch of any node.
static BATCHES: AtomicU64 = AtomicU64::new(0);

pub(super) struct Node {
    log: Arc<dyn SharedLog>,
    flaw: Option<Flaw>,
    applied: Mutex<Applied>,
    /// Held by who appends.
    writer: tokio::sync::Mutex<()>,
    /// Held by who reads entries.
    reader: tokio::sync::Mutex<()>,
    round: Mutex<Option<Round>>,
    last_head: Mutex<Option<(Instant, Head)>>,
}

impl Node {
    pub(super) fn new(log: Arc<dyn SharedLog>, flaw: Option<Flaw>) -> Self {
        let applied = Applied {
            head: Head::EMPTY,
            handles: BTreeMap::new(),
            recorded: Vec::new(),
            batches: Vec::new(),
            has_diverged: false,
        };
        Self {
            log,
            flaw,
            applied: Mutex::new(applied),
            writer: tokio::sync::Mutex::default(),
            reader: tokio::sync::Mutex::default(),
            round: Mutex::default(),
            last_head: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn applied(&self) -> Head {
        self.state().head
    }

    pub(super) fn recorded(&self) -> Vec<Recorded> {
        self.state().recorded.clone()
    }

    /// Who holds the handles, all at one moment.
    pub(super) fn shown(&self, handles: impl Iterator<Item = usize>) -> Vec<Option<Actor>> {
        let state = self.state();
        handles.map(|handle| state.handles.get(&handle).and_then(|it| it.shown())).collect()
    }

    fn diverges(&self) -> Stopped {
        if self.flaw == Some(Flaw::IgnoresChain) {
            return Stopped::Behind;
        }
        self.state().has_diverged = true;
        Stopped::Diverged
    }

    /// The fence: waits until the node has applied what the log had when this was called.
    pub(super) async fn pass(self: &Arc<Self>) -> Result<(), Stopped> {
        if self.state().has_diverged {
            return Err(Stopped::Diverged);
        }
        let round = if self.flaw == Some(Flaw::JoinsRounds) {
            let mut under_way = self.round.lock().unwrap_or_else(PoisonError::into_inner);
            let joined = under_way.clone().filter(|round| round.peek().is_none());
            let round = joined.unwrap_or_else(|| self.new_round());
            *under_way = Some(round.clone());
            round
        } else {
            self.new_round()
        };
        timeout(FENCE_TIMEOUT, round).await.unwrap_or(Err(Stopped::Behind))
    }

    fn new_round(self: &Arc<Self>) -> Round {
        Arc::clone(self).pass_round().boxed().shared()
    }

    async fn pass_round(self: Arc<Self>) -> Result<(), Stopped> {
        let before = self.applied();
        let head = self.head(before).await.map_err(|_| Stopped::Behind)?;
        if head.place < before.place && self.flaw != Some(Flaw::IgnoresChain) {
            return Err(self.diverges());
        }
        while self.applied().place < head.place {
            self.follow().await?;
        }
        if head.place == before.place && head.hash != before.hash {
            return if self.flaw == Some(Flaw::IgnoresChain) {
                Ok(())
            } else {
                Err(self.diverges())
            };
        }
        Ok(())
    }

    async fn head(&self, applied: Head) -> Result<Head, EngineError> {
        if self.flaw != Some(Flaw::SerializableFence) {
            return self.log.head().await;
        }
        let last = *self.last_head.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = last.filter(|(read, _)| read.elapsed() < STALENESS);
        let head = match recent {
            Some((_, head)) => head,
            None => self.log.head().await?,
        };
        if recent.is_none() {
            let read = Some((Instant::now(), head));
            *self.last_head.lock().unwrap_or_else(PoisonError::into_inner) = read;
        }
        Ok(if head.place < applied.place { applied } else { head })
    }

    /// Applies a page of entries, if there is one.
    async fn follow(&self) -> Result<(), Stopped> {
        let _reader = self.reader.lock().await;
        let page = self.log.read(self.applied().place + 1, PAGE).await;
        let page = match page {
            Ok(page) => page,
            Err(EngineError::Unknown(_)) => {
                sleep(RETRY_PAUSE).await;
                return Ok(());
            }
            Err(_) => return Err(Stopped::Behind),
        };
        if page.is_empty() {
            sleep(RETRY_PAUSE).await;
        }
        for entry in page {
            if entry.place == self.applied().place + 1 {
                self.apply(&entry.bytes)?;
            }
        }
        Ok(())
    }

    fn apply(&self, bytes: &[u8]) -> Result<(), Stopped> {
        let (before, batch, change) = decode(bytes).expect("nodes append nothing else");
        let mut state = self.state();
        if before != state.head.hash && self.flaw != Some(Flaw::IgnoresChain) {
            drop(state);
            return Err(self.diverges());
        }
        state.head = state.head.after(bytes);
        state.batches.push(batch);
        state.make(change);
        Ok(())
    }

    /// Makes a change. If nobody knows in time what becomes of it, the node goes on to find out.
    pub(super) async fn change(self: Arc<Self>, change: Recorded) -> Outcome {
        if let Err(stopped) = self.pass().await {
            return stopped.into();
        }
        let made = Handle::current().spawn(async move { self.append(change).await });
        match timeout(CHANGE_TIMEOUT, made).await {
            Ok(outcome) => outcome.expect("no node panics"),
            Err(_) => Outcome::Unknown("registry-unwritable".to_owned()),
        }
    }

    async fn append(&self, change: Recorded) -> Outcome {
        let _writer = self.writer.lock().await;
        let batch = BATCHES.fetch_add(1, Ordering::SeqCst);
        loop {
            let (head, refused) = {
                let state = self.state();
                (state.head, state.refuses(change))
            };
            if let Some(refused) = refused {
                return refused;
            }
            let entry = encode(head, batch, change);
            let appended = loop {
                match self.log.append(head, &entry).await {
                    Ok(appended) => break appended,
                    Err(EngineError::Unknown(_)) => sleep(RETRY_PAUSE).await,
                    Err(error) => return Outcome::Unknown(error.to_string()),
                }
            };
            while appended != Appended::Mine && self.applied().place <= head.place {
                if let Err(stopped) = self.follow().await {
                    return Outcome::Unknown(format!("registry-{stopped:?}"));
                }
            }
            if appended == Appended::Mine {
                let _reader = self.reader.lock().await;
                // Another task may have read the entry already.
                if self.applied() == head
                    && let Err(stopped) = self.apply(&entry)
                {
                    return Outcome::Unknown(format!("registry-{stopped:?}"));
                }
                return Outcome::Done;
            }
            // It was sent before, and its answer was lost.
            let place = usize::try_from(head.place).expect("there are not so many");
            if self.state().batches.get(place) == Some(&batch) {
                return Outcome::Done;
            }
        }
    }
}

impl Applied {
    /// Why the change cannot be made, if it cannot.
    fn refuses(&self, change: Recorded) -> Option<Outcome> {
        if self.has_diverged {
            return Some(Stopped::Diverged.into());
        }
        let state = self.handles.get(&change.handle).copied().unwrap_or(State::EMPTY);
        if change.what != What::SignOut && state.after(change.by, change.what).is_none() {
            return Some(Outcome::NotHeld);
        }
        None
    }

    fn make(&mut self, change: Recorded) {
        if change.what == What::SignOut {
            // A record for each handle that the account holds.
            let held = self.handles.iter_mut().filter(|(_, it)| it.holder == Some(change.by));
            for (handle, state) in held {
                *state = State::EMPTY;
                self.recorded.push(Recorded { handle: *handle, ..change });
            }
            return;
        }
        self.recorded.push(change);
        let state = self.handles.entry(change.handle).or_insert(State::EMPTY);
        *state = state.after(change.by, change.what).unwrap_or(*state);
    }
}

/// The entry of a change, behind `head`.
fn encode(head: Head, batch: u64, change: Recorded) -> Vec<u8> {
    let Recorded { handle, by, what } = change;
    let hash = HEXLOWER.encode(&head.hash);
    format!("{hash} {batch} {handle} {by} {what:?}").into_bytes()
}

/// The hash of the entry before this one, the number of its batch, and its change.
fn decode(entry: &[u8]) -> Option<([u8; 32], u64, Recorded)> {
    let mut words = str::from_utf8(entry).ok()?.split(' ');
    let hash = HEXLOWER.decode(words.next()?.as_bytes()).ok()?.try_into().ok()?;
    let batch = words.next()?.parse().ok()?;
    let (handle, by) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let name = words.next()?;
    let what = [What::Prove, What::GiveUp, What::SignOut, What::Hide, What::Show];
    let what = what.into_iter().find(|what| format!("{what:?}") == name)?;
    Some((hash, batch, Recorded { handle, by, what }))
}
