//! The shared log in etcd, an engine that operators of several machines know.
//!
//! etcd is durable on a majority of its members and strictly serializable. Of what it can, three things are used: a transaction with a
//! comparison, reading keys, deleting keys. `keys.rs` says which keys there are.
//!
//! - **Append** is one transaction: if the head is exactly the expected one, write the entry and the new head. To create the entry's key if
//!   it is absent would not be enough: after [trimming](SharedLog::trim), a node that slept could create an old place again.
//! - **Head** is a read or a write, see [`Fence`]. etcd 3.4.20 to 3.4.41, 3.5.0 to 3.5.27 and 3.6.0 to 3.6.8 can answer a linearizable read
//!   with stale data after a member was paused (etcd issue 20418), but not a transaction that writes. The write deletes a key that is never
//!   there: it makes no revision, so it takes no room and passes where the database is full.
//! - **Trim** deletes in pieces, so that no transaction holds up the cluster.
//!
//! A member that does not answer in time is followed by the next one, each once in a call. `members.rs` decides what is known of a call
//! that failed. [`Etcd::probe`] finds out at start whether the engine does what is needed, and [`Etcd::look_at_members`] asks again
//! for the members' versions.
//!
//! Only the newest value of each key is needed. etcd keeps older ones until it compacts: set `--auto-compaction-mode=periodic` and
//! `--auto-compaction-retention=5m`.

mod config;
mod examine;
mod examined;
#[cfg(feature = "testing")]
pub mod fuzz;
mod keys;
mod members;
mod messages;
mod metrics;
mod page;
mod probe;
mod roll;
#[cfg(test)]
mod tests;
mod version;
mod whole;

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::BoxFuture;
use prost::bytes::Bytes;

pub use self::{
    config::{Config, Fence, Probed, Tls},
    examined::{Examined, ExaminedMember, RaisedAlarm},
};
use self::{
    keys::{Keys, head_value, parse_head},
    members::{Fault, Members},
    messages::{
        Compare, EQUAL, Part, PartAnswer, Range, Ranged, ResponseOp, Txn, TxnAnswer, VALUE, VERSION,
    },
    page::Page,
};
use super::interface::{Appended, EngineError, Entry, Head, SharedLog};
use crate::limits;

/// Bytes of an answer beyond the values: headers, and for each entry its key and numbers.
const ANSWER_OVERHEAD: usize = 4 * 1024;
const PAIR_OVERHEAD: usize = 1024;
/// Entries that one transaction deletes at most.
const TRIM_PIECE: u64 = 512;

/// A log in an etcd cluster.
pub struct Etcd {
    members: Members,
    keys: Keys,
    fence: Fence,
    /// Whether a probe found that no member answers a read with stale data.
    has_fresh_reads: AtomicBool,
    page: Page,
}

impl Etcd {
    /// A log in the cluster that `config` names. It connects when it is used, and its connections belong to the runtime that this is called in.
    ///
    /// # Errors
    /// If a URL or a file of TLS cannot be used.
    pub fn new(config: &Config) -> Result<Self, EngineError> {
        Ok(Self {
            members: Members::new(config)?,
            keys: Keys::new(config.prefix.clone()),
            fence: config.fence,
            has_fresh_reads: AtomicBool::new(false),
            page: Page::new(),
        })
    }

    /// How [`SharedLog::head`] works now: [`Fence::Read`] or [`Fence::Write`].
    #[must_use]
    pub fn fence(&self) -> Fence {
        match self.fence {
            Fence::Auto if self.has_fresh_reads.load(Ordering::Relaxed) => Fence::Read,
            Fence::Auto => Fence::Write,
            fixed => fixed,
        }
    }

    /// A transaction whose answer has at most some keys.
    async fn txn(&self, txn: Txn) -> Result<TxnAnswer, EngineError> {
        Ok(self.members.txn(txn, ANSWER_OVERHEAD).await?)
    }

    /// Holds if the log's head is `head`.
    fn head_is(&self, head: Head) -> Compare {
        let (key, result) = (self.keys.head(), EQUAL);
        if head == Head::EMPTY {
            Compare { result, target: VERSION, key, value: Bytes::new() }
        } else {
            Compare { result, target: VALUE, key, value: head_value(head) }
        }
    }

    async fn append_entry(&self, expected: Head, entry: &[u8]) -> Result<Appended, EngineError> {
        if entry.len() > limits::SHARED_LOG_ENTRY_MAX {
            let text = format!("an entry has at most {} bytes", limits::SHARED_LOG_ENTRY_MAX);
            return Err(EngineError::Refused(text));
        }
        let next = expected.after(entry);
        let txn = Txn {
            compare: vec![self.head_is(expected)],
            success: vec![
                Part::put(self.keys.entry(next.place), Bytes::copy_from_slice(entry)),
                Part::put(self.keys.head(), head_value(next)),
            ],
            failure: vec![Part::get(self.keys.head())],
        };
        let answer = self.txn(txn).await?;
        if answer.is_success {
            return Ok(Appended::Mine);
        }
        head_in(ranged(answer.answers.into_iter().next())?).map(Appended::Taken)
    }

    async fn newest_head(&self) -> Result<Head, EngineError> {
        let mut success = vec![Part::get(self.keys.head())];
        if self.fence() == Fence::Write {
            success.push(Part::delete(self.keys.fence(), Bytes::new()));
        }
        let answer = self.txn(Txn { success, ..Txn::default() }).await?;
        head_in(ranged(answer.answers.into_iter().next())?)
    }

    /// Some entries from `first` on, and the head of the same moment.
    async fn page(&self, first: u64, bytes: usize) -> Result<(Head, Ranged), EngineError> {
        loop {
            let limit = self.page.limit(bytes);
            let entries = Range {
                key: self.keys.entry(first),
                end: self.keys.entries_end(),
                limit: i64::try_from(limit).unwrap_or(i64::MAX),
                ..Range::default()
            };
            let success = vec![Part::get(self.keys.head()), Part::Range(entries).into()];
            let pairs_max = usize::try_from(limit).unwrap_or(usize::MAX);
            let answer_max = bytes.max(limits::SHARED_LOG_ENTRY_MAX)
                + pairs_max * PAIR_OVERHEAD
                + ANSWER_OVERHEAD;
            let txn = Txn { success, ..Txn::default() };
            match self.members.txn(txn, answer_max).await {
                Err(Fault::TooLarge) if limit > 1 => self.page.shrink(limit),
                Err(fault) => {
                    // Perhaps fewer entries come in time. The caller knows when to ask again.
                    if matches!(fault, Fault::Unknown(_)) {
                        self.page.shrink(limit);
                    }
                    return Err(fault.into());
                }
                Ok(answer) => {
                    let mut answers = answer.answers.into_iter();
                    let head = head_in(ranged(answers.next())?)?;
                    let ranged = ranged(answers.next())?;
                    let size = ranged.pairs.iter().map(|pair| pair.value.len()).sum();
                    self.page.grow(limit, ranged.pairs.len(), size, bytes);
                    return Ok((head, ranged));
                }
            }
        }
    }

    async fn read_entries(&self, first: u64, bytes: usize) -> Result<Vec<Entry>, EngineError> {
        let first = first.max(1);
        let (head, page) = self.page(first, bytes).await?;
        let mut entries = entries_in(&self.keys, first, head, page)?;
        let mut size = 0;
        let too_many = entries.iter().position(|entry| {
            size += entry.bytes.len();
            size > bytes
        });
        entries.truncate(too_many.map_or(entries.len(), |at| at.max(1)));
        Ok(entries)
    }

    async fn delete_below(&self, below: u64) -> Result<(), EngineError> {
        let end = self.keys.entry(below);
        let oldest = |from: Bytes| {
            let limit = 1;
            Part::Range(Range { key: from, end: end.clone(), limit, is_without_values: true })
        };
        let mut part = vec![oldest(self.keys.entry(0)).into()];
        loop {
            let answer = self.txn(Txn { success: part, ..Txn::default() }).await?;
            let Some(oldest_left) = ranged(answer.answers.into_iter().next_back())?.pairs.pop()
            else {
                return Ok(());
            };
            let first = self.keys.place(&oldest_left.key)?;
            let piece_end = self.keys.entry(first.saturating_add(TRIM_PIECE).min(below));
            part = vec![Part::delete(oldest_left.key, piece_end.clone()), oldest(piece_end).into()];
        }
    }
}

/// The answer to a read.
fn ranged(answer: Option<ResponseOp>) -> Result<Ranged, EngineError> {
    match answer.and_then(|answer| answer.answer) {
        Some(PartAnswer::Ranged(ranged)) => Ok(ranged),
        _ => Err(EngineError::Damaged("the engine answered something else")),
    }
}

/// The head in the answer to a read of its key.
fn head_in(mut ranged: Ranged) -> Result<Head, EngineError> {
    ranged.pairs.pop().map_or(Ok(Head::EMPTY), |pair| parse_head(&pair.value))
}

/// The entries in the answer to a read of the keys from place `first` on, if they are what a log with this head has there. `first` is at
/// least 1.
fn entries_in(
    keys: &Keys,
    first: u64,
    head: Head,
    page: Ranged,
) -> Result<Vec<Entry>, EngineError> {
    let mut entries = Vec::with_capacity(page.pairs.len());
    for pair in page.pairs {
        entries.push(Entry { place: keys.place(&pair.key)?, bytes: pair.value.into() });
    }
    let (Some(found), Some(last)) = (entries.first(), entries.last()) else {
        let next = head.place.saturating_add(1);
        return if first < next { Err(EngineError::Trimmed { first: next }) } else { Ok(entries) };
    };
    if found.place < first {
        return Err(EngineError::Damaged("there is an entry that was not asked for"));
    }
    if !entries.iter().map(|entry| entry.place).eq(found.place..=last.place) {
        return Err(EngineError::Damaged("an entry is missing"));
    }
    if last.place > head.place {
        return Err(EngineError::Damaged("there are entries after the head"));
    }
    if !page.has_more && last.place < head.place {
        return Err(EngineError::Damaged("the last entry is missing"));
    }
    let before = Head { place: last.place - 1, ..head };
    if last.place == head.place && before.after(&last.bytes) != head {
        return Err(EngineError::Damaged("the head is of another entry"));
    }
    match found.place {
        found if found > first => Err(EngineError::Trimmed { first: found }),
        _ => Ok(entries),
    }
}

impl SharedLog for Etcd {
    fn append<'a>(
        &'a self,
        expected: Head,
        entry: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>> {
        Box::pin(self.append_entry(expected, entry))
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        Box::pin(self.newest_head())
    }

    fn read(&self, first: u64, bytes: usize) -> BoxFuture<'_, Result<Vec<Entry>, EngineError>> {
        Box::pin(self.read_entries(first, bytes))
    }

    fn trim(&self, below: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(self.delete_below(below))
    }
}

/// Without what it holds.
impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.members.iter().map(|member| &member.url).collect();
        f.debug_struct("Etcd").field("urls", &urls).field("fence", &self.fence()).finish()
    }
}
