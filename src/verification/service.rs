//! [`VerificationService`]: sends codes and confirms them.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicU64},
};

use tokio::sync::oneshot;

use crate::{
    clock::{SharedClock, Timestamp},
    handle::Handle,
    ids::VerificationId,
    limits,
    redacted::redacted_debug,
    registry::{Asker, ChangeError, HandleState, Loading, Registry},
    shutdown::Shutdown,
};

use super::{
    asker_class::AskerClass,
    begin_plan::{BeginPlan, Rules},
    code::Code,
    config::Config,
    countries::Countries,
    delivery::Delivery,
    delivery_tasks::DeliveryTasks,
    error::BeginError,
    hash_key::HashKey,
    send_limits::SendLimits,
    sending::{Sending, counted},
    session::{Requester, Verification},
};

/// Sends codes to handles and does what a right code proves.
///
/// Its whole state is rows of the registry: a restart forgives nothing and loses no session.
pub struct VerificationService {
    pub(super) registry: Arc<Registry>,
    deliveries: Arc<DeliveryTasks>,
    pub(super) clock: SharedClock,
    pub(super) rules: Arc<Rules>,
    countries: Countries,
    /// Requests that were refused because the table of sessions was full.
    pub(super) sessions_refused: Arc<AtomicU64>,
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
    /// A code was sent to the handle, now or before.
    Sent(Verification),
}

impl VerificationService {
    /// A service under the limits of `config`. It delivers codes on the current runtime, in tasks that `shutdown` waits for.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(
        registry: Arc<Registry>,
        delivery: Arc<dyn Delivery>,
        clock: SharedClock,
        shutdown: Shutdown,
        key: HashKey,
        config: &Config,
    ) -> Self {
        let limits = SendLimits::new(config);
        Self {
            registry,
            deliveries: Arc::new(DeliveryTasks::new(delivery, shutdown)),
            clock,
            rules: Arc::new(Rules { key, limits, sessions_max: config.sessions }),
            countries: config.countries.clone(),
            sessions_refused: Arc::default(),
        }
    }

    /// Binds `handle` to the asking device if its account has proved it before; otherwise sends a code to it. A flagged
    /// account always needs a code: a fresh proof clears its flag. `from` is the client's address.
    pub async fn begin_binding(
        &self,
        asker: Asker,
        handle: Handle,
        from: Option<IpAddr>,
    ) -> Result<Begun, BeginError> {
        let is_held = self.holds(asker, &handle)?;
        // The registry has one writer, so only a handle that the account holds is worth a command.
        if is_held
            && self.registry.flag_of(asker.account).is_none()
            && let Some(proved_at) = self.registry.rebind(asker.device, handle.clone()).await?
        {
            return Ok(Begun::Bound { handle, proved_at });
        }
        let class = match is_held {
            true => AskerClass::Holder,
            false => self.class_of(asker, &handle).await?,
        };
        let plan = BeginPlan {
            account: Some(asker.account),
            ..self.plan(Requester::Bind(asker.device), handle, class, from)
        };
        self.begin(plan).await.map(Begun::Sent)
    }

    /// Sends a code that takes `handle` from every device. Answers before the code is delivered, and does not ask the
    /// registry whether the handle is held, so that the answer cannot reveal it.
    pub async fn begin_deregistration(
        &self,
        handle: Handle,
        from: Option<IpAddr>,
    ) -> Result<Verification, BeginError> {
        let requester = Requester::Deregister(from.map(limits::network_of));
        self.begin(self.plan(requester, handle, AskerClass::Tokenless, from)).await
    }

    fn holds(&self, asker: Asker, handle: &Handle) -> Result<bool, BeginError> {
        let view = self.registry.view().map_err(|Loading| ChangeError::Loading)?;
        let state = view.probe(handle);
        Ok(matches!(state, HandleState::Claimed { account, .. } if account == asker.account))
    }

    /// The class of a device whose account does not hold `handle`, as it is spelled, now.
    async fn class_of(&self, asker: Asker, handle: &Handle) -> Result<AskerClass, BeginError> {
        let (registry, handle) = (Arc::clone(&self.registry), handle.clone());
        let held = tokio::task::spawn_blocking(move || {
            for spelling in handle.equivalents().chain([handle]) {
                if registry.held_recently(asker.account, &spelling)? {
                    return Ok(true);
                }
            }
            Ok::<_, ChangeError>(false)
        });
        Ok(match held.await.map_err(|_| ChangeError::Stopped)?? {
            true => AskerClass::Holder,
            false if asker.is_proven => AskerClass::Proven,
            false => AskerClass::Unproven,
        })
    }

    fn plan(
        &self,
        requester: Requester,
        handle: Handle,
        class: AskerClass,
        from: Option<IpAddr>,
    ) -> BeginPlan {
        BeginPlan {
            rules: Arc::clone(&self.rules),
            requester,
            may_send: self.countries.may_send_to(&handle),
            handle,
            class,
            account: None,
            network: from.map(limits::sending_network_of),
            new: VerificationId::random(),
            code: Code::random(),
        }
    }

    async fn begin(&self, plan: BeginPlan) -> Result<Verification, BeginError> {
        if !plan.may_send && plan.class.has_token() {
            return Err(BeginError::DeliveryRefused);
        }
        let looked = plan.decide(&self.registry.rows().map_err(|Loading| ChangeError::Loading)?);
        if looked.needs_no_commit() {
            return counted(looked, &self.sessions_refused).map(|begun| begun.shown);
        }
        let permit = self.deliveries.permit(plan.class)?;
        let sending = Sending {
            registry: Arc::clone(&self.registry),
            deliveries: Arc::clone(&self.deliveries),
            clock: self.clock.clone(),
            sessions_refused: Arc::clone(&self.sessions_refused),
            plan,
            permit,
        };
        let (answer_tx, answer) = oneshot::channel();
        self.deliveries.spawn(sending.run(answer_tx));
        // Only a hard stop drops the task.
        answer.await.map_err(|_| ChangeError::Stopped)?
    }
}

redacted_debug!(VerificationService);
