//! Verification sessions: the bounded table of sent codes.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{DeviceId, VerificationId},
    limits,
    vocabulary::Limit,
};

use super::{
    code::CodeHash,
    delivery::{DeliveryError, Purpose, SentBy},
    error::{BeginError, ConfirmError},
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verification {
    /// The session's id. Only the requester receives it.
    pub verification: VerificationId,
    /// The handle that the code is sent to, canonical.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// The kind of message that brings the code.
    pub sent_by: SentBy,
    /// The code is valid before this instant.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T08:51:07.123456Z")]
    pub expires_at: Timestamp,
    /// From this instant on another code may be requested.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T08:42:07.123456Z")]
    pub next_send_at: Timestamp,
    /// How many wrong codes the session still accepts.
    #[schema(example = 5)]
    pub attempts_left: u8,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) requester: Requester,
    /// The part that the requester sees.
    pub(super) shown: Verification,
    /// None: no code is valid.
    code: Option<CodeHash>,
    sends: u32,
}

pub(super) struct Sessions {
    /// The most sessions at once; of those without a device, half.
    sessions_max: usize,
    by_id: HashMap<VerificationId, Session>,
    /// The latest session of each requester and handle.
    by_requester: HashMap<(Requester, Handle), VerificationId>,
    /// By the instant from which the session is unknown.
    by_end: BTreeSet<(Timestamp, VerificationId)>,
    counts: SessionCounts,
}

/// The sessions in the table, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Sessions that bind a handle to a device.
    pub binding: usize,
    /// Sessions that take a handle from every device. Nobody needs a token to begin one.
    pub deregistering: usize,
    /// Requests for a code since the start that were refused because the table was full.
    pub refused: u64,
}

/// A code that may be sent: the session that it belongs to, and what to restore if its delivery fails.
pub(super) struct PlannedSend {
    pub(super) verification: VerificationId,
    /// The requester's latest session before this code.
    before: Option<Session>,
}

impl Requester {
    pub(super) const fn purpose(&self) -> Purpose {
        match self {
            Self::Bind(_) => Purpose::Bind,
            Self::Deregister(_) => Purpose::Deregister,
        }
    }
}

impl SessionCounts {
    const fn of(&mut self, purpose: Purpose) -> &mut usize {
        match purpose {
            Purpose::Bind => &mut self.binding,
            Purpose::Deregister => &mut self.deregistering,
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
        self.shown.expires_at.plus(limits::CODE_LIFETIME)
    }

    fn key(&self) -> (Requester, Handle) {
        (self.requester.clone(), self.shown.handle.clone())
    }
}

impl Sessions {
    pub(super) fn new(sessions_max: usize) -> Self {
        Self {
            sessions_max,
            by_id: HashMap::new(),
            by_requester: HashMap::new(),
            by_end: BTreeSet::new(),
            counts: SessionCounts::default(),
        }
    }

    pub(super) const fn counts(&self) -> SessionCounts {
        self.counts
    }

    /// Whether no session for this purpose may be added. Half of the table is for devices: strangers cannot keep them out.
    fn is_full(&self, purpose: Purpose) -> bool {
        let is_half = self.counts.deregistering >= self.sessions_max / 2;
        self.by_id.len() >= self.sessions_max || (purpose == Purpose::Deregister && is_half)
    }

    /// Chooses the session that a code for `handle` belongs to: the requester's open one or a new one. Changes no session.
    pub(super) fn plan_send(
        &mut self,
        requester: &Requester,
        handle: &Handle,
        now: Timestamp,
    ) -> Result<PlannedSend, BeginError> {
        self.remove_expired(requester.purpose(), now);
        let known = self.by_requester.get(&(requester.clone(), handle.clone()));
        let before = known.and_then(|id| self.by_id.get(id)).cloned();
        if let Some(Session { shown, .. }) = &before {
            if now < shown.next_send_at {
                let retry_after = shown.next_send_at.since(now);
                return Err(BeginError::RateLimited { limit: Limit::Resend, retry_after });
            }
            let continues = matches!(requester, Requester::Bind(_));
            if continues && shown.attempts_left > 0 && now < shown.expires_at {
                return Ok(PlannedSend { verification: shown.verification, before });
            }
        }
        if self.is_full(requester.purpose()) {
            self.counts.refused += 1;
            return Err(BeginError::Overloaded);
        }
        Ok(PlannedSend { verification: VerificationId::random(), before })
    }

    /// Makes `code` the valid code of the planned session. The attempts of an open session stay as they are.
    pub(super) fn begin_send(
        &mut self,
        planned: &PlannedSend,
        requester: Requester,
        handle: &Handle,
        code: CodeHash,
        now: Timestamp,
    ) -> Verification {
        let verification = planned.verification;
        let mut session = self.remove(verification).unwrap_or_else(|| {
            // The pauses grow from one deregistration to the next as they do within a session.
            let sends = match (&requester, &planned.before) {
                (Requester::Deregister(_), Some(before)) => before.sends,
                _ => 0,
            };
            let (handle, sent_by) = (handle.clone(), SentBy::for_handle(handle));
            let attempts_left = limits::CODE_ATTEMPTS_MAX;
            let (expires_at, next_send_at) = (now, now);
            let shown = Verification {
                verification,
                handle,
                sent_by,
                expires_at,
                next_send_at,
                attempts_left,
            };
            Session { requester, shown, code: None, sends }
        });
        session.code = Some(code);
        session.sends = session.sends.saturating_add(1);
        session.shown.expires_at = now.plus(limits::CODE_LIFETIME);
        session.shown.next_send_at = now.plus(pause(session.sends));
        let shown = session.shown.clone();
        self.insert(session);
        shown
    }

    /// Makes the former code valid again, since the new one was not delivered.
    ///
    /// - Attempts that were used meanwhile stay used, or a failing gateway would allow guesses without limit.
    /// - What was confirmed meanwhile stays confirmed.
    /// - A code that was perhaps sent keeps its pause, or requests in quick succession could flood a phone.
    pub(super) fn undo_send(&mut self, planned: PlannedSend, error: DeliveryError) {
        let Some(mut session) = self.remove(planned.verification) else {
            return;
        };
        let (former, earlier) = match planned.before {
            Some(before) if before.shown.verification == planned.verification => {
                (Some(before), None)
            }
            before => (None, before),
        };
        match (error, former) {
            (DeliveryError::NotSent, Some(mut former)) => {
                let attempts_left = &mut former.shown.attempts_left;
                *attempts_left = session.shown.attempts_left.min(*attempts_left);
                self.insert(former);
            }
            (DeliveryError::NotSent, None) => {
                // Makes the earlier session the requester's latest again, unless it was confirmed meanwhile.
                if let Some(earlier) = earlier.and_then(|it| self.remove(it.shown.verification)) {
                    self.insert(earlier);
                }
            }
            (DeliveryError::PerhapsSent, former) => {
                session.code = former.as_ref().and_then(|former| former.code);
                if let Some(former) = former {
                    session.shown.expires_at = former.shown.expires_at;
                }
                self.insert(session);
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
        self.remove_expired(Purpose::Bind, now);
        let session = self.by_id.get_mut(&id).ok_or(ConfirmError::Unknown)?;
        let Verification { expires_at, attempts_left, .. } = &mut session.shown;
        if *attempts_left == 0 {
            return Err(ConfirmError::TooManyAttempts);
        }
        if *expires_at <= now {
            return Err(ConfirmError::Expired);
        }
        if !session.code.is_some_and(|sent| sent.matches(code)) {
            *attempts_left -= 1;
            return Err(match *attempts_left {
                0 => ConfirmError::TooManyAttempts,
                attempts_left => ConfirmError::CodeWrong { attempts_left },
            });
        }
        self.remove(id).ok_or(ConfirmError::Unknown)
    }

    /// Restores a confirmed session that had no effect, unless its requester has begun another one meanwhile.
    pub(super) fn restore(&mut self, session: Session) {
        if !self.by_requester.contains_key(&session.key()) {
            self.insert(session);
        }
    }

    fn insert(&mut self, session: Session) {
        let id = session.shown.verification;
        // An older session of the same requester stays in `by_id` until it ends, so that its id keeps its meaning.
        self.by_requester.insert(session.key(), id);
        self.by_end.insert((session.unknown_from(), id));
        *self.counts.of(session.requester.purpose()) += 1;
        self.by_id.insert(id, session);
    }

    fn remove(&mut self, id: VerificationId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        self.by_end.remove(&(session.unknown_from(), id));
        *self.counts.of(session.requester.purpose()) -= 1;
        let key = session.key();
        if self.by_requester.get(&key) == Some(&id) {
            self.by_requester.remove(&key);
        }
        Some(session)
    }

    /// Removes sessions that have become unknown. If the table is full for this purpose, removes expired ones as well.
    fn remove_expired(&mut self, purpose: Purpose, now: Timestamp) {
        while let Some((unknown_from, id)) = self.by_end.first().copied() {
            let has_expired = unknown_from.minus(limits::CODE_LIFETIME) <= now;
            if now < unknown_from && !(has_expired && self.is_full(purpose)) {
                break;
            }
            self.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SessionCounts;

    impl super::Sessions {
        pub(in crate::verification) fn len(&self) -> usize {
            let SessionCounts { binding, deregistering, .. } = self.counts;
            assert_eq!(self.by_id.len(), binding + deregistering);
            assert_eq!(self.by_id.len(), self.by_end.len());
            assert!(self.by_requester.len() <= self.by_id.len());
            self.by_id.len()
        }
    }
}
