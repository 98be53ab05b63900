//! Deliveries that are under way, and deliveries that fail.

use super::*;

#[tokio::test]
async fn a_failed_delivery_changes_nothing() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    bench.delivery.is_down.store(true, Ordering::SeqCst);
    for _ in 0..2 * limits::CODE_SENDS_PER_HANDLE_MAX {
        assert_eq!(bench.begin(asker, PHONE).await, Err(NOT_SENT));
    }
    assert_eq!(bench.service.sessions_open(), 0);
    bench.delivery.is_down.store(false, Ordering::SeqCst);
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    let code = bench.delivery.code();
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    bench.delivery.is_down.store(true, Ordering::SeqCst);
    assert_eq!(bench.begin(asker, PHONE).await, Err(NOT_SENT));
    assert!(
        bench.service.confirm(begun.verification, &code).await.is_ok(),
        "the former code is still valid"
    );
}

/// Requests a code, runs `meanwhile` while it is being delivered, and then ends the delivery with `outcome`.
async fn while_delivering<T>(
    bench: &Bench,
    asker: Asker,
    outcome: Result<(), DeliveryError>,
    meanwhile: impl AsyncFnOnce() -> T,
) -> (Result<Verification, BeginError>, T) {
    let outcome_tx = bench.delivery.hold();
    let sent = bench.delivery.count();
    let asking = bench.begin(asker, PHONE);
    let ending = async {
        while bench.delivery.count() == sent {
            tokio::task::yield_now().await;
        }
        let seen = meanwhile().await;
        outcome_tx.send_replace(Some(outcome));
        seen
    };
    let (asked, seen) = future::join(asking, ending).await;
    *bench.delivery.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    (asked, seen)
}

#[tokio::test]
async fn a_failing_gateway_does_not_allow_unlimited_guesses() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let id = bench.begin(asker, PHONE).await.expect("sent").verification;
    let code = bench.delivery.code();
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    for attempts_left in [4, 3, 2, 1] {
        let guess = async || bench.service.confirm(id, "no code").await;
        let (asked, guessed) =
            while_delivering(&bench, asker, Err(DeliveryError::NotSent), guess).await;
        assert_eq!(asked, Err(NOT_SENT));
        assert_eq!(guessed, Err(ConfirmError::CodeWrong { attempts_left }));
    }
    let lost = bench.delivery.code();
    if lost != code {
        let answer = bench.service.confirm(id, &lost).await;
        assert_eq!(answer, Err(ConfirmError::TooManyAttempts), "an undelivered code is invalid");
    }
}

#[tokio::test]
async fn a_session_confirmed_during_a_delivery_stays_confirmed() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let id = bench.begin(asker, PHONE).await.expect("sent").verification;
    let former = bench.delivery.code();
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let confirm = async || bench.service.confirm(id, &bench.delivery.code()).await;
    let (_, confirmed) =
        while_delivering(&bench, asker, Err(DeliveryError::NotSent), confirm).await;
    assert!(matches!(confirmed, Ok(Confirmed::Bound { .. })), "{confirmed:?}");
    let answer = bench.service.confirm(id, &former).await;
    assert_eq!(answer, Err(ConfirmError::Unknown), "a session is confirmed once");
}

#[tokio::test]
async fn a_code_that_was_perhaps_sent_is_invalid_but_counts() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let perhaps = Err(DeliveryError::PerhapsSent);
    let (asked, ()) = while_delivering(&bench, asker, perhaps, async || ()).await;
    let retry_after = limits::CODE_RESEND_PAUSE;
    assert_eq!(asked, Err(BeginError::DeliveryFailed { retry_after }));
    let lost = bench.delivery.last();
    let refused = bench.service.confirm(lost.verification, lost.code.expose()).await;
    assert!(matches!(refused, Err(ConfirmError::CodeWrong { .. })), "{refused:?}");
    assert_eq!(bench.begin(asker, PHONE).await, Err(limited(Limit::Resend, 30)));

    // A session that the client knows continues with its former code.
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let known = bench.begin(asker, PHONE).await.expect("the pause is over");
    let code = bench.delivery.code();
    bench.clock.advance(2 * limits::CODE_RESEND_PAUSE);
    let (asked, ()) = while_delivering(&bench, asker, perhaps, async || ()).await;
    let retry_after = 4 * limits::CODE_RESEND_PAUSE;
    assert_eq!(asked, Err(BeginError::DeliveryFailed { retry_after }));
    let confirmed = bench.service.confirm(known.verification, &code).await;
    assert!(confirmed.is_ok(), "{confirmed:?}");

    // A gateway that sends and does not answer cannot be used to flood a phone.
    for sent in 3..limits::CODE_SENDS_PER_HANDLE_MAX {
        let other = bench.asker().await;
        let (asked, ()) = while_delivering(&bench, other, perhaps, async || ()).await;
        assert!(matches!(asked, Err(BeginError::DeliveryFailed { .. })), "{sent}: {asked:?}");
    }
    let refused = bench.begin(bench.asker().await, PHONE).await;
    assert!(
        matches!(refused, Err(BeginError::RateLimited { limit: Limit::CodesPerHandle, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_deregistration_confirmed_during_a_delivery_is_not_restored() {
    let bench = Bench::new();
    let from = "192.0.2.1".parse::<IpAddr>().ok();
    let begin = async || bench.service.begin_deregistration(handle(PHONE), from).await;
    let first = begin().await.expect("sent");
    let code = bench.delivery.code();
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let outcome_tx = bench.delivery.hold();
    let confirming = async {
        while bench.delivery.count() < 2 {
            tokio::task::yield_now().await;
        }
        let confirmed = bench.service.confirm(first.verification, &code).await;
        outcome_tx.send_replace(Some(Err(DeliveryError::NotSent)));
        confirmed
    };
    let (failed, confirmed) = future::join(begin(), confirming).await;
    assert_eq!(failed, Err(NOT_SENT));
    assert!(confirmed.is_ok(), "{confirmed:?}");
    let again = bench.service.confirm(first.verification, &code).await;
    assert_eq!(again, Err(ConfirmError::Unknown));
}

#[tokio::test]
async fn a_delivery_ends_though_its_client_has_disconnected() {
    for outcome in [Err(DeliveryError::NotSent), Ok(())] {
        let bench = Bench::new();
        let asker = bench.asker().await;
        let id = bench.begin(asker, PHONE).await.expect("sent").verification;
        let former = bench.delivery.code();
        bench.clock.advance(limits::CODE_RESEND_PAUSE);
        let outcome_tx = bench.delivery.hold();
        let mut asking = Box::pin(bench.begin(asker, PHONE));
        assert!((&mut asking).now_or_never().is_none(), "it is being delivered");
        drop(asking);
        outcome_tx.send_replace(Some(outcome));
        assert!(bench.shutdown.drained(Duration::from_secs(60)).await, "the delivery ends");
        let valid = if outcome.is_ok() { bench.delivery.code() } else { former };
        let answer = bench.service.confirm(id, &valid).await;
        assert!(answer.is_ok(), "{outcome:?}: {answer:?}");
    }
}

#[tokio::test]
async fn deliveries_at_once_are_bounded() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let outcome_tx = bench.delivery.hold();
    let number = |number: usize| format!("+1415{number:07}");
    let asked = (0..=limits::DELIVERIES_MAX).map(async |n| bench.begin(asker, &number(n)).await);
    let ending = async {
        while bench.delivery.count() < limits::DELIVERIES_MAX {
            tokio::task::yield_now().await;
        }
        outcome_tx.send_replace(Some(Ok(())));
    };
    let (asked, ()) = future::join(future::join_all(asked), ending).await;
    let refused: Vec<_> = asked.iter().filter(|asked| asked.is_err()).collect();
    assert_eq!(refused, [&Err(BeginError::Overloaded)]);
    *bench.delivery.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    bench.begin(asker, &number(99)).await.expect("a permit is free again");
}
