//! Who gets a code without one: accounts that hold the handle, unless they are flagged.

use super::*;
use crate::vocabulary::FlagReason;

#[tokio::test]
async fn a_handle_that_the_account_has_proved_needs_no_code() {
    let bench = Bench::new();
    let first = bench.holder(PHONE).await;
    let proved_at = bench.clock.now();
    bench.clock.advance(Duration::from_secs(5));
    let begun = bench.service.begin_binding(first, handle(PHONE), None).await;
    assert_eq!(begun, Ok(Begun::Bound { handle: handle(PHONE), proved_at }));
    assert_eq!(bench.delivery.count(), 0);
    bench.begin(bench.asker().await, PHONE).await.expect("a stranger needs a code");
}

#[tokio::test]
async fn a_flagged_account_clears_its_flag_by_a_fresh_proof() {
    let bench = Bench::new();
    let holder = bench.holder(PHONE).await;
    let flagged = bench.registry.flag_account(holder.account, FlagReason::TooFewHits).await;
    assert_eq!(flagged, Ok(true));
    let begun = bench.begin(holder, PHONE).await.expect("a code is sent");
    bench.confirm(&begun, &bench.delivery.code()).await.expect("it is right");
    assert!(bench.registry.flag_of(holder.account).is_none());
    let begun = bench.service.begin_binding(holder, handle(PHONE), None).await;
    assert!(matches!(begun, Ok(Begun::Bound { .. })), "{begun:?}");
}

#[tokio::test]
async fn strangers_never_use_up_the_codes_of_the_owner() {
    let bench = Bench::new();
    let owner = bench.holder(PHONE).await;
    // A hundred networks and as many accounts, half of which hold another handle.
    for number in 0..100 {
        let _ = bench.deregister(PHONE, &format!("10.0.{number}.1")).await;
        let account = match number % 2 {
            0 => bench.asker().await,
            _ => bench.holder(&format!("+1415{:07}", 5_000 + number)).await,
        };
        let _ = bench.begin(account, PHONE).await;
    }
    assert_eq!(bench.delivery.count(), limits::CODES_PER_PERSON_PROVEN);
    // The number was taken back from the owner's phones. The account held it within 30 days.
    bench.registry.deregister(handle(PHONE)).await.expect("it is held");
    let begun = bench.begin(owner, PHONE).await.expect("kept for the owner");
    bench.confirm(&begun, &bench.delivery.code()).await.expect("it is right");
    assert!(bench.is_live(PHONE));
}
