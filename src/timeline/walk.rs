//! [`Timeline`]: rows in, entries out, and at the end the summary.

use std::sync::Arc;

use super::{
    entry::{ChangeEntry, ChangeRef, Entry},
    phrasing::{Evidence, Phrasing},
    question::{Detail, Question},
    run::{Kind, Run},
    spelling::Spelling,
    stale_askers::StaleAskers,
    summary::Moment,
};
use crate::{
    clock::Timestamp,
    dispatch::{self, Preview},
    handle::Handle,
    query_log::{LogRow, LookupRecord, Record},
    vocabulary::Reason,
};

/// The history of one handle, built from its rows in the order in which they happened.
#[derive(Debug)]
pub struct Timeline {
    pub(super) phrasing: Phrasing,
    pub(super) spellings: Vec<Spelling>,
    pub(super) has_rows: bool,
    pub(super) last_change: Option<ChangeRef>,
    pub(super) changes: u64,
    pub(super) lookups: u64,
    /// The past moment to explain; none for the present.
    pub(super) past: Option<Timestamp>,
    pub(super) now: Timestamp,
    since: Timestamp,
    until: Timestamp,
    detail: Detail,
    runs: Vec<Run>,
    /// What answers rest on since the last change, by their kind.
    evidence: Vec<(Kind, Arc<Evidence>)>,
    /// When large imports began, oldest first; none if that was not asked yet.
    bulk_imports: Option<Vec<Timestamp>>,
    pub(super) askers: StaleAskers,
    /// The last lookup before the moment.
    /// What [`Run`] takes: built only when it is asked for, since a handle may have millions of lookups.
    last_lookup: Option<(Kind, Arc<Evidence>, Timestamp, LookupRecord)>,
    pub(super) moment: Option<Moment>,
}

impl Timeline {
    /// Nothing read yet. `now` is when the question is asked.
    pub fn new(question: &Question, reuse: dispatch::Config, now: Timestamp) -> Self {
        let past = question.past(now);
        Self {
            phrasing: Phrasing::new(now),
            spellings: question.spellings().map(Spelling::new).collect(),
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
            bulk_imports: None,
            askers: StaleAskers::new(reuse),
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
                let Some(change) = ChangeRef::of(row.at, change) else { return };
                let Some(place) = self.place(&change.handle) else { return };
                self.change(place, change, out);
            }
            Record::Lookup(lookup) => {
                let Some(place) = lookup.handle.as_ref().and_then(|handle| self.place(handle))
                else {
                    return;
                };
                self.lookup(place, row.at, lookup, out);
            }
            // They name no handle.
            Record::Refusals(_) => return,
        }
        self.has_rows = true;
    }

    /// Whether the next row needs [`Self::set_bulk_imports`] first: its answer rests on a claim whose beginning the log
    /// did not hold so far.
    pub(super) fn needs_bulk_imports(&self, row: &LogRow) -> bool {
        let Record::Lookup(lookup) = &row.record else { return false };
        let place = lookup.handle.as_ref().and_then(|handle| self.place(handle));
        lookup.reason == Reason::LiveDevice
            && place.is_some_and(|place| self.lacks_binding(self.target(place, lookup.reason)))
    }

    pub(super) fn needs_bulk_imports_for(&self, present: Option<&[Preview]>) -> bool {
        present.and_then(<[_]>::first).is_some_and(|now| {
            let decides = now.through.as_ref().and_then(|handle| self.place(handle));
            now.decision.reason == Reason::LiveDevice && self.lacks_binding(decides.unwrap_or(0))
        })
    }

    fn lacks_binding(&self, place: usize) -> bool {
        self.bulk_imports.is_none() && self.spellings[place].because(Reason::LiveDevice).is_none()
    }

    pub(super) fn set_bulk_imports(&mut self, began: Vec<Timestamp>) {
        self.bulk_imports = Some(began);
    }

    pub(super) fn place(&self, handle: &Handle) -> Option<usize> {
        self.spellings.iter().position(|spelling| spelling.handle == *handle)
    }

    fn is_in_window(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }

    /// Whether the rows so far go beyond the moment. The instants of several nodes do not ascend strictly, so the first later one decides.
    fn is_past_moment(&self) -> bool {
        self.moment.is_some()
    }

    fn change(&mut self, place: usize, change: ChangeRef, out: &mut Vec<Entry>) {
        self.close(out);
        self.spellings[place].change(&change);
        if self.is_in_window(change.at) {
            self.changes += 1;
            out.push(self.change_entry(&change, self.spellings[place].is_backed()));
        }
        if !self.is_past_moment() {
            self.last_change = Some(change);
        }
    }

    pub(super) fn change_entry(&self, change: &ChangeRef, others_back_it: bool) -> Entry {
        let sentence = self.phrasing.change(change, others_back_it);
        Entry::Change(ChangeEntry { change: change.clone(), sentence })
    }

    fn lookup(&mut self, place: usize, at: Timestamp, lookup: &LookupRecord, out: &mut Vec<Entry>) {
        let by_its_owner = self.is_owner(place, lookup);
        let (route, reason, status) = (lookup.route, lookup.reason, lookup.status);
        let kind = Kind { spelling: place, route, reason, status, by_its_owner };
        if status == 200 && route.is_some() {
            if self.contradicts(kind, at) {
                self.close(out);
            }
            if !self.is_past_moment() {
                self.askers.answered(at, place, lookup);
            }
        }
        let evidence = self.evidence_of(kind, at);
        let alone = || Run::new(kind, Arc::clone(&evidence), at, lookup);
        if self.is_in_window(at) {
            self.lookups += 1;
            if self.detail == Detail::All {
                out.push(self.entry(alone()));
            } else if let Some(run) = self.runs.iter_mut().find(|run| run.kind == kind) {
                run.add(at, lookup);
            } else {
                self.runs.push(alone());
            }
        }
        if !self.is_past_moment() {
            self.last_lookup = Some((kind, evidence, at, lookup.clone()));
        }
    }

    /// Whether the account that holds the handle asks, as far as the log tells.
    fn is_owner(&self, place: usize, lookup: &LookupRecord) -> bool {
        let spelling = &self.spellings[place];
        lookup.account.is_some() && spelling.is_backed() && spelling.account == lookup.account
    }

    /// Takes an answer. True if it contradicts what the changes and answers before it come to.
    fn contradicts(&mut self, kind: Kind, at: Timestamp) -> bool {
        let target = self.target(kind.spelling, kind.reason);
        let spelling = &mut self.spellings[target];
        // A holder sees its own handle whether or not it hides it.
        let sees_its_own = kind.by_its_owner && spelling.is(Reason::Undiscoverable);
        !sees_its_own && spelling.answered(kind.reason, at)
    }

    /// Which spelling an answer for the one at `place` came from: what dispatch decides, as far as the log tells.
    fn target(&self, place: usize, reason: Reason) -> usize {
        let decides = |spelling: &Spelling| {
            spelling.is_held() || (spelling.is_backed() && !spelling.is(Reason::Undiscoverable))
        };
        let is_held = matches!(reason, Reason::LiveDevice | Reason::LeaseExpired);
        if !is_held || decides(&self.spellings[place]) {
            return place;
        }
        self.spellings.iter().position(decides).unwrap_or(place)
    }

    fn evidence_of(&mut self, kind: Kind, at: Timestamp) -> Arc<Evidence> {
        if let Some((_, evidence)) = self.evidence.iter().find(|(known, _)| *known == kind) {
            return Arc::clone(evidence);
        }
        let target = self.target(kind.spelling, kind.reason);
        let mut evidence = self.rests_on(kind.spelling, target, kind.reason, at);
        evidence.by_its_owner = kind.by_its_owner;
        let evidence = Arc::new(evidence);
        self.evidence.push((kind, Arc::clone(&evidence)));
        evidence
    }

    /// What an answer at `at` for the spelling at `place` rests on, if the one at `target` decides.
    pub(super) fn rests_on(
        &self,
        place: usize,
        target: usize,
        reason: Reason,
        at: Timestamp,
    ) -> Evidence {
        let spelling = &self.spellings[target];
        let is_live = reason == Reason::LiveDevice;
        let because = spelling.because(reason).cloned();
        let is_unexplained = is_live && because.is_none();
        let ended = spelling.ended().filter(|_| is_unexplained);
        let mut imports = self.bulk_imports.iter().flatten().copied();
        Evidence {
            bulk_import: imports
                .rfind(|began| *began <= at && ended.is_none_or(|ended| ended < *began))
                .filter(|_| is_unexplained),
            ended,
            because,
            live_since: spelling.live_since().filter(|_| is_live).cloned(),
            through: (target != place).then(|| spelling.handle.clone()),
            by_its_owner: false,
        }
    }

    /// Ends every open run: what follows is another step.
    pub(super) fn close(&mut self, out: &mut Vec<Entry>) {
        let runs = std::mem::take(&mut self.runs);
        out.extend(runs.into_iter().map(|run| self.entry(run)));
        self.evidence.clear();
    }

    fn entry(&self, run: Run) -> Entry {
        let handle = self.spellings[run.kind.spelling].handle.clone();
        run.entry(handle, self.phrasing)
    }

    pub(super) fn last_lookup(&self) -> Option<Entry> {
        let (kind, evidence, at, lookup) = self.last_lookup.as_ref()?;
        Some(self.entry(Run::new(*kind, Arc::clone(evidence), *at, lookup)))
    }
}
