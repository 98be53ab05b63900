//! One spelling of a handle: the fold over its changes.

use super::entry::ChangeRef;
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    vocabulary::{Cause, ChangeKind, HandleLoss, Reason},
};

/// What a stranger would be told of a spelling by itself, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) reason: Reason,
    pub(super) since: Timestamp,
    /// Whether it began then, by a change. An answer only shows that it began by then.
    pub(super) is_exact: bool,
}

#[derive(Clone, Debug)]
struct Backing {
    device: Option<DeviceId>,
    /// None if it was bound before what the log still holds.
    bound: Option<ChangeRef>,
    lapsed: Option<ChangeRef>,
}

/// One spelling, as its changes so far make it.
#[derive(Clone, Debug)]
pub(super) struct Spelling {
    pub(super) handle: Handle,
    pub(super) state: Option<State>,
    /// The account that holds it, or held it last.
    pub(super) account: Option<AccountId>,
    /// Whether the log holds the change by which the present claim began, or the last one ended for every device.
    pub(super) has_origin: bool,
    backing: Vec<Backing>,
    hidden: Option<ChangeRef>,
    ended: Option<(HandleLoss, ChangeRef)>,
    /// The change that made the state what it is; none if an answer showed it.
    turn: Option<ChangeRef>,
}

impl Spelling {
    pub(super) fn new(handle: Handle) -> Self {
        Self {
            handle,
            state: None,
            account: None,
            has_origin: false,
            backing: Vec::new(),
            hidden: None,
            ended: None,
            turn: None,
        }
    }

    /// Whether an account holds it and does not hide it: only then does it answer for its other spelling.
    pub(super) fn is_held(&self) -> bool {
        self.is(Reason::LiveDevice) || self.is(Reason::LeaseExpired)
    }

    pub(super) fn is_backed(&self) -> bool {
        !self.backing.is_empty()
    }

    /// Whether a stranger would be answered for this reason.
    pub(super) fn is(&self, reason: Reason) -> bool {
        self.state.is_some_and(|state| state.reason == reason)
    }

    /// Takes an answer to a stranger. True if it contradicts what was known.
    pub(super) fn answered(&mut self, reason: Reason, at: Timestamp) -> bool {
        let is_news = !self.is(reason);
        if is_news {
            (self.state, self.turn) = (Some(State { reason, since: at, is_exact: false }), None);
        }
        is_news
    }

    pub(super) fn change(&mut self, change: &ChangeRef) {
        match change.change {
            ChangeKind::HandleBound => self.bind(change),
            ChangeKind::HandleMoved | ChangeKind::HandleImported => {
                self.begin();
                self.bind(change);
            }
            ChangeKind::HandleUnbound => self.unbind(change),
            ChangeKind::HandleDeregistered => {
                self.has_origin = true;
                self.end(HandleLoss::Deregistered, change);
            }
            ChangeKind::LeaseExpired => self.backing(change).lapsed = Some(change.clone()),
            ChangeKind::DeviceRevived => self.backing(change).lapsed = None,
            ChangeKind::HandleHidden => {
                self.backing(change);
                self.hidden = Some(change.clone());
            }
            ChangeKind::HandleShown => {
                self.backing(change);
                self.hidden = None;
            }
            // They name no handle.
            ChangeKind::DeviceRegistered
            | ChangeKind::DeviceRemoved
            | ChangeKind::AccountFlagged
            | ChangeKind::AccountCleared => {}
        }
        if let Some(reason) = self.reason()
            && !self.is(reason)
        {
            self.state = Some(State { reason, since: change.at, is_exact: true });
            self.turn = Some(change.clone());
        }
    }

    /// What the changes come to; none if they say nothing about it.
    fn reason(&self) -> Option<Reason> {
        match &self.ended {
            Some((how, _)) => Some(Reason::Lost(*how)),
            None if self.hidden.is_some() => Some(Reason::Undiscoverable),
            None if self.backing.is_empty() => None,
            None if self.backing.iter().all(|one| one.lapsed.is_some()) => {
                Some(Reason::LeaseExpired)
            }
            None => Some(Reason::LiveDevice),
        }
    }

    /// A new claim begins: shown, and backed by no device yet.
    fn begin(&mut self) {
        self.backing.clear();
        (self.hidden, self.ended, self.has_origin) = (None, None, true);
    }

    fn bind(&mut self, change: &ChangeRef) {
        let is_other_account = self.account.is_some() && self.account != change.account;
        if self.ended.is_some() || is_other_account {
            self.begin();
        }
        // A proof that is the first the log has of it began the claim. Every other cause needs a claim.
        self.has_origin |= change.cause == Cause::Proof && self.backing.is_empty();
        self.account = change.account;
        self.backing(change).bound = Some(change.clone());
    }

    /// The device of a change: that it did something to the handle shows that it backs it.
    fn backing(&mut self, change: &ChangeRef) -> &mut Backing {
        self.account = self.account.or(change.account);
        let known = self.backing.iter().position(|one| one.device == change.device);
        let place = known.unwrap_or_else(|| {
            let device = change.device;
            self.backing.push(Backing { device, bound: None, lapsed: None });
            self.backing.len() - 1
        });
        &mut self.backing[place]
    }

    fn unbind(&mut self, change: &ChangeRef) {
        self.account = self.account.or(change.account);
        self.backing.retain(|one| one.device != change.device);
        if self.backing.is_empty() {
            let how = match change.cause {
                Cause::SignOut | Cause::Silence => HandleLoss::DeviceRemoved,
                _ => HandleLoss::Unbound,
            };
            self.end(how, change);
        }
    }

    fn end(&mut self, how: HandleLoss, change: &ChangeRef) {
        self.backing.clear();
        (self.hidden, self.ended) = (None, Some((how, change.clone())));
    }

    /// The change that led to an answer with this reason, if the log holds it.
    pub(super) fn because(&self, reason: Reason) -> Option<&ChangeRef> {
        match reason {
            Reason::LiveDevice => self.newest_binding(),
            Reason::LeaseExpired => {
                let lapsed = self.backing.iter().filter_map(|one| one.lapsed.as_ref());
                lapsed.max_by_key(|change| change.at)
            }
            Reason::Undiscoverable => self.hidden.as_ref(),
            Reason::Lost(how) => {
                self.ended.as_ref().filter(|ended| ended.0 == how).map(|(_, change)| change)
            }
            Reason::NeverRegistered | Reason::Refused(_) => None,
        }
    }

    /// When the last claim ended, if none has begun since.
    pub(super) fn ended(&self) -> Option<Timestamp> {
        self.ended.as_ref().map(|(_, change)| change.at)
    }

    /// The newest binding, of a device that has not lapsed if there is one.
    fn newest_binding(&self) -> Option<&ChangeRef> {
        let newest = |lapsed: bool| {
            let backing = self.backing.iter().filter(|one| one.lapsed.is_some() == lapsed);
            backing.filter_map(|one| one.bound.as_ref()).max_by_key(|bound| bound.at)
        };
        newest(false).or_else(|| newest(true))
    }

    /// The change that made it live, if that was not a binding.
    pub(super) fn live_since(&self) -> Option<&ChangeRef> {
        let turn = self.turn.as_ref().filter(|_| self.is(Reason::LiveDevice))?;
        let is_return = [ChangeKind::DeviceRevived, ChangeKind::HandleShown].contains(&turn.change);
        is_return.then_some(turn)
    }
}
