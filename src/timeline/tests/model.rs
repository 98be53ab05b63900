//! Random histories, explained from the log alone, beside a model that knows what was true.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SPELLINGS: [&str; 2] = ["+541123456789", "+5491123456789"];

/// What is true of one spelling.
#[derive(Clone, Debug, Default)]
struct Truth {
    account: Option<u64>,
    /// Devices that back it; whether they have lapsed.
    devices: BTreeMap<u64, bool>,
    hidden: bool,
    ended: Option<Reason>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Prove(u64),
    Join(u64),
    GiveUp(u64, Cause),
    Deregister,
    Lapse(u64),
    CheckIn(u64),
    Hide(bool),
    Ask,
}

fn account_of(device: u64) -> u64 {
    100 + device % 2
}

impl Truth {
    fn reason(&self) -> Reason {
        match (&self.account, self.ended) {
            (Some(_), _) if self.hidden => Reason::Undiscoverable,
            (Some(_), _) if self.devices.values().all(|lapsed| *lapsed) => Reason::LeaseExpired,
            (Some(_), _) => Reason::LiveDevice,
            (None, Some(ended)) => ended,
            (None, None) => Reason::NeverRegistered,
        }
    }

    fn is_visibly_held(&self) -> bool {
        self.account.is_some() && !self.hidden
    }

    fn end(&mut self, how: Reason) {
        *self = Self { ended: Some(how), ..Self::default() };
    }

    /// Carries a step out if it can be; what the log is told.
    fn step(&mut self, step: Step) -> Option<(ChangeKind, Cause, u64)> {
        match step {
            Step::Prove(device) => {
                let account = account_of(device);
                let kind = match self.account {
                    Some(held) if held != account => {
                        *self = Self::default();
                        (ChangeKind::HandleMoved, Cause::NewerProof)
                    }
                    _ => (ChangeKind::HandleBound, Cause::Proof),
                };
                if self.devices.get(&device) == Some(&true) {
                    return None;
                }
                self.account = Some(account);
                self.ended = None;
                self.devices.insert(device, false);
                Some((kind.0, kind.1, device))
            }
            Step::Join(device) => {
                let is_there = self.devices.contains_key(&device);
                if self.account != Some(account_of(device)) || is_there {
                    return None;
                }
                self.devices.insert(device, false);
                Some((ChangeKind::HandleBound, Cause::Linked, device))
            }
            Step::GiveUp(device, cause) => {
                // Who is silent is removed; who signs out was there.
                let lapsed = *self.devices.get(&device)?;
                if lapsed != (cause == Cause::Silence) {
                    return None;
                }
                self.devices.remove(&device);
                if self.devices.is_empty() {
                    let unbound = cause == Cause::OwnerRequest;
                    self.end(if unbound {
                        Reason::Lost(HandleLoss::Unbound)
                    } else {
                        Reason::Lost(HandleLoss::DeviceRemoved)
                    });
                }
                Some((ChangeKind::HandleUnbound, cause, device))
            }
            Step::Deregister => {
                self.account?;
                self.end(Reason::Lost(HandleLoss::Deregistered));
                Some((ChangeKind::HandleDeregistered, Cause::Deregistration, 1))
            }
            Step::Lapse(device) => {
                let lapsed = self.devices.get_mut(&device).filter(|lapsed| !**lapsed)?;
                *lapsed = true;
                Some((ChangeKind::LeaseExpired, Cause::Silence, device))
            }
            Step::CheckIn(device) => {
                let lapsed = self.devices.get_mut(&device).filter(|lapsed| **lapsed)?;
                *lapsed = false;
                Some((ChangeKind::DeviceRevived, Cause::CheckIn, device))
            }
            Step::Hide(hidden) => {
                let device = *self.devices.keys().next()?;
                let was_hidden = std::mem::replace(&mut self.hidden, hidden);
                let kind = if hidden { ChangeKind::HandleHidden } else { ChangeKind::HandleShown };
                (was_hidden != hidden).then_some((kind, Cause::OwnerRequest, device))
            }
            Step::Ask => None,
        }
    }
}

/// The reason that dispatch gives a stranger for one of two spellings.
fn decided(truths: &[Truth], place: usize) -> Reason {
    let other = truths.iter().enumerate().find(|(at, it)| *at != place && it.is_visibly_held());
    match other {
        Some((_, other)) if !truths[place].is_visibly_held() => other.reason(),
        _ => truths[place].reason(),
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let device = 0..4_u64;
    let causes = prop_oneof![Just(Cause::SignOut), Just(Cause::OwnerRequest), Just(Cause::Silence)];
    prop_oneof![
        device.clone().prop_map(Step::Prove),
        device.clone().prop_map(Step::Join),
        (device.clone(), causes).prop_map(|(device, cause)| Step::GiveUp(device, cause)),
        Just(Step::Deregister),
        device.clone().prop_map(Step::Lapse),
        device.prop_map(Step::CheckIn),
        any::<bool>().prop_map(Step::Hide),
        Just(Step::Ask),
    ]
}

/// The rows of a history, and what was decided after each of them for the first spelling.
fn history(steps: &[(usize, Step)], spellings: &[&str]) -> (Vec<LogRow>, Vec<Reason>) {
    let mut truths = vec![Truth::default(); spellings.len()];
    let (mut rows, mut decisions) = (Vec::new(), Vec::new());
    for (place, step) in steps {
        let place = place % spellings.len();
        let told = truths[place].step(*step);
        let time = DAY.plus(Duration::from_secs(60 * (1 + rows.len() as u64)));
        let row = match (told, step) {
            (Some((kind, cause, device)), _) => {
                let who = (device, account_of(device));
                Some(change_of(spellings[place], time, (kind, cause), who))
            }
            (None, Step::Ask) => {
                Some(asked_for(spellings[place], time, 77, decided(&truths, place)))
            }
            (None, _) => None,
        };
        if let Some(row) = row {
            rows.push(row);
            decisions.push(decided(&truths, 0));
        }
    }
    (rows, decisions)
}

/// Explained at every moment, and at the end, it is what was true.
fn check(named: &str, rows: &[LogRow], decisions: &[Reason]) -> Result<(), TestCaseError> {
    let knows = |until: usize| {
        // Before its first row nothing is known of it.
        rows[..until].iter().any(|row| match &row.record {
            Record::Change(_) => true,
            Record::Lookup(lookup) => lookup.handle == Some(handle(named)),
            Record::Refusals(_) => false,
        })
    };
    for (place, (row, reason)) in rows.iter().zip(decisions).enumerate() {
        let moment = Question { at: Some(row.at), ..question(named) };
        let summary = explained(&moment, "23:59:59", rows).1;
        if knows(place + 1) && summary.reason.is_some() {
            prop_assert_eq!(summary.reason, Some(*reason), "{:?}", &rows[..=place]);
            let route = if *reason == Reason::LiveDevice { Route::Imessage } else { Route::Sms };
            prop_assert_eq!(summary.route, Some(route));
        }
    }
    let (told, summary) = entries(&question(named), "23:59:59", rows);
    let count = |entry: &Entry| match entry {
        Entry::Change(_) => 1,
        Entry::Lookups(lookups) => lookups.count,
    };
    prop_assert_eq!(told.iter().map(count).sum::<u64>(), rows.len() as u64);
    prop_assert_eq!(summary.changes + summary.lookups, rows.len() as u64);
    Ok(())
}

proptest! {
    #[test]
    fn a_number_of_one_spelling_is_explained_as_it_was(
        steps in prop::collection::vec((Just(0_usize), any_step()), 1..40),
    ) {
        let (rows, decisions) = history(&steps, &[HANDLE]);
        check(HANDLE, &rows, &decisions)?;
    }

    #[test]
    fn two_spellings_answer_for_each_other_as_they_did(
        steps in prop::collection::vec((0..2_usize, any_step()), 1..40),
    ) {
        let (rows, decisions) = history(&steps, &SPELLINGS);
        check(SPELLINGS[0], &rows, &decisions)?;
    }
}
