//! A node that was away for an hour, a day or a month answers with what is current, and holds nothing that is expired.

use std::time::Duration;

use dispatchd::cluster::Identity;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    days::{DAY, Days, HOUR},
    stored::{Stored, until_copied},
    thief::{Keys, Read, Thief},
    trio::{good, said},
};
use crate::harness::{Device, PATIENCE, Server, json_of, run};

/// Held when the node leaves, and by nobody when it returns.
const OLD: &str = "+14155550123";
/// Held when it returns.
const NEW: &str = "+14155550199";
const C: usize = 2;
/// A month, in steps after each of which the nodes that run change the key of entries.
const MONTH: [u64; 5] = [DAY, DAY, 10 * DAY, 10 * DAY, 9 * DAY];

/// The first route that a node tells which was just launched. Until then it must say that it cannot tell.
async fn first_route(node: &Server, device: &Device, handle: &str) -> String {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "{}", node.output());
        let path = format!("/v1/lookup/{}", handle.replace('+', "%2B"));
        let asked = node.phone(Method::GET, &path).bearer_auth(&device.token).send().await;
        let Ok(answer) = asked else { continue };
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        let body: Value = serde_json::from_str(&body).unwrap();
        match status {
            StatusCode::OK => return body["route"].as_str().unwrap().to_owned(),
            StatusCode::SERVICE_UNAVAILABLE => {}
            _ => panic!("{status}: {body}"),
        }
    }
}

/// Stops node c, and gives what its keys open until then. What it knows of [`OLD`] is not so any more.
async fn leaves(days: &mut Days) -> Read {
    let ann = days.trio.nodes[0].sign_up().await;
    days.trio.nodes[0].prove(&ann, OLD).await;
    assert_eq!(days.trio.nodes[C].route(&ann, OLD).await, "imessage");
    assert!(days.trio.nodes[C].stop().await.success());
    let gone = days.trio.nodes[0].phone(Method::DELETE, "/v1/devices/me").bearer_auth(&ann.token);
    assert_eq!(json_of(gone).await.0, StatusCode::NO_CONTENT);
    let keys = Keys::of(&days.trio.nodes[C].data);
    let read = Thief::copies(&days.trio).reads(&keys);
    assert!(1 < read.len(), "{} entries", read.len());
    read
}

/// Somebody of whom node c knows nothing holds [`NEW`].
async fn meanwhile(days: &Days) -> Device {
    let ben = days.trio.nodes[1].sign_up().await;
    days.trio.nodes[1].prove(&ben, NEW).await;
    assert_eq!(days.trio.nodes[0].route(&ben, OLD).await, "sms");
    ben
}

/// Starts node c. It knows what happened, and takes changes.
async fn returns(days: &mut Days, ben: &Device) {
    let [a, _, c] = &mut days.trio.nodes[..] else { unreachable!("three nodes") };
    c.launch();
    assert_eq!(first_route(c, ben, NEW).await, "imessage");
    assert_eq!(c.route(ben, OLD).await, "sms");
    c.ready().await;
    let cleo = c.sign_up().await;
    assert_eq!(a.route(&cleo, NEW).await, "imessage");
}

/// Looks for what a stopped node must have forgotten.
fn looks_for_old(node: &Server) -> std::process::Output {
    run(node.command_for(&["log", "prove-forgotten", "--data"]).arg(&node.data))
}

/// Asks node c and another one for all that any log has.
async fn shows_nothing_of_before(days: &Days, reader: &str) {
    let oldest = days.now().minus(Duration::from_secs(30 * DAY)).to_string();
    for node in [&days.trio.nodes[C], &days.trio.nodes[0]] {
        let records = node.records(reader, "since=40d&limit=1000").await;
        assert!(!records.is_empty(), "there are new ones");
        let is_new = |record: &Value| oldest.as_str() <= record["at"].as_str().unwrap();
        assert!(records.iter().all(is_new), "{records:?}");
    }
}

#[tokio::test]
async fn after_an_hour_and_a_day_it_has_the_entries_that_it_missed() {
    let mut days = Days::start().await;
    for away in [HOUR, DAY] {
        leaves(&mut days).await;
        days.pass(away, &[0, 1]).await;
        let ben = meanwhile(&days).await;
        returns(&mut days, &ben).await;
        assert!(!days.trio.nodes[C].output().contains("was taken over"));
    }
}

#[tokio::test]
async fn after_a_month_it_takes_the_state_of_another_one_and_forgets_what_is_older() {
    let store = Stored::new();
    let url = store.url();
    let settings = [("LOG__STORE__URL", &*url), ("LOG__COPY_INTERVAL", "1s")];
    let mut days = Days::start_with(&settings).await;
    let reader = days.trio.nodes[0].operator_token("rea", "reader");
    days.trio.nodes[0].sign_up().await;
    until_copied(&days.trio.nodes.iter().collect::<Vec<_>>()).await;
    let old = leaves(&mut days).await;
    let copies = store.names();
    let name = Identity::read(&days.trio.nodes[C].data).unwrap().unwrap().store_name();
    assert!(copies.iter().any(|copy| copy.starts_with(&name)), "{copies:?}");
    for seconds in MONTH {
        days.pass(seconds, &[0, 1]).await;
    }
    let ben = meanwhile(&days).await;
    let found = looks_for_old(&days.trio.nodes[C]);
    assert!(
        said(&found).contains("not everything that should be forgotten is"),
        "{}",
        said(&found)
    );
    returns(&mut days, &ben).await;
    shows_nothing_of_before(&days, &reader).await;
    store.until_gone(&copies).await;
    // The keys of the first day are destroyed, so it can read none of what it missed.
    assert!(days.trio.nodes[C].output().contains("was taken over"));
    days.until_keys_are_of_today(&[C]).await;
    // As soon as all have the newest key again, no node keeps older ones.
    days.until_keys(&[0, 1, C], |numbers| numbers.len() <= 2).await;
    assert!(days.trio.nodes[C].stop().await.success());
    good(&looks_for_old(&days.trio.nodes[C]));
    let thief = Thief::copies(&days.trio);
    let read = thief.reads(&thief.keys);
    assert!(!read.is_empty() && read.keys().all(|batch| !old.contains_key(batch)));
}
