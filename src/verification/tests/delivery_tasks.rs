//! Deliveries that are under way, and deliveries that fail.

use super::*;

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
async fn a_code_that_was_not_sent_counts_and_leaves_the_former_code_valid() {
    let pause = Duration::from_secs(90);
    for (error, answer, wait) in [
        (DeliveryError::NotSent, FAILED, limits::DELIVERY_RETRY_PAUSE),
        (
            DeliveryError::Paused { retry_after: pause },
            BeginError::DeliveryFailed { retry_after: pause },
            pause,
        ),
        (DeliveryError::Refused, BeginError::DeliveryRefused, 2 * limits::CODE_RESEND_PAUSE),
    ] {
        let bench = Bench::new();
        let asker = bench.asker().await;
        let begun = bench.begin(asker, PHONE).await.expect("sent");
        let code = bench.delivery.code();
        bench.clock.advance(limits::CODE_RESEND_PAUSE);
        bench.delivery.fail(Some(error));
        assert_eq!(bench.begin(asker, PHONE).await, Err(answer));
        let open = bench.begin(asker, PHONE).await.expect("the former code is valid");
        assert_eq!((open.verification, open.expires_at), (begun.verification, begun.expires_at));
        assert_eq!(open.next_send_at, bench.clock.now().plus(wait));
        let lost = bench.confirm(&begun, &bench.delivery.code()).await;
        assert!(
            matches!(lost, Err(ConfirmError::CodeWrong { .. })) || bench.delivery.code() == code
        );
        assert!(bench.confirm(&begun, &code).await.is_ok(), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusing_gateway_does_not_lift_the_limits() {
    for error in [DeliveryError::Refused, DeliveryError::NotSent] {
        let bench = Bench::new();
        bench.delivery.fail(Some(error));
        let mut limits_named = 0;
        for _ in 0..60 {
            let refused = bench.begin(bench.asker().await, PHONE).await.expect_err("not sent");
            limits_named += usize::from(matches!(refused, BeginError::RateLimited { .. }));
        }
        assert_eq!(bench.delivery.count(), limits::CODES_PER_PERSON_UNPROVEN);
        assert_eq!(limits_named, 60 - bench.delivery.count());
        // Nor does one device that asks again and again.
        let asker = bench.asker().await;
        let other = "ann@example.org";
        let first = bench.begin(asker, other).await.expect_err("not sent");
        assert!(!matches!(first, BeginError::RateLimited { .. }), "{first:?}");
        let again = bench.begin(asker, other).await;
        assert!(
            matches!(again, Err(BeginError::RateLimited { limit: Limit::Resend, .. })),
            "{again:?}"
        );
    }
}

#[tokio::test]
async fn a_failing_gateway_does_not_allow_unlimited_guesses() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    for attempts_left in [4, 3, 2, 1] {
        let guess = async || bench.confirm(&begun, &bench.delivery.wrong()).await;
        let (asked, guessed) =
            while_delivering(&bench, asker, Err(DeliveryError::NotSent), guess).await;
        assert_eq!(asked, Err(FAILED));
        assert_eq!(guessed, Err(ConfirmError::CodeWrong { attempts_left }));
        bench.clock.advance(limits::DELIVERY_RETRY_PAUSE);
    }
}

#[tokio::test]
async fn a_session_confirmed_during_a_delivery_stays_confirmed() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    let former = bench.delivery.code();
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let confirm = async || bench.confirm(&begun, &bench.delivery.code()).await;
    let (_, confirmed) =
        while_delivering(&bench, asker, Err(DeliveryError::NotSent), confirm).await;
    assert!(matches!(confirmed, Ok(Confirmed::Bound { .. })), "{confirmed:?}");
    if former != bench.delivery.code() {
        let answer = bench.confirm(&begun, &former).await;
        assert_eq!(answer, Err(ConfirmError::Unknown), "a session is confirmed once");
    }
}

#[tokio::test]
async fn a_code_that_was_perhaps_sent_is_valid_and_asking_again_gives_its_verification() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    bench.delivery.fail(Some(DeliveryError::PerhapsSent));
    assert_eq!(bench.begin(asker, PHONE).await, Err(FAILED));
    let sent = bench.delivery.last();
    let again = bench.begin(asker, PHONE).await.expect("its session is open");
    assert_eq!(again.verification, sent.verification);
    assert_eq!(bench.delivery.count(), 1);
    bench.confirm(&again, sent.code.expose()).await.expect("the code is valid");
}

#[tokio::test]
async fn a_phone_that_gives_up_and_asks_again_gets_the_verification_of_the_message() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let outcome_tx = bench.delivery.hold();
    let mut asking = Box::pin(bench.begin(asker, PHONE));
    while bench.delivery.count() == 0 {
        let _ = (&mut asking).now_or_never();
        tokio::task::yield_now().await;
    }
    drop(asking);
    let again = bench.begin(asker, PHONE).await.expect("its session is open");
    assert_eq!(again.verification, bench.delivery.last().verification);
    outcome_tx.send_replace(Some(Ok(())));
    bench.delivered().await;
    bench.confirm(&again, &bench.delivery.code()).await.expect("the code is valid");
    assert_eq!(bench.delivery.count(), 1);
}

#[tokio::test]
async fn whenever_a_client_disconnects_a_session_has_its_message() {
    let bench = Bench::with(&Config { sessions: 1_000, ..Config::default() });
    for polls in 1..100_usize {
        let (asker, sent) = (bench.asker().await, bench.delivery.count());
        let handle = format!("ann{polls}@example.org");
        let mut asking = Box::pin(bench.begin(asker, &handle));
        for _ in 0..polls {
            if (&mut asking).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(asking);
        // What the client asked for is committed before this.
        bench.asker().await;
        bench.delivered().await;
        let begun = bench.begin(asker, &handle).await.expect("its session is open, or begins");
        assert_eq!(bench.delivery.count(), sent + 1, "dropped after {polls} polls");
        bench.confirm(&begun, &bench.delivery.code()).await.expect("it was sent");
    }
}

#[tokio::test]
async fn a_deregistration_answers_before_its_delivery_whatever_follows() {
    let bench = Bench::new();
    let outcome_tx = bench.delivery.hold();
    let first = bench.deregister(PHONE, NETWORK).await.expect("nobody waits for the delivery");
    outcome_tx.send_replace(Some(Err(DeliveryError::Refused)));
    bench.delivered().await;
    let lost = bench.confirm(&first, &bench.delivery.code()).await;
    assert!(matches!(lost, Err(ConfirmError::CodeWrong { .. })), "{lost:?}");
}

#[tokio::test]
async fn deliveries_at_once_are_bounded_and_strangers_leave_a_part() {
    let bench = Bench::new();
    let (asker, known) = (bench.asker().await, bench.holder("ann@example.org").await);
    let outcome_tx = bench.delivery.hold();
    let number = |number: usize| format!("+1415{number:07}");
    for n in 0..limits::DELIVERIES_MAX / 2 {
        bench.deregister(&number(n), NETWORK).await.expect("half of the permits");
    }
    assert_eq!(bench.deregister(&number(9), NETWORK).await, Err(BeginError::Overloaded));
    let begin = async |asker, n| bench.begin(asker, &number(n)).await;
    let begun = async |count| {
        while bench.delivery.count() < count {
            tokio::task::yield_now().await;
        }
    };
    let of_known = async {
        begun(limits::DELIVERIES_MAX - 1).await;
        assert_eq!(begin(asker, 11).await, Err(BeginError::Overloaded));
        let last = async {
            begun(limits::DELIVERIES_MAX).await;
            assert_eq!(begin(known, 13).await, Err(BeginError::Overloaded));
            outcome_tx.send_replace(Some(Ok(())));
        };
        future::join(begin(known, 12), last).await.0
    };
    let (first, second) = future::join(begin(asker, 10), of_known).await;
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    *bench.delivery.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    bench.begin(asker, &number(99)).await.expect("a permit is free again");
}
