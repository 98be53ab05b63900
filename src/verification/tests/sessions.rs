//! What a code does, how long it is good for, and who may try it.

use super::*;

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
