//! What the clients did and what they were told: the input of the checks.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// An account with one device, by its number.
pub(crate) type Actor = usize;

/// The number of an account that no client knows.
pub(crate) const STRANGER: Actor = usize::MAX;

/// A change of one handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum What {
    /// The account proves the handle, whoever holds it.
    Prove,
    /// The account gives it up.
    GiveUp,
    /// The account's only device signs out.
    SignOut,
    /// The account hides it from strangers.
    Hide,
    /// The account shows it again.
    Show,
}

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The change is made.
    Done,
    /// Nothing is changed, because the account does not hold the handle.
    NotHeld,
    /// Nothing is changed, because the account holds the handle already.
    Held,
    /// Nothing is changed, for this reason.
    Refused(String),
    /// The change may be made, or may still be. The text says why nobody knows.
    Unknown(String),
}

/// An attempt at a change.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) handle: usize,
    pub(crate) by: Actor,
    pub(crate) what: What,
    pub(crate) invoked: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

/// An answered lookup of one handle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup {
    pub(crate) handle: usize,
    pub(crate) node: usize,
    pub(crate) invoked: Duration,
    pub(crate) ended: Duration,
    /// Who holds the handle. None: nobody whom a stranger may find.
    pub(crate) seen: Option<Actor>,
}

/// A change in the one order, as a node recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Recorded {
    pub(crate) handle: usize,
    pub(crate) by: Actor,
    pub(crate) what: What,
}

/// Everything that happened, in the order in which it ended.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) lookups: Vec<Lookup>,
    /// How often each refusal and each doubt was told.
    pub(crate) told: BTreeMap<String, u64>,
    /// What no node may tell anybody.
    pub(crate) faults: Vec<String>,
}

/// The events of one run, which clients add.
pub(crate) struct History {
    began: Instant,
    events: Mutex<Events>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), events: Mutex::default() }
    }

    /// Time since the run began. It never goes back.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refusal or a doubt.
    pub(crate) fn told(&self, outcome: &Outcome) {
        let text = match outcome {
            Outcome::Refused(code) => format!("refused: {code}"),
            Outcome::Unknown(why) => format!("unknown: {why}"),
            Outcome::Done | Outcome::Held | Outcome::NotHeld => return,
        };
        *self.events().told.entry(text).or_default() += 1;
    }

    /// Adds an attempt that began at `invoked` and ends now.
    pub(crate) fn attempted(
        &self,
        (handle, by, what): (usize, Actor, What),
        invoked: Duration,
        outcome: Outcome,
    ) {
        self.told(&outcome);
        let ended = self.now();
        self.events().attempts.push(Attempt { handle, by, what, invoked, ended, outcome });
    }

    /// Adds a fault that needs no check.
    pub(crate) fn fault(&self, text: String) {
        self.events().faults.push(text);
    }
}

impl Events {
    /// The longest time from `from` to `until` in which nobody was told who holds a handle: at any node, and at the worst node.
    pub(crate) fn silences(
        &self,
        from: Duration,
        until: Duration,
        nodes: usize,
    ) -> (Duration, Duration) {
        let (mut last, mut longest) = (vec![from; nodes + 1], vec![Duration::ZERO; nodes + 1]);
        let within = self.lookups.iter().filter(|it| from <= it.ended && it.ended <= until);
        let ends = within.flat_map(|lookup| [(lookup.node, lookup.ended), (nodes, lookup.ended)]);
        for (of, end) in ends.chain((0..=nodes).map(|of| (of, until))) {
            longest[of] = longest[of].max(end.saturating_sub(last[of]));
            last[of] = last[of].max(end);
        }
        let any = longest.pop().unwrap_or_default();
        (any, longest.into_iter().max().unwrap_or_default())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
