//! The end of a timeline: the answer, since when and why, and who goes by another.

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    entry::{Because, Entry, is_false},
    phrasing::colour,
    run::Evidence,
    spelling::State,
    stale_askers::Told,
    walk::{Moment, Timeline},
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::AccountId,
    limits,
    query_log::{Reason, Route},
};

/// What a stranger would be told of one spelling now, from the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The instant for which it holds.
    pub at: Timestamp,
    /// Which way.
    pub route: Route,
    /// Why.
    pub reason: Reason,
    /// The account that holds the handle, if one does.
    pub holder: Option<AccountId>,
    /// The other spelling that decided, if it is not the one asked for.
    pub through: Option<Handle>,
    /// Since when it is so, where the registry knows.
    pub since: Option<Timestamp>,
    /// Until when the lease lasts without another check-in, if it does last.
    pub live_until: Option<Timestamp>,
}

/// Where the answer of a summary comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The registry of the running server, which decides lookups.
    Registry,
    /// The changes and lookups in the log: what they do not show is not known.
    Log,
}

/// What a handle's answer is at one moment, and what led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Summary {
    /// Always `summary`.
    pub kind: &'static str,
    /// The handle asked about, canonical.
    pub handle: String,
    /// The other spellings of the same number, told with it.
    pub other_spellings: Vec<String>,
    /// The moment.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What a stranger would have been told then; null if the log has nothing that decides it.
    pub route: Option<&'static str>,
    /// Why: `live-device`, …
    pub reason: Option<&'static str>,
    /// Where route and reason come from.
    pub from: Source,
    /// Since when it is so; null if neither registry nor log tells.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Whether it may have been so before `since`, which is when it was first seen.
    #[serde(skip_serializing_if = "is_false")]
    pub since_at_latest: bool,
    /// Until when it stays so without another check-in, if a live device backs it.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_until: Option<Timestamp>,
    /// The change that led to it; absent if there is none or the log no longer holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
    /// The same in words.
    pub sentence: String,
    /// The last change before the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Entry>,
    /// The last lookup before the moment, with what was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_lookup: Option<Entry>,
    /// Askers who at the moment may go by an answer with another route, the first 1,000.
    pub holders: Vec<Holder>,
    /// How many there are.
    pub holders_count: u64,
    /// Whether there may be more than could be counted.
    #[serde(skip_serializing_if = "is_false")]
    pub holders_at_least: bool,
    /// Changes in the time asked for.
    pub changes: u64,
    /// Lookups in the time asked for.
    pub lookups: u64,
    /// Entries in the time asked for that were left out, the earlier ones; absent if none.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u64,
    /// Frames of the log that could not be read; absent if none.
    #[serde(skip_serializing_if = "is_zero")]
    pub damaged: u64,
    /// Segments that could not be read; absent if none.
    #[serde(skip_serializing_if = "is_zero")]
    pub unreadable_segments: u64,
}

/// An asker who may still go by an answer that is wrong by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Holder {
    /// The asking device.
    pub device: String,
    /// Its account.
    pub account: Option<String>,
    /// The spelling it asked for, canonical.
    pub handle: String,
    /// What it was told.
    pub route: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub told_at: Timestamp,
    /// Until when it may go by that, at most: the lease behind the answer may have been shorter.
    #[schema(value_type = String, format = DateTime)]
    pub until_at_most: Timestamp,
    /// The request.
    pub request: String,
    /// The same in words.
    pub sentence: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The answer that a summary is about.
struct Verdict {
    route: Route,
    reason: Reason,
    since: Option<State>,
    evidence: Evidence,
}

impl Timeline {
    /// What it comes to at the moment `at`; `present` is what the registry says, if it was asked.
    pub(super) fn summary(
        &self,
        at: Timestamp,
        moment: &Moment,
        present: Option<&[Present]>,
    ) -> Summary {
        let verdict = match present.and_then(<[_]>::first) {
            Some(present) => Some(self.of_registry(present, moment)),
            None => self.of_log(moment),
        };
        let from = if present.is_some() { Source::Registry } else { Source::Log };
        let (held, holders_at_least) = &moment.held;
        let wrong = || held.iter().filter(|told| self.is_wrong(told, moment, present));
        let listed = wrong().take(limits::TIMELINE_HOLDERS_LISTED_MAX);
        let canonical = |handle: &Handle| handle.canonical().into_owned();
        let mut spellings = self.spellings.iter().map(|spelling| canonical(&spelling.handle));
        Summary {
            kind: "summary",
            handle: spellings.next().unwrap_or_default(),
            other_spellings: spellings.collect(),
            at,
            route: verdict.as_ref().map(|verdict| verdict.route.code()),
            reason: verdict.as_ref().map(|verdict| verdict.reason.code()),
            from,
            since: verdict.as_ref().and_then(|verdict| verdict.since).map(|it| it.since),
            since_at_latest: verdict
                .as_ref()
                .and_then(|verdict| verdict.since)
                .is_some_and(|since| !since.is_exact),
            live_until: present.and_then(<[_]>::first).and_then(|present| present.live_until),
            because: verdict.as_ref().and_then(|verdict| verdict.evidence.because()),
            sentence: self.headline(at, verdict.as_ref(), from),
            last_change: self.last_change.as_ref().map(|cited| cited.entry(self.phrasing, false)),
            last_lookup: self.last_lookup(),
            holders: listed.map(|told| self.holder(told)).collect(),
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
    fn of_registry(&self, present: &Present, moment: &Moment) -> Verdict {
        let decides = |handle: &Handle| self.spellings.iter().position(|it| it.handle == *handle);
        let target = present.through.as_ref().and_then(decides).unwrap_or(0);
        let known = moment.state.first().copied().flatten();
        let known = known.map(|(_, state)| state);
        let exact = |since| State { reason: present.reason, since, is_exact: true };
        let seen = known.filter(|state| state.reason == present.reason);
        Verdict {
            route: present.route,
            reason: present.reason,
            since: present.since.map(exact).or(seen),
            evidence: self.rests_on(0, target, present.reason, false),
        }
    }

    fn of_log(&self, moment: &Moment) -> Option<Verdict> {
        let (_, state) = moment.state.first().copied().flatten()?;
        let (reason, since) = (state.reason, Some(state));
        Some(Verdict {
            route: self.route(0, reason)?,
            reason,
            since,
            evidence: moment.evidence.clone(),
        })
    }

    fn headline(&self, at: Timestamp, verdict: Option<&Verdict>, from: Source) -> String {
        let Some(verdict) = verdict else {
            let time = self.phrasing.time(at);
            let what =
                if self.has_rows { "nothing that decides its route" } else { "nothing about it" };
            return format!("unknown at {time}: the log has {what}");
        };
        let why = self.phrasing.reason(verdict.reason, &verdict.evidence.ground());
        let mut text = self.phrasing.verdict(at, verdict.route, &why, verdict.since);
        match from {
            Source::Log => text.push_str(", as far as the log shows"),
            Source::Registry if !self.has_rows => text.push_str("; nothing about it is in the log"),
            Source::Registry => {}
        }
        text
    }

    /// Whether a stranger would be told another way now. The holder is none: it may see what it hides from others.
    fn is_wrong(&self, told: &Told, moment: &Moment, present: Option<&[Present]>) -> bool {
        let (reason, right, holder) = match present.and_then(|all| all.get(told.spelling)) {
            Some(present) => (present.reason, Some(present.route), present.holder),
            None => match moment.state.get(told.spelling).copied().flatten() {
                Some((target, State { reason, .. })) => {
                    let holder = self.spellings.get(target).and_then(|it| it.account);
                    (reason, self.route(told.spelling, reason), holder)
                }
                None => return false,
            },
        };
        let sees_its_own =
            reason == Reason::Undiscoverable && told.account.is_some() && told.account == holder;
        !sees_its_own && right.is_some_and(|right| right != told.route)
    }

    fn holder(&self, told: &Told) -> Holder {
        let (device, phrasing) = (told.device, self.phrasing);
        let (at, until) = (phrasing.time(told.at), phrasing.time(told.until));
        let sentence = format!(
            "device {device} was told {} at {at} and may go by it until {until} at most",
            colour(Some(told.route))
        );
        let handle = self.spellings.get(told.spelling);
        Holder {
            device: device.to_string(),
            account: told.account.map(|id| id.to_string()),
            handle: handle.map_or(String::new(), |it| it.handle.canonical().into_owned()),
            route: told.route.code(),
            told_at: told.at,
            until_at_most: told.until,
            request: told.request.to_string(),
            sentence,
        }
    }
}
