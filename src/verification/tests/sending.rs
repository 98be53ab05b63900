//! The limits on sent codes.

use super::*;

/// Two numbers in every country are enough for tests that need many.
fn number(number: usize) -> String {
    format!("+1415{number:07}")
}

const DAY: Duration = limits::CODE_SENDS_SPAN;

#[tokio::test]
async fn all_spellings_and_purposes_count_as_one_person() {
    for (one, other) in
        [("+541123456789", "+5491123456789"), ("v.ictim@gmail.com", "victim+1@googlemail.com")]
    {
        let bench = Bench::new();
        let mut sent = 0;
        for round in 0..10 {
            for spelling in [one, other] {
                sent += usize::from(bench.begin(bench.asker().await, spelling).await.is_ok());
                let from = format!("10.0.{round}.1");
                sent += usize::from(bench.deregister(spelling, &from).await.is_ok());
            }
        }
        assert_eq!(sent, limits::CODES_PER_PERSON_UNPROVEN);
        bench.delivered().await;
        assert_eq!(bench.delivery.count(), sent);
        bench.clock.advance(DAY);
        bench.begin(bench.asker().await, one).await.expect("the day is over");
    }
}

#[tokio::test]
async fn accounts_are_limited_too() {
    let config = Config { sessions: 1_000, ..Config::default() };
    let bench = Bench::with(&config);
    let asker = bench.asker().await;
    for n in 0..50 {
        bench.begin(asker, &number(n)).await.expect("below the limits");
    }
    let refused = bench.begin(asker, &number(60)).await;
    // Codes come back evenly.
    assert_eq!(refused, Err(limited(Limit::CodesPerAccount, 24 * 3600 / 50)));
    bench.begin(bench.asker().await, &number(60)).await.expect("another account");
}

#[tokio::test]
async fn a_network_is_a_site_and_keeps_a_part_for_known_askers() {
    let config = Config { sessions: 1_000, codes_per_network_per_day: 16, ..Config::default() };
    let bench = Bench::with(&config);
    let networks = ["2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:ffff::1"];
    let mut sent = 0;
    for n in 0..30 {
        sent += usize::from(bench.deregister(&number(n), networks[n % 3]).await.is_ok());
    }
    assert_eq!(sent, 4, "half of the eight at once");
    let refused = bench.deregister(&number(99), networks[0]).await;
    assert_eq!(refused, Err(limited(Limit::CodesPerNetwork, 24 * 3600 / 8)));
    bench.deregister(&number(99), "2001:db8:2::1").await.expect("another site");
    let from = networks[0].parse::<IpAddr>().ok();
    let begun = bench.service.begin_binding(bench.asker().await, handle(PHONE), from).await;
    assert!(begun.is_ok(), "{begun:?}");
}

#[tokio::test]
async fn countries_and_the_whole_are_limited() {
    let config = Config {
        sessions: 1_000,
        codes_per_country_per_day: 16,
        codes_per_day: 32,
        ..Config::default()
    };
    let bench = Bench::with(&config);
    let begin = async |text: String| bench.begin(bench.asker().await, &text).await;
    for n in 0..6 {
        begin(number(n)).await.expect("three quarters of eight");
    }
    assert!(matches!(
        begin(number(7)).await,
        Err(BeginError::RateLimited { limit: Limit::CodesPerCountry, .. })
    ));
    for n in 0..6 {
        begin(format!("+4915123456{n:03}")).await.expect("another country, three quarters of 16");
    }
    let refused = begin("ann@example.org".to_owned()).await;
    assert!(matches!(refused, Err(BeginError::RateLimited { limit: Limit::CodesOverall, .. })));
    let holder = bench.holder("ben@example.org").await;
    bench.begin(holder, "ann@example.org").await.expect("the rest is for known askers");
}

#[tokio::test]
async fn nothing_goes_to_denied_numbers_and_only_an_asker_with_a_token_is_told() {
    let bench = Bench::new();
    for denied in ["+881612345678", "+19002345678"] {
        let refused = bench.begin(bench.asker().await, denied).await;
        assert_eq!(refused, Err(BeginError::DeliveryRefused));
        let answered = bench.deregister(denied, NETWORK).await.expect("the answer is the same");
        assert_eq!(answered.attempts_left, limits::CODE_ATTEMPTS_MAX);
    }
    bench.delivered().await;
    assert_eq!(bench.delivery.count(), 0);
}

#[tokio::test]
async fn a_country_whose_codes_nobody_answers_is_paused_for_strangers() {
    let bench = Bench::with(&Config::default());
    let number = |n: usize| format!("+2526123{n:05}");
    let mut sent = 0;
    let refused = loop {
        match bench.begin(bench.asker().await, &number(sent)).await {
            Ok(_) => sent += 1,
            Err(refused) => break refused,
        }
        if sent as u64 == limits::COUNTRY_PAUSE_SENDS_MIN {
            // Now nobody can answer them any more.
            bench.clock.advance(2 * limits::CODE_LIFETIME);
        }
    };
    assert_eq!(sent as u64, limits::COUNTRY_PAUSE_SENDS_MIN + 1);
    assert_eq!(refused, limited(Limit::CountryPaused, 3600));
    assert_eq!(bench.service.paused_countries(), [252]);
    bench.deregister(&number(1_000), NETWORK).await.expect("other askers, counted separately");
    let holder = bench.holder("ann@example.org").await;
    bench.begin(holder, &number(1_001)).await.expect("a known asker goes on");
    bench.begin(bench.asker().await, PHONE).await.expect("another country");
    bench.clock.advance(limits::COUNTRY_PAUSE);
    assert!(bench.service.paused_countries().is_empty());
    bench.begin(bench.asker().await, &number(1_002)).await.expect("the pause is over");
}

#[tokio::test]
async fn an_outage_of_the_gateway_pauses_no_country() {
    let bench = Bench::with(&Config::default());
    let number = |n: u64| format!("+2526123{n:05}");
    for (round, error) in [DeliveryError::NotSent, DeliveryError::Refused].into_iter().enumerate() {
        bench.delivery.fail(Some(error));
        for n in 0..limits::COUNTRY_PAUSE_SENDS_MIN {
            let n = n + round as u64 * limits::COUNTRY_PAUSE_SENDS_MIN;
            let failed = bench.begin(bench.asker().await, &number(n)).await;
            assert!(!matches!(failed, Err(BeginError::RateLimited { .. })), "{failed:?}");
        }
    }
    assert!(bench.service.paused_countries().is_empty());
    bench.delivery.fail(None);
    bench.begin(bench.asker().await, &number(9_999)).await.expect("the gateway works again");
}

#[tokio::test]
async fn a_few_networks_do_not_use_up_what_newcomers_everywhere_need() {
    let config = Config {
        sessions: 1_000,
        codes_per_network_per_day: 32,
        codes_per_country_per_day: 160,
        ..Config::default()
    };
    let bench = Bench::with(&config);
    let mut asked = 0;
    let mut begin = async |network: usize| {
        asked += 1;
        let from = format!("10.0.{network}.1").parse::<IpAddr>().ok();
        let asker = bench.asker().await;
        bench.service.begin_binding(asker, handle(&number(asked)), from).await
    };
    // What five networks may use together is all that newcomers may use.
    for n in 0..5 * 16 {
        let _ = begin(n % 5).await;
    }
    let refused = begin(0).await;
    assert!(matches!(refused, Err(BeginError::RateLimited { .. })), "{refused:?}");
    for network in 100..110 {
        let begun = begin(network).await;
        assert!(begun.is_ok(), "a newcomer elsewhere: {begun:?}");
    }
}
