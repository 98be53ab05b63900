//! The checks of a run: what clients were told against the order of changes, against itself, and the nodes against each other.

mod black_box;
mod places;
mod records;
mod tests;

use std::{collections::BTreeMap, fmt};

use crate::history::{Actor, Attempt, Events, Lookup, Recorded, What};

pub(crate) use self::{
    records::{Numbered, Records},
    tests::check_the_checks,
};

/// What is wrong with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// A lookup misses a change that was acknowledged before it began.
    Stale,
    /// A lookup is told of nobody although somebody held the handle all the time.
    FalseNo,
    /// A lookup is told what had ended when an earlier lookup ended.
    BackInTime,
    /// A lookup is told what nobody had asked for yet.
    FromTheFuture,
    /// A change was acknowledged, and no node recorded it.
    Lost,
    /// A change was recorded more often than somebody tried it.
    Doubled,
    /// A change was recorded although its caller was refused.
    RefusedYetMade,
    /// The order of changes contradicts the order in which they were made.
    Misordered,
    /// No order of one handle's events explains what the clients were told.
    NotLinearizable,
    /// Nodes recorded different changes, or hold different accounts.
    Disagreement,
    /// A token that was given out is not known, or another answer that can never be right.
    Impossible,
    /// The check itself came to no result in time.
    Unchecked,
}

/// One fault.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) wrong: Wrong,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(wrong: Wrong, text: impl fmt::Display) -> Self {
        Self { wrong, text: text.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.wrong, self.text)
    }
}

/// Who holds a handle, and whether strangers find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) holder: Option<Actor>,
    pub(crate) is_visible: bool,
}

impl State {
    pub(crate) const EMPTY: Self = Self { holder: None, is_visible: true };

    /// What a stranger is told.
    pub(crate) fn shown(self) -> Option<Actor> {
        self.holder.filter(|_| self.is_visible)
    }

    /// The state after a change, or none if only the holder can make it and it is somebody else.
    pub(crate) fn after(self, by: Actor, what: What) -> Option<Self> {
        let holds = self.holder == Some(by);
        match what {
            // A hidden handle stays hidden if its holder proves it again.
            What::Prove if holds => Some(self),
            What::Prove => Some(Self { holder: Some(by), is_visible: true }),
            What::SignOut if !holds => Some(self),
            _ if !holds => None,
            What::GiveUp | What::SignOut => Some(Self::EMPTY),
            What::Hide => Some(Self { is_visible: false, ..self }),
            What::Show => Some(Self { is_visible: true, ..self }),
        }
    }
}

/// The events of one handle.
#[derive(Default)]
pub(crate) struct OfHandle<'e> {
    pub(crate) attempts: Vec<&'e Attempt>,
    pub(crate) lookups: Vec<&'e Lookup>,
    pub(crate) recorded: Vec<Recorded>,
}

/// The events and the recorded changes of each handle.
pub(crate) fn by_handle<'e>(
    events: &'e Events,
    recorded: &[Recorded],
) -> BTreeMap<usize, OfHandle<'e>> {
    let mut handles: BTreeMap<usize, OfHandle<'e>> = BTreeMap::new();
    for attempt in &events.attempts {
        handles.entry(attempt.handle).or_default().attempts.push(attempt);
    }
    for lookup in &events.lookups {
        handles.entry(lookup.handle).or_default().lookups.push(lookup);
    }
    for change in recorded {
        handles.entry(change.handle).or_default().recorded.push(*change);
    }
    handles
}

/// All faults of a run whose nodes recorded `records`.
pub(crate) fn check(events: &Events, records: &[Records]) -> Vec<Fault> {
    let (recorded, mut faults) = records::order(records);
    faults.extend(events.faults.iter().map(|text| Fault::new(Wrong::Impossible, text)));
    let handles = by_handle(events, recorded.as_deref().unwrap_or_default());
    if recorded.is_some() {
        faults.extend(handles.iter().flat_map(|(handle, of)| places::check(*handle, of)));
    } else {
        println!("  THE ORDER OF CHANGES IS NOT KNOWN: the check by places is left out");
    }
    faults.extend(black_box::check_all(&handles));
    faults
}
