//! A restart forgives nothing and loses nothing.

use super::*;

#[tokio::test]
async fn sessions_attempts_and_limits_outlive_a_restart() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    for _ in 0..2 {
        bench.confirm(&begun, &bench.delivery.wrong()).await.expect_err("it is wrong");
    }
    let bench = bench.restarted();
    let again = bench.begin(asker, PHONE).await.expect("the session is open");
    assert_eq!(again, Verification { attempts_left: 3, ..begun.clone() });
    assert_eq!(bench.delivery.count(), 1);
    bench.confirm(&begun, &bench.delivery.code()).await.expect("the code is valid");

    // The messages of before count.
    while bench.begin(bench.asker().await, PHONE).await.is_ok() {}
    let sent = bench.delivery.count();
    assert_eq!(sent, limits::CODES_PER_PERSON_UNPROVEN);
    let bench = bench.restarted();
    let refused = bench.begin(bench.asker().await, PHONE).await;
    assert_eq!(refused, Err(limited(Limit::CodesPerHandle, 24 * 3600)));
    assert_eq!(bench.delivery.count(), sent);
}

#[tokio::test]
async fn an_outcome_outlives_a_restart() {
    let bench = Bench::new();
    let begun = bench.begin(bench.asker().await, PHONE).await.expect("sent");
    let first = bench.confirm(&begun, &bench.delivery.code()).await.expect("it is right");
    let bench = bench.restarted();
    bench.clock.advance(limits::CODE_OUTCOME_LIFETIME - Duration::from_micros(1));
    assert_eq!(bench.confirm(&begun, &bench.delivery.code()).await, Ok(first));
    let wrong = bench.confirm(&begun, &bench.delivery.wrong()).await;
    assert_eq!(wrong, Err(ConfirmError::Unknown));
    bench.clock.advance(Duration::from_micros(1));
    let late = bench.confirm(&begun, &bench.delivery.code()).await;
    assert_eq!(late, Err(ConfirmError::Unknown));
}

#[tokio::test]
async fn a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_day() {
    let bench = Bench::new();
    while bench.begin(bench.asker().await, PHONE).await.is_ok() {}
    let year = Duration::from_secs(365 * 24 * 3600);
    bench.clock.set_wall(bench.clock.now().minus(year));
    let refused = bench.begin(bench.asker().await, PHONE).await;
    assert_eq!(refused, Err(limited(Limit::CodesPerHandle, 24 * 3600)), "nothing is forgiven");
    bench.clock.advance(Duration::from_secs(24 * 3600));
    bench.begin(bench.asker().await, PHONE).await.expect("the day is over");
}

#[tokio::test]
async fn a_session_of_a_clock_that_was_set_back_ends() {
    let bench = Bench::new();
    let asker = bench.asker().await;
    let begun = bench.begin(asker, PHONE).await.expect("sent");
    bench.clock.set_wall(bench.clock.now().minus(Duration::from_secs(24 * 3600)));
    let late = bench.confirm(&begun, &bench.delivery.code()).await;
    assert_eq!(late, Err(ConfirmError::Expired));
    let next = bench.begin(asker, PHONE).await.expect("another session begins");
    assert_ne!(next.verification, begun.verification);
}
