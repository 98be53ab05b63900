//! The check by places. The order of a handle's changes is known from the records, so it takes about linear time.
//!
//! After `j` changes the handle is in state `j`. Each lookup must be of a state that the handle was in at a moment between the lookup's begin and
//! end. Going through the events in the order of time, the check knows the *floor*: the last state that was certainly reached. It rises when
//! a change is acknowledged and when a lookup ends that no earlier state explains. Each lookup is given the earliest state that
//! explains it. A later one would only raise the floor for others, so if this choice finds a fault, then every choice does.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{Fault, OfHandle, State, Wrong};
use crate::history::{Actor, Attempt, Outcome, What};

/// What somebody was told of a handle.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// To a stranger.
    Seen(Option<Actor>),
    /// Whether this account holds it.
    Holds(Actor, bool),
}

impl Told {
    fn fits(self, state: State) -> bool {
        match self {
            Self::Seen(seen) => state.shown() == seen,
            Self::Holds(by, holds) => (state.holder == Some(by)) == holds,
        }
    }
}

/// One event, with the floors when it began.
struct Event {
    invoked: Duration,
    /// None: nobody knows.
    ended: Option<Duration>,
    kind: Kind,
    floor: usize,
    acknowledged: usize,
}

enum Kind {
    /// The change with this number, from 1 on.
    Change(usize),
    Told(Told),
}

/// The faults of one handle.
pub(super) fn check(handle: usize, of: &OfHandle<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (states, mut events) = changes(handle, of, &mut faults);
    for lookup in &of.lookups {
        events.push(told(lookup.invoked, lookup.ended, Told::Seen(lookup.seen)));
    }
    for attempt in &of.attempts {
        let holds = match attempt.outcome {
            Outcome::NotHeld => false,
            Outcome::Held => true,
            _ => continue,
        };
        events.push(told(attempt.invoked, attempt.ended, Told::Holds(attempt.by, holds)));
    }
    go_through(handle, &states, events, &mut faults);
    faults
}

fn told(invoked: Duration, ended: Duration, told: Told) -> Event {
    let kind = Kind::Told(told);
    Event { invoked, ended: Some(ended), kind, floor: 0, acknowledged: 0 }
}

/// The states of the handle, and an event for each of its changes. Finds changes that are lost, doubled or made although they were refused.
fn changes(handle: usize, of: &OfHandle<'_>, faults: &mut Vec<Fault>) -> (Vec<State>, Vec<Event>) {
    let mut tries: BTreeMap<(Actor, What), VecDeque<&Attempt>> = BTreeMap::new();
    for attempt in &of.attempts {
        if matches!(attempt.outcome, Outcome::Done | Outcome::Unknown(_)) {
            tries.entry((attempt.by, attempt.what)).or_default().push_back(attempt);
        }
    }
    let (mut states, mut events) = (vec![State::EMPTY], Vec::new());
    for (change, number) in of.recorded.iter().zip(1..) {
        let last = states[states.len() - 1];
        let next = last.after(change.by, change.what);
        if next.is_none() {
            let text = format!("handle {handle}: {change:?} in state {last:?}");
            faults.push(Fault::new(Wrong::Misordered, text));
        }
        states.push(next.unwrap_or(last));
        let attempt = tries.get_mut(&(change.by, change.what)).and_then(VecDeque::pop_front);
        if attempt.is_none() {
            faults.push(unexplained(handle, of, change.by, change.what));
        }
        let ended = attempt.filter(|it| it.outcome == Outcome::Done).map(|it| it.ended);
        let invoked = attempt.map_or(Duration::ZERO, |it| it.invoked);
        let kind = Kind::Change(number);
        events.push(Event { invoked, ended, kind, floor: 0, acknowledged: 0 });
    }
    for attempt in tries.values().flatten() {
        match (&attempt.outcome, attempt.what) {
            // It leaves a record for the handles that it held, and holds none from then on.
            (Outcome::Done, What::SignOut) => {
                let holds = Told::Holds(attempt.by, false);
                events.push(told(attempt.invoked, attempt.ended, holds));
            }
            (Outcome::Done, _) => faults.push(Fault::new(Wrong::Lost, format!("{attempt:?}"))),
            _ => {}
        }
    }
    (states, events)
}

/// The fault of a recorded change that no attempt explains.
fn unexplained(handle: usize, of: &OfHandle<'_>, by: Actor, what: What) -> Fault {
    let is_it = |it: &&&Attempt| (it.by, it.what) == (by, what);
    let mut of_it = of.attempts.iter().filter(is_it);
    let was_refused = of_it.any(|it| !matches!(it.outcome, Outcome::Done | Outcome::Unknown(_)));
    let wrong = if was_refused { Wrong::RefusedYetMade } else { Wrong::Doubled };
    Fault::new(wrong, format!("handle {handle}: {what:?} by {by}"))
}

/// Goes through the events in the order of time.
fn go_through(handle: usize, states: &[State], mut events: Vec<Event>, faults: &mut Vec<Fault>) {
    // The first moment at which a state could be reached: when its change and all before it had begun.
    let mut possible_from = vec![Duration::ZERO; states.len()];
    for event in &events {
        if let Kind::Change(number) = event.kind {
            possible_from[number] = event.invoked;
        }
    }
    for number in 1..possible_from.len() {
        possible_from[number] = possible_from[number].max(possible_from[number - 1]);
    }
    // At one moment, begins before ends: what touches is concurrent.
    let begins = events.iter().enumerate().map(|(at, event)| (event.invoked, false, at));
    let ends = events.iter().enumerate();
    let ends = ends.filter_map(|(at, event)| Some((event.ended?, true, at)));
    let mut moments: Vec<_> = begins.chain(ends).collect();
    moments.sort_unstable();
    let (mut floor, mut acknowledged) = (0, 0);
    for (moment, is_end, at) in moments {
        let event = &mut events[at];
        match (&event.kind, is_end) {
            (_, false) => (event.floor, event.acknowledged) = (floor, acknowledged),
            (Kind::Change(number), true) => {
                if event.floor >= *number {
                    let text = format!(
                        "handle {handle}: change {number} began after state {} was reached",
                        event.floor
                    );
                    faults.push(Fault::new(Wrong::Misordered, text));
                }
                floor = floor.max(*number);
                acknowledged = acknowledged.max(*number);
            }
            (Kind::Told(told), true) => {
                let told = *told;
                let limit = possible_from.partition_point(|from| *from <= moment);
                let find = |first: usize, limit: usize| {
                    (first..limit).find(|number| told.fits(states[*number]))
                };
                match find(event.floor, limit) {
                    Some(number) => floor = floor.max(number),
                    None => {
                        let wrong = classify(
                            told,
                            || find(event.acknowledged, limit).is_some(),
                            || find(0, limit).is_some(),
                        );
                        let text = format!(
                            "handle {handle}: {told:?} from {:?} to {moment:?}, when states {}..{limit} were possible",
                            event.invoked, event.floor
                        );
                        faults.push(Fault::new(wrong, text));
                    }
                }
            }
        }
    }
}

/// What is wrong with an answer that no state explains.
fn classify(
    told: Told,
    was_after_acknowledged: impl Fn() -> bool,
    was_earlier: impl Fn() -> bool,
) -> Wrong {
    if was_after_acknowledged() {
        Wrong::BackInTime
    } else if matches!(told, Told::Seen(None) | Told::Holds(_, false)) {
        Wrong::FalseNo
    } else if was_earlier() {
        Wrong::Stale
    } else {
        Wrong::FromTheFuture
    }
}
