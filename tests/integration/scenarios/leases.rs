//! Phones that stop checking in.

use std::time::Duration;

use dispatchd::clock::Clock as _;
use reqwest::Method;
use serde_json::Value;

use super::{answer, changes, check_in, subject};
use crate::{
    harness::Device,
    timed::Timed,
    wire::{call, instant},
};

const NUMBER: &str = "+14155550123";
const TICK: Duration = Duration::from_micros(1);

/// Moves the clock to one microsecond before the lease of `device` ends.
async fn to_the_last_moment(timed: &Timed, device: &Device) {
    let path = "/v1/devices/me";
    let me = call(&timed.server, Method::GET, path, Some(&device.token), None).await;
    let end = instant(&me.body["lease_expires_at"]);
    timed.clock.advance(end.since(timed.clock.now()) - TICK);
}

async fn lapses(timed: &Timed, reader: &str) -> usize {
    let told = changes(&timed.server, reader, NUMBER).await;
    let is_lapse = |(kind, _, _): &&(String, String, String)| kind == "lease-expired";
    let lapses: Vec<_> = told.iter().filter(is_lapse).collect();
    assert!(lapses.iter().all(|(_, _, cause)| cause == "silence"), "{lapses:?}");
    lapses.len()
}

#[tokio::test]
async fn a_lapsed_phone_turns_green_at_that_instant_and_blue_again_with_its_check_in() {
    let mut timed = Timed::start().await;
    let (ann, ben) = (timed.server.sign_up().await, timed.server.sign_up().await);
    timed.server.prove(&ann, NUMBER).await;
    let seen = subject(&timed.server, &ben, NUMBER).await;
    let reader = timed.server.operator_token("reader", "reader");
    for round in 0..3 {
        to_the_last_moment(&timed, &ann).await;
        let last = answer(&timed.server, &ben, NUMBER).await;
        assert_eq!((last["route"].as_str(), &last["expires_in"]), (Some("imessage"), &60.into()));
        // The lease ends without the upkeep.
        timed.clock.advance(TICK);
        let lapsed = answer(&timed.server, &ben, NUMBER).await;
        assert_eq!((lapsed["route"].as_str(), lapsed.get("subject")), (Some("sms"), None));
        assert_eq!(lapses(&timed, &reader).await, round);

        // The log has one record of the lapse, however often the upkeep runs, and with restarts before or after it.
        if round == 1 {
            timed.restart().await;
        }
        timed.tick().await;
        timed.tick().await;
        assert_eq!(lapses(&timed, &reader).await, round + 1);
        timed.restart().await;
        timed.tick().await;
        assert_eq!(answer(&timed.server, &ben, NUMBER).await["route"], "sms");
        assert_eq!(lapses(&timed, &reader).await, round + 1);

        check_in(&timed.server, &ann).await;
        assert_eq!(subject(&timed.server, &ben, NUMBER).await, seen);
    }
    let lookups = timed.server.records(&reader, "kind=lookup&order=asc&route=sms").await;
    let is_lapse = |record: &Value| record["reason"] == "lease-expired";
    assert!(!lookups.is_empty() && lookups.iter().all(is_lapse), "{lookups:?}");
    timed.stop().await;
}

/// Devices check in at one instant: the clock stands still. A stranger who asks in their last hours sees five spans, and each device
/// steps down at a moment of its own. So neither a span nor a step tells when the device checked in.
#[tokio::test]
async fn how_long_an_answer_may_be_reused_does_not_tell_the_last_check_in() {
    let mut timed = Timed::start().await;
    let ben = timed.server.sign_up().await;
    // So many that all offsets lie in one half of the hour in one run of 2^31.
    let handles: Vec<_> = (0..32).map(|n| format!("ann{n}@example.com")).collect();
    let mut ann = None;
    for handle in &handles {
        let device = timed.server.sign_up().await;
        timed.server.prove(&device, handle).await;
        ann = Some(device);
    }
    let me = "/v1/devices/me";
    let me = call(&timed.server, Method::GET, me, ann.as_ref().map(|ann| &*ann.token), None).await;
    let end = instant(&me.body["lease_expires_at"]);
    let mut before = vec![3_600; handles.len()];
    for (left, is_alike) in [
        (7_200, Some(true)),
        (5_400, Some(false)),
        (3_600, Some(false)),
        (1_800, Some(false)),
        (900, None),
        (60, Some(true)),
        (1, Some(true)),
    ] {
        timed.clock.advance(end.since(timed.clock.now()) - Duration::from_secs(left));
        let mut spans = Vec::new();
        for handle in &handles {
            let told = answer(&timed.server, &ben, handle).await;
            assert_eq!(told["route"], "imessage", "{left}");
            spans.push(told["expires_in"].as_u64().unwrap());
        }
        assert!(spans.iter().all(|span| [3_600, 1_800, 900, 300, 60].contains(span)), "{spans:?}");
        assert!(spans.iter().zip(&before).all(|(now, before)| now <= before), "{spans:?}");
        let is_so = spans.iter().all(|span| *span == spans[0]);
        assert!(is_alike.is_none_or(|is_alike| is_alike == is_so), "{left} s: {spans:?}");
        before = spans;
    }
    assert_eq!(before, vec![60; handles.len()]);
    timed.stop().await;
}
