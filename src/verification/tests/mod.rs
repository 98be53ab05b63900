//! Tests of the service over a real registry, with a delivery that keeps what it sends and fails on demand.

mod delivery_tasks;
mod flags_and_holders;
mod links;
mod restarts;
mod sending;
mod sessions;

use std::{
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};

use tokio::sync::watch;

use super::*;
use crate::{
    clock::{Clock, ManualClock, Timestamp},
    handle::Handle,
    ids::{AccountId, VerificationId},
    limits,
    registry::{
        self, Asker, ChangeSink, DeviceError, Recording, Registry, SignUp, SinkFailed, Unrecorded,
    },
    shutdown::Shutdown,
    vocabulary::{Limit, Platform},
};

const PHONE: &str = "+14155550123";
const NETWORK: &str = "192.0.2.1";
/// The answer about a code that was not sent, or perhaps not.
const FAILED: BeginError = BeginError::DeliveryFailed { retry_after: limits::DELIVERY_RETRY_PAUSE };

struct NoLog;

impl ChangeSink for NoLog {
    fn is_writable(&self) -> bool {
        true
    }

    fn record(&self, _: &[Unrecorded]) -> Result<Recording, SinkFailed> {
        Ok(future::ready(Ok(())).boxed())
    }
}

#[derive(Clone, Default)]
struct FakeDelivery {
    sent: Arc<Mutex<Vec<Message>>>,
    /// What deliveries end with; none: they succeed.
    fails: Arc<Mutex<Option<DeliveryError>>>,
    /// While set, deliveries do not end before this outcome is known.
    held: Arc<Mutex<Option<watch::Receiver<Outcome>>>>,
}

/// How held deliveries end; none while the test has not decided.
type Outcome = Option<Result<(), DeliveryError>>;

impl Delivery for FakeDelivery {
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        let fails = *self.fails.lock().unwrap_or_else(PoisonError::into_inner);
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async move {
            if let Some(mut held) = held {
                let outcome = held.wait_for(Option::is_some).await.map(|outcome| *outcome);
                return outcome.ok().flatten().expect("the test sets the outcome");
            }
            fails.map_or(Ok(()), Err)
        }
        .boxed()
    }
}

impl FakeDelivery {
    /// Holds deliveries from now on, until the test sends their outcome.
    fn hold(&self) -> watch::Sender<Outcome> {
        let (outcome_tx, held) = watch::channel(None);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        outcome_tx
    }

    /// Ends deliveries with this error from now on, or with success.
    fn fail(&self, error: Option<DeliveryError>) {
        *self.fails.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// Messages that were handed over, delivered or not.
    fn count(&self) -> usize {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn last(&self) -> Message {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.last().cloned().expect("a code was sent")
    }

    fn code(&self) -> String {
        self.last().code.expose().to_owned()
    }

    /// The last code of one session.
    fn codes_for(&self, verification: VerificationId) -> String {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let message = sent.iter().rev().find(|message| message.verification == verification);
        message.expect("a code was sent").code.expose().to_owned()
    }

    /// A code that was not sent.
    fn wrong(&self) -> String {
        let right: u32 = self.code().parse().expect("six digits");
        format!("{:06}", (right + 1) % 1_000_000)
    }
}

/// The sessions that a bench holds.
const SESSIONS_MAX: usize = 16;

struct Bench {
    service: VerificationService,
    registry: Arc<Registry>,
    delivery: FakeDelivery,
    clock: Arc<ManualClock>,
    shutdown: Shutdown,
    dir: tempfile::TempDir,
}

fn handle(text: &str) -> Handle {
    Handle::from_canonical(text).expect("tests use canonical handles")
}

fn open(dir: &Path, clock: Arc<ManualClock>) -> Arc<Registry> {
    let registry = Registry::open(dir, registry::Config::default(), clock).expect("it opens");
    registry.load().expect("the rows are good");
    registry.start(Arc::new(NoLog), &|_| Default::default()).expect("it is loaded");
    Arc::new(registry)
}

impl Bench {
    fn new() -> Self {
        let config = Config { sessions: SESSIONS_MAX, ..Config::default() };
        Self::with(&config)
    }

    fn with(config: &Config) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let registry = open(dir.path(), clock.clone());
        Self::on(dir, clock, registry, FakeDelivery::default(), config)
    }

    fn on(
        dir: tempfile::TempDir,
        clock: Arc<ManualClock>,
        registry: Arc<Registry>,
        delivery: FakeDelivery,
        config: &Config,
    ) -> Self {
        let shutdown = Shutdown::new();
        let service = VerificationService::new(
            registry.clone(),
            Arc::new(delivery.clone()),
            clock.clone(),
            shutdown.clone(),
            HashKey::of_tests(),
            config,
        );
        Self { service, registry, delivery, clock, shutdown, dir }
    }

    /// The same service after a restart.
    fn restarted(self) -> Self {
        let Self { service, registry, delivery, clock, dir, .. } = self;
        registry.close();
        drop((service, registry));
        let registry = open(dir.path(), clock.clone());
        let config = Config { sessions: SESSIONS_MAX, ..Config::default() };
        Self::on(dir, clock, registry, delivery, &config)
    }

    /// A device whose account holds nothing.
    async fn asker(&self) -> Asker {
        let request = SignUp { platform: Platform::Ios, name: None, link: None };
        let new = self.registry.sign_up(request).await.expect("below the limits");
        Asker { device: new.device, account: new.account, is_proven: false }
    }

    /// A device whose account holds this handle.
    async fn holder(&self, text: &str) -> Asker {
        let asker = self.asker().await;
        self.registry.prove(asker.device, handle(text)).await.expect("it binds");
        Asker { is_proven: true, ..asker }
    }

    async fn deregister(&self, text: &str, from: &str) -> Result<Verification, BeginError> {
        let from = Some(from.parse::<IpAddr>().expect("an address"));
        self.service.begin_deregistration(handle(text), from).await
    }

    async fn confirm(&self, begun: &Verification, code: &str) -> Result<Confirmed, ConfirmError> {
        self.service.confirm(begun.verification, code).await
    }

    /// Waits until all deliveries have ended that were started.
    async fn delivered(&self) {
        assert!(self.shutdown.drained(Duration::from_secs(60)).await, "deliveries end");
    }

    async fn begin(&self, asker: Asker, text: &str) -> Result<Verification, BeginError> {
        match self.service.begin_binding(asker, handle(text), None).await? {
            Begun::Sent(verification) => Ok(verification),
            Begun::Bound { .. } => panic!("the account has not proved it"),
        }
    }

    fn is_live(&self, text: &str) -> bool {
        let view = self.registry.view().expect("it is loaded");
        view.probe(&handle(text)).is_live(view.now())
    }
}

fn limited(limit: Limit, secs: u64) -> BeginError {
    BeginError::RateLimited { limit, retry_after: Duration::from_secs(secs) }
}
