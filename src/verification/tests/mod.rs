//! Tests of verification sessions, with a delivery that keeps what it sends and fails on demand.

mod delivery_tasks;
mod sending;
mod sessions;

use std::{
    net::IpAddr,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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
const NOT_SENT: BeginError =
    BeginError::DeliveryFailed { retry_after: limits::DELIVERY_RETRY_PAUSE };

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
    is_down: Arc<AtomicBool>,
    /// While set, deliveries do not end before this outcome is known.
    held: Arc<Mutex<Option<watch::Receiver<Outcome>>>>,
}

/// How held deliveries end; none while the test has not decided.
type Outcome = Option<Result<(), DeliveryError>>;

impl Delivery for FakeDelivery {
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        let is_down = self.is_down.load(Ordering::SeqCst);
        if !is_down {
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async move {
            if let Some(mut held) = held {
                let outcome = held.wait_for(Option::is_some).await.map(|outcome| *outcome);
                return outcome.ok().flatten().expect("the test sets the outcome");
            }
            if is_down { Err(DeliveryError::NotSent) } else { Ok(()) }
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
    _dir: tempfile::TempDir,
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
        let dir = tempfile::tempdir().expect("a directory");
        let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let registry = open(dir.path(), clock.clone());
        let (delivery, shutdown) = (FakeDelivery::default(), Shutdown::new());
        let service = VerificationService::new(
            registry.clone(),
            Arc::new(delivery.clone()),
            clock.clone(),
            shutdown.clone(),
            SESSIONS_MAX,
        );
        Self { service, registry, delivery, clock, shutdown, _dir: dir }
    }

    async fn asker(&self) -> Asker {
        let request = SignUp { platform: Platform::Ios, name: None, link: None };
        let new = self.registry.sign_up(request).await.expect("below the limits");
        Asker { device: new.device, account: new.account, is_proven: false }
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
