//! [`VerificationService`]: sends codes and confirms them.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::{SharedClock, Timestamp},
    handle::Handle,
    ids::{AccountId, MessageId, VerificationId},
    limits,
    redacted::redacted_debug,
    registry::{Asker, ChangeError, DeviceError, HandleState, Loading, Registry},
    shutdown::Shutdown,
};

use super::{
    code::{Code, HashKey},
    delivery::{Delivery, DeliveryError, Message},
    delivery_tasks::DeliveryTasks,
    error::{BeginError, ConfirmError, LinkError},
    link_code::{LinkCode, LinkCodes, Redeemed},
    send_limits::{SendKey, SendLimits},
    session::{Requester, Session, SessionCounts, Sessions, Verification},
};

/// Open verifications and link codes of all accounts.
pub struct VerificationService {
    registry: Arc<Registry>,
    deliveries: DeliveryTasks,
    clock: SharedClock,
    key: HashKey,
    state: Arc<Mutex<State>>,
}

struct State {
    sessions: Sessions,
    send_limits: SendLimits,
    link_codes: LinkCodes,
}

/// The result of a request to bind a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The account has proved the handle before, and the handle is bound to the device now.
    Bound {
        /// The handle that was bound.
        handle: Handle,
        /// When the account proved it.
        proved_at: Timestamp,
    },
    /// A code was sent to the handle.
    Sent(Verification),
}

/// What a right code changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The handle is bound to the device.
    Bound {
        /// The handle that was proved.
        handle: Handle,
        /// The present.
        proved_at: Timestamp,
    },
    /// No device has the handle any more.
    Deregistered {
        /// The handle that was taken from its devices.
        handle: Handle,
    },
}

impl VerificationService {
    /// A service with at most `sessions_max` sessions. It delivers codes on the current runtime, in tasks that `shutdown` waits
    /// for.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(
        registry: Arc<Registry>,
        delivery: Arc<dyn Delivery>,
        clock: SharedClock,
        shutdown: Shutdown,
        sessions_max: usize,
    ) -> Self {
        let deliveries = DeliveryTasks::new(delivery, shutdown);
        let state = State {
            sessions: Sessions::new(sessions_max),
            send_limits: SendLimits::default(),
            link_codes: LinkCodes::default(),
        };
        let (key, state) = (HashKey::random(), Arc::new(Mutex::new(state)));
        Self { registry, deliveries, clock, key, state }
    }

    /// Binds `handle` to the asking device if its account has proved it before; otherwise sends a code to it. `from` is
    /// the client's address.
    pub async fn begin_binding(
        &self,
        asker: Asker,
        handle: Handle,
        from: Option<IpAddr>,
    ) -> Result<Begun, BeginError> {
        // The registry has one writer, so only a handle that the account holds is worth a command.
        if self.holds(asker.account, &handle)?
            && let Some(proved_at) = self.registry.rebind(asker.device, handle.clone()).await?
        {
            return Ok(Begun::Bound { handle, proved_at });
        }
        let requester = Requester::Bind(asker.device);
        self.send(requester, handle, Some(asker.account), from).await.map(Begun::Sent)
    }

    /// Sends a code that takes `handle` from every device. Does not ask the registry whether the handle is held, so that
    /// the answer cannot reveal it.
    pub async fn begin_deregistration(
        &self,
        handle: Handle,
        from: Option<IpAddr>,
    ) -> Result<Verification, BeginError> {
        self.send(Requester::Deregister(from.map(limits::network_of)), handle, None, from).await
    }

    fn holds(&self, account: AccountId, handle: &Handle) -> Result<bool, DeviceError> {
        let view = self.registry.view().map_err(|Loading| ChangeError::Loading)?;
        let state = view.probe(handle);
        Ok(matches!(state, HandleState::Claimed { account: holder, .. } if holder == account))
    }

    async fn send(
        &self,
        requester: Requester,
        handle: Handle,
        account: Option<AccountId>,
        from: Option<IpAddr>,
    ) -> Result<Verification, BeginError> {
        let permit = self.deliveries.permit()?;
        let (now, purpose, code) = (self.clock.now(), requester.purpose(), Code::random());
        let mut keys = vec![SendKey::Handle(purpose, handle.clone())];
        keys.extend(account.map(SendKey::Account));
        keys.extend(from.map(limits::network_of).map(SendKey::Network));
        // Charged before the code is sent, so that two requests at once cannot both pass the limit.
        let (planned, verification) = {
            let mut state = self.state();
            let planned = state.sessions.plan_send(&requester, &handle, now)?;
            state.send_limits.charge(&keys, self.clock.boot())?;
            let hash = self.key.code(planned.verification, code.expose());
            let begun = state.sessions.begin_send(&planned, requester, &handle, hash, now);
            (planned, begun)
        };
        let (id, at) = (MessageId::random(), now);
        let message =
            Message { id, to: handle, code, verification: planned.verification, purpose, at };
        let state = Arc::clone(&self.state);
        let undo = move |error| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if error == DeliveryError::NotSent {
                state.send_limits.refund(&keys);
            }
            state.sessions.undo_send(planned, error);
        };
        match self.deliveries.deliver(permit, message, undo).await {
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

    /// Binds or deregisters the session's handle if `code` is the one that was sent last.
    pub async fn confirm(
        &self,
        verification: VerificationId,
        code: &str,
    ) -> Result<Confirmed, ConfirmError> {
        let hash = self.key.code(verification, code);
        // Removed while the registry works, so that a code works once.
        let session = self.state().sessions.confirm(verification, &hash, self.clock.now())?;
        let outcome = self.apply(&session).await;
        if let Err(ConfirmError::Change(_) | ConfirmError::Bind(DeviceError::Change(_))) = outcome {
            self.state().sessions.restore(session);
        }
        outcome
    }

    async fn apply(&self, session: &Session) -> Result<Confirmed, ConfirmError> {
        let handle = session.shown.handle.clone();
        match session.requester {
            Requester::Bind(device) => {
                let proved_at = self.registry.prove(device, handle.clone()).await?;
                Ok(Confirmed::Bound { handle, proved_at })
            }
            Requester::Deregister(_) => {
                self.registry.deregister(handle.clone()).await?;
                Ok(Confirmed::Deregistered { handle })
            }
        }
    }

    /// Issues a code with which another device joins the asker's account.
    pub fn issue_link_code(&self, asker: Asker) -> Result<LinkCode, LinkError> {
        self.state().link_codes.issue(&self.key, asker.account, asker.device, self.clock.now())
    }

    /// Uses up a link code and returns the account that it joins. None if the code is unknown or has expired.
    ///
    /// Also none if the device that requested the code has signed out. A code from a lost phone must not let another
    /// device in after the owner has signed the phone out.
    pub fn redeem_link_code(&self, code: &str) -> Option<Redeemed> {
        let redeemed = self.state().link_codes.redeem(&self.key, code, self.clock.now())?;
        let issuer = self.registry.view().ok()?.asker(redeemed.device)?;
        (issuer.account == redeemed.account).then_some(redeemed)
    }

    /// Makes a redeemed code valid again, because the sign-up that used it failed.
    pub fn restore_link_code(&self, redeemed: Redeemed) {
        self.state().link_codes.restore(redeemed);
    }

    /// The sessions in the table. It includes those that have expired within ten minutes.
    pub fn session_counts(&self) -> SessionCounts {
        self.state().sessions.counts()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

redacted_debug!(VerificationService);

#[cfg(test)]
mod tests {
    impl super::VerificationService {
        pub(in crate::verification) fn sessions_open(&self) -> usize {
            self.state().sessions.len()
        }
    }
}
