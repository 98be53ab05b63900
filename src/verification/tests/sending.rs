//! How many codes are sent.

use super::*;

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
fn count(
    sends: &mut send_limits::Sends,
    to: &str,
    account: u64,
    from: &str,
) -> Result<(), BeginError> {
    let (to, network) = (handle(to), network(from));
    let account = Some(AccountId::from_bits(account));
    sends.count(
        &send_limits::Sending {
            purpose: Purpose::Deregister,
            handle: to,
            account,
            network: Some(network),
        },
        Duration::ZERO,
    )
}

fn network(text: &str) -> send_limits::Network {
    text.parse::<IpAddr>().expect("an address").into()
}

#[test]
fn accounts_and_networks_are_counted_too_and_the_table_is_bounded() {
    let number = |number: u32| format!("+1415{number:07}");
    let mut sends = send_limits::Sends::new();
    for sent in 0..limits::CODE_SENDS_PER_ACCOUNT_MAX {
        count(&mut sends, &number(sent / 10), 1, "192.0.2.1").expect("the account may");
    }
    let refused = count(&mut sends, &number(60), 1, "192.0.2.1").expect_err("that was the last");
    assert_eq!(refused, limited(SendLimit::Account, 24 * 3600 / 50));
    count(&mut sends, &number(60), 2, "192.0.2.1").expect("another account may");

    // Ten codes for each of a hundred handles and twenty accounts would do, but the table of tests is small: it is
    // emptied by time, in which the network gets next to nothing back.
    let mut sends = send_limits::Sends::new();
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
