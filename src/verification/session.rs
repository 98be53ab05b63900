//! Verification sessions: the bounded table of sent codes.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    time::Duration,
};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{DeviceId, VerificationId},
    limits,
};

use super::{
    code::CodeHash,
    delivery::{DeliveryError, Purpose, SentBy},
    error::{BeginError, ConfirmError, SendLimit},
};

/// Who requests a code, and what for.
///
/// A device that requests another code continues its session. Another request for a deregistration begins another
/// session. Many people share a network, and none of them may use up another's attempts or replace another's code.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Requester {
    Bind(DeviceId),
    /// The network that the request comes from, if it is known.
    Deregister(Option<IpAddr>),
}

/// A session, as the answer to its requester shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Verification {
    /// The session's id. Only the requester receives it.
    #[schema(example = "v_0123456789abc")]
    pub verification: VerificationId,
    /// The handle that the code is sent to, canonical.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String)]
    pub handle: Handle,
    /// How the code is sent.
    pub sent_by: SentBy,
    /// The code is valid before this instant.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// From this instant on another code may be requested.
    #[schema(value_type = String, format = DateTime)]
    pub next_send_at: Timestamp,
    /// How many wrong codes the session still accepts.
    pub attempts_left: u8,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) requester: Requester,
    pub(super) handle: Handle,
    /// None: no code is valid.
    code: Option<CodeHash>,
    expires_at: Timestamp,
    next_send_at: Timestamp,
    sends: u32,
    attempts_left: u8,
}

#[derive(Default)]
pub(super) struct Sessions {
    by_id: HashMap<VerificationId, Session>,
    /// The latest session of each requester and handle.
    by_requester: HashMap<(Requester, Handle), VerificationId>,
    /// By the instant from which the session is unknown.
    by_end: BTreeSet<(Timestamp, VerificationId)>,
}

/// A code that may be sent: the session that it belongs to, and what to restore if its delivery fails.
pub(super) struct PlannedSend {
    pub(super) verification: VerificationId,
    /// The requester's latest session before this code.
    before: Option<(VerificationId, Session)>,
}

impl Requester {
    pub(super) const fn purpose(&self) -> Purpose {
        match self {
            Self::Bind(_) => Purpose::Bind,
            Self::Deregister(_) => Purpose::Deregister,
        }
    }
}

/// The pause after the code number `sends` of a session, counted from 1.
fn pause(sends: u32) -> Duration {
    let doublings = sends.saturating_sub(1).min(16);
    (limits::CODE_RESEND_PAUSE * (1 << doublings)).min(limits::CODE_RESEND_PAUSE_MAX)
}

impl Session {
    /// The table reports a session as expired for one more lifetime of a code, and as unknown from then on.
    fn unknown_from(&self) -> Timestamp {
        self.expires_at.plus(limits::CODE_LIFETIME)
    }

    fn key(&self) -> (Requester, Handle) {
        (self.requester.clone(), self.handle.clone())
    }

    fn to_verification(&self, verification: VerificationId) -> Verification {
        Verification {
            verification,
            handle: self.handle.clone(),
            sent_by: SentBy::for_handle(&self.handle),
            expires_at: self.expires_at,
            next_send_at: self.next_send_at,
            attempts_left: self.attempts_left,
        }
    }

    /// Replaces the code. The attempts stay as they are.
    fn set_code(&mut self, code: CodeHash, now: Timestamp) {
        self.code = Some(code);
        self.sends = self.sends.saturating_add(1);
        self.expires_at = now.plus(limits::CODE_LIFETIME);
        self.next_send_at = now.plus(pause(self.sends));
    }
}

impl Sessions {
    /// Chooses the session that a code for `handle` belongs to: the requester's open one or a new one. Changes no session.
    pub(super) fn plan_send(
        &mut self,
        requester: &Requester,
        handle: &Handle,
        now: Timestamp,
    ) -> Result<PlannedSend, BeginError> {
        self.remove_expired(now);
        let known = self.by_requester.get(&(requester.clone(), handle.clone()));
        let before = known.and_then(|id| Some((*id, self.by_id.get(id)?.clone())));
        if let Some((id, session)) = &before {
            if now < session.next_send_at {
                let retry_after = session.next_send_at.since(now);
                return Err(BeginError::RateLimited { limit: SendLimit::Resend, retry_after });
            }
            let continues = matches!(requester, Requester::Bind(_));
            if continues && session.attempts_left > 0 && now < session.expires_at {
                return Ok(PlannedSend { verification: *id, before });
            }
        }
        if self.by_id.len() >= limits::VERIFICATIONS_MAX {
            return Err(BeginError::Overloaded);
        }
        Ok(PlannedSend { verification: VerificationId::random(), before })
    }

    /// Makes `code` the valid code of the planned session.
    pub(super) fn begin_send(
        &mut self,
        planned: &PlannedSend,
        requester: Requester,
        handle: &Handle,
        code: CodeHash,
        now: Timestamp,
    ) -> Verification {
        let id = planned.verification;
        // The pauses grow from one deregistration to the next as they do within a session.
        let sends_before = match (&requester, &planned.before) {
            (Requester::Deregister(_), Some((_, before))) => before.sends,
            _ => 0,
        };
        let mut session = self.remove(id).unwrap_or_else(|| Session {
            requester,
            handle: handle.clone(),
            code: None,
            expires_at: now,
            next_send_at: now,
            sends: sends_before,
            attempts_left: limits::CODE_ATTEMPTS_MAX,
        });
        session.set_code(code, now);
        let verification = session.to_verification(id);
        self.insert(id, session);
        verification
    }

    /// Makes the former code valid again, since the new one was not delivered.
    ///
    /// - Attempts that were used meanwhile stay used, or a failing gateway would allow guesses without limit.
    /// - What was confirmed meanwhile stays confirmed.
    /// - A code that was perhaps sent keeps its pause, or requests in quick succession could flood a phone.
    pub(super) fn undo_send(&mut self, planned: PlannedSend, error: DeliveryError) {
        let id = planned.verification;
        let Some(mut session) = self.remove(id) else {
            return;
        };
        let (former, other) = match planned.before {
            Some((before, former)) if before == id => (Some(former), None),
            Some((before, _)) => (None, Some(before)),
            None => (None, None),
        };
        match (error, former) {
            (DeliveryError::NotSent, Some(former)) => {
                let attempts_left = former.attempts_left.min(session.attempts_left);
                self.insert(id, Session { attempts_left, ..former });
            }
            (DeliveryError::NotSent, None) => {
                // Makes the earlier session the requester's latest again, unless it was confirmed meanwhile.
                if let Some((other, earlier)) = other.and_then(|id| Some((id, self.remove(id)?))) {
                    self.insert(other, earlier);
                }
            }
            (DeliveryError::PerhapsSent, former) => {
                session.code = former.as_ref().and_then(|former| former.code);
                session.expires_at = former.map_or(session.expires_at, |former| former.expires_at);
                self.insert(id, session);
            }
        }
    }

    /// Removes and returns the session if `code` is its code; otherwise charges one attempt.
    pub(super) fn confirm(
        &mut self,
        id: VerificationId,
        code: &CodeHash,
        now: Timestamp,
    ) -> Result<Session, ConfirmError> {
        self.remove_expired(now);
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
        self.remove(id).ok_or(ConfirmError::Unknown)
    }

    /// Restores a confirmed session that had no effect, unless its requester has begun another one meanwhile.
    pub(super) fn restore(&mut self, id: VerificationId, session: Session) {
        if !self.by_requester.contains_key(&session.key()) {
            self.insert(id, session);
        }
    }

    fn insert(&mut self, id: VerificationId, session: Session) {
        // An older session of the same requester stays in `by_id` until it ends, so that its id keeps its meaning.
        self.by_requester.insert(session.key(), id);
        self.by_end.insert((session.unknown_from(), id));
        self.by_id.insert(id, session);
    }

    fn remove(&mut self, id: VerificationId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        self.by_end.remove(&(session.unknown_from(), id));
        let key = session.key();
        if self.by_requester.get(&key) == Some(&id) {
            self.by_requester.remove(&key);
        }
        Some(session)
    }

    /// Removes sessions that have become unknown. If the table is full, removes expired ones as well.
    fn remove_expired(&mut self, now: Timestamp) {
        while let Some((unknown_from, id)) = self.by_end.first().copied() {
            let is_full = self.by_id.len() >= limits::VERIFICATIONS_MAX;
            let has_expired = unknown_from.minus(limits::CODE_LIFETIME) <= now;
            if now < unknown_from && !(is_full && has_expired) {
                break;
            }
            self.remove(id);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.by_id.len(), self.by_end.len());
        assert!(self.by_requester.len() <= self.by_id.len());
        self.by_id.len()
    }
}
