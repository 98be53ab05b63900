//! Codes that are being delivered, and those that could not be.

use super::*;

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
    let outcome_tx = bench.post.hold();
    let sent = bench.post.count();
    let asking = bench.begin(asker, PHONE);
    let outcome_tx = async {
        while bench.post.count() == sent {
            tokio::task::yield_now().await;
        }
        let seen = meanwhile().await;
        outcome_tx.send_replace(Some(outcome));
        seen
    };
    let (asked, seen) = future::join(asking, outcome_tx).await;
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
    let outcome_tx = bench.post.hold();
    let confirming = async {
        while bench.post.count() < 2 {
            tokio::task::yield_now().await;
        }
        let confirmed = bench.ownership.confirm(first.verification, &code).await;
        outcome_tx.send_replace(Some(Err(DeliveryError::NotSent)));
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
        let outcome_tx = bench.post.hold();
        let mut asking = Box::pin(bench.begin(asker, PHONE));
        assert!((&mut asking).now_or_never().is_none(), "it is in the air");
        drop(asking);
        outcome_tx.send_replace(Some(outcome));
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
    let outcome_tx = bench.post.hold();
    let number = |number: usize| format!("+1415{number:07}");
    let asked =
        (0..=limits::CODES_IN_FLIGHT_MAX).map(async |n| bench.begin(asker, &number(n)).await);
    let outcome_tx = async {
        while bench.post.count() < limits::CODES_IN_FLIGHT_MAX {
            tokio::task::yield_now().await;
        }
        outcome_tx.send_replace(Some(Ok(())));
    };
    let (asked, ()) = future::join(future::join_all(asked), outcome_tx).await;
    let refused: Vec<_> = asked.iter().filter(|asked| asked.is_err()).collect();
    assert_eq!(refused, [&Err(BeginError::Overloaded)]);
    *bench.post.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    bench.begin(asker, &number(99)).await.expect("there is room again");
}
