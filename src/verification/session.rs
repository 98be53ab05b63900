//! [`Session`]: a verification from its first code to its end, as its row holds it.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{DeviceId, VerificationId},
    limits,
    redacted::redacted_debug,
    registry::RowKind,
};

use super::{
    asker_class::AskerClass,
    code::CodeHash,
    delivery::{Purpose, SentBy},
    error::ConfirmError,
    hash_key::{Hash, HashKey, Hashed},
    rows::{ReadRows, RowChange},
};

/// Who requests a code, and what for.
///
/// A device that requests another code continues its session. Another request for a deregistration begins another
/// session. Many people share a network, and none of them may use up another's attempts or replace another's code.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// What the row of a session holds.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Session {
    /// The device to bind the handle to. None: the handle is taken from every device.
    pub(super) device: Option<DeviceId>,
    #[serde(with = "handle::canonical")]
    pub(super) handle: Handle,
    /// Finds the row that names the requester's latest session.
    requester: Hash,
    pub(super) class: AskerClass,
    /// Codes so far, with those of the requester's earlier deregistrations.
    sends: u32,
    attempts_left: u8,
    expires_at: Timestamp,
    next_send_at: Timestamp,
    /// The valid code is the last one; later codes replaced the others.
    codes: Vec<CodeHash>,
    /// When the right code came.
    confirmed_at: Option<Timestamp>,
}

redacted_debug!(Session);

/// A code that is to be sent, and what to restore if it is not.
#[derive(Clone)]
pub(super) struct SentCode {
    hash: CodeHash,
    /// When the session would have expired without it.
    former_expires_at: Timestamp,
}

/// What a code did in a session.
pub(super) enum Answered {
    /// It is right, and what it proves must be done now.
    Right,
    /// It was right shortly before, at this instant.
    Again(Timestamp),
}

impl Requester {
    pub(super) const fn purpose(self) -> Purpose {
        match self {
            Self::Bind(_) => Purpose::Bind,
            Self::Deregister(_) => Purpose::Deregister,
        }
    }

    /// The key of the row that names the latest session of this requester for `handle`.
    pub(super) fn hash(self, key: &HashKey, handle: &Handle) -> Hash {
        let handle = handle.canonical();
        let hash =
            |kind: u8, who: &[u8]| key.hash(Hashed::Requester, &[&[kind], who, handle.as_bytes()]);
        match self {
            Self::Bind(device) => hash(1, &device.bits().to_be_bytes()),
            Self::Deregister(None) => hash(2, &[]),
            Self::Deregister(Some(IpAddr::V4(network))) => hash(3, &network.octets()),
            Self::Deregister(Some(IpAddr::V6(network))) => hash(4, &network.octets()),
        }
    }
}

/// The kind of the rows of sessions for `purpose`. They are counted separately.
pub(super) const fn kind(purpose: Purpose) -> RowKind {
    match purpose {
        Purpose::Bind => RowKind::Session,
        Purpose::Deregister => RowKind::Deregistration,
    }
}

/// A session by its id.
pub(super) fn find(rows: &impl ReadRows, id: VerificationId) -> Option<Session> {
    let key = id.bits().to_be_bytes();
    let of = |purpose| rows.read(kind(purpose), &key);
    of(Purpose::Bind).or_else(|| of(Purpose::Deregister))
}

/// The latest session that a requester began, unless it has ended or was confirmed.
pub(super) fn latest(rows: &impl ReadRows, requester: &Hash) -> Option<(VerificationId, Session)> {
    let id = VerificationId::from_bits(rows.read(RowKind::SessionOf, requester)?);
    let session = find(rows, id)?;
    (session.confirmed_at.is_none() && session.is_of_present(rows.now())).then_some((id, session))
}

/// The pause after the code number `sends` of a session, counted from 1.
fn pause(sends: u32) -> Duration {
    let doublings = sends.saturating_sub(1).min(16);
    (limits::CODE_RESEND_PAUSE * (1 << doublings)).min(limits::CODE_RESEND_PAUSE_MAX)
}

impl Session {
    /// A session without a code. `sends` counts the codes of the requester's earlier session.
    pub(super) fn new(
        requester: Requester,
        hash: Hash,
        handle: Handle,
        class: AskerClass,
        sends: u32,
        now: Timestamp,
    ) -> Self {
        let device = match requester {
            Requester::Bind(device) => Some(device),
            Requester::Deregister(_) => None,
        };
        Self {
            device,
            handle,
            requester: hash,
            class,
            sends,
            attempts_left: limits::CODE_ATTEMPTS_MAX,
            expires_at: now,
            next_send_at: now,
            codes: Vec::new(),
            confirmed_at: None,
        }
    }

    pub(super) const fn sends(&self) -> u32 {
        self.sends
    }

    /// The part that its requester sees.
    pub(super) fn shown(&self, verification: VerificationId) -> Verification {
        Verification {
            verification,
            handle: self.handle.clone(),
            sent_by: SentBy::for_handle(&self.handle),
            expires_at: self.expires_at,
            next_send_at: self.next_send_at,
            attempts_left: self.attempts_left,
        }
    }

    /// Makes `hash` the valid code. The attempts stay as they are.
    pub(super) fn send(&mut self, hash: CodeHash, now: Timestamp) -> SentCode {
        let former_expires_at = self.expires_at;
        self.codes.push(hash);
        self.sends = self.sends.saturating_add(1);
        self.expires_at = now.plus(limits::CODE_LIFETIME);
        self.next_send_at = now.plus(pause(self.sends));
        SentCode { hash, former_expires_at }
    }

    /// Makes the former code valid again, since `sent` was certainly not sent. Another code may be requested after
    /// `retry_after`. Attempts that were used meanwhile stay used. False if the session has changed since, so that there is
    /// nothing to undo.
    pub(super) fn undo_send(
        &mut self,
        sent: &SentCode,
        retry_after: Option<Duration>,
        now: Timestamp,
    ) -> bool {
        let is_latest = self.codes.last().is_some_and(|last| last.matches(&sent.hash));
        if !is_latest || self.confirmed_at.is_some() {
            return false;
        }
        self.codes.pop();
        // Without a former code the session stays for its requester's next code.
        if self.has_code() {
            self.expires_at = sent.former_expires_at;
        }
        if let Some(retry_after) = retry_after {
            self.next_send_at = now.plus(retry_after);
        }
        true
    }

    /// How long the requester must wait before another code.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        self.next_send_at.since(now)
    }

    /// Whether another code continues the session.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        self.attempts_left > 0 && now < self.expires_at
    }

    /// Whether a code was sent that is not known to be lost.
    pub(super) fn has_code(&self) -> bool {
        !self.codes.is_empty()
    }

    /// False if it ends later than a session of the present can: it is of a clock that was set back by more than an hour.
    fn is_of_present(&self, now: Timestamp) -> bool {
        self.expires_at.since(now) <= limits::CODE_LIFETIME + limits::CLOCK_AGREEMENT
    }

    /// Judges a code; `None` is a text that cannot be a code. The refusal says whether the row must be written: see
    /// [`Session::has_counted`].
    pub(super) fn answer(
        &mut self,
        code: Option<&CodeHash>,
        now: Timestamp,
    ) -> Result<Answered, ConfirmError> {
        let is = |sent: &CodeHash| code.is_some_and(|code| sent.matches(code));
        let is_right = self.codes.last().is_some_and(is);
        if let Some(confirmed_at) = self.confirmed_at {
            return if is_right {
                Ok(Answered::Again(confirmed_at))
            } else {
                Err(ConfirmError::Unknown)
            };
        }
        if self.attempts_left == 0 {
            return Err(self.too_many_attempts(now));
        }
        if self.expires_at <= now || !self.is_of_present(now) {
            return Err(ConfirmError::Expired);
        }
        if is_right {
            self.confirmed_at = Some(now);
            return Ok(Answered::Right);
        }
        if self.codes.iter().any(is) {
            return Err(ConfirmError::CodeOvertaken);
        }
        if code.is_some() {
            self.attempts_left -= 1;
        }
        Err(match self.attempts_left {
            0 => self.too_many_attempts(now),
            attempts_left => ConfirmError::CodeWrong { attempts_left },
        })
    }

    fn too_many_attempts(&self, now: Timestamp) -> ConfirmError {
        ConfirmError::TooManyAttempts { retry_after: self.wait(now) }
    }

    /// Whether it counts other attempts than `before`.
    pub(super) const fn has_counted(&self, before: &Self) -> bool {
        self.attempts_left != before.attempts_left
    }

    /// Its row. An open session is known as expired for one more lifetime of a code, and a confirmed one keeps its outcome
    /// for a minute, for the person whose answer was lost.
    pub(super) fn row(&self, id: VerificationId) -> RowChange {
        let ends_at = match self.confirmed_at {
            Some(confirmed_at) => confirmed_at.plus(limits::CODE_OUTCOME_LIFETIME),
            None => self.expires_at.plus(limits::CODE_LIFETIME),
        };
        RowChange::put(self.kind(), id.bits().to_be_bytes(), ends_at, self)
    }

    /// The row that names it as its requester's latest.
    pub(super) fn requester_row(&self, id: VerificationId) -> RowChange {
        let ends_at = self.expires_at.plus(limits::CODE_LIFETIME);
        RowChange::put(RowKind::SessionOf, self.requester, ends_at, &id.bits())
    }

    const fn kind(&self) -> RowKind {
        kind(match self.device {
            Some(_) => Purpose::Bind,
            None => Purpose::Deregister,
        })
    }
}
