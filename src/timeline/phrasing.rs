//! Every reason and every change in a sentence that a support engineer understands.
//!
//! The matches name every case: a new code does not compile without its words.

use crate::{
    clock::Timestamp,
    query_log::{Cause, ChangeKind, Reason, Route},
};

use super::spelling::{ChangeRef, State};

/// Says things to somebody who reads on the day of an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phrasing {
    today: Timestamp,
}

/// What the reason of an answer rests on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ground<'a> {
    /// The change that led to it.
    pub(super) because: Option<&'a ChangeRef>,
    /// The other spelling that decided.
    pub(super) through: Option<&'a str>,
    /// When its last device had lapsed, though the answer says that one is live.
    pub(super) came_back_after: Option<Timestamp>,
    /// Whether the holder asked.
    pub(super) by_its_owner: bool,
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

/// What a change did, of the device `device`.
fn what(change: ChangeKind, device: &str, account: &str) -> String {
    match change {
        ChangeKind::DeviceRegistered => format!("{device} of {account} signed up"),
        ChangeKind::DeviceRemoved => format!("{device} of {account} is gone"),
        ChangeKind::HandleBound => format!("{device} of {account} backs it"),
        ChangeKind::HandleUnbound => format!("{device} of {account} no longer backs it"),
        ChangeKind::HandleMoved => format!("it moved to {account}, backed by {device}"),
        ChangeKind::HandleDeregistered => {
            format!("it was taken back from every device of {account}")
        }
        ChangeKind::LeaseExpired => format!("{device} of {account} no longer counts as live"),
    }
}

/// Why a change happened.
const fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::SignUp => "it signed up by itself",
        Cause::Linked => "it joined the account with a link code",
        Cause::SignOut => "it signed out, by its owner",
        Cause::Proof => "the code sent to the handle was answered",
        Cause::ProofHeld => "the account had proved the handle already",
        Cause::OwnerRequest => "it gave the handle up, by its owner",
        Cause::Deregistration => "its owner answered the code of a deregistration",
        Cause::NewerProof => "that account proved it later",
        Cause::Silence => "it has not checked in for too long",
        Cause::Import => "an imported file held a later proof",
    }
}

/// How a binding came about, after "bound at ...".
const fn bound_by(cause: Cause) -> &'static str {
    match cause {
        Cause::Proof => "by proof",
        Cause::ProofHeld => "by a proof that its account held already",
        Cause::Linked => "as it joined the account",
        Cause::SignUp => "as it signed up",
        Cause::NewerProof => "by a later proof than another account's",
        Cause::Import => "by an import with a later proof than another account's",
        Cause::SignOut | Cause::OwnerRequest | Cause::Deregistration | Cause::Silence => {
            "for a cause that binds nothing"
        }
    }
}

/// How a last device went away, after "its last device".
const fn went_by(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::SignOut => ("signed out", ", by its owner"),
        Cause::Silence => ("was removed", ", since it had not checked in for so long"),
        Cause::SignUp
        | Cause::Linked
        | Cause::Proof
        | Cause::ProofHeld
        | Cause::OwnerRequest
        | Cause::Deregistration
        | Cause::NewerProof
        | Cause::Import => ("was removed", ""),
    }
}

impl Phrasing {
    /// For an answer made for `today`: an instant on another day is told with its date.
    pub(super) const fn new(today: Timestamp) -> Self {
        Self { today }
    }

    /// The time of day, UTC, to the second; with the date if it is another day's.
    pub(super) fn time(self, at: Timestamp) -> String {
        let (text, today) = (at.to_string(), self.today.to_string());
        let (date, time) = (text.get(..10).unwrap_or(""), text.get(11..19).unwrap_or(""));
        if today.starts_with(date) { time.to_owned() } else { format!("{date} {time}") }
    }

    /// A change: when, what, why.
    pub(super) fn change(self, cited: &ChangeRef, others_back_it: bool) -> String {
        let device = cited.device.map_or("a device".to_owned(), |id| format!("device {id}"));
        let account = cited.account.map_or("an account".to_owned(), |id| format!("account {id}"));
        let still = if others_back_it && cited.change == ChangeKind::HandleUnbound {
            "; another of its devices still does"
        } else {
            ""
        };
        let (time, what) = (self.time(cited.at), what(cited.change, &device, &account));
        format!("{time}: {what}: {}{still}", why(cited.cause))
    }

    /// Why an answer was what it was.
    pub(super) fn reason(self, reason: Reason, ground: &Ground<'_>) -> String {
        let mut text = self.cause_of(reason, ground);
        if let Some(through) = ground.through {
            text.push_str(&format!("; found by the number's other spelling {through}"));
        }
        text
    }

    fn cause_of(self, reason: Reason, ground: &Ground<'_>) -> String {
        const FORGOTTEN: &str = "before what the log still holds";
        let at = |cited: &ChangeRef| format!("at {}", self.time(cited.at));
        let when = || ground.because.map_or(FORGOTTEN.to_owned(), at);
        match reason {
            Reason::LiveDevice => self.live(ground),
            Reason::NeverRegistered => {
                "nobody ever proved it, or so long ago that it is forgotten".to_owned()
            }
            Reason::Unbound => format!("its last device gave it up {}", when()),
            Reason::Deregistered => {
                format!("its owner took it back {}, without a device", when())
            }
            Reason::Moved => format!("another account proved it {}", when()),
            Reason::LeaseExpired => match ground.because {
                Some(cited) => format!(
                    "none of its devices has checked in within the lease (recorded {})",
                    self.time(cited.at)
                ),
                None => "none of its devices has checked in within the lease".to_owned(),
            },
            Reason::DeviceRemoved => match ground.because {
                Some(cited) => {
                    let (went, how) = went_by(cited.cause);
                    format!("its last device {went} {}{how}", at(cited))
                }
                None => format!("its last device signed out or was removed {FORGOTTEN}"),
            },
            Reason::Undiscoverable => "its owner hides it from strangers".to_owned(),
            refused => refusal(refused).to_owned(),
        }
    }

    fn live(self, ground: &Ground<'_>) -> String {
        let bound = match ground.because {
            Some(cited) => {
                let verb = if cited.change == ChangeKind::HandleMoved { "moved" } else { "bound" };
                format!("{verb} {} {}", self.time(cited.at), bound_by(cited.cause))
            }
            None => "bound before what the log still holds, or by an import".to_owned(),
        };
        let back = ground.came_back_after.map_or(String::new(), |lapsed| {
            format!(", checked in again after its lease had lapsed, recorded {}", self.time(lapsed))
        });
        let own = if ground.by_its_owner { "; asked by the account that holds it" } else { "" };
        format!("a live device backs it ({bound}{back}){own}")
    }

    /// Lookups with the same answer: how many, when, by how many, why.
    pub(super) fn lookups(
        self,
        route: Option<Route>,
        (first, last): (Timestamp, Timestamp),
        (count, askers): (u64, &str),
        why: &str,
    ) -> String {
        let (colour, first) = (colour(route), self.time(first));
        if count == 1 {
            return format!("{colour} at {first}: {why}");
        }
        let last = self.time(last);
        format!("{colour} {count} times from {first} to {last}, asked by {askers}: {why}")
    }

    /// The answer at an instant, with since when it is so.
    pub(super) fn verdict(
        self,
        at: Timestamp,
        route: Route,
        why: &str,
        since: Option<State>,
    ) -> String {
        let (colour, at) = (colour(Some(route)), self.time(at));
        let since = match since {
            Some(State { since, is_exact: true, .. }) => {
                format!("; so since {}", self.time(since))
            }
            Some(State { since, .. }) => {
                format!("; so since {} at the latest", self.time(since))
            }
            None => String::new(),
        };
        format!("{colour} at {at}: {why}{since}")
    }
}

/// Why nothing was answered.
const fn refusal(reason: Reason) -> &'static str {
    match reason {
        Reason::HandleInvalid => "what was asked for is no handle",
        Reason::TokenInvalid => "the asker's token was not valid",
        Reason::LookupQuota => "the asker had asked for too many new handles",
        Reason::RateLimited => "the asker had sent too many requests",
        Reason::RegistryLoading => "the registry was not loaded yet",
        Reason::RequestInvalid => "the request itself was malformed",
        Reason::TooManyHandles => "the batch was too long",
        Reason::BodyTooLarge => "the request's body was too large",
        Reason::Overloaded => "the service had too much to do at once",
        Reason::LiveDevice
        | Reason::NeverRegistered
        | Reason::Unbound
        | Reason::Deregistered
        | Reason::Moved
        | Reason::LeaseExpired
        | Reason::DeviceRemoved
        | Reason::Undiscoverable => "it was answered",
    }
}
