//! Numbers with a new owner, and deregistered handles.

use std::time::Duration;

use dispatchd::clock::Clock as _;
use serde_json::json;

use super::{answer, changes, check_in, deregister, lost, sign_out, subject};
use crate::{
    handles::{claim, discoverable, give_up, own_handles},
    harness::{Device, Server},
    timed::Timed,
    wire::link,
};

const NUMBER: &str = "+14155550123";
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Claims a handle. A device whose account does not hold it is sent a code and gets nothing else.
async fn is_sent_a_code(server: &Server, device: &Device, handle: &str) {
    let sent_before = server.outbox().len();
    let asked = claim(server, device, json!({"handle": handle})).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let outbox = server.outbox();
    assert_eq!(outbox.len(), sent_before + 1);
    let last = &outbox[sent_before];
    assert_eq!((&last["to"], &last["purpose"]), (&json!(handle), &json!("bind")));
}

#[tokio::test]
async fn an_old_phone_on_wifi_keeps_checking_in_after_its_number_was_proved_by_a_new_owner() {
    let mut timed = Timed::start().await;
    let [old, new, ben] =
        [timed.server.sign_up().await, timed.server.sign_up().await, timed.server.sign_up().await];
    timed.server.prove(&old, NUMBER).await;
    timed.server.prove(&old, "old@example.com").await;
    timed.clock.advance(DAY);
    timed.server.prove(&new, NUMBER).await;
    timed.server.prove(&new, "new@example.com").await;
    let owner = subject(&timed.server, &ben, "new@example.com").await;
    // The server tells the old phone when and why it lost the number.
    let gone = json!([{"handle": NUMBER, "lost_at": timed.clock.now(), "reason": "moved"}]);
    for day in 0..20 {
        timed.clock.advance(DAY);
        if day % 5 == 4 {
            timed.restart().await;
        }
        assert_eq!(json!(lost(&timed.server, &old).await), gone);
        check_in(&timed.server, &new).await;
        check_in(&timed.server, &old).await;
        is_sent_a_code(&timed.server, &old, NUMBER).await;
        assert_eq!(subject(&timed.server, &ben, NUMBER).await, owner, "day {day}");
        assert_eq!(own_handles(&timed.server, &old).await, ["old@example.com"]);
        timed.tick().await;
    }
    let reader = timed.server.operator_token("reader", "reader");
    let told = changes(&timed.server, &reader, NUMBER).await;
    let [bound, moved] = told.as_slice() else { panic!("{told:?}") };
    let expected = |kind: &str, device: &Device, cause: &str| {
        (kind.to_owned(), device.account.clone(), cause.to_owned())
    };
    assert_eq!(*bound, expected("handle-bound", &old, "proof"));
    assert_eq!(*moved, expected("handle-moved", &new, "newer-proof"));

    // The new owner stops checking in. The old phone checks in, but does not get the number back.
    for day in 0..20 {
        timed.clock.advance(DAY);
        check_in(&timed.server, &old).await;
        timed.tick().await;
        let route = if day < 13 { "imessage" } else { "sms" };
        let answer = answer(&timed.server, &ben, NUMBER).await;
        assert_eq!(answer["route"], route, "day {day}");
        assert!(answer.get("subject").is_none_or(|seen| *seen == json!(owner)));
    }
    assert_eq!(lost(&timed.server, &old).await, Vec::<serde_json::Value>::new(), "30 days later");
    timed.stop().await;
}

#[tokio::test]
async fn a_recycled_number_belongs_to_its_new_owner_at_once() {
    // The clock stands still, because the order of the proofs counts and not their times.
    let mut timed = Timed::start().await;
    let server = &timed.server;
    let (old, new, ben) = (server.sign_up().await, server.sign_up().await, server.sign_up().await);
    server.prove(&old, NUMBER).await;
    server.prove(&old, "old@example.com").await;
    server.prove(&new, "new@example.com").await;
    let laptop = link(server, &old).await;
    let before = subject(server, &ben, NUMBER).await;
    // The old owner's hiding does not affect the new owner.
    assert_eq!(discoverable(server, &old, "%2B14155550123", false).await.status, 200);
    server.prove(&new, NUMBER).await;
    let after = subject(server, &ben, NUMBER).await;
    assert_ne!(after, before);
    assert_eq!(after, subject(server, &ben, "new@example.com").await);
    for device in [&old, &laptop] {
        assert_eq!(own_handles(server, device).await, ["old@example.com"]);
        give_up(server, device, "%2B14155550123").await.refuses(404, "handle-not-bound");
        discoverable(server, device, "%2B14155550123", false)
            .await
            .refuses(404, "handle-not-bound");
        check_in(server, device).await;
        assert_eq!(subject(server, &ben, NUMBER).await, after);
        sign_out(server, device).await;
        assert_eq!(subject(server, &ben, NUMBER).await, after);
    }
    sign_out(server, &new).await;
    assert_eq!(answer(server, &ben, NUMBER).await["route"], "sms");
    timed.restart().await;
    assert_eq!(answer(&timed.server, &ben, NUMBER).await["route"], "sms");
    timed.stop().await;
}

async fn is_gone(server: &Server, asker: &Device, own: &[&Device], handle: &str) {
    for device in own {
        check_in(server, device).await;
    }
    for asker in own.iter().chain([&asker]) {
        let answer = answer(server, asker, handle).await;
        let route = if handle.contains('@') { "none" } else { "sms" };
        assert_eq!((&answer["route"], answer.get("subject")), (&json!(route), None), "{answer}");
    }
    for device in own {
        assert!(!own_handles(server, device).await.contains(&handle.to_owned()));
    }
}

async fn does_not_reappear(handle: &str) {
    let mut server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, handle).await;
    server.prove(&ann, "ann@example.org").await;
    let laptop = link(&server, &ann).await;
    subject(&server, &ben, handle).await;
    deregister(&server, handle).await;
    is_gone(&server, &ben, &[&ann, &laptop], handle).await;
    for device in [&ann, &laptop] {
        let lost = lost(&server, device).await;
        assert_eq!(lost.len(), 1, "{lost:?}");
        assert_eq!(
            (&lost[0]["handle"], &lost[0]["reason"]),
            (&json!(handle), &json!("deregistered"))
        );
    }
    server.restart().await;
    is_gone(&server, &ben, &[&ann, &laptop], handle).await;
    let tablet = link(&server, &laptop).await;
    let own = [&ann, &laptop, &tablet];
    is_gone(&server, &ben, &own, handle).await;
    for device in own {
        is_sent_a_code(&server, device, handle).await;
        is_gone(&server, &ben, &own, handle).await;
    }
    server.kill();
    server.spawn().await;
    is_gone(&server, &ben, &own, handle).await;
    // Other handles of the account are unaffected.
    subject(&server, &ben, "ann@example.org").await;

    let reader = server.operator_token("reader", "reader");
    let query = format!("kind=lookup&order=asc&handle={}", handle.replace('+', "%2B"));
    let reasons = server.records(&reader, &query).await;
    let reasons: Vec<_> = reasons.iter().map(|record| &record["reason"]).collect();
    let (live, gone) = reasons.split_at(2);
    assert_eq!(live, [&json!("live-device"); 2]);
    assert!(gone.len() > 20 && gone.iter().all(|reason| **reason == "deregistered"), "{gone:?}");
    let last = changes(&server, &reader, handle).await.pop().unwrap();
    assert_eq!(last, ("handle-deregistered".into(), ann.account.clone(), "deregistration".into()));
    // Only a new proof binds it again.
    let anew = server.sign_up().await;
    server.prove(&anew, handle).await;
    subject(&server, &ben, handle).await;
}

#[tokio::test]
async fn a_deregistered_handle_does_not_reappear() {
    does_not_reappear(NUMBER).await;
    does_not_reappear("ann@example.com").await;
}
