//! Tests of verification sessions, with a delivery that can be read and can fail.

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
        self, Asker, BindError, Change, ChangeSink, Platform, Recording, Registry, SignUp,
        SinkRefused,
    },
    shutdown::Shutdown,
};

const PHONE: &str = "+14155550123";
const NOT_SENT: BeginError =
    BeginError::DeliveryFailed { retry_after: limits::DELIVERY_RETRY_PAUSE };

struct NoLog;

impl ChangeSink for NoLog {
    fn is_writable(&self) -> bool {
        true
    }

    fn record(&self, _: &[Change]) -> Result<Recording, SinkRefused> {
        Ok(future::ready(Ok(())).boxed())
    }
}

#[derive(Clone, Default)]
struct Post {
    sent: Arc<Mutex<Vec<Message>>>,
    is_down: Arc<AtomicBool>,
    /// While it holds one, what was given to it is in the air.
    held: Arc<Mutex<Option<watch::Receiver<Landing>>>>,
}

/// What becomes of messages in the air.
type Landing = Option<Result<(), DeliveryError>>;

impl Delivery for Post {
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        let is_down = self.is_down.load(Ordering::SeqCst);
        if !is_down {
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async move {
            if let Some(mut held) = held {
                let landed = held.wait_for(Option::is_some).await.map(|landing| *landing);
                return landed.ok().flatten().expect("the test says how it ends");
            }
            if is_down { Err(DeliveryError::NotSent) } else { Ok(()) }
        }
        .boxed()
    }
}

impl Post {
    /// From here on messages are in the air until the test says how it ends.
    fn hold(&self) -> watch::Sender<Landing> {
        let (landing, held) = watch::channel(None);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        landing
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn last(&self) -> Message {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.last().cloned().expect("something was sent")
    }

    fn code(&self) -> String {
        self.last().code.expose().to_owned()
    }

    /// The last code of one session.
    fn codes_for(&self, verification: VerificationId) -> String {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let message = sent.iter().rev().find(|message| message.verification == verification);
        message.expect("it was sent").code.expose().to_owned()
    }

    /// A code that was not sent.
    fn wrong(&self) -> String {
        let right: u32 = self.code().parse().expect("six digits");
        format!("{:06}", (right + 1) % 1_000_000)
    }
}

struct Bench {
    ownership: Ownership,
    registry: Arc<Registry>,
    post: Post,
    clock: Arc<ManualClock>,
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
        let post = Post::default();
        let ownership = Ownership::new(
            registry.clone(),
            Arc::new(post.clone()),
            clock.clone(),
            Shutdown::new(),
        );
        Self { ownership, registry, post, clock, _dir: dir }
    }

    async fn asker(&self) -> Asker {
        let request = SignUp { platform: Platform::Ios, name: None, link: None };
        let new = self.registry.sign_up(request).await.expect("nothing stands against it");
        Asker { device: new.device, account: new.account }
    }

    async fn begin(&self, asker: Asker, text: &str) -> Result<Verification, BeginError> {
        match self.ownership.begin_binding(asker, handle(text), None).await? {
            Begun::Sent(verification) => Ok(verification),
            Begun::Bound { .. } => panic!("nobody proved it"),
        }
    }

    fn is_live(&self, text: &str) -> bool {
        let view = self.registry.view().expect("it is loaded");
        view.probe(&handle(text)).is_live(view.now())
    }
}

fn limited(limit: SendLimit, secs: u64) -> BeginError {
    BeginError::RateLimited { limit, retry_after: Duration::from_secs(secs) }
}

#[tokio::test]
async fn the_code_binds_the_handle_once() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("it is sent");
    let now = bench.clock.now();
    assert_eq!((begun.sent_by, begun.attempts_left), (SentBy::Sms, limits::CODE_ATTEMPTS_MAX));
    assert_eq!(
        (begun.expires_at, begun.next_send_at),
        (now.plus(limits::CODE_LIFETIME), now.plus(limits::CODE_RESEND_PAUSE))
    );
    let sent = bench.post.last();
    assert_eq!(
        (sent.to, sent.verification, sent.purpose),
        (handle(PHONE), begun.verification, Purpose::Bind)
    );
    assert!(!bench.is_live(PHONE), "asking proves nothing");
    let confirmed = bench.ownership.confirm(begun.verification, &bench.post.code()).await;
    assert_eq!(confirmed, Ok(Confirmed::Bound { handle: handle(PHONE), proved_at: now }));
    assert!(bench.is_live(PHONE));
    let again = bench.ownership.confirm(begun.verification, &bench.post.code()).await;
    assert_eq!(again, Err(ConfirmError::Unknown));
    assert_eq!(bench.ownership.sessions_open(), 0);
}

#[tokio::test]
async fn a_proof_that_the_account_holds_needs_no_code() {
    let bench = Bench::new();
    let first = bench.asker().await;
    let proved_at = bench.registry.prove(first.device, handle(PHONE)).await.expect("it binds");
    bench.clock.advance(Duration::from_secs(5));
    let begun = bench.ownership.begin_binding(first, handle(PHONE), None).await;
    assert_eq!(begun, Ok(Begun::Bound { handle: handle(PHONE), proved_at }));
    assert_eq!(bench.post.count(), 0);
    let stranger = bench.asker().await;
    bench.begin(stranger, PHONE).await.expect("a stranger needs a code");
}

#[tokio::test]
async fn wrong_codes_end_the_session() {
    let bench = Bench::new();
    let begun = bench.begin(bench.asker().await, "a@example.org").await.expect("it is sent");
    assert_eq!(begun.sent_by, SentBy::Email);
    for attempts_left in (1..limits::CODE_ATTEMPTS_MAX).rev() {
        let answer = bench.ownership.confirm(begun.verification, &bench.post.wrong()).await;
        assert_eq!(answer, Err(ConfirmError::CodeWrong { attempts_left }));
    }
    for code in [bench.post.wrong(), bench.post.code(), String::new()] {
        let answer = bench.ownership.confirm(begun.verification, &code).await;
        assert_eq!(answer, Err(ConfirmError::TooManyAttempts));
    }
    let answer = bench.ownership.confirm(VerificationId::random(), &bench.post.code()).await;
    assert_eq!(answer, Err(ConfirmError::Unknown));
    assert!(!bench.is_live("a@example.org"));
}

#[tokio::test]
async fn a_code_ends_at_its_very_microsecond_and_is_forgotten_later() {
    let bench = Bench::new();
    let (first, second) = (bench.asker().await, bench.asker().await);
    let begun = bench.begin(first, PHONE).await.expect("it is sent");
    bench.clock.advance(limits::CODE_LIFETIME - Duration::from_micros(1));
    let code = bench.post.code();
    assert!(bench.ownership.confirm(begun.verification, &code).await.is_ok());
    let begun = bench.begin(second, PHONE).await.expect("it is sent");
    let code = bench.post.code();
    bench.clock.advance(limits::CODE_LIFETIME);
    assert_eq!(
        bench.ownership.confirm(begun.verification, &code).await,
        Err(ConfirmError::Expired)
    );
    bench.clock.advance(limits::CODE_LIFETIME);
    assert_eq!(
        bench.ownership.confirm(begun.verification, &code).await,
        Err(ConfirmError::Unknown)
    );
    assert_eq!(bench.ownership.sessions_open(), 0);
}

#[tokio::test]
async fn asking_again_waits_longer_each_time_and_kills_the_former_code() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("it is sent");
    let former = bench.post.code();
    bench
        .ownership
        .confirm(begun.verification, &bench.post.wrong())
        .await
        .expect_err("it is wrong");
    for pause_secs in [30, 60, 120, 240] {
        bench.clock.advance(Duration::from_micros(1));
        let refused = bench.begin(asker, PHONE).await.expect_err("too early");
        let retry_after = Duration::from_secs(pause_secs) - Duration::from_micros(1);
        assert_eq!(refused, BeginError::RateLimited { limit: SendLimit::Resend, retry_after });
        bench.clock.advance(retry_after);
        let again = bench.begin(asker, PHONE).await.expect("the pause is over");
        assert_eq!(
            (again.verification, again.attempts_left),
            (begun.verification, limits::CODE_ATTEMPTS_MAX - 1)
        );
    }
    assert_eq!(bench.post.count(), 5);
    if former != bench.post.code() {
        let answer = bench.ownership.confirm(begun.verification, &former).await;
        assert!(matches!(answer, Err(ConfirmError::CodeWrong { .. })), "{answer:?}");
    }
    assert!(bench.ownership.confirm(begun.verification, &bench.post.code()).await.is_ok());
}

#[tokio::test]
async fn a_spent_session_is_followed_by_another_after_the_pause_only() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("it is sent");
    for _ in 0..limits::CODE_ATTEMPTS_MAX {
        bench
            .ownership
            .confirm(begun.verification, &bench.post.wrong())
            .await
            .expect_err("it is wrong");
    }
    assert_eq!(bench.begin(asker, PHONE).await, Err(limited(SendLimit::Resend, 30)));
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let next = bench.begin(asker, PHONE).await.expect("the pause is over");
    assert_ne!(next.verification, begun.verification);
    assert_eq!(next.attempts_left, limits::CODE_ATTEMPTS_MAX);
    let answer = bench.ownership.confirm(begun.verification, &bench.post.code()).await;
    assert_eq!(answer, Err(ConfirmError::TooManyAttempts));
}

#[tokio::test]
async fn nobody_s_phone_is_flooded_whoever_asks() {
    let bench = Bench::new();
    for _ in 0..limits::CODE_SENDS_PER_HANDLE_MAX {
        bench.begin(bench.asker().await, PHONE).await.expect("it is sent");
    }
    let day = 24 * 3600;
    let refused = bench.begin(bench.asker().await, PHONE).await.expect_err("that was the last");
    assert_eq!(refused, limited(SendLimit::Handle, day / 10));
    // A budget of its own: whoever uses up the one must not keep the owner from the other.
    bench
        .ownership
        .begin_deregistration(handle(PHONE), None)
        .await
        .expect("taking back has its own count");
    bench.begin(bench.asker().await, "+14155550124").await.expect("another one's phone");
    bench.clock.advance(Duration::from_secs(day / 10));
    bench.begin(bench.asker().await, PHONE).await.expect("a tenth of the day is over");
}

/// Counts one code at the beginning of time.
fn count(sends: &mut sends::Sends, to: &str, account: u64, from: &str) -> Result<(), BeginError> {
    let (to, network) = (handle(to), network(from));
    let account = Some(AccountId::from_bits(account));
    sends.count(
        &sends::Sending {
            purpose: Purpose::Deregister,
            handle: to,
            account,
            network: Some(network),
        },
        Duration::ZERO,
    )
}

fn network(text: &str) -> sends::Network {
    text.parse::<IpAddr>().expect("an address").into()
}

#[test]
fn accounts_and_networks_are_counted_too_and_the_table_is_bounded() {
    let number = |number: u32| format!("+1415{number:07}");
    let mut sends = sends::Sends::new();
    for sent in 0..limits::CODE_SENDS_PER_ACCOUNT_MAX {
        count(&mut sends, &number(sent / 10), 1, "192.0.2.1").expect("the account may");
    }
    let refused = count(&mut sends, &number(60), 1, "192.0.2.1").expect_err("that was the last");
    assert_eq!(refused, limited(SendLimit::Account, 24 * 3600 / 50));
    count(&mut sends, &number(60), 2, "192.0.2.1").expect("another account may");

    // Ten codes for each of a hundred handles and twenty accounts would do, but the table of tests is small: it is
    // emptied by time, in which the network gets next to nothing back.
    let mut sends = sends::Sends::new();
    for one in 0..limits::CODE_SENDERS_MAX {
        let one = u32::try_from(one).expect("it is small");
        count(&mut sends, &number(one), u64::from(one), "2001:db8:0:1::7").expect("there is room");
    }
    assert_eq!(
        count(&mut sends, &number(1_000), 0, "2001:db8:0:1::7"),
        Err(BeginError::Overloaded)
    );
    count(&mut sends, &number(0), 0, "2001:db8:0:1::7").expect("those counted already may go on");
    assert!(network("::ffff:192.0.2.1") == network("192.0.2.1"));
    assert!(network("2001:db8:0:1::7") == network("2001:db8:0:1:ffff::1"));
    assert!(network("2001:db8:0:1::7") != network("2001:db8:0:2::7"));
}

#[tokio::test]
async fn a_deregistration_says_the_same_whoever_holds_the_handle() {
    let bench = Bench::new();
    let holder = bench.asker().await;
    bench.registry.prove(holder.device, handle(PHONE)).await.expect("it binds");
    let held = bench.ownership.begin_deregistration(handle(PHONE), None).await.expect("it is sent");
    let code = bench.post.code();
    assert_eq!(bench.post.last().purpose, Purpose::Deregister);
    let free = bench
        .ownership
        .begin_deregistration(handle("+14155550124"), None)
        .await
        .expect("it is sent");
    let same =
        |one: &Verification| (one.sent_by, one.expires_at, one.next_send_at, one.attempts_left);
    assert_eq!(same(&held), same(&free));
    let answer = bench.ownership.confirm(free.verification, &bench.post.code()).await;
    assert_eq!(answer, Ok(Confirmed::Deregistered { handle: handle("+14155550124") }));
    let answer = bench.ownership.confirm(held.verification, &code).await;
    assert_eq!(answer, Ok(Confirmed::Deregistered { handle: handle(PHONE) }));
    assert!(!bench.is_live(PHONE));
    let begun =
        bench.ownership.begin_binding(holder, handle(PHONE), None).await.expect("it is sent");
    assert!(matches!(begun, Begun::Sent(_)), "a new proof is needed");
}

#[tokio::test]
async fn nobody_can_use_up_the_attempts_of_somebody_elsewhere() {
    let bench = Bench::new();
    let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().ok());
    let first =
        bench.ownership.begin_deregistration(handle(PHONE), here).await.expect("it is sent");
    let second =
        bench.ownership.begin_deregistration(handle(PHONE), there).await.expect("it is sent");
    assert_ne!(first.verification, second.verification);
    let again = bench.ownership.begin_deregistration(handle(PHONE), here).await;
    assert_eq!(again, Err(limited(SendLimit::Resend, 30)));

    // Later, from the same network: a session of its own, and the first one's code stays good.
    let code = bench.post.codes_for(first.verification);
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let third =
        bench.ownership.begin_deregistration(handle(PHONE), here).await.expect("it is sent");
    assert_ne!(third.verification, first.verification);
    let confirmed = bench.ownership.confirm(first.verification, &code).await;
    assert!(matches!(confirmed, Ok(Confirmed::Deregistered { .. })));
}

#[tokio::test]
async fn what_could_not_be_delivered_was_not_asked_for() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    bench.post.is_down.store(true, Ordering::SeqCst);
    for _ in 0..2 * limits::CODE_SENDS_PER_HANDLE_MAX {
        assert_eq!(bench.begin(asker, PHONE).await, Err(NOT_SENT));
    }
    assert_eq!(bench.ownership.sessions_open(), 0);
    bench.post.is_down.store(false, Ordering::SeqCst);
    let begun = bench.begin(asker, PHONE).await.expect("it is sent");
    let code = bench.post.code();
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    bench.post.is_down.store(true, Ordering::SeqCst);
    assert_eq!(bench.begin(asker, PHONE).await, Err(NOT_SENT));
    assert!(
        bench.ownership.confirm(begun.verification, &code).await.is_ok(),
        "the former code stands"
    );
}

/// Asks, lets `meanwhile` happen while the code is in the air, and lets it land.
async fn in_the_air<T>(
    bench: &Bench,
    asker: Asker,
    outcome: Result<(), DeliveryError>,
    meanwhile: impl AsyncFnOnce() -> T,
) -> (Result<Verification, BeginError>, T) {
    let landing = bench.post.hold();
    let sent = bench.post.count();
    let asking = bench.begin(asker, PHONE);
    let landing = async {
        while bench.post.count() == sent {
            tokio::task::yield_now().await;
        }
        let seen = meanwhile().await;
        landing.send_replace(Some(outcome));
        seen
    };
    let (asked, seen) = future::join(asking, landing).await;
    *bench.post.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    (asked, seen)
}

#[tokio::test]
async fn a_failing_gateway_is_no_way_to_guess_without_end() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let id = bench.begin(asker, PHONE).await.expect("it is sent").verification;
    let code = bench.post.code();
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    for attempts_left in [4, 3, 2, 1] {
        let guess = async || bench.ownership.confirm(id, "no code").await;
        let (asked, guessed) = in_the_air(&bench, asker, Err(DeliveryError::NotSent), guess).await;
        assert_eq!(asked, Err(NOT_SENT));
        assert_eq!(guessed, Err(ConfirmError::CodeWrong { attempts_left }));
    }
    let lost = bench.post.code();
    if lost != code {
        let answer = bench.ownership.confirm(id, &lost).await;
        assert_eq!(answer, Err(ConfirmError::TooManyAttempts), "an undelivered code is not good");
    }
}

#[tokio::test]
async fn what_was_confirmed_while_another_code_was_in_the_air_stays_confirmed() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let id = bench.begin(asker, PHONE).await.expect("it is sent").verification;
    let former = bench.post.code();
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let confirm = async || bench.ownership.confirm(id, &bench.post.code()).await;
    let (_, confirmed) = in_the_air(&bench, asker, Err(DeliveryError::NotSent), confirm).await;
    assert!(matches!(confirmed, Ok(Confirmed::Bound { .. })), "{confirmed:?}");
    let answer = bench.ownership.confirm(id, &former).await;
    assert_eq!(answer, Err(ConfirmError::Unknown), "a session is confirmed once");
}

#[tokio::test]
async fn a_code_that_was_perhaps_sent_is_not_good_but_counts() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let perhaps = Err(DeliveryError::PerhapsSent);
    let (asked, ()) = in_the_air(&bench, asker, perhaps, async || ()).await;
    let retry_after = limits::CODE_RESEND_PAUSE;
    assert_eq!(asked, Err(BeginError::DeliveryFailed { retry_after }));
    let lost = bench.post.last();
    let refused = bench.ownership.confirm(lost.verification, lost.code.expose()).await;
    assert!(matches!(refused, Err(ConfirmError::CodeWrong { .. })), "{refused:?}");
    assert_eq!(bench.begin(asker, PHONE).await, Err(limited(SendLimit::Resend, 30)));

    // A session that its asker knows goes on with the code that it has.
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let known = bench.begin(asker, PHONE).await.expect("the pause is over");
    let code = bench.post.code();
    bench.clock.advance(2 * limits::CODE_RESEND_PAUSE);
    let (asked, ()) = in_the_air(&bench, asker, perhaps, async || ()).await;
    let retry_after = 4 * limits::CODE_RESEND_PAUSE;
    assert_eq!(asked, Err(BeginError::DeliveryFailed { retry_after }));
    let confirmed = bench.ownership.confirm(known.verification, &code).await;
    assert!(confirmed.is_ok(), "{confirmed:?}");

    // Nobody's phone is flooded through a gateway that sends and does not answer.
    for sent in 3..limits::CODE_SENDS_PER_HANDLE_MAX {
        let other = bench.asker().await;
        let (asked, ()) = in_the_air(&bench, other, perhaps, async || ()).await;
        assert!(matches!(asked, Err(BeginError::DeliveryFailed { .. })), "{sent}: {asked:?}");
    }
    let refused = bench.begin(bench.asker().await, PHONE).await;
    assert!(
        matches!(refused, Err(BeginError::RateLimited { limit: SendLimit::Handle, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_deregistration_confirmed_meanwhile_is_not_good_again() {
    let bench = Bench::new();
    let from = "192.0.2.1".parse::<IpAddr>().ok();
    let begin = async || bench.ownership.begin_deregistration(handle(PHONE), from).await;
    let first = begin().await.expect("it is sent");
    let code = bench.post.code();
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let landing = bench.post.hold();
    let confirming = async {
        while bench.post.count() < 2 {
            tokio::task::yield_now().await;
        }
        let confirmed = bench.ownership.confirm(first.verification, &code).await;
        landing.send_replace(Some(Err(DeliveryError::NotSent)));
        confirmed
    };
    let (failed, confirmed) = future::join(begin(), confirming).await;
    assert_eq!(failed, Err(NOT_SENT));
    assert!(confirmed.is_ok(), "{confirmed:?}");
    let again = bench.ownership.confirm(first.verification, &code).await;
    assert_eq!(again, Err(ConfirmError::Unknown));
}

#[tokio::test]
async fn a_delivery_lands_though_its_asker_has_gone() {
    for outcome in [Err(DeliveryError::NotSent), Ok(())] {
        let bench = Bench::new();
        let asker = bench.asker().await;
        let id = bench.begin(asker, PHONE).await.expect("it is sent").verification;
        let former = bench.post.code();
        bench.clock.advance(limits::CODE_RESEND_PAUSE);
        let landing = bench.post.hold();
        let mut asking = Box::pin(bench.begin(asker, PHONE));
        assert!((&mut asking).now_or_never().is_none(), "it is in the air");
        drop(asking);
        landing.send_replace(Some(outcome));
        while bench.ownership.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
        let good = if outcome.is_ok() { bench.post.code() } else { former };
        let answer = bench.ownership.confirm(id, &good).await;
        assert!(answer.is_ok(), "{outcome:?}: {answer:?}");
    }
}

#[tokio::test]
async fn only_so_many_codes_are_in_the_air_at_once() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let landing = bench.post.hold();
    let number = |number: usize| format!("+1415{number:07}");
    let asked =
        (0..=limits::CODES_IN_FLIGHT_MAX).map(async |n| bench.begin(asker, &number(n)).await);
    let landing = async {
        while bench.post.count() < limits::CODES_IN_FLIGHT_MAX {
            tokio::task::yield_now().await;
        }
        landing.send_replace(Some(Ok(())));
    };
    let (asked, ()) = future::join(future::join_all(asked), landing).await;
    let refused: Vec<_> = asked.iter().filter(|asked| asked.is_err()).collect();
    assert_eq!(refused, [&Err(BeginError::Overloaded)]);
    *bench.post.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    bench.begin(asker, &number(99)).await.expect("there is room again");
}

#[tokio::test]
async fn a_right_code_stays_good_while_the_registry_cannot_change() {
    let bench = Bench::new();
    let begun = bench.begin(bench.asker().await, PHONE).await.expect("it is sent");
    bench.registry.close();
    for _ in 0..2 {
        let answer = bench.ownership.confirm(begun.verification, &bench.post.code()).await;
        assert!(matches!(answer, Err(ConfirmError::Bind(BindError::Change(_)))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_device_that_signed_out_meanwhile_binds_nothing() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("it is sent");
    bench.registry.sign_out(asker.device).await.expect("it is known");
    let answer = bench.ownership.confirm(begun.verification, &bench.post.code()).await;
    assert_eq!(answer, Err(ConfirmError::Bind(BindError::DeviceUnknown)));
    assert!(!bench.is_live(PHONE));
}

#[tokio::test]
async fn the_table_is_bounded_and_expired_sessions_make_room() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begin = async |number: usize| bench.begin(asker, &format!("+1415{number:07}")).await;
    for number in 0..limits::VERIFICATIONS_MAX {
        begin(number).await.expect("there is room");
    }
    assert_eq!(begin(1_000).await, Err(BeginError::Overloaded));
    bench.clock.advance(limits::CODE_LIFETIME);
    begin(1_000).await.expect("expired ones make room");
    assert_eq!(bench.ownership.sessions_open(), limits::VERIFICATIONS_MAX);
}

#[tokio::test]
async fn no_code_and_no_handle_prints() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("it is sent");
    let wrong = bench.ownership.confirm(begun.verification, &bench.post.wrong()).await;
    let confirmed = bench.ownership.confirm(begun.verification, &bench.post.code()).await;
    let link = bench.ownership.issue_link_code(asker).expect("there is room");
    let printed = format!(
        "{begun:?} {wrong:?} {confirmed:?} {:?} {link:?} {:?}",
        bench.post.last(),
        bench.ownership
    );
    for secret in [&bench.post.code(), link.expose(), "4155550123"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn a_link_code_joins_the_account() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    bench.registry.prove(asker.device, handle(PHONE)).await.expect("it binds");
    let link = bench.ownership.issue_link_code(asker).expect("there is room");
    let redeemed = bench.ownership.redeem_link_code(link.expose());
    let account = redeemed.map(|redeemed| redeemed.account());
    assert_eq!(account, Some(asker.account));
    let request = SignUp { platform: Platform::Macos, name: None, link: account };
    let joined = bench.registry.sign_up(request).await.expect("there is room");
    let details = bench.registry.device(joined.device).expect("loaded").expect("it is known");
    assert_eq!(details.handles.len(), 1);
    assert!(bench.ownership.redeem_link_code(link.expose()).is_none());

    // A code of a device that has signed out since lets nobody in, though its account lives on.
    let link = bench.ownership.issue_link_code(asker).expect("there is room");
    bench.registry.sign_out(asker.device).await.expect("it is known");
    assert!(bench.ownership.redeem_link_code(link.expose()).is_none());
}
