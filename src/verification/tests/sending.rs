//! The limits on sent codes.

use super::{
    send_limits::{SendKey, SendLimits},
    *,
};

#[tokio::test]
async fn codes_to_one_handle_are_limited_whoever_requests_them() {
    let bench = Bench::new();
    for _ in 0..limits::CODE_SENDS_PER_HANDLE_MAX {
        bench.begin(bench.asker().await, PHONE).await.expect("sent");
    }
    let day = 24 * 3600;
    let refused = bench.begin(bench.asker().await, PHONE).await.expect_err("the limit is reached");
    assert_eq!(refused, limited(Limit::CodesPerHandle, day / 10));
    // Deregistrations have a limit of their own, so that they cannot keep the owner from a proof.
    bench
        .service
        .begin_deregistration(handle(PHONE), None)
        .await
        .expect("deregistrations count separately");
    bench.begin(bench.asker().await, "+14155550124").await.expect("another handle");
    bench.clock.advance(Duration::from_secs(day / 10));
    bench.begin(bench.asker().await, PHONE).await.expect("a tenth of the day is over");
}

/// Charges one code to a handle, an account and a network, at the beginning of the boot clock.
fn charge(limits: &mut SendLimits, to: &str, account: u64, from: &str) -> Result<(), BeginError> {
    let from = from.parse::<IpAddr>().expect("an address");
    let keys = [
        SendKey::Handle(Purpose::Deregister, handle(to)),
        SendKey::Account(AccountId::from_bits(account)),
        SendKey::Network(limits::network_of(from)),
    ];
    limits.charge(&keys, Duration::ZERO)
}

fn number(number: u32) -> String {
    format!("+1415{number:07}")
}

#[test]
fn accounts_are_limited_too() {
    let mut sends = SendLimits::default();
    for sent in 0..limits::CODE_SENDS_PER_ACCOUNT_MAX {
        charge(&mut sends, &number(sent / 10), 1, "192.0.2.1").expect("below the limits");
    }
    let refused = charge(&mut sends, &number(60), 1, "192.0.2.1").expect_err("the limit");
    assert_eq!(refused, limited(Limit::CodesPerAccount, 24 * 3600 / 50));
    charge(&mut sends, &number(60), 2, "192.0.2.1").expect("another account");
}

#[test]
fn the_table_is_bounded_and_drops_keys_with_a_whole_burst() {
    let mut sends = SendLimits::default();
    let network = "2001:db8:0:1::7";
    // Each code has two new keys, its handle and its account. The network is one key for all.
    let sent =
        (0..).take_while(|n| charge(&mut sends, &number(*n), u64::from(*n), network).is_ok());
    assert_eq!(sent.count(), (limits::CODE_SEND_KEYS_MAX - 1) / 2);
    assert_eq!(charge(&mut sends, &number(1_000), 1_000, network), Err(BeginError::Overloaded));
    charge(&mut sends, &number(0), 0, network).expect("its keys are in the table");
    let keys =
        [SendKey::Account(AccountId::from_bits(999)), SendKey::Account(AccountId::from_bits(998))];
    sends.charge(&keys, limits::CODE_SENDS_SPAN).expect("the table has space again");
}
