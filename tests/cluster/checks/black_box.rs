//! The check as a black box: whether some order of one handle's events explains what the clients were told. It knows nothing of the
//! nodes, their records and their places. The algorithm is a library's, and it is another one than that of the check by places.

use std::{
    collections::BTreeMap,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use todc_utils::{
    Specification,
    linearizability::{
        WGLChecker,
        history::{Action, History},
    },
};

use super::{Fault, OfHandle, State, Wrong};
use crate::history::{Actor, Outcome, What};

/// Lookups of a handle that are checked at most: the time grows with their square. They are picked evenly. Leaving out lookups hides
/// faults, but makes none.
const LOOKUPS_MAX: usize = 600;
/// How long one handle may take, and all of them. An order that exists is found at once. That there is none may take exponential time.
const HANDLE_PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(90);

/// An event, with its answer.
#[derive(Clone, Copy, Debug)]
enum Event {
    Made(Actor, What),
    /// The change may be made or not. If it can be made only in other states, it changes nothing.
    InDoubt(Actor, What),
    Holds(Actor, bool),
    Seen(Option<Actor>),
}

/// One handle.
struct OneHandle;

impl Specification for OneHandle {
    type State = State;
    type Operation = Event;

    fn init() -> State {
        State::EMPTY
    }

    fn apply(event: &Event, state: &State) -> (bool, State) {
        match *event {
            Event::Made(by, what) => {
                state.after(by, what).map_or((false, *state), |next| (true, next))
            }
            Event::InDoubt(by, what) => (true, state.after(by, what).unwrap_or(*state)),
            Event::Holds(by, holds) => ((state.holder == Some(by)) == holds, *state),
            Event::Seen(seen) => (state.shown() == seen, *state),
        }
    }
}

/// The events of a handle in the order of time, each as a process of its own. What is in doubt ends after everything else.
fn actions(of: &OfHandle<'_>) -> Vec<(usize, Action<Event>)> {
    let mut moments = Vec::new();
    let mut add = |invoked: Duration, ended: Duration, event: Event| {
        let process = moments.len() / 2;
        moments.push((invoked, false, process, event));
        moments.push((ended, true, process, event));
    };
    for attempt in &of.attempts {
        let (by, what) = (attempt.by, attempt.what);
        let (ended, event) = match attempt.outcome {
            Outcome::Done => (attempt.ended, Event::Made(by, what)),
            Outcome::Unknown(_) => (Duration::MAX, Event::InDoubt(by, what)),
            Outcome::NotHeld => (attempt.ended, Event::Holds(by, false)),
            Outcome::Held => (attempt.ended, Event::Holds(by, true)),
            Outcome::Refused(_) => continue,
        };
        add(attempt.invoked, ended, event);
    }
    let step = of.lookups.len().div_ceil(LOOKUPS_MAX).max(1);
    for lookup in of.lookups.iter().step_by(step) {
        add(lookup.invoked, lookup.ended, Event::Seen(lookup.seen));
    }
    moments.sort_unstable_by_key(|(moment, is_end, process, _)| (*moment, *is_end, *process));
    let actions = moments.into_iter().map(|(_, is_end, process, event)| {
        (process, if is_end { Action::Response(event) } else { Action::Call(event) })
    });
    actions.collect()
}

/// Whether some order explains the events of the handle. None: that was not found out in time.
fn is_linearizable(of: &OfHandle<'_>, patience: Duration) -> Option<bool> {
    let actions = actions(of);
    if actions.is_empty() {
        return Some(true);
    }
    let (sender, receiver) = mpsc::channel();
    // The library cannot be interrupted. A thread that takes too long ends with the process.
    thread::spawn(move || {
        let _ =
            sender.send(WGLChecker::<OneHandle>::is_linearizable(History::from_actions(actions)));
    });
    receiver.recv_timeout(patience).ok()
}

/// The faults of all handles.
pub(super) fn check_all(handles: &BTreeMap<usize, OfHandle<'_>>) -> Vec<Fault> {
    let began = Instant::now();
    let mut faults = Vec::new();
    for (handle, of) in handles {
        let patience = HANDLE_PATIENCE.min(PATIENCE.saturating_sub(began.elapsed()));
        let (wrong, text) = match is_linearizable(of, patience) {
            Some(true) => continue,
            Some(false) => (Wrong::NotLinearizable, "no order explains what clients were told"),
            None => (Wrong::Unchecked, "it was not found out whether some order explains it"),
        };
        faults.push(Fault::new(wrong, format!("handle {handle}: {text}")));
    }
    faults
}
