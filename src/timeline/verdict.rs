//! What a timeline comes to at its moment.

use super::{
    entry::Entry,
    phrasing::{Evidence, colour, date_time},
    spelling::State,
    stale_askers::GivenAnswer,
    summary::{Holder, Moment, Source, Summary, SummaryKind},
    walk::Timeline,
};
use crate::{
    clock::Timestamp,
    dispatch::{Preview, route_of},
    limits,
    query_log::NodeFromStore,
    vocabulary::{MissingNode, Reason, Route},
};

impl Timeline {
    /// No more rows: appends what is still open and says what it comes to. `present` is what the registry says of each
    /// spelling, in the order of [`Question::spellings`](super::Question::spellings). Without it, and for a moment that is
    /// past, the log has to do. The nodes in `gone` are those of which rows are missing, and
    /// those whose rows were copied.
    pub fn finish(
        mut self,
        present: Option<&[Preview]>,
        gone: (Vec<MissingNode>, Vec<NodeFromStore>),
        out: &mut Vec<Entry>,
    ) -> Summary {
        self.close(out);
        let present = present.filter(|_| self.past.is_none());
        let moment = self.moment.take();
        let moment = moment.or_else(|| present.and_then(|all| self.moment_of_registry(all)));
        let at = self.past.unwrap_or(self.now);
        self.summary(&moment.unwrap_or_else(|| self.moment_at(at)), present, gone)
    }

    /// What a stranger would be told of the spelling at `place`, as the log shows it.
    fn state(&self, place: usize) -> Option<(usize, State)> {
        let own = &self.spellings[place];
        let mut others = self.spellings.iter().enumerate();
        let held = others.find(|(other, spelling)| *other != place && spelling.is_held());
        match held {
            Some((other, spelling)) if !own.is_held() => Some((other, spelling.state?)),
            _ => Some((place, own.state?)),
        }
    }

    /// How things are after the rows so far, as the log shows it.
    pub(super) fn moment_at(&self, at: Timestamp) -> Moment {
        let states: Vec<_> = (0..self.spellings.len()).map(|place| self.state(place)).collect();
        let first = states.first().copied().flatten();
        let reason =
            |(target, state): (usize, State)| (state.reason, self.spellings[target].account);
        Moment {
            at,
            reasons: states.into_iter().map(|state| state.map(reason)).collect(),
            since: first.map(|(_, state)| state),
            evidence: first.map_or(Evidence::default(), |(target, state)| {
                self.rests_on(0, target, state.reason, at)
            }),
            has_origin: first.is_some_and(|(target, _)| self.spellings[target].has_origin),
            held: self.askers.at(at),
        }
    }

    /// What the registry says, with what the log tells about how it came to be.
    fn moment_of_registry(&self, present: &[Preview]) -> Option<Moment> {
        let first = present.first()?;
        let reason = first.decision.reason;
        let decides = first.through.as_ref().and_then(|handle| self.place(handle));
        let logged = self.moment_at(first.at);
        let exact = first.since.map(|since| State { reason, since, is_exact: true });
        Some(Moment {
            reasons: present.iter().map(|it| Some((it.decision.reason, it.holder))).collect(),
            since: exact.or(logged.since.filter(|state| state.reason == reason)),
            evidence: self.rests_on(0, decides.unwrap_or(0), reason, first.at),
            ..logged
        })
    }

    /// `present` is what the registry says, if it was asked.
    fn summary(
        &self,
        moment: &Moment,
        present: Option<&[Preview]>,
        (missing, from_store): (Vec<MissingNode>, Vec<NodeFromStore>),
    ) -> Summary {
        let is_part = !missing.is_empty() || from_store.iter().any(|node| !node.complete);
        let reason = moment.reasons.first().copied().flatten().map(|(reason, _)| reason);
        let from = if present.is_some() { Source::Registry } else { Source::Log };
        let (held, holders_at_least) = &moment.held;
        let wrong = || held.iter().filter(|answer| self.is_wrong(answer, moment));
        let listed = wrong().take(limits::TIMELINE_HOLDERS_LISTED_MAX);
        let mut spellings = self.spellings.iter().map(|spelling| &spelling.handle);
        Summary {
            kind: SummaryKind::Summary,
            handle: spellings.next().expect("a question has a handle").clone(),
            other_spellings: spellings.map(|it| it.canonical().into_owned()).collect(),
            at: moment.at,
            route: reason.map(|reason| self.route(0, reason)),
            reason,
            from,
            since: moment.since.map(|state| state.since),
            since_at_latest: moment.since.is_some_and(|state| !state.is_exact),
            live_until: present.and_then(<[_]>::first).and_then(|now| now.live_until),
            because: moment.evidence.because.clone(),
            sentence: self.headline(moment, reason, from, is_part),
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
            missing,
            from_store,
        }
    }

    /// `is_part` if rows of some nodes are missing.
    fn headline(
        &self,
        moment: &Moment,
        reason: Option<Reason>,
        from: Source,
        is_part: bool,
    ) -> String {
        // A moment that somebody asked for may be of any day.
        let time = self.past.map_or_else(|| self.phrasing.time(moment.at), date_time);
        let Some(reason) = reason else {
            let what =
                if self.has_rows { "nothing that decides its route" } else { "nothing about it" };
            let where_found = if is_part { "the nodes that answered have" } else { "the log has" };
            return format!("unknown at {time}: {where_found} {what}");
        };
        let colour = colour(Some(self.route(0, reason)));
        let why = self.phrasing.reason(reason, &moment.evidence);
        let since = moment.since.map(|state| {
            let earlier = if state.is_exact { "" } else { " or earlier" };
            format!("since {}{earlier}", self.phrasing.time(state.since))
        });
        let when = match (since, self.past) {
            (Some(since), None) => since,
            (Some(since), Some(_)) => format!("at {time}, {since}"),
            (None, _) => format!("at {time}"),
        };
        let limits = match from {
            _ if is_part => ", as far as the nodes that answered show",
            Source::Log if !moment.has_origin => ", as far as the log shows",
            Source::Registry if !self.has_rows => "; nothing about it is in the log",
            Source::Log | Source::Registry => "",
        };
        format!("{colour} {when}: {why}{limits}")
    }

    /// Whether a stranger would be told another way now. The holder is none: it may see what it hides from others.
    fn is_wrong(&self, answer: &GivenAnswer, moment: &Moment) -> bool {
        let Some((reason, holder)) = moment.reasons.get(answer.spelling).copied().flatten() else {
            return false;
        };
        let sees_its_own = reason == Reason::Undiscoverable
            && answer.account.is_some()
            && answer.account == holder;
        !sees_its_own && self.route(answer.spelling, reason) != answer.route
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
