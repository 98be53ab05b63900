//! Verification sessions: the bounded table of codes that are out.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{DeviceId, VerificationId},
    limits,
};

use super::{
    code::CodeHash,
    delivery::{DeliveryError, Purpose, SentBy},
    error::{BeginError, ConfirmError, SendLimit},
    send_limits::Network,
};

/// Who asked for a code, and what for. A device that asks again continues its session. A deregistration asked for again
/// is another session: many people share a network, and nobody must be able to use up somebody else's attempts or
/// replace the code that was just sent to them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Bind(DeviceId),
    Deregister(Option<Network>),
}

/// A session as its asker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The session.
    pub verification: VerificationId,
    /// The handle to which the code went.
    pub handle: Handle,
    /// Which way it went.
    pub sent_by: SentBy,
    /// The code is good until just before this instant.
    pub expires_at: Timestamp,
    /// From this instant on another code may be asked for.
    pub next_send_at: Timestamp,
    /// How many codes may be tried.
    pub attempts_left: u8,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) asked: Asked,
    pub(super) handle: Handle,
    /// None: no code is good.
    code: Option<CodeHash>,
    expires_at: Timestamp,
    next_send_at: Timestamp,
    sends: u32,
    attempts_left: u8,
}

#[derive(Default)]
pub(super) struct Sessions {
    by_id: HashMap<VerificationId, Session>,
    by_asked: HashMap<(Asked, Handle), VerificationId>,
    /// By the time at which they are forgotten.
    forget_at: BTreeSet<(Timestamp, VerificationId)>,
}

/// A session to be begun or continued.
pub(super) struct Opening {
    pub(super) verification: VerificationId,
    /// The asker's session so far, to put back if the code cannot be delivered.
    pub(super) before: Option<(VerificationId, Session)>,
}

impl Asked {
    pub(super) const fn purpose(&self) -> Purpose {
        match self {
            Self::Bind(_) => Purpose::Bind,
            Self::Deregister(_) => Purpose::Deregister,
        }
    }
}

/// Pause after the `sends`th code.
fn pause(sends: u32) -> Duration {
    let doublings = sends.saturating_sub(1).min(16);
    (limits::CODE_RESEND_PAUSE * (1 << doublings)).min(limits::CODE_RESEND_PAUSE_MAX)
}

impl Session {
    /// An expired session is told apart from an unknown one for as long again as its code was good.
    fn forget_at(&self) -> Timestamp {
        self.expires_at.plus(limits::CODE_LIFETIME)
    }

    pub(super) fn shown(&self, verification: VerificationId) -> Verification {
        Verification {
            verification,
            handle: self.handle.clone(),
            sent_by: SentBy::way_to(&self.handle),
            expires_at: self.expires_at,
            next_send_at: self.next_send_at,
            attempts_left: self.attempts_left,
        }
    }

    /// A new code: the former one is dead, the attempts left are not renewed.
    fn resend(&mut self, code: CodeHash, now: Timestamp) {
        self.code = Some(code);
        self.sends = self.sends.saturating_add(1);
        self.expires_at = now.plus(limits::CODE_LIFETIME);
        self.next_send_at = now.plus(pause(self.sends));
    }
}

impl Sessions {
    /// Which session a code for `handle` belongs to: a new one, or the open one if its pause is over.
    pub(super) fn open(
        &mut self,
        asked: &Asked,
        handle: &Handle,
        now: Timestamp,
    ) -> Result<Opening, BeginError> {
        self.forget(now);
        let known = self.by_asked.get(&(asked.clone(), handle.clone()));
        let before = known.and_then(|id| Some((*id, self.by_id.get(id)?.clone())));
        if let Some((id, session)) = &before {
            if now < session.next_send_at {
                let retry_after = session.next_send_at.since(now);
                return Err(BeginError::RateLimited { limit: SendLimit::Resend, retry_after });
            }
            let continues = matches!(asked, Asked::Bind(_));
            if continues && session.attempts_left > 0 && now < session.expires_at {
                return Ok(Opening { verification: *id, before });
            }
        }
        if self.by_id.len() >= limits::VERIFICATIONS_MAX {
            return Err(BeginError::Overloaded);
        }
        Ok(Opening { verification: VerificationId::random(), before })
    }

    /// Lets the opened session wait for a code.
    pub(super) fn sent(
        &mut self,
        opening: &Opening,
        asked: Asked,
        handle: &Handle,
        code: CodeHash,
        now: Timestamp,
    ) -> Verification {
        let id = opening.verification;
        // The pauses grow from one deregistration to the next as they do within a session.
        let sends_before = match (&asked, &opening.before) {
            (Asked::Deregister(_), Some((_, before))) => before.sends,
            _ => 0,
        };
        let mut session = self.take(id).unwrap_or_else(|| Session {
            asked,
            handle: handle.clone(),
            code: None,
            expires_at: now,
            next_send_at: now,
            sends: sends_before,
            attempts_left: limits::CODE_ATTEMPTS_MAX,
        });
        session.resend(code, now);
        let shown = session.shown(id);
        self.put(id, session);
        shown
    }

    /// The code could not be delivered: it is not good, and the former one is again. Attempts that were made meanwhile
    /// stay spent, or a broken gateway would be a way to guess without end; and what was confirmed meanwhile stays
    /// confirmed. If the code was perhaps sent, the pause stays as well, since whoever is sent a code a second is
    /// flooded, be it heard of or not.
    pub(super) fn unsent(&mut self, opening: Opening, why: DeliveryError) {
        let id = opening.verification;
        let Some(mut session) = self.take(id) else {
            return;
        };
        let (former, other) = match opening.before {
            Some((before, former)) if before == id => (Some(former), None),
            Some((before, _)) => (None, Some(before)),
            None => (None, None),
        };
        match (why, former) {
            (DeliveryError::NotSent, Some(former)) => {
                let attempts_left = former.attempts_left.min(session.attempts_left);
                self.put(id, Session { attempts_left, ..former });
            }
            (DeliveryError::NotSent, None) => {
                // The asker's earlier session, if it was not confirmed meanwhile, is the latest again.
                if let Some((other, earlier)) = other.and_then(|id| Some((id, self.take(id)?))) {
                    self.put(other, earlier);
                }
            }
            (DeliveryError::PerhapsSent, former) => {
                session.code = former.as_ref().and_then(|former| former.code);
                session.expires_at = former.map_or(session.expires_at, |former| former.expires_at);
                self.put(id, session);
            }
        }
    }

    /// Takes the session out if `code` is the one that was sent. A code can be tried by whoever knows the session's
    /// id, which only its asker was told.
    pub(super) fn confirm(
        &mut self,
        id: VerificationId,
        code: &CodeHash,
        now: Timestamp,
    ) -> Result<Session, ConfirmError> {
        self.forget(now);
        let session = self.by_id.get_mut(&id).ok_or(ConfirmError::Unknown)?;
        if session.attempts_left == 0 {
            return Err(ConfirmError::TooManyAttempts);
        }
        if session.expires_at <= now {
            return Err(ConfirmError::Expired);
        }
        if !session.code.is_some_and(|sent| sent.matches(code)) {
            session.attempts_left -= 1;
            return Err(match session.attempts_left {
                0 => ConfirmError::TooManyAttempts,
                attempts_left => ConfirmError::CodeWrong { attempts_left },
            });
        }
        self.take(id).ok_or(ConfirmError::Unknown)
    }

    /// Puts a session back whose confirmation could not be carried out, unless another one was begun meanwhile.
    pub(super) fn put_back(&mut self, id: VerificationId, session: Session) {
        if !self.by_asked.contains_key(&(session.asked.clone(), session.handle.clone())) {
            self.put(id, session);
        }
    }

    fn put(&mut self, id: VerificationId, session: Session) {
        let asked = (session.asked.clone(), session.handle.clone());
        // An older session of the same asker stays until it is forgotten, so that its id keeps its meaning.
        self.by_asked.insert(asked, id);
        self.forget_at.insert((session.forget_at(), id));
        self.by_id.insert(id, session);
    }

    fn take(&mut self, id: VerificationId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        self.forget_at.remove(&(session.forget_at(), id));
        let asked = (session.asked.clone(), session.handle.clone());
        if self.by_asked.get(&asked) == Some(&id) {
            self.by_asked.remove(&asked);
        }
        Some(session)
    }

    /// Drops what nobody can confirm any more: all of it that is old, and if the table is full all that has expired.
    fn forget(&mut self, now: Timestamp) {
        while let Some((forget_at, id)) = self.forget_at.first().copied() {
            let is_full = self.by_id.len() >= limits::VERIFICATIONS_MAX;
            let has_expired = forget_at.minus(limits::CODE_LIFETIME) <= now;
            if now < forget_at && !(is_full && has_expired) {
                break;
            }
            self.take(id);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.by_id.len(), self.forget_at.len());
        assert!(self.by_asked.len() <= self.by_id.len());
        self.by_id.len()
    }
}
