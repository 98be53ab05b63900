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
    let again = bench.service.confirm(begun.verification, &bench.delivery.code()).await;
    assert_eq!(again, Err(ConfirmError::Unknown));
    assert_eq!(bench.service.sessions_open(), 0);
}

#[tokio::test]
async fn a_handle_that_the_account_has_proved_needs_no_code() {
    let bench = Bench::new();
    let first = bench.asker().await;
    let proved_at = bench.registry.prove(first.device, handle(PHONE)).await.expect("it binds");
    bench.clock.advance(Duration::from_secs(5));
    let begun = bench.service.begin_binding(first, handle(PHONE), None).await;
    assert_eq!(begun, Ok(Begun::Bound { handle: handle(PHONE), proved_at }));
    assert_eq!(bench.delivery.count(), 0);
    let stranger = bench.asker().await;
    bench.begin(stranger, PHONE).await.expect("a stranger needs a code");
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
    for code in [bench.delivery.wrong(), bench.delivery.code(), String::new()] {
        let answer = bench.service.confirm(begun.verification, &code).await;
        assert_eq!(answer, Err(ConfirmError::TooManyAttempts));
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
    assert_eq!(bench.service.sessions_open(), 0);
}

#[tokio::test]
async fn each_resend_pauses_longer_and_invalidates_the_former_code() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    let former = bench.delivery.code();
    bench
        .service
        .confirm(begun.verification, &bench.delivery.wrong())
        .await
        .expect_err("it is wrong");
    for pause_secs in [30, 60, 120, 240] {
        bench.clock.advance(Duration::from_micros(1));
        let refused = bench.begin(asker, PHONE).await.expect_err("too early");
        let retry_after = Duration::from_secs(pause_secs) - Duration::from_micros(1);
        assert_eq!(refused, BeginError::RateLimited { limit: Limit::Resend, retry_after });
        bench.clock.advance(retry_after);
        let again = bench.begin(asker, PHONE).await.expect("the pause is over");
        assert_eq!(
            (again.verification, again.attempts_left),
            (begun.verification, limits::CODE_ATTEMPTS_MAX - 1)
        );
    }
    assert_eq!(bench.delivery.count(), 5);
    if former != bench.delivery.code() {
        let answer = bench.service.confirm(begun.verification, &former).await;
        assert!(matches!(answer, Err(ConfirmError::CodeWrong { .. })), "{answer:?}");
    }
    assert!(bench.service.confirm(begun.verification, &bench.delivery.code()).await.is_ok());
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
    assert_eq!(answer, Err(ConfirmError::TooManyAttempts));
}

#[tokio::test]
async fn a_deregistration_answers_the_same_whether_or_not_the_handle_is_held() {
    let bench = Bench::new();
    let holder = bench.asker().await;
    bench.registry.prove(holder.device, handle(PHONE)).await.expect("it binds");
    let held = bench.service.begin_deregistration(handle(PHONE), None).await.expect("sent");
    let code = bench.delivery.code();
    assert_eq!(bench.delivery.last().purpose, Purpose::Deregister);
    let free =
        bench.service.begin_deregistration(handle("+14155550124"), None).await.expect("sent");
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
    let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().ok());
    let first = bench.service.begin_deregistration(handle(PHONE), here).await.expect("sent");
    let second = bench.service.begin_deregistration(handle(PHONE), there).await.expect("sent");
    assert_ne!(first.verification, second.verification);
    let again = bench.service.begin_deregistration(handle(PHONE), here).await;
    assert_eq!(again, Err(limited(Limit::Resend, 30)));

    // A later request from the same network begins another session; the first one's code stays valid.
    let code = bench.delivery.codes_for(first.verification);
    bench.clock.advance(limits::CODE_RESEND_PAUSE);
    let third = bench.service.begin_deregistration(handle(PHONE), here).await.expect("sent");
    assert_ne!(third.verification, first.verification);
    let confirmed = bench.service.confirm(first.verification, &code).await;
    assert!(matches!(confirmed, Ok(Confirmed::Deregistered { .. })));
}

#[tokio::test]
async fn a_right_code_stays_valid_while_the_registry_refuses_changes() {
    let bench = Bench::new();
    let begun = bench.begin(bench.asker().await, PHONE).await.expect("sent");
    bench.registry.close();
    for _ in 0..2 {
        let answer = bench.service.confirm(begun.verification, &bench.delivery.code()).await;
        assert!(matches!(answer, Err(ConfirmError::Bind(DeviceError::Change(_)))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_device_that_signed_out_meanwhile_binds_nothing() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    bench.registry.sign_out(asker.device).await.expect("it is known");
    let answer = bench.service.confirm(begun.verification, &bench.delivery.code()).await;
    assert_eq!(answer, Err(ConfirmError::Bind(DeviceError::DeviceUnknown)));
    assert!(!bench.is_live(PHONE));
}

#[tokio::test]
async fn the_table_is_bounded_and_drops_expired_sessions_when_full() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begin = async |number: usize| bench.begin(asker, &format!("+1415{number:07}")).await;
    for number in 0..SESSIONS_MAX {
        begin(number).await.expect("below the limits");
    }
    assert_eq!(begin(1_000).await, Err(BeginError::Overloaded));
    bench.clock.advance(limits::CODE_LIFETIME);
    begin(1_000).await.expect("expired sessions are removed");
    assert_eq!(bench.service.sessions_open(), SESSIONS_MAX);
}

#[tokio::test]
async fn strangers_get_half_of_the_table_and_devices_the_rest() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let number = |number: usize| format!("+1415{number:07}");
    let deregister =
        async |n: usize| bench.service.begin_deregistration(handle(&number(n)), None).await;
    let half = SESSIONS_MAX / 2;
    for n in 0..half {
        deregister(n).await.expect("below the limits");
    }
    assert_eq!(deregister(1_000).await, Err(BeginError::Overloaded));
    for n in 0..half {
        bench.begin(asker, &number(n)).await.expect("below the limits");
    }
    assert_eq!(bench.begin(asker, &number(1_000)).await, Err(BeginError::Overloaded));
    let counts = SessionCounts { binding: half, deregistering: half, refused: 2 };
    assert_eq!(bench.service.session_counts(), counts);
    bench.clock.advance(limits::CODE_LIFETIME);
    deregister(1_000).await.expect("expired sessions are removed");
    assert_eq!(bench.service.session_counts().deregistering, half);
    assert!(bench.service.sessions_open() <= SESSIONS_MAX);
}

#[tokio::test]
async fn debug_output_contains_no_code_and_no_handle() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    let wrong = bench.service.confirm(begun.verification, &bench.delivery.wrong()).await;
    let confirmed = bench.service.confirm(begun.verification, &bench.delivery.code()).await;
    let link = bench.service.issue_link_code(asker).expect("below the limits");
    let printed = format!(
        "{begun:?} {wrong:?} {confirmed:?} {:?} {link:?} {:?}",
        bench.delivery.last(),
        bench.service
    );
    for secret in [&bench.delivery.code(), link.expose(), "4155550123"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn a_link_code_joins_the_account() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    bench.registry.prove(asker.device, handle(PHONE)).await.expect("it binds");
    let link = bench.service.issue_link_code(asker).expect("below the limits");
    let redeemed = bench.service.redeem_link_code(link.expose());
    let account = redeemed.map(|redeemed| redeemed.account);
    assert_eq!(account, Some(asker.account));
    let request = SignUp { platform: Platform::Macos, name: None, link: account };
    let joined = bench.registry.sign_up(request).await.expect("below the limits");
    let details = bench.registry.device(joined.device).expect("loaded").expect("it is known");
    assert_eq!(details.handles.len(), 1);
    assert!(bench.service.redeem_link_code(link.expose()).is_none());

    // The code of a device that has signed out is invalid, though the account still exists.
    let link = bench.service.issue_link_code(asker).expect("below the limits");
    bench.registry.sign_out(asker.device).await.expect("it is known");
    assert!(bench.service.redeem_link_code(link.expose()).is_none());
}
