//! One spelling of a handle, as the rows so far tell it.

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    query_log::{Cause, ChangeKind, ChangeRecord, Reason, Route},
};

/// A change of a handle with its place in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChangeRef {
    pub(super) at: Timestamp,
    pub(super) handle: Handle,
    pub(super) change: ChangeKind,
    pub(super) cause: Cause,
    pub(super) device: Option<DeviceId>,
    pub(super) account: Option<AccountId>,
}

impl ChangeRef {
    /// A change that concerns a handle.
    pub(super) fn of(at: Timestamp, record: &ChangeRecord) -> Option<Self> {
        Some(Self {
            at,
            handle: record.handle.clone()?,
            change: record.change,
            cause: record.cause,
            device: record.device,
            account: record.account,
        })
    }
}

/// What a stranger would hear of a spelling by itself, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) reason: Reason,
    pub(super) since: Timestamp,
    /// Whether it began then (a change), or was only seen then for the first time (a lookup).
    pub(super) is_exact: bool,
}

/// A device that backs the spelling.
#[derive(Clone, Debug)]
struct Backing {
    device: Option<DeviceId>,
    bound: ChangeRef,
    lapsed: Option<ChangeRef>,
}

/// One spelling, as the rows so far tell it.
#[derive(Clone, Debug)]
pub(super) struct Spelling {
    pub(super) handle: Handle,
    pub(super) state: Option<State>,
    /// The account that holds it, or held it last.
    pub(super) account: Option<AccountId>,
    pub(super) last_change: Option<ChangeRef>,
    backing: Vec<Backing>,
    /// Whether an answer showed that one of those that had lapsed checked in again; which, the log does not say.
    one_is_back: bool,
    ended: Option<ChangeRef>,
    lapsed: Option<ChangeRef>,
}

/// The route of an answer to a stranger, by its reason.
pub(super) fn route_of(reason: Reason, handle: &Handle) -> Route {
    match (reason, handle) {
        (Reason::LiveDevice, _) => Route::Imessage,
        (_, Handle::Phone(_)) => Route::Sms,
        (_, Handle::Email(_)) => Route::None,
    }
}

impl Spelling {
    pub(super) fn new(handle: Handle) -> Self {
        Self {
            handle,
            state: None,
            account: None,
            last_change: None,
            backing: Vec::new(),
            one_is_back: false,
            ended: None,
            lapsed: None,
        }
    }

    /// Whether an account holds it and does not hide it: only then does it answer for its other spelling.
    pub(super) fn is_held(&self) -> bool {
        self.is(Reason::LiveDevice) || self.is(Reason::LeaseExpired)
    }

    /// Whether the log tells of a device that backs it.
    pub(super) fn is_backed(&self) -> bool {
        !self.backing.is_empty()
    }

    /// Whether a stranger would hear this reason of it.
    pub(super) fn is(&self, reason: Reason) -> bool {
        self.state.is_some_and(|state| state.reason == reason)
    }

    fn stand(&mut self, reason: Reason, since: Timestamp, is_exact: bool) {
        if !self.is(reason) {
            self.state = Some(State { reason, since, is_exact });
        }
    }

    /// Takes what an answer to a stranger shows.
    pub(super) fn answered(&mut self, reason: Reason, at: Timestamp) {
        match reason {
            Reason::LiveDevice => self.one_is_back |= self.all_lapsed(),
            Reason::LeaseExpired => self.one_is_back = false,
            _ => {}
        }
        self.stand(reason, at, false);
    }

    /// Takes a change. Only kinds that name a handle come here with one; the others change nothing.
    pub(super) fn change(&mut self, cited: &ChangeRef) {
        match cited.change {
            ChangeKind::HandleBound => self.bind(cited),
            ChangeKind::HandleMoved => {
                self.clear();
                self.account = cited.account;
                self.back(cited);
                // A newer proof begins a new claim, which is not hidden.
                self.stand(Reason::LiveDevice, cited.at, true);
            }
            ChangeKind::HandleUnbound => self.unbind(cited),
            ChangeKind::HandleDeregistered => {
                self.clear();
                self.ended = Some(cited.clone());
                self.stand(Reason::Deregistered, cited.at, true);
            }
            ChangeKind::LeaseExpired => self.lapse(cited),
            ChangeKind::DeviceRegistered | ChangeKind::DeviceRemoved => {}
        }
        self.last_change = Some(cited.clone());
    }

    fn bind(&mut self, cited: &ChangeRef) {
        let is_same_account = self.account.is_none_or(|account| Some(account) == cited.account);
        let goes_on = is_same_account && self.ended.is_none();
        if !is_same_account {
            self.clear();
        }
        self.account = cited.account;
        self.back(cited);
        // Another device of the account leaves a hidden claim hidden; a new claim is not.
        if !(goes_on && self.is(Reason::Undiscoverable)) {
            self.stand(Reason::LiveDevice, cited.at, true);
        }
    }

    fn back(&mut self, cited: &ChangeRef) {
        self.ended = None;
        match self.backing.iter_mut().find(|backing| backing.device == cited.device) {
            Some(backing) => backing.bound = cited.clone(),
            None => self.backing.push(Backing {
                device: cited.device,
                bound: cited.clone(),
                lapsed: None,
            }),
        }
    }

    fn unbind(&mut self, cited: &ChangeRef) {
        self.account = self.account.or(cited.account);
        // Who gives up or signs out is there to do it, so a lapsed one was the one that came back.
        let was_back = cited.cause != Cause::Silence && self.has_lapsed(cited);
        self.one_is_back &= !was_back;
        self.backing.retain(|backing| backing.device != cited.device);
        if self.backing.is_empty() {
            self.one_is_back = false;
            self.ended = Some(cited.clone());
            let reason = match cited.cause {
                Cause::SignOut | Cause::Silence => Reason::DeviceRemoved,
                _ => Reason::Unbound,
            };
            self.stand(reason, cited.at, true);
        } else if self.is(Reason::LiveDevice) && self.all_lapsed() && !self.one_is_back {
            self.stand(Reason::LeaseExpired, cited.at, true);
        }
    }

    fn clear(&mut self) {
        self.backing.clear();
        self.one_is_back = false;
    }

    /// Whether the device of this change is known to have lapsed.
    fn has_lapsed(&self, cited: &ChangeRef) -> bool {
        let mut same = self.backing.iter().filter(|backing| backing.device == cited.device);
        same.any(|backing| backing.lapsed.is_some())
    }

    fn lapse(&mut self, cited: &ChangeRef) {
        self.account = self.account.or(cited.account);
        self.lapsed = Some(cited.clone());
        // It lapses once more: it was the one that came back.
        self.one_is_back &= !self.has_lapsed(cited);
        match self.backing.iter_mut().find(|backing| backing.device == cited.device) {
            Some(backing) => backing.lapsed = Some(cited.clone()),
            // Bound before what the log still holds, or brought in by an import.
            None => self.backing.push(Backing {
                device: cited.device,
                bound: cited.clone(),
                lapsed: Some(cited.clone()),
            }),
        }
        if self.all_lapsed() && !self.one_is_back && !self.is(Reason::Undiscoverable) {
            self.stand(Reason::LeaseExpired, cited.at, true);
        }
    }

    fn all_lapsed(&self) -> bool {
        self.backing.iter().all(|backing| backing.lapsed.is_some())
    }

    /// The change that led to an answer with this reason, if the log holds it.
    pub(super) fn because(&self, reason: Reason) -> Option<&ChangeRef> {
        let ended = |wanted: Reason| {
            self.ended.as_ref().filter(|cited| match (cited.change, cited.cause) {
                (ChangeKind::HandleUnbound, Cause::SignOut | Cause::Silence) => {
                    wanted == Reason::DeviceRemoved
                }
                (ChangeKind::HandleUnbound, _) => wanted == Reason::Unbound,
                _ => wanted == Reason::Deregistered,
            })
        };
        match reason {
            Reason::LiveDevice => self.newest_binding(),
            Reason::Unbound | Reason::Deregistered | Reason::DeviceRemoved => ended(reason),
            Reason::LeaseExpired => self.lapsed.as_ref(),
            Reason::Moved => {
                self.last_change.as_ref().filter(|cited| cited.change == ChangeKind::HandleMoved)
            }
            Reason::NeverRegistered
            | Reason::Undiscoverable
            | Reason::HandleInvalid
            | Reason::TokenInvalid
            | Reason::LookupQuota
            | Reason::RateLimited
            | Reason::RegistryLoading
            | Reason::RequestInvalid
            | Reason::TooManyHandles
            | Reason::BodyTooLarge
            | Reason::Overloaded => None,
        }
    }

    /// The newest binding, of a device that is not known to have lapsed if there is one.
    fn newest_binding(&self) -> Option<&ChangeRef> {
        let newest = |lapsed: bool| {
            let bindings = self.backing.iter().filter(|backing| backing.lapsed.is_some() == lapsed);
            bindings.map(|backing| &backing.bound).max_by_key(|bound| bound.at)
        };
        newest(false)
            .or_else(|| newest(true))
            .filter(|bound| bound.change != ChangeKind::LeaseExpired)
    }

    /// When the last of its devices lapsed, if all have: who then says blue has heard from one again.
    pub(super) fn came_back_after(&self) -> Option<Timestamp> {
        if self.backing.is_empty() || !self.all_lapsed() {
            return None;
        }
        self.backing.iter().filter_map(|backing| backing.lapsed.as_ref()).map(|it| it.at).max()
    }
}
