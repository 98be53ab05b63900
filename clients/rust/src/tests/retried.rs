//! Which errors are retried, after which waits, and for how long.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use super::{Fake, answers, foreign, good, lost, not_sent, refused, seconds};
use crate::{
    Claim, Error, NoAnswer, Patience, Platform, SignUp,
    http::{Outgoing, Reply},
    retry::call,
};

/// The pauses between the attempts of a call that ends with `error` each time.
async fn pauses(
    error: impl Fn() -> Error + Send + Sync + 'static,
    patience: Patience,
) -> Vec<Duration> {
    let fake = Fake::new(move |_, _| Err(error()));
    let request = Outgoing::new(Method::POST, "v1/lookup");
    call(&*fake, &patience, &request, Instant::now()).await.err().unwrap();
    let times: Vec<_> = fake.sent().into_iter().map(|(_, _, at)| at).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn long() -> Patience {
    Patience { attempts: 8, deadline: seconds(86_400), ..Patience::default() }
}

#[tokio::test(start_paused = true)]
async fn never_and_after_fixing_are_not_repeated() {
    for retry in ["never", "after-fixing"] {
        assert_eq!(pauses(move || refused(503, "new-code", retry, Some(1)), long()).await, []);
    }
    let unreadable = pauses(|| Error::Unreadable, long()).await;
    assert_eq!(unreadable, []);
    // A value of a newer server, and other servers, count by their status.
    for (status, repeats) in [(400, 0), (404, 0), (429, 7), (500, 7), (501, 0), (503, 7), (302, 0)]
    {
        let unknown = pauses(move || refused(status, "x", "maybe", None), long()).await;
        let other = pauses(move || foreign(status, ""), long()).await;
        assert_eq!((unknown.len(), other.len()), (repeats, repeats), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn waits_are_at_least_those_of_the_server_and_have_a_random_part() {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.extend(pauses(|| refused(503, "overloaded", "later", Some(10)), long()).await);
        all.extend(pauses(|| foreign(503, "10"), long()).await);
    }
    assert_eq!(all.len(), 280);
    // The test's clock has a resolution of a millisecond.
    assert!(
        all.iter().all(|wait| (seconds(10)..=Duration::from_millis(20_001)).contains(wait)),
        "{all:?}"
    );
    let (least, most) = (all.iter().min().unwrap(), all.iter().max().unwrap());
    assert!(*least < seconds(12) && *most > seconds(18), "{least:?} to {most:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_word_of_the_server_the_waits_are_random_parts_of_spans_that_double() {
    let mut parts = Vec::new();
    for _ in 0..50 {
        for (at, wait) in pauses(lost, long()).await.into_iter().enumerate() {
            let span = seconds(1 << at);
            assert!(wait <= span + Duration::from_millis(1), "{at}: {wait:?}");
            parts.push(wait.as_secs_f64() / span.as_secs_f64());
        }
    }
    // Every fifth of the span is as likely as the others, the first one too: 70 of 350.
    let fifths = (0..5).map(|fifth| {
        let within = (f64::from(fifth) / 5.0)..(f64::from(fifth + 1) / 5.0);
        parts.iter().filter(|part| within.contains(part)).count()
    });
    let fifths: Vec<_> = fifths.collect();
    assert!(parts.len() == 350 && fifths.iter().all(|count| *count >= 30), "{fifths:?}");
    // The longest is 300 seconds.
    let patience = Patience { first_wait: seconds(86_400), ..long() };
    let mut waits = Vec::new();
    for _ in 0..10 {
        waits.extend(pauses(lost, patience).await);
    }
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(300_001)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > seconds(200)), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn zero_seconds_are_no_wait_of_the_server() {
    let mut all = pauses(|| refused(503, "overloaded", "later", Some(0)), long()).await;
    all.extend(pauses(|| foreign(503, "0"), long()).await);
    assert!(all.iter().sum::<Duration>() > seconds(1), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_after_its_attempts_and_at_its_deadline() {
    assert_eq!(pauses(lost, Patience::default()).await.len(), 2);
    // It does not wait for an attempt that would come too late.
    let fake = Fake::new(|_, _| Err(refused(503, "overloaded", "later", Some(40))));
    let started = Instant::now();
    let error = fake.phone().look_up("+1", None).await.unwrap_err();
    assert_eq!((started.elapsed(), fake.sent().len()), (Duration::ZERO, 1));
    assert_eq!((error.retry_after(), error.is_temporary()), (Some(seconds(40)), true));
    // A silent server.
    let fake = Fake::slow(seconds(86_400), |_, body| good(&answers(body, 60)));
    let started = Instant::now();
    let error = fake.phone().look_up("+1", None).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer(NoAnswer::TimedOut)), "{error:?}");
    assert!(started.elapsed() <= Duration::from_millis(30_001), "{:?}", started.elapsed());
    assert!(fake.sent().len() >= 2);
    // The deadline of a batch is that of all its requests.
    let fake = Fake::slow(seconds(9), |_, body| good(&answers(body, 60)));
    let handles: Vec<_> = (0..10_000).map(|number| format!("+1{number}")).collect();
    let started = Instant::now();
    fake.phone().look_up_batch(&handles, None).await.unwrap_err();
    assert!(started.elapsed() <= Duration::from_millis(30_001), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_errors_is_an_answer() {
    let fake = Fake::new(|turn, body| match turn {
        0 => Err(refused(503, "registry-loading", "later", Some(1))),
        1 => Err(lost()),
        _ => good(&answers(body, 60)),
    });
    assert_eq!(fake.phone().look_up("+1", None).await.unwrap().route, crate::Route::Imessage);
    assert_eq!(fake.sent().len(), 3);
}

/// How often each call is sent if its first attempt ends with the error.
async fn attempts(error: fn() -> Error) -> Vec<(&'static str, usize)> {
    let fake = || Fake::new(move |_, _| Err(error()));
    let mut found = Vec::new();
    macro_rules! calls {
        ($($name:literal: |$from:ident| $call:expr,)*) => {$({
            let fake = fake();
            let $from = &fake;
            $call.await.err().unwrap();
            found.push(($name, fake.sent().len()));
        })*};
    }
    let sign_up = SignUp::new(Platform::Ios);
    calls! {
        "look_up": |it| it.phone().look_up("+1", None),
        "device": |it| it.phone().device(),
        "check_in": |it| it.phone().check_in(),
        "sign_out": |it| it.phone().sign_out(),
        "give_up": |it| it.phone().give_up("+1"),
        "set_discoverable": |it| it.phone().set_discoverable("+1", false),
        "claim": |it| it.phone().claim("+1", None),
        "sign_up": |it| it.server().sign_up(&sign_up),
        "make_link_code": |it| it.phone().make_link_code(),
        "confirm": |it| it.phone().confirm("v_1", "123456"),
        "deregister": |it| it.server().deregister("+1", None),
    }
    found
}

const UNSAFE: [&str; 4] = ["sign_up", "make_link_code", "confirm", "deregister"];

#[tokio::test(start_paused = true)]
async fn without_an_answer_only_harmless_calls_are_repeated() {
    for error in [lost, || Error::NoAnswer(NoAnswer::TimedOut), || foreign(502, "")] {
        for (name, sent) in attempts(error).await {
            assert_eq!(sent, if UNSAFE.contains(&name) { 1 } else { 3 }, "{name}");
        }
    }
    let word = || refused(503, "overloaded", "later", Some(1));
    for error in [not_sent, word] {
        for (name, sent) in attempts(error).await {
            assert_eq!(sent, 3, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_finds_nothing_left_to_do_has_done_it() {
    let void = || refused(401, "token-invalid", "after-fixing", None);
    let unbound = || refused(404, "handle-not-bound", "never", None);
    for (first, is_done) in [
        (lost as fn() -> Error, true),
        (|| refused(503, "registry-unwritable", "later", Some(1)), true),
        // These did not reach the server, or it did nothing.
        (not_sent, false),
        (|| refused(429, "rate-limited", "later", Some(1)), false),
    ] {
        let fake = Fake::new(move |turn, _| Err(if turn == 0 { first() } else { void() }));
        assert_eq!(fake.phone().sign_out().await.is_ok(), is_done, "{:?}", first());
        let fake = Fake::new(move |turn, _| Err(if turn == 0 { first() } else { unbound() }));
        assert_eq!(fake.phone().give_up("+1").await.is_ok(), is_done, "{:?}", first());
    }
    let fake = Fake::new(move |_, _| Err(void()));
    fake.phone().sign_out().await.unwrap_err();
    let fake = Fake::new(move |turn, _| Err(if turn == 0 { lost() } else { void() }));
    fake.phone().check_in().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_claim_says_whether_a_code_was_sent() {
    let proved = json!({"handle": "+1", "proved_at": "2026-11-29T00:00:00Z"});
    let sent = json!({"verification": "v_1", "handle": "+1", "sent_by": "pigeon", "attempts_left": 5,
                      "expires_at": "2026-11-29T00:10:00Z", "next_send_at": "2026-11-29T00:00:30Z"});
    let (fake, other) = (Fake::new(move |_, _| good(&proved)), sent.to_string().into_bytes());
    assert!(matches!(fake.phone().claim("+1", None).await.unwrap(), Claim::Proved(_)));
    let fake = Fake::new(move |_, _| Ok(Reply { status: 202, body: other.clone() }));
    let Claim::CodeSent(sent) = fake.phone().claim("1", Some("US")).await.unwrap() else {
        panic!()
    };
    assert_eq!(sent.sent_by.as_str(), "pigeon");
    assert_eq!(fake.sent()[0].1, json!({"handle": "1", "region": "US"}));
}
