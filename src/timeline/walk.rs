//! [`Timeline`]: rows in, entries out, and at the end the summary.

use std::sync::Arc;

use super::{
    entry::Entry,
    phrasing::Phrasing,
    question::{Detail, Question, Reuse},
    run::{Evidence, Kind, Run},
    spelling::{ChangeRef, Spelling, State, route_of},
    stale_askers::{StaleAskers, Told},
    summary::{Present, Summary},
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    query_log::{LogRow, LookupRecord, Reason, Record, Route},
};

/// A lookup with what its answer rests on.
#[derive(Clone, Debug)]
struct Seen {
    at: Timestamp,
    kind: Kind,
    evidence: Arc<Evidence>,
    lookup: LookupRecord,
}

/// How things stood at the moment that is explained.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// For each spelling what a stranger would be told, as the log shows it, and the spelling that decides.
    pub(super) state: Vec<Option<(usize, State)>>,
    /// What the first spelling's answer rests on.
    pub(super) evidence: Evidence,
    pub(super) held: (Vec<Told>, bool),
}

/// The history of one handle, built from its rows, oldest first.
#[derive(Debug)]
pub struct Timeline {
    pub(super) phrasing: Phrasing,
    pub(super) spellings: Vec<Spelling>,
    pub(super) has_rows: bool,
    pub(super) last_change: Option<ChangeRef>,
    pub(super) changes: u64,
    pub(super) lookups: u64,
    /// The past moment to explain; none for the present.
    past: Option<Timestamp>,
    now: Timestamp,
    since: Timestamp,
    until: Timestamp,
    detail: Detail,
    runs: Vec<Run>,
    /// What answers rest on since the last change, by their kind.
    evidence: Vec<(Kind, Arc<Evidence>)>,
    /// The reason of the last answer for each spelling: to strangers, and to the account that holds it.
    answered: Vec<[Option<Reason>; 2]>,
    holders: StaleAskers,
    last_lookup: Option<Seen>,
    moment: Option<Moment>,
}

impl Timeline {
    /// Nothing read yet. `now` is when the question is asked.
    #[must_use]
    pub fn new(question: &Question, reuse: Reuse, now: Timestamp) -> Self {
        let past = question.past(now);
        let spellings: Vec<_> = question.spellings().map(Spelling::new).collect();
        Self {
            phrasing: Phrasing::new(past.unwrap_or(now)),
            has_rows: false,
            last_change: None,
            changes: 0,
            lookups: 0,
            past,
            now,
            since: question.since.unwrap_or(Timestamp::EPOCH),
            until: question.window_end(now),
            detail: question.detail,
            runs: Vec::new(),
            evidence: Vec::new(),
            answered: vec![[None; 2]; spellings.len()],
            spellings,
            holders: StaleAskers::new(reuse),
            last_lookup: None,
            moment: None,
        }
    }

    /// Takes the next row; appends to `out` the entries that are complete with it.
    pub fn row(&mut self, row: &LogRow, out: &mut Vec<Entry>) {
        if self.moment.is_none() && self.past.is_some_and(|past| past < row.at) {
            self.moment = self.past.map(|past| self.moment_at(past));
        }
        match &row.record {
            Record::Change(change) => {
                let Some(cited) = ChangeRef::of(row.at, change) else { return };
                let Some(place) = self.place(&cited.handle) else { return };
                self.change(place, cited, out);
            }
            Record::Lookup(lookup) => {
                let Some(place) = lookup.handle.as_ref().and_then(|handle| self.place(handle))
                else {
                    return;
                };
                self.lookup(place, row.at, lookup, out);
            }
        }
        self.has_rows = true;
    }

    /// No more rows: appends what is still open and tells how it ends. `present` is what the registry says of each
    /// spelling, in the order of [`Question::spellings`]; without it the log has to do, as it has for a moment that is
    /// past.
    pub fn finish(mut self, present: Option<&[Present]>, out: &mut Vec<Entry>) -> Summary {
        self.close(out);
        let present = present.filter(|_| self.past.is_none());
        let at = present.and_then(<[_]>::first).map_or(self.past.unwrap_or(self.now), |it| it.at);
        match self.moment.take() {
            Some(moment) => self.summary(at, &moment, None),
            None => self.summary(at, &self.moment_at(at), present),
        }
    }

    fn place(&self, handle: &Handle) -> Option<usize> {
        self.spellings.iter().position(|spelling| spelling.handle == *handle)
    }

    fn is_in_window(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }

    fn is_past_moment(&self, at: Timestamp) -> bool {
        self.past.is_some_and(|past| past < at)
    }

    fn change(&mut self, place: usize, cited: ChangeRef, out: &mut Vec<Entry>) {
        self.close(out);
        let Some(spelling) = self.spellings.get_mut(place) else { return };
        spelling.change(&cited);
        if self.since <= cited.at && cited.at < self.until {
            self.changes += 1;
            out.push(cited.entry(self.phrasing, spelling.is_backed()));
        }
        if !self.is_past_moment(cited.at) {
            self.last_change = Some(cited);
        }
    }

    fn lookup(&mut self, place: usize, at: Timestamp, lookup: &LookupRecord, out: &mut Vec<Entry>) {
        let by_its_owner = self.is_owner(place, lookup);
        let reason = lookup.reason;
        if lookup.status == 200 && lookup.route.is_some() {
            let last = self
                .answered
                .get_mut(place)
                .and_then(|last| last.get_mut(usize::from(by_its_owner)));
            let has_changed =
                last.is_some_and(|last| last.replace(reason).is_some_and(|last| last != reason));
            if has_changed {
                // What is not recorded, as a check-in, has changed something all the same.
                self.close(out);
            }
            self.learn(place, by_its_owner, reason, at);
            if !self.is_past_moment(at) {
                self.holders.told(at, place, lookup);
            }
        }
        let (route, status) = (lookup.route, lookup.status);
        let kind = Kind { spelling: place, route, reason, status, by_its_owner };
        let evidence = self.grounds_of(kind);
        if self.is_in_window(at) {
            self.lookups += 1;
            match (self.detail, self.runs.iter_mut().find(|run| run.kind == kind)) {
                (Detail::All, _) => {
                    let alone = Run::new(kind, Arc::clone(&evidence), at, lookup);
                    out.push(self.told(alone));
                }
                (Detail::Folded, Some(run)) => run.add(at, lookup),
                (Detail::Folded, None) => {
                    self.runs.push(Run::new(kind, Arc::clone(&evidence), at, lookup));
                }
            }
        }
        if !self.is_past_moment(at) {
            self.last_lookup = Some(Seen { at, kind, evidence, lookup: lookup.clone() });
        }
    }

    /// Whether the account that holds the handle asks, as far as the log tells.
    fn is_owner(&self, place: usize, lookup: &LookupRecord) -> bool {
        self.spellings.get(place).is_some_and(|spelling| {
            lookup.account.is_some() && spelling.is_backed() && spelling.account == lookup.account
        })
    }

    /// Takes an answer for evidence.
    fn learn(&mut self, place: usize, by_its_owner: bool, reason: Reason, at: Timestamp) {
        let target = self.target(place, reason);
        let Some(spelling) = self.spellings.get_mut(target) else { return };
        // A holder sees its own handle whether or not it hides it.
        if !(by_its_owner && spelling.is(Reason::Undiscoverable)) {
            spelling.answered(reason, at);
        }
    }

    /// Which spelling an answer for the one at `place` came from: what dispatch decides, as far as the log tells.
    fn target(&self, place: usize, reason: Reason) -> usize {
        let decides = |spelling: &Spelling| {
            spelling.is_held() || (spelling.is_backed() && !spelling.is(Reason::Undiscoverable))
        };
        let is_held = matches!(reason, Reason::LiveDevice | Reason::LeaseExpired);
        if !is_held || self.spellings.get(place).is_some_and(decides) {
            return place;
        }
        self.spellings.iter().position(decides).unwrap_or(place)
    }

    fn grounds_of(&mut self, kind: Kind) -> Arc<Evidence> {
        if let Some((_, evidence)) = self.evidence.iter().find(|(known, _)| *known == kind) {
            return Arc::clone(evidence);
        }
        let target = self.target(kind.spelling, kind.reason);
        let evidence =
            Arc::new(self.rests_on(kind.spelling, target, kind.reason, kind.by_its_owner));
        self.evidence.push((kind, Arc::clone(&evidence)));
        evidence
    }

    pub(super) fn rests_on(
        &self,
        place: usize,
        target: usize,
        reason: Reason,
        by_its_owner: bool,
    ) -> Evidence {
        let Some(spelling) = self.spellings.get(target) else {
            return Evidence::default();
        };
        Evidence {
            because: spelling.because(reason).cloned(),
            through: (target != place).then(|| spelling.handle.canonical().into_owned()),
            came_back_after: spelling.came_back_after().filter(|_| reason == Reason::LiveDevice),
            by_its_owner,
        }
    }

    /// What a stranger would be told of the spelling at `place`, as the log shows it.
    fn state(&self, place: usize) -> Option<(usize, State)> {
        let own = self.spellings.get(place)?;
        let mut others = self.spellings.iter().enumerate();
        let held = others.find(|(other, spelling)| *other != place && spelling.is_held());
        match held {
            Some((other, spelling)) if !own.is_held() => Some((other, spelling.state?)),
            _ => Some((place, own.state?)),
        }
    }

    fn moment_at(&self, at: Timestamp) -> Moment {
        let state: Vec<_> = (0..self.spellings.len()).map(|place| self.state(place)).collect();
        let evidence = match state.first() {
            Some(Some((target, state))) => self.rests_on(0, *target, state.reason, false),
            _ => Evidence::default(),
        };
        let held = self.holders.at(at);
        Moment { state, evidence, held }
    }

    /// Ends every open run: what follows is another step.
    fn close(&mut self, out: &mut Vec<Entry>) {
        let runs = std::mem::take(&mut self.runs);
        out.extend(runs.into_iter().map(|run| self.told(run)));
        self.evidence.clear();
        self.answered.fill([None; 2]);
    }

    fn told(&self, run: Run) -> Entry {
        let spelling = self.spellings.get(run.kind.spelling);
        let handle = spelling.map_or(String::new(), |it| it.handle.canonical().into_owned());
        run.entry(handle, self.phrasing)
    }

    /// The last lookup before the moment, as an entry of its own.
    pub(super) fn last_lookup(&self) -> Option<Entry> {
        let seen = self.last_lookup.as_ref()?;
        Some(self.told(Run::new(seen.kind, Arc::clone(&seen.evidence), seen.at, &seen.lookup)))
    }

    /// The route that follows from a reason for the spelling at `place`.
    pub(super) fn route(&self, place: usize, reason: Reason) -> Option<Route> {
        self.spellings.get(place).map(|spelling| route_of(reason, &spelling.handle))
    }
}
