//! Histories made by hand, each with one fault, and one without: what the checks must say of them.

use std::time::Duration;

use anyhow::ensure;

use super::{Records, Wrong, check};
use crate::history::{Actor, Attempt, Events, Lookup, Outcome, Recorded, What};

const ANN: Actor = 1;
const BEN: Actor = 2;

/// Events at whole milliseconds, and what all nodes recorded.
#[derive(Default)]
struct Case {
    events: Events,
    recorded: Vec<Recorded>,
}

const fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Case {
    /// Ann proves the handle from 10 to 20 and hides it from 50 to 60.
    fn new() -> Self {
        Self::default().makes(10, 20, ANN, What::Prove).makes(50, 60, ANN, What::Hide)
    }

    fn tries(mut self, from: u64, to: u64, by: Actor, what: What, outcome: Outcome) -> Self {
        let (invoked, ended) = (at(from), at(to));
        self.events.attempts.push(Attempt { handle: 0, by, what, invoked, ended, outcome });
        self
    }

    fn records(mut self, by: Actor, what: What) -> Self {
        self.recorded.push(Recorded { handle: 0, by, what });
        self
    }

    fn makes(self, from: u64, to: u64, by: Actor, what: What) -> Self {
        self.tries(from, to, by, what, Outcome::Done).records(by, what)
    }

    fn sees(mut self, from: u64, to: u64, seen: Option<Actor>) -> Self {
        let (invoked, ended) = (at(from), at(to));
        self.events.lookups.push(Lookup { handle: 0, node: 0, invoked, ended, seen });
        self
    }

    /// What the checks find.
    fn wrong(&self) -> Vec<Wrong> {
        let faults = check(&self.events, &[((1..).zip(self.recorded.clone()).collect(), true)]);
        let mut wrong: Vec<_> = faults.iter().map(|fault| fault.wrong).collect();
        wrong.sort_unstable();
        wrong.dedup();
        wrong
    }
}

fn unknown() -> Outcome {
    Outcome::Unknown("no answer".to_owned())
}

type Cases = Vec<(&'static str, Case, &'static [Wrong])>;

/// Histories of lookups. What the check by places finds in them, the black box finds, too.
fn lookups() -> Cases {
    let sound = Case::new()
        .sees(0, 5, None)
        .sees(12, 14, Some(ANN))
        .sees(13, 30, None)
        .sees(21, 22, Some(ANN))
        .sees(52, 70, Some(ANN))
        .sees(61, 80, None)
        .tries(30, 40, BEN, What::Hide, Outcome::NotHeld)
        .tries(90, 95, BEN, What::Prove, unknown());
    // The earlier one shows that the handle is hidden.
    let back = Case::new().sees(51, 52, None).sees(53, 54, Some(ANN));
    let [hidden, nobody, early] = [(61, 62, Some(ANN)), (21, 22, None), (5, 8, Some(ANN))]
        .map(|(from, to, seen)| Case::new().sees(from, to, seen));
    vec![
        ("a history without faults", sound, &[]),
        ("a hidden handle that is shown", hidden, &[Wrong::Stale, Wrong::NotLinearizable]),
        ("nobody holds what was proved", nobody, &[Wrong::FalseNo, Wrong::NotLinearizable]),
        ("lookups that go back in time", back, &[Wrong::BackInTime, Wrong::NotLinearizable]),
        ("no proof yet", early, &[Wrong::FromTheFuture, Wrong::NotLinearizable]),
    ]
}

/// Histories of changes.
fn changes() -> Cases {
    let late = Case::new()
        .tries(90, 95, BEN, What::Prove, unknown())
        .sees(100, 110, None)
        .sees(120, 130, Some(BEN))
        .records(BEN, What::Prove);
    let signs_out = Case::new().makes(70, 80, ANN, What::SignOut);
    let signs_out = signs_out.tries(90, 91, ANN, What::SignOut, Outcome::Done);
    let still_holds = Case::new().tries(70, 80, ANN, What::SignOut, Outcome::Done);
    let still_holds = still_holds.tries(90, 95, ANN, What::Prove, Outcome::Held);
    let denied = Case::new().tries(30, 40, ANN, What::Hide, Outcome::NotHeld);
    let lost = Case::new().tries(70, 80, ANN, What::Show, Outcome::Done);
    let doubled = Case::new().records(ANN, What::Hide);
    let refused = Outcome::Refused("overloaded".to_owned());
    let refused = Case::new().tries(70, 80, BEN, What::Prove, refused).records(BEN, What::Prove);
    let misordered = Case::new()
        .tries(90, 99, ANN, What::Prove, Outcome::Done)
        .makes(100, 110, BEN, What::Prove)
        .records(ANN, What::Prove);
    vec![
        ("a change in doubt that comes late", late, &[]),
        ("a sign-out, and again", signs_out, &[]),
        ("a change that is gone", lost, &[Wrong::Lost]),
        ("a change that is made twice", doubled, &[Wrong::Doubled]),
        ("a refused change that is made", refused, &[Wrong::RefusedYetMade]),
        ("changes in another order than they were made", misordered, &[Wrong::Misordered]),
        ("a holder who is told otherwise", denied, &[Wrong::FalseNo, Wrong::NotLinearizable]),
        ("a sign-out that was lost", still_holds, &[Wrong::FalseNo, Wrong::NotLinearizable]),
    ]
}

/// Whether the checks find in each history what is wrong with it, and nothing else.
pub(crate) fn check_the_checks() -> anyhow::Result<()> {
    for (name, case, expected) in lookups().into_iter().chain(changes()) {
        let found = case.wrong();
        ensure!(
            found == expected,
            "{name}: the checks find {found:?} and should find {expected:?}"
        );
    }
    check_the_order()
}

/// Whether the order is found where the records tell it, and contradictions are.
fn check_the_order() -> anyhow::Result<()> {
    let change = Recorded { handle: 0, by: ANN, what: What::Prove };
    let of = |ids: &[u64], is_complete: bool| -> Records {
        (
            ids.iter().map(|id| (*id, Recorded { handle: *id as usize, ..change })).collect(),
            is_complete,
        )
    };
    let cases: [(&[Records], Option<usize>, usize); 9] = [
        (&[of(&[1, 2], true), of(&[1, 2], true)], Some(2), 0),
        (&[of(&[1, 2], true), of(&[1], true)], Some(2), 1),
        (&[of(&[1, 2], true), of(&[2], false)], Some(2), 0),
        (&[of(&[1, 2], true), of(&[2, 1], true)], None, 1),
        (&[of(&[1, 2], true), of(&[2, 1], false)], None, 1),
        (&[of(&[1, 2], true), of(&[1, 3], false)], None, 1),
        // Each was away once.
        (
            &[of(&[1, 2, 3, 7], false), of(&[3, 4, 5, 7], false), of(&[1, 5, 6, 7], false)],
            Some(7),
            0,
        ),
        (&[of(&[1, 2, 4], false), of(&[1, 3, 4], false)], None, 0),
        (&[of(&[1, 2, 3], false), of(&[3, 1, 4], false)], None, 1),
    ];
    for (nodes, expected, faults) in cases {
        let (order, found) = super::records::order(nodes);
        let ids = order.map(|all| all.iter().map(|change| change.handle).collect::<Vec<_>>());
        ensure!(
            ids == expected.map(|last| (1..=last).collect()) && found.len() == faults,
            "{nodes:?}: {ids:?} and {found:?}"
        );
    }
    Ok(())
}
