//! What a code does, how long it is valid, and how many attempts it has.

use super::*;

#[tokio::test]
async fn the_code_binds_the_handle_once() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    let now = bench.clock.now();
    assert_eq!((begun.sent_by, begun.attempts_left), (SentBy::Sms, limits::CODE_ATTEMPTS_MAX));
    assert_eq!(
        (begun.expires_at, begun.next_send_at),
        (now.plus(limits::CODE_LIFETIME), now.plus(limits::CODE_RESEND_PAUSE))
    );
    let sent = bench.delivery.last();
    assert_eq!(
        (sent.to, sent.verification, sent.purpose),
        (handle(PHONE), begun.verification, Purpose::Bind)
    );
    assert!(!bench.is_live(PHONE), "a request proves nothing");
    let confirmed = bench.service.confirm(begun.verification, &bench.delivery.code()).await;
    assert_eq!(confirmed, Ok(Confirmed::Bound { handle: handle(PHONE), proved_at: now }));
    assert!(bench.is_live(PHONE));
    bench.clock.advance(Duration::from_secs(5));
    let again = bench.confirm(&begun, &bench.delivery.code()).await;
    assert_eq!(again, confirmed, "for a phone that lost the first answer");
    let next = bench.begin(bench.asker().await, PHONE).await.expect("sent");
    assert_ne!(next.verification, begun.verification);
}

#[tokio::test]
async fn wrong_codes_end_the_session() {
    let bench = Bench::new();
    let begun = bench.begin(bench.asker().await, "a@example.org").await.expect("sent");
    assert_eq!(begun.sent_by, SentBy::Email);
    for attempts_left in (1..limits::CODE_ATTEMPTS_MAX).rev() {
        let answer = bench.service.confirm(begun.verification, &bench.delivery.wrong()).await;
        assert_eq!(answer, Err(ConfirmError::CodeWrong { attempts_left }));
    }
    for code in [bench.delivery.wrong(), bench.delivery.code()] {
        let answer = bench.service.confirm(begun.verification, &code).await;
        let retry_after = limits::CODE_RESEND_PAUSE;
        assert_eq!(answer, Err(ConfirmError::TooManyAttempts { retry_after }));
    }
    let answer = bench.service.confirm(VerificationId::random(), &bench.delivery.code()).await;
    assert_eq!(answer, Err(ConfirmError::Unknown));
    assert!(!bench.is_live("a@example.org"));
}

#[tokio::test]
async fn a_code_expires_at_its_exact_microsecond_and_is_unknown_later() {
    let bench = Bench::new();
    let (first, second) = (bench.asker().await, bench.asker().await);
    let begun = bench.begin(first, PHONE).await.expect("sent");
    bench.clock.advance(limits::CODE_LIFETIME - Duration::from_micros(1));
    let code = bench.delivery.code();
    assert!(bench.service.confirm(begun.verification, &code).await.is_ok());
    let begun = bench.begin(second, PHONE).await.expect("sent");
    let code = bench.delivery.code();
    bench.clock.advance(limits::CODE_LIFETIME);
    assert_eq!(bench.service.confirm(begun.verification, &code).await, Err(ConfirmError::Expired));
    bench.clock.advance(limits::CODE_LIFETIME);
    assert_eq!(bench.service.confirm(begun.verification, &code).await, Err(ConfirmError::Unknown));
}

#[tokio::test]
async fn an_open_session_is_given_again_and_sends_nothing_before_its_pause_ends() {
    let bench = Bench::new();
    let owner = bench.holder(PHONE).await;
    bench.registry.deregister(handle(PHONE)).await.expect("it is held");
    let begun = bench.begin(owner, PHONE).await.expect("sent");
    let former = bench.delivery.code();
    let wrong = bench.confirm(&begun, &bench.delivery.wrong()).await;
    assert_eq!(wrong, Err(ConfirmError::CodeWrong { attempts_left: 4 }));
    for (sent, pause_secs) in [(1, 30), (2, 60), (3, 120), (4, 240)] {
        bench.clock.advance(Duration::from_secs(pause_secs) - Duration::from_micros(1));
        let open = bench.begin(owner, PHONE).await.expect("it is open");
        assert_eq!(open.next_send_at, bench.clock.now().plus(Duration::from_micros(1)));
        assert_eq!((open.verification, open.attempts_left), (begun.verification, 4));
        assert_eq!(bench.delivery.count(), sent);
        bench.clock.advance(Duration::from_micros(1));
        let next = bench.begin(owner, PHONE).await.expect("the pause is over");
        assert_eq!((next.verification, next.attempts_left), (begun.verification, 4));
        assert_eq!(bench.delivery.count(), sent + 1);
    }
    if former != bench.delivery.code() {
        for _ in 0..limits::CODE_ATTEMPTS_MAX {
            let answer = bench.confirm(&begun, &former).await;
            assert_eq!(answer, Err(ConfirmError::CodeOvertaken), "it costs no attempt");
        }
    }
    assert!(bench.confirm(&begun, &bench.delivery.code()).await.is_ok());
}

#[tokio::test]
async fn a_code_is_read_as_it_is_typed_and_other_text_costs_no_attempt() {
    let bench = Bench::new();
    let begun = bench.begin(bench.asker().await, PHONE).await.expect("sent");
    for text in ["", "no code", "12345", "1234567", "12345a"] {
        let answer = bench.confirm(&begun, text).await;
        assert_eq!(answer, Err(ConfirmError::CodeWrong { attempts_left: 5 }), "{text}");
    }
    let code = bench.delivery.code();
    let typed = format!("\u{200E}{} {}\n", &code[..3], &code[3..]);
    assert!(bench.confirm(&begun, &typed).await.is_ok());
}

#[tokio::test]
async fn of_many_guesses_at_once_five_are_judged() {
    let bench = Bench::new();
    let begun = bench.begin(bench.asker().await, PHONE).await.expect("sent");
    let wrong = bench.delivery.wrong();
    let answers = future::join_all((0..50).map(|_| bench.confirm(&begun, &wrong))).await;
    let judged =
        answers.iter().filter(|answer| matches!(answer, Err(ConfirmError::CodeWrong { .. })));
    assert_eq!(judged.count(), usize::from(limits::CODE_ATTEMPTS_MAX) - 1, "{answers:?}");
    let answer = bench.confirm(&begun, &bench.delivery.code()).await;
    let retry_after = limits::CODE_RESEND_PAUSE;
    assert_eq!(answer, Err(ConfirmError::TooManyAttempts { retry_after }));
}

#[tokio::test]
async fn after_a_session_without_attempts_another_one_begins_after_the_pause() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    for _ in 0..limits::CODE_ATTEMPTS_MAX {
        bench
            .service
            .confirm(begun.verification, &bench.delivery.wrong())
            .await
            .expect_err("it is wrong");
    }
    assert_eq!(bench.begin(asker, PHONE).await, Err(limited(Limit::Resend, 30)));
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let next = bench.begin(asker, PHONE).await.expect("the pause is over");
    assert_ne!(next.verification, begun.verification);
    assert_eq!(next.attempts_left, limits::CODE_ATTEMPTS_MAX);
    let answer = bench.service.confirm(begun.verification, &bench.delivery.code()).await;
    assert_eq!(answer, Err(ConfirmError::TooManyAttempts { retry_after: Duration::ZERO }));
}

#[tokio::test]
async fn used_up_attempts_say_when_another_code_can_be_requested() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    bench.begin(asker, PHONE).await.expect("sent");
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let begun = bench.begin(asker, PHONE).await.expect("sent again");
    bench.clock.advance(Duration::from_secs(3));
    let mut answer = Err(ConfirmError::Unknown);
    for _ in 0..limits::CODE_ATTEMPTS_MAX {
        let (right, wrong) = (bench.delivery.codes_for(begun.verification), bench.delivery.wrong());
        assert_ne!(right, wrong);
        answer = bench.confirm(&begun, &wrong).await;
    }
    let Err(ConfirmError::TooManyAttempts { retry_after }) = answer else { panic!("{answer:?}") };
    assert_eq!(retry_after, 2 * limits::CODE_RESEND_PAUSE - Duration::from_secs(3));
    let early = bench.begin(asker, PHONE).await;
    assert_eq!(early, Err(BeginError::RateLimited { limit: Limit::Resend, retry_after }));
    bench.clock.advance(retry_after);
    bench.begin(asker, PHONE).await.expect("the pause that was told is over");
}

#[tokio::test]
async fn a_deregistration_answers_the_same_whether_or_not_the_handle_is_held() {
    let bench = Bench::new();
    let holder = bench.asker().await;
    bench.registry.prove(holder.device, handle(PHONE)).await.expect("it binds");
    let held = bench.service.begin_deregistration(handle(PHONE), None).await.expect("sent");
    bench.delivered().await;
    let code = bench.delivery.code();
    assert_eq!(bench.delivery.last().purpose, Purpose::Deregister);
    let free =
        bench.service.begin_deregistration(handle("+14155550124"), None).await.expect("sent");
    bench.delivered().await;
    let same =
        |one: &Verification| (one.sent_by, one.expires_at, one.next_send_at, one.attempts_left);
    assert_eq!(same(&held), same(&free));
    let answer = bench.service.confirm(free.verification, &bench.delivery.code()).await;
    assert_eq!(answer, Ok(Confirmed::Deregistered { handle: handle("+14155550124") }));
    let answer = bench.service.confirm(held.verification, &code).await;
    assert_eq!(answer, Ok(Confirmed::Deregistered { handle: handle(PHONE) }));
    assert!(!bench.is_live(PHONE));
    let begun = bench.service.begin_binding(holder, handle(PHONE), None).await.expect("sent");
    assert!(matches!(begun, Begun::Sent(_)), "a new proof is needed");
}

#[tokio::test]
async fn one_network_cannot_use_up_the_attempts_of_another() {
    let bench = Bench::new();
    let first = bench.deregister(PHONE, "192.0.2.1").await.expect("sent");
    let second = bench.deregister(PHONE, "192.0.2.2").await.expect("sent");
    assert_ne!(first.verification, second.verification);
    let again = bench.deregister(PHONE, "192.0.2.1").await;
    assert_eq!(again, Err(limited(Limit::Resend, 30)));

    // A later request from the same network begins another session; the first one's code stays valid.
    bench.delivered().await;
    let code = bench.delivery.codes_for(first.verification);
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let third = bench.deregister(PHONE, "192.0.2.1").await.expect("sent");
    assert_ne!(third.verification, first.verification);
    let confirmed = bench.confirm(&first, &code).await;
    assert!(matches!(confirmed, Ok(Confirmed::Deregistered { .. })));
}

#[tokio::test]
async fn a_right_code_stays_valid_while_the_registry_refuses_changes() {
    let bench = Bench::new();
    let begun = bench.begin(bench.asker().await, PHONE).await.expect("sent");
    bench.registry.close();
    for _ in 0..2 {
        let answer = bench.service.confirm(begun.verification, &bench.delivery.code()).await;
        assert!(
            matches!(answer, Err(ConfirmError::Registry(DeviceError::Change(_)))),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_device_that_signed_out_meanwhile_binds_nothing() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    bench.registry.sign_out(asker.device).await.expect("it is known");
    let answer = bench.service.confirm(begun.verification, &bench.delivery.code()).await;
    assert_eq!(answer, Err(ConfirmError::Registry(DeviceError::DeviceUnknown)));
    assert!(!bench.is_live(PHONE));
}

#[tokio::test]
async fn each_class_of_askers_has_its_part_of_the_table() {
    let bench = Bench::new();
    let (stranger, known) = (bench.asker().await, bench.holder("ann@example.org").await);
    let number = |number: usize| format!("+1415{number:07}");
    let half = SESSIONS_MAX / 2;
    for n in 0..half {
        bench.deregister(&number(n), NETWORK).await.expect("below the limits");
        bench.delivered().await;
    }
    assert_eq!(bench.deregister(&number(99), NETWORK).await, Err(BeginError::Overloaded));
    let quarter = half / 4;
    for n in half..SESSIONS_MAX - quarter {
        bench.begin(stranger, &number(n)).await.expect("below the limits");
    }
    assert_eq!(bench.begin(stranger, &number(99)).await, Err(BeginError::Overloaded));
    for n in SESSIONS_MAX - quarter..SESSIONS_MAX {
        bench.begin(known, &number(n)).await.expect("the rest is for known askers");
    }
    assert_eq!(bench.begin(known, &number(99)).await, Err(BeginError::Overloaded));
    let counts = SessionCounts { binding: half, deregistering: half, refused: 3 };
    assert_eq!(bench.service.session_counts(), counts);

    // A session is known as expired for as long as its code was valid. Then it makes space.
    bench.clock.advance(2 * limits::CODE_LIFETIME);
    bench.registry.tick().await.expect("it is writable");
    bench.begin(stranger, &number(99)).await.expect("ended sessions are dropped");
}

#[tokio::test]
async fn debug_output_contains_no_code_and_no_handle() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    let wrong = bench.service.confirm(begun.verification, &bench.delivery.wrong()).await;
    let confirmed = bench.service.confirm(begun.verification, &bench.delivery.code()).await;
    let link = bench.service.issue_link_code(asker).await.expect("below the limits");
    let printed = format!(
        "{begun:?} {wrong:?} {confirmed:?} {:?} {link:?} {:?}",
        bench.delivery.last(),
        bench.service
    );
    for secret in [&bench.delivery.code(), link.expose(), "4155550123"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
