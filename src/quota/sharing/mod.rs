//! [`Sharing`]: the nodes of a cluster count together.
//!
//! # The promise
//!
//! In any hour the nodes together grant at most one in [`limits::QUOTA_OVERSPEND_PART`] more than an allowance, while they reach each
//! other. A client that asks all nodes gets no more than one that asks a single node, except for that part.
//!
//! # How
//!
//! Each node counts in its own memory, as a single machine does. A node may spend a small part of each allowance without telling
//! anybody: with *n* nodes one in 5 (*n* - 1), which it regains at that part of the allowance's rate. Such charges lie in a bucket of their
//! own, the *untold* units. All other nodes together have at most the promised part untold.
//!
//! - **A small charge** fits into the untold units. It costs no message. Beyond half of them, the next round tells them.
//! - **A large charge** does not fit. The node charges it in its own memory, tells all other nodes, and waits for their answers. Each of
//!   them charges it, too, also beyond the allowance. Then the node looks at its own counter again. If the allowance is overdrawn now,
//!   another node has charged meanwhile: the node takes the charge back, tells the others, and refuses.
//!
//! Of two nodes that charge at the same time, at least one sees the charge of the other: each looks only after the other one knows of its charge. If both see it,
//! both may refuse. That happens only if both charges together exceed what is left.
//!
//! One round is under way at a time, and all that wait share the next: see [`Rounds`].
//!
//! # Repeats
//!
//! A handle that one node answered is a repeat on every node. The nodes have one key of fingerprints, and tell each other the fingerprints of
//! answered handles within a second. So a phone whose load balancer moves it pays once for its address book.
//!
//! # What is not exact
//!
//! - A node that does not answer within [`limits::CLUSTER_PEER_PATIENCE`] misses that round. Nobody waits for it again before it answers.
//!   Meanwhile it and the others count apart. When it answers again, or answers from another process, it is told what is owed ([`Owed`]).
//!   Handles that were answered meanwhile cost again there.
//! - If too much waits to be told, a node counts alone what does not fit. [`SharingFigures::lost`] counts such charges.
//! - A charge that arrives late is regained late: by the time that the message took.

mod news;
mod outbox;
mod rounds;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

pub use self::news::{Owed, QuotaNews, QuotaReceipt, Spent};
use self::{outbox::Outbox, rounds::Rounds};
use super::{
    config::Config,
    counter::Counter,
    fingerprint::FingerprintKey,
    keyed::{Key, Keyed},
};
use crate::{clock::SharedClock, handle::Handle, ids::AccountId, limits, lock::lock};

/// Beyond this part of what a node may spend untold, the next round tells it.
const QUIET_PART: f64 = 0.5;

/// What this node charged and has not told the other nodes.
pub struct Sharing {
    /// The untold units of each counter, in the order of [`Counter::ALL`]. A unit weighs [`Self::weight`] here.
    untold: Vec<Keyed>,
    /// One in so many units of an allowance may be untold. Zero if there is no other node.
    weight: AtomicU32,
    outbox: Mutex<Outbox>,
    rounds: Rounds,
    clock: SharedClock,
    lost: AtomicU64,
}

/// What one round tells all other nodes.
pub struct Round {
    number: u64,
    weight: u32,
    /// The news.
    pub news: QuotaNews,
    /// What of them was untold.
    told: Vec<(Counter, Key, u32)>,
}

/// What was told so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharingFigures {
    /// Calls that waited until the other nodes knew of their charge.
    pub waits: u64,
    /// Charges that other nodes were not told, because too much waited.
    pub lost: u64,
}

impl Sharing {
    /// Nothing is told yet. Until the first round it expects two other nodes.
    pub(super) fn new(config: &Config, clock: SharedClock) -> Self {
        Self {
            untold: Counter::ALL.iter().map(|counter| counter.counting(config)).collect(),
            weight: AtomicU32::new(weight(2)),
            outbox: Mutex::default(),
            rounds: Rounds::default(),
            clock,
            lost: AtomicU64::new(0),
        }
    }

    /// What was told so far.
    pub fn figures(&self) -> SharingFigures {
        SharingFigures { waits: self.rounds.waits(), lost: self.lost.load(Relaxed) }
    }

    /// Waits until a round is due: when a call waits for one, or after `pause`.
    pub async fn until_due(&self, pause: Duration) {
        self.rounds.until_asked(pause).await;
    }

    /// Begins a round that tells `others` other nodes. Call [`Self::end`] once all that answer have answered.
    pub fn begin(&self, others: usize) -> Round {
        let (weight, now) = (weight(others), self.clock.boot());
        self.weight.store(weight, Relaxed);
        // Before the outbox is read: what is put there later waits for the next round.
        let number = self.rounds.begin();
        let (waiting, asked) = lock(&self.outbox).take();
        let (mut spent, mut told) = (Vec::new(), Vec::new());
        for Spent { counter, key, units } in waiting {
            let untold = self.untold(counter).used(key, now) / weight.max(1);
            if untold > 0 {
                told.push((counter, key, untold));
            }
            if units + i64::from(untold) != 0 {
                spent.push(Spent { counter, key, units: units + i64::from(untold) });
            }
        }
        Round { number, weight, news: QuotaNews { spent, owed: Vec::new(), asked }, told }
    }

    /// All other nodes that answer have the news of a round.
    pub fn end(&self, round: Round) {
        for (counter, key, units) in round.told {
            self.untold(counter).refund(key, units.saturating_mul(round.weight));
        }
        self.rounds.end(round.number);
        if !lock(&self.outbox).is_empty() {
            self.rounds.hurry();
        }
    }

    /// Notes what a call was charged. Some: the call must wait for that round, which tells all of it.
    pub(super) fn note(&self, spent: &[Spent], now: Duration) -> Option<u64> {
        let weight = self.weight.load(Relaxed);
        let units = |row: &Spent| row.count().saturating_mul(weight);
        if weight == 0 {
            return None;
        }
        for (place, row) in spent.iter().enumerate() {
            match self.untold(row.counter).charge(row.key, units(row), 1.0, now) {
                Ok(used) if used > QUIET_PART => {
                    self.tell([Spent { units: 0, ..*row }].into_iter());
                }
                Ok(_) => {}
                Err(_) => {
                    let earlier = &spent[..place];
                    earlier.iter().for_each(|it| self.untold(it.counter).refund(it.key, units(it)));
                    return self.tell(spent.iter().copied()).then(|| self.rounds.ask());
                }
            }
        }
        None
    }

    /// Waits until a round has ended, but not for long: a call must not hang on nodes that are away.
    pub(super) async fn until_told(&self, round: u64) {
        self.rounds.until_ended(round).await;
    }

    /// Lets the next round tell units, and what is untold of their keys: all of them, or if too much waits nothing. Returns whether
    /// it will.
    pub(super) fn tell(&self, spent: impl Iterator<Item = Spent> + Clone) -> bool {
        let is_added = lock(&self.outbox).add(spent);
        if !is_added {
            self.lost.fetch_add(1, Relaxed);
        }
        self.rounds.hurry();
        is_added
    }

    /// Lets a round tell that handles were answered.
    pub(super) fn remember<'a>(
        &self,
        key: &FingerprintKey,
        account: AccountId,
        answered: impl Iterator<Item = &'a Handle>,
    ) {
        let mut fingerprints = Vec::new();
        key.each(account, answered, |fingerprint| fingerprints.push(fingerprint));
        lock(&self.outbox).remember(fingerprints);
    }

    /// Whether a debt is more than what a node may spend untold. Less need not be told to a node that comes back.
    pub(super) fn is_worth_telling(&self, counter: Counter, debt: Duration) -> bool {
        self.untold(counter).is_over_part(debt, self.weight.load(Relaxed))
    }

    /// Drops untold units that are regained.
    pub(super) fn evict(&self, now: Duration) {
        self.untold.iter().for_each(|untold| untold.evict(now));
    }

    fn untold(&self, counter: Counter) -> &Keyed {
        &self.untold[usize::from(counter.number()) - 1]
    }
}

/// How much a unit weighs against the untold units, with so many other nodes.
fn weight(others: usize) -> u32 {
    u32::try_from(others).unwrap_or(u32::MAX).saturating_mul(limits::QUOTA_OVERSPEND_PART)
}
