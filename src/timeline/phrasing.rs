//! Every reason and every change in a sentence that a support engineer understands.
//!
//! The matches name every case: a new code does not compile without its words.

use super::entry::ChangeRef;
use crate::{
    clock::Timestamp,
    handle::Handle,
    vocabulary::{Cause, ChangeKind, FlagReason, HandleLoss, Reason, Route},
};

const FORGOTTEN: &str = "before what the log still holds";

/// Why an answer was what it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    pub(super) because: Option<ChangeRef>,
    /// The change since which a handle that was bound before is live: a check-in, or that it is shown again.
    pub(super) live_since: Option<ChangeRef>,
    /// The last import before it that did not record its handles one by one; only if nothing else led to it.
    pub(super) bulk_import: Option<Timestamp>,
    /// When the last claim ended that the log shows, if nothing in the log began another.
    pub(super) ended: Option<Timestamp>,
    /// The other spelling that decided.
    pub(super) through: Option<Handle>,
    pub(super) by_its_owner: bool,
}

/// Words for somebody who reads on a day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phrasing {
    today: Timestamp,
}

/// Date and time of day, UTC, to the second.
pub(super) fn date_time(at: Timestamp) -> String {
    at.to_string().chars().take(19).collect::<String>().replace('T', " ")
}

/// What a route is called where people talk about bubbles.
pub(super) const fn colour(route: Option<Route>) -> &'static str {
    match route {
        Some(Route::Imessage) => "blue",
        Some(Route::Sms) => "green",
        Some(Route::None) => "no route",
        None => "refused",
    }
}

fn what(change: &ChangeRef) -> String {
    let device = change.device.map_or("a device".to_owned(), |id| format!("device {id}"));
    let account = change.account.map_or("an account".to_owned(), |id| format!("account {id}"));
    match change.change {
        ChangeKind::DeviceRegistered => format!("{device} of {account} signed up"),
        ChangeKind::DeviceRemoved => format!("{device} of {account} is gone"),
        ChangeKind::HandleBound => format!("{device} of {account} backs it"),
        ChangeKind::HandleUnbound => format!("{device} of {account} no longer backs it"),
        ChangeKind::HandleMoved => format!("it moved to {account}, backed by {device}"),
        ChangeKind::HandleDeregistered => {
            format!("it was taken back from every device of {account}")
        }
        ChangeKind::LeaseExpired => format!("{device} of {account} no longer counts as live"),
        ChangeKind::DeviceRevived => format!("{device} of {account} counts as live again"),
        ChangeKind::HandleHidden => format!("{account} hides it from strangers"),
        ChangeKind::HandleShown => format!("{account} shows it to strangers again"),
        ChangeKind::HandleImported => format!("it came in for {account}, backed by {device}"),
        ChangeKind::AccountFlagged => format!("{account} gets no new handles"),
        ChangeKind::AccountCleared => format!("{account} gets new handles again"),
    }
}

const fn why(change: ChangeKind, cause: Cause) -> &'static str {
    match cause {
        Cause::SignUp => "it signed up by itself",
        Cause::Linked => "it joined the account with a link code",
        Cause::SignOut => "it signed out, by its owner",
        Cause::Proof => "the code sent to the handle was answered",
        Cause::ProofHeld => "the account had proved the handle already",
        Cause::OwnerRequest if matches!(change, ChangeKind::HandleUnbound) => {
            "it gave the handle up, by its owner"
        }
        Cause::OwnerRequest => "its owner asked for it on a device that backs it",
        Cause::Deregistration => "its owner answered the code of a deregistration",
        Cause::NewerProof => "that account proved it later",
        Cause::Silence => "it has not checked in for too long",
        Cause::Import if matches!(change, ChangeKind::HandleMoved) => {
            "an imported file held a later proof"
        }
        Cause::Import => "an imported file says so",
        Cause::CheckIn => "it checked in again after its lease had lapsed",
        Cause::Operator => "an operator asked for it",
        Cause::Flag(FlagReason::TooFewHits) => "too few of the handles that it asked for are found",
        Cause::Flag(FlagReason::TooManyHits) => {
            "too many of the handles that it asked for are found"
        }
        Cause::Flag(FlagReason::SweptNumbers) => {
            "it asked for numbers of blocks that are asked for number by number"
        }
    }
}

/// How a binding came about: what goes before its time, and what after.
const fn bound_by(change: ChangeKind, cause: Cause) -> (&'static str, &'static str) {
    match (change, cause) {
        (ChangeKind::HandleMoved, Cause::Import) => {
            ("moved", " by an import with a later proof than another account's")
        }
        (ChangeKind::HandleMoved, _) => ("moved", " by a later proof than another account's"),
        (ChangeKind::HandleImported, _) => ("imported", ""),
        (_, Cause::Proof) => ("bound", " by proof"),
        (_, Cause::ProofHeld) => ("bound", " by a proof that its account held already"),
        (_, Cause::Linked) => ("bound", " as it joined the account"),
        (_, Cause::Import) => ("bound", " by an import"),
        (_, Cause::SignUp | Cause::SignOut | Cause::OwnerRequest | Cause::Deregistration)
        | (_, Cause::NewerProof | Cause::Silence | Cause::CheckIn)
        | (_, Cause::Operator | Cause::Flag(_)) => ("bound", " for a cause that binds nothing"),
    }
}

impl Phrasing {
    /// For somebody who asks on the day of `today`, also about the past: an instant on another day is written with its date.
    pub(super) const fn new(today: Timestamp) -> Self {
        Self { today }
    }

    /// The time of day, UTC, to the second; with the date if it is another day's.
    pub(super) fn time(self, at: Timestamp) -> String {
        let (text, today) = (date_time(at), self.today.to_string());
        match text.split_once(' ') {
            Some((date, time)) if today.starts_with(date) => time.to_owned(),
            _ => text,
        }
    }

    pub(super) fn change(self, change: &ChangeRef, others_back_it: bool) -> String {
        let still = if others_back_it && change.change == ChangeKind::HandleUnbound {
            "; another of its devices still does"
        } else {
            ""
        };
        let (time, why) = (self.time(change.at), why(change.change, change.cause));
        format!("{time}: {}: {why}{still}", what(change))
    }

    /// Why an answer was what it was.
    pub(super) fn reason(self, reason: Reason, evidence: &Evidence) -> String {
        let mut text = self.cause_of(reason, evidence);
        if let Some(through) = &evidence.through {
            let through = through.canonical();
            text.push_str(&format!("; found by the number's other spelling {through}"));
        }
        text
    }

    fn cause_of(self, reason: Reason, evidence: &Evidence) -> String {
        let at = evidence.because.as_ref().map(|change| self.time(change.at));
        let when = at.as_ref().map_or(FORGOTTEN.to_owned(), |at| format!("at {at}"));
        let noted = |word| at.as_ref().map_or(String::new(), |at| format!(" ({word} {at})"));
        match reason {
            Reason::LiveDevice => self.live(evidence),
            Reason::NeverRegistered => {
                "nobody ever proved it, or so long ago that it is forgotten".to_owned()
            }
            Reason::LeaseExpired => {
                format!("none of its devices has checked in within the lease{}", noted("recorded"))
            }
            Reason::Undiscoverable => {
                format!("its owner hides it from strangers{}", noted("since"))
            }
            Reason::Lost(HandleLoss::Unbound) => format!("its last device gave it up {when}"),
            Reason::Lost(HandleLoss::Deregistered) => {
                format!("its owner took it back {when}, without a device")
            }
            Reason::Lost(HandleLoss::Moved) => format!("another account proved it {when}"),
            Reason::Lost(HandleLoss::DeviceRemoved) => {
                match evidence.because.as_ref().map(|change| change.cause) {
                    None => format!("its last device signed out or was removed {when}"),
                    Some(Cause::Silence) => format!(
                        "its last device was removed {when}, since it had not checked in for so long"
                    ),
                    Some(_) => format!("its last device signed out {when}, by its owner"),
                }
            }
            Reason::Refused(code) => format!("{} ({code})", code.title()),
        }
    }

    fn live(self, evidence: &Evidence) -> String {
        let bound = match (&evidence.because, evidence.bulk_import, evidence.ended) {
            (Some(ChangeRef { at, change, cause, .. }), ..) => {
                let (verb, by) = bound_by(*change, *cause);
                format!("{verb} {}{by}", self.time(*at))
            }
            (None, Some(at), None) => {
                format!("bound {FORGOTTEN}, or by the import of {}", self.time(at))
            }
            (None, Some(at), Some(_)) => format!("bound by the import of {}", self.time(at)),
            (None, None, None) => format!("bound {FORGOTTEN}"),
            (None, None, Some(end)) => {
                let end = self.time(end);
                format!("the log shows no binding since {end}: was the registry restored?")
            }
        };
        let back = evidence.live_since.as_ref().map_or(String::new(), |change| {
            let again = match change.change {
                ChangeKind::HandleShown => "shown to strangers again",
                _ => "checked in again after its lease had lapsed,",
            };
            format!("; {again} {}", self.time(change.at))
        });
        let own = if evidence.by_its_owner { "; asked by the account that holds it" } else { "" };
        format!("a live device backs it ({bound}{back}){own}")
    }
}
