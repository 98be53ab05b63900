//! [`VerificationService`]: sending codes and taking them back.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::{SharedClock, Timestamp},
    handle::Handle,
    ids::{AccountId, MessageId, VerificationId},
    limits,
    registry::{Asker, BindError, ChangeError, HandleState, Loading, Registry},
    shutdown::Shutdown,
};

use super::{
    code::{Code, HashKey},
    delivery::{Delivery, DeliveryError, Message},
    delivery_attempt::{DeliveryAttempts, Undo},
    error::{BeginError, ConfirmError, LinkError},
    link_code::{LinkCode, LinkCodes, Redeemed},
    send_limits::{Network, Sending, Sends},
    session::{Asked, Session, Sessions, Verification},
};

/// Proofs of ownership on their way.
pub struct VerificationService {
    registry: Arc<Registry>,
    attempts: DeliveryAttempts,
    clock: SharedClock,
    key: HashKey,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
pub(super) struct Open {
    pub(super) sessions: Sessions,
    pub(super) sends: Sends,
    link_codes: LinkCodes,
}

/// What asking for a handle came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The account holds the proof already: the device backs the handle now.
    Bound {
        /// The handle.
        handle: Handle,
        /// When it was proved.
        proved_at: Timestamp,
    },
    /// A code was sent.
    Sent(Verification),
}

/// What the right code did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The handle is the device's.
    Bound {
        /// The handle.
        handle: Handle,
        /// When it was proved: now.
        proved_at: Timestamp,
    },
    /// The handle is no device's.
    Deregistered {
        /// The handle.
        handle: Handle,
    },
}

impl VerificationService {
    /// Nothing open. Codes are delivered on the current runtime, as tasks of `shutdown`.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        delivery: Arc<dyn Delivery>,
        clock: SharedClock,
        shutdown: Shutdown,
    ) -> Self {
        let attempts = DeliveryAttempts::new(delivery, shutdown);
        Self { registry, attempts, clock, key: HashKey::random(), open: Arc::default() }
    }

    /// Binds `handle` to the asking device if its account holds it already, otherwise sends a code to it. `from` is
    /// where the request came from.
    ///
    /// # Errors
    /// If no code may or can be sent, or the registry cannot bind.
    pub async fn begin_binding(
        &self,
        asker: Asker,
        handle: Handle,
        from: Option<IpAddr>,
    ) -> Result<Begun, BeginError> {
        // Only a handle that the account holds is worth a command to the registry's one writer.
        if self.is_held(asker.account, &handle)?
            && let Some(proved_at) = self.registry.rebind(asker.device, handle.clone()).await?
        {
            return Ok(Begun::Bound { handle, proved_at });
        }
        self.send(Asked::Bind(asker.device), handle, Some(asker.account), from)
            .await
            .map(Begun::Sent)
    }

    /// Sends a code that takes `handle` back from every device. Never looks whether somebody holds it, so that the
    /// answer cannot tell.
    ///
    /// # Errors
    /// If no code may or can be sent.
    pub async fn begin_deregistration(
        &self,
        handle: Handle,
        from: Option<IpAddr>,
    ) -> Result<Verification, BeginError> {
        self.send(Asked::Deregister(from.map(Network::from)), handle, None, from).await
    }

    fn is_held(&self, account: AccountId, handle: &Handle) -> Result<bool, BindError> {
        let view = self.registry.view().map_err(|Loading| ChangeError::Loading)?;
        Ok(
            matches!(view.probe(handle), HandleState::Claimed { account: held_by, .. } if held_by == account),
        )
    }

    async fn send(
        &self,
        asked: Asked,
        handle: Handle,
        account: Option<AccountId>,
        from: Option<IpAddr>,
    ) -> Result<Verification, BeginError> {
        let place = self.attempts.place()?;
        let (now, purpose, code) = (self.clock.now(), asked.purpose(), Code::random());
        let (network, to) = (from.map(Network::from), handle.clone());
        let sending = Sending { purpose, handle: handle.clone(), account, network };
        // Counted before it is sent, so that two requests at once cannot both pass.
        let (opening, verification) = {
            let mut open = self.open();
            let opening = open.sessions.open(&asked, &handle, now)?;
            open.sends.count(&sending, self.clock.boot())?;
            let hash = self.key.code(opening.verification, code.expose());
            let verification = open.sessions.sent(&opening, asked, &handle, hash, now);
            (opening, verification)
        };
        let id = MessageId::random();
        let message =
            Message { id, to, code, verification: opening.verification, purpose, at: now };
        let undo = Undo { open: Arc::clone(&self.open), opening, sending };
        match self.attempts.send(place, message, undo).await {
            Ok(()) => Ok(verification),
            Err(DeliveryError::NotSent) => {
                Err(BeginError::DeliveryFailed { retry_after: limits::DELIVERY_RETRY_PAUSE })
            }
            Err(DeliveryError::PerhapsSent) => {
                let retry_after = verification.next_send_at.since(self.clock.now());
                Err(BeginError::DeliveryFailed { retry_after })
            }
        }
    }

    /// Does what the session was for, if `code` is the one that was sent last.
    ///
    /// # Errors
    /// If it is not, the session is over or unknown, or the registry cannot make the change.
    pub async fn confirm(
        &self,
        verification: VerificationId,
        code: &str,
    ) -> Result<Confirmed, ConfirmError> {
        let hash = self.key.code(verification, code);
        // Taken out while the registry works, so that a code is good once.
        let session = self.open().sessions.confirm(verification, &hash, self.clock.now())?;
        let outcome = self.carry_out(&session).await;
        if let Err(ConfirmError::Change(_) | ConfirmError::Bind(BindError::Change(_))) = outcome {
            self.open().sessions.put_back(verification, session);
        }
        outcome
    }

    async fn carry_out(&self, session: &Session) -> Result<Confirmed, ConfirmError> {
        let handle = session.handle.clone();
        match session.asked {
            Asked::Bind(device) => {
                let proved_at = self.registry.prove(device, handle.clone()).await?;
                Ok(Confirmed::Bound { handle, proved_at })
            }
            Asked::Deregister(_) => {
                self.registry.deregister(handle.clone()).await?;
                Ok(Confirmed::Deregistered { handle })
            }
        }
    }

    /// A code with which another device joins the asker's account.
    ///
    /// # Errors
    /// If too many are open.
    pub fn issue_link_code(&self, asker: Asker) -> Result<LinkCode, LinkError> {
        self.open().link_codes.issue(&self.key, asker.account, asker.device, self.clock.now())
    }

    /// The account that a link code joins; the code is used up. None if it is not one, or not any more, or the device
    /// that made it is gone: whoever signs out a lost phone must not meet a device that it let in afterwards.
    pub fn redeem_link_code(&self, code: &str) -> Option<Redeemed> {
        let redeemed = self.open().link_codes.redeem(&self.key, code, self.clock.now())?;
        let maker = self.registry.view().ok()?.asker(redeemed.device())?;
        (maker.account == redeemed.account()).then_some(redeemed)
    }

    /// The sign-up that redeemed the code came to nothing: it is good again.
    pub fn put_link_code_back(&self, redeemed: Redeemed) {
        self.open().link_codes.put_back(redeemed);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn sessions_open(&self) -> usize {
        self.open().sessions.len()
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.attempts.count()
    }
}

impl Default for Sends {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VerificationService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerificationService(…)")
    }
}
