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
        assert_eq!((last["route"].as_str(), &last["expires_in"]), (Some("imessage"), &0.into()));
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
