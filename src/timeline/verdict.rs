//! What a timeline comes to at its moment.

use super::{
    entry::Entry,
    phrasing::{Evidence, colour, date_time},
    spelling::{State, route_of},
    stale_askers::GivenAnswer,
    summary::{Holder, Source, Summary, SummaryKind},
    walk::{Moment, Timeline},
};
use crate::{
    clock::Timestamp,
    dispatch::Preview,
    limits,
    vocabulary::{Reason, Route},
};

struct Verdict {
    route: Route,
    reason: Reason,
    since: Option<State>,
    evidence: Evidence,
}

impl Timeline {
    /// No more rows: appends what is still open and says what it comes to. `present` is what the registry says of each
    /// spelling, in the order of [`Question::spellings`](super::Question::spellings). Without it, and for a moment that is
    /// past, the log has to do.
    pub fn finish(mut self, present: Option<&[Preview]>, out: &mut Vec<Entry>) -> Summary {
        self.close(out);
        let present = present.filter(|_| self.past.is_none());
        let at = present.and_then(<[_]>::first).map_or(self.past.unwrap_or(self.now), |it| it.at);
        match self.moment.take() {
            Some(moment) => self.summary(at, &moment, None),
            None => self.summary(at, &self.moment_at(at), present),
        }
    }

    /// What it comes to at the moment `at`; `present` is what the registry says, if it was asked.
    fn summary(&self, at: Timestamp, moment: &Moment, present: Option<&[Preview]>) -> Summary {
        let now = present.and_then(<[_]>::first);
        let verdict = match now {
            Some(now) => Some(self.of_registry(now, moment)),
            None => self.of_log(moment),
        };
        let from = if present.is_some() { Source::Registry } else { Source::Log };
        let (held, holders_at_least) = &moment.held;
        let wrong = || held.iter().filter(|answer| self.is_wrong(answer, moment, present));
        let listed = wrong().take(limits::TIMELINE_HOLDERS_LISTED_MAX);
        let mut spellings = self.spellings.iter().map(|spelling| &spelling.handle);
        let sentence = self.headline(at, verdict.as_ref(), from, moment.has_origin);
        let since = verdict.as_ref().and_then(|verdict| verdict.since);
        Summary {
            kind: SummaryKind::Summary,
            handle: spellings.next().expect("a question has a handle").clone(),
            other_spellings: spellings.map(|it| it.canonical().into_owned()).collect(),
            at,
            route: verdict.as_ref().map(|verdict| verdict.route),
            reason: verdict.as_ref().map(|verdict| verdict.reason),
            from,
            since: since.map(|state| state.since),
            since_at_latest: since.is_some_and(|state| !state.is_exact),
            live_until: now.and_then(|now| now.live_until),
            because: verdict.and_then(|verdict| verdict.evidence.because),
            sentence,
            last_change: self.last_change.as_ref().map(|it| self.change_entry(it, false)),
            last_lookup: self.last_lookup(),
            holders: listed.map(|answer| self.holder(answer)).collect(),
            holders_count: wrong().count() as u64,
            holders_at_least: *holders_at_least,
            changes: self.changes,
            lookups: self.lookups,
            omitted: 0,
            damaged: 0,
            unreadable_segments: 0,
        }
    }

    /// What the registry says, with what the log tells about how it came to be.
    fn of_registry(&self, present: &Preview, moment: &Moment) -> Verdict {
        let (route, reason) = (present.decision.route, present.decision.reason);
        let decides = present.through.as_ref().and_then(|handle| self.place(handle));
        let known = moment.states.first().copied().flatten().map(|(_, state)| state);
        let exact = present.since.map(|since| State { reason, since, is_exact: true });
        let since = exact.or(known.filter(|state| state.reason == reason));
        let evidence = self.rests_on(0, decides.unwrap_or(0), reason, present.at);
        Verdict { route, reason, since, evidence }
    }

    fn of_log(&self, moment: &Moment) -> Option<Verdict> {
        let (_, state) = moment.states.first().copied().flatten()?;
        Some(Verdict {
            route: self.route(0, state.reason),
            reason: state.reason,
            since: Some(state),
            evidence: moment.evidence.clone(),
        })
    }

    fn headline(
        &self,
        at: Timestamp,
        verdict: Option<&Verdict>,
        from: Source,
        has_origin: bool,
    ) -> String {
        // A moment that somebody asked for may be of any day.
        let time = self.past.map_or_else(|| self.phrasing.time(at), date_time);
        let Some(verdict) = verdict else {
            let what =
                if self.has_rows { "nothing that decides its route" } else { "nothing about it" };
            return format!("unknown at {time}: the log has {what}");
        };
        let colour = colour(Some(verdict.route));
        let why = self.phrasing.reason(verdict.reason, &verdict.evidence);
        let since = verdict.since.map_or(String::new(), |state| {
            let at_latest = if state.is_exact { "" } else { " at the latest" };
            format!("; since {}{at_latest}", self.phrasing.time(state.since))
        });
        let limits = match from {
            Source::Log if !has_origin => ", as far as the log shows",
            Source::Registry if !self.has_rows => "; nothing about it is in the log",
            Source::Log | Source::Registry => "",
        };
        format!("{colour} at {time}: {why}{since}{limits}")
    }

    /// Whether a stranger would be told another way now. The holder is none: it may see what it hides from others.
    fn is_wrong(&self, answer: &GivenAnswer, moment: &Moment, present: Option<&[Preview]>) -> bool {
        let (reason, right, holder) = match present.and_then(|all| all.get(answer.spelling)) {
            Some(present) => (present.decision.reason, present.decision.route, present.holder),
            None => match moment.states.get(answer.spelling).copied().flatten() {
                Some((target, State { reason, .. })) => {
                    (reason, self.route(answer.spelling, reason), self.spellings[target].account)
                }
                None => return false,
            },
        };
        let sees_its_own = reason == Reason::Undiscoverable
            && answer.account.is_some()
            && answer.account == holder;
        !sees_its_own && right != answer.route
    }

    fn holder(&self, answer: &GivenAnswer) -> Holder {
        let GivenAnswer { device, account, route, request, .. } = *answer;
        let (at, until) = (self.phrasing.time(answer.at), self.phrasing.time(answer.until));
        let sentence = format!(
            "device {device} was told {} at {at} and may go by it until {until} at most",
            colour(Some(route))
        );
        Holder {
            device,
            account,
            handle: self.spellings[answer.spelling].handle.clone(),
            route,
            told_at: answer.at,
            until_at_most: answer.until,
            request,
            sentence,
        }
    }

    /// The route that follows from a reason for the spelling at `place`.
    fn route(&self, place: usize, reason: Reason) -> Route {
        route_of(reason, &self.spellings[place].handle)
    }
}
