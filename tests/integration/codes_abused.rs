//! Strangers make the service send codes: few messages leave, and whoever needs a code gets one.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Device, Server},
    wire::{Reply, link},
};

const NUMBER: &str = "+14155550123";
/// Numbers of premium-rate, satellite and international networks.
const EXPENSIVE: [&str; 10] = [
    "+19005550123",
    "+870773123456",
    "+80012345678",
    "+881612345678",
    "+882161234567",
    "+883510012345",
    "+88821612345678",
    "+979123456789",
    "+449098790123",
    "+499001234567",
];

/// A server with quotas, behind a proxy that names each client's address.
async fn behind_proxy(settings: &[(&str, &str)]) -> Server {
    let proxy = ("SERVER__TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#);
    let env = [&[("QUOTA__ENABLED", "true"), proxy], settings].concat();
    Server::start_with(&env).await
}

async fn post(server: &Server, ip: &str, token: Option<&str>, path: &str, body: Value) -> Reply {
    let mut request = server.phone(Method::POST, path).header("x-forwarded-for", ip).json(&body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    Reply::to(request).await
}

/// A device with an account of its own.
async fn fresh(server: &Server, ip: &str) -> Device {
    let reply = post(server, ip, None, "/v1/devices", json!({"platform": "ios"})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let text = |field: &str| reply.body[field].as_str().unwrap().to_owned();
    Device { device: text("device"), account: text("account"), token: text("token") }
}

async fn claim(server: &Server, ip: &str, device: &Device, handle: &str) -> Reply {
    let body = json!({"handle": handle});
    post(server, ip, Some(&device.token), "/v1/devices/me/handles", body).await
}

async fn deregister(server: &Server, ip: &str, handle: &str) -> Reply {
    post(server, ip, None, "/v1/deregistrations", json!({"handle": handle})).await
}

/// The messages so far.
fn messages(server: &Server) -> usize {
    if server.data.join("outbox.ndjson").exists() { server.outbox().len() } else { 0 }
}

/// One of many numbers.
fn number(at: usize) -> String {
    format!("+1415555{at:04}")
}

/// An address in one of the many /64 of one /48.
fn of_site(at: usize) -> String {
    format!("2001:db8:7:{at:x}::1")
}

/// An address of a network of its own.
fn elsewhere(at: usize) -> String {
    format!("198.{}.{}.7", 18 + at / 250, at % 250)
}

#[tokio::test]
async fn one_site_of_many_networks_causes_few_messages_and_keeps_nobody_out() {
    let settings = [("OWNERSHIP__CODES_PER_NETWORK_PER_DAY", "100")];
    let server = behind_proxy(&settings).await;
    let mut limits = HashSet::new();
    for at in 0..200 {
        let reply = deregister(&server, &of_site(at), &number(at)).await;
        if reply.status != 202 {
            let limit = reply.refuses(429, "rate-limited")["limit"].as_str().unwrap();
            limits.insert(limit.to_owned());
        }
    }
    // Half of a hundred at once, of which those without a token use half.
    assert_eq!(messages(&server), 25);
    assert_eq!(limits, HashSet::from(["codes-per-network".to_owned()]));
    let ip = elsewhere(1);
    let ann = fresh(&server, &ip).await;
    assert_eq!(claim(&server, &ip, &ann, NUMBER).await.status, 202);
    assert_eq!(deregister(&server, &elsewhere(2), &number(999)).await.status, 202);
}

#[tokio::test]
async fn deregistrations_of_many_networks_leave_sessions_to_claims() {
    let server = behind_proxy(&[("OWNERSHIP__SESSIONS", "40")]).await;
    let mut refused = 0;
    for at in 0..60 {
        let reply = deregister(&server, &elsewhere(at), &number(at)).await;
        if reply.status != 202 {
            reply.refuses(503, "overloaded");
            refused += 1;
        }
    }
    assert_eq!(refused, 40, "half of the sessions are for them");
    let ip = elsewhere(100);
    for at in 100..110 {
        let phone = fresh(&server, &ip).await;
        assert_eq!(claim(&server, &ip, &phone, &number(at)).await.status, 202, "{at}");
    }
}

#[tokio::test]
async fn no_message_goes_to_an_expensive_number_which_only_an_asker_with_a_token_learns() {
    let server = behind_proxy(&[]).await;
    let ip = elsewhere(1);
    let ann = fresh(&server, &ip).await;
    let fields =
        ["attempts_left", "expires_at", "handle", "next_send_at", "sent_by", "verification"];
    for handle in EXPENSIVE {
        claim(&server, &ip, &ann, handle).await.refuses(422, "delivery-refused");
        deregister(&server, &ip, handle).await.is(202, &fields);
    }
    assert_eq!(messages(&server), 0);
    claim(&server, &ip, &ann, NUMBER).await.is(202, &fields);
    assert_eq!(messages(&server), 1);
}

/// Everybody asks for codes to one person, by each of the spellings, with and without a token.
async fn bomb(server: &Server, phones: &[Device], spellings: &[&str], from: usize) {
    for (at, phone) in phones.iter().enumerate() {
        for (turn, spelling) in spellings.iter().enumerate() {
            let ip = elsewhere(from + at * spellings.len() + turn);
            claim(server, &ip, phone, spelling).await;
            deregister(server, &ip, spelling).await;
        }
    }
}

#[tokio::test]
async fn the_spellings_of_one_person_share_ten_codes_which_no_kill_gives_back() {
    let mut server = behind_proxy(&[]).await;
    let mut phones = Vec::new();
    for at in 0..6 {
        let phone = fresh(&server, &elsewhere(at)).await;
        // Half of them have a proof.
        if at % 2 == 0 {
            server.prove(&phone, &number(5_000 + at)).await;
        }
        phones.push(phone);
    }
    let numbers = ["+5491123456789", "+541123456789"];
    let addresses = ["victim@gmail.com", "v.ictim@gmail.com", "victim+1@gmail.com"];
    for (spellings, from) in [(&numbers[..], 10), (&addresses[..], 50)] {
        let before = messages(&server);
        bomb(&server, &phones, spellings, from).await;
        // Two of the ten are for devices that hold the handle or held it.
        assert_eq!(messages(&server) - before, 8, "{spellings:?}");
        server.kill();
        server.spawn().await;
        bomb(&server, &phones, spellings, from + 300).await;
        assert_eq!(messages(&server) - before, 8, "{spellings:?}, after kill -9");
    }
}

#[tokio::test]
async fn two_dozen_requests_of_strangers_shut_no_owner_out() {
    let server = behind_proxy(&[]).await;
    let home = elsewhere(500);
    let old = fresh(&server, &home).await;
    server.prove(&old, NUMBER).await;
    let known = fresh(&server, &home).await;
    server.prove(&known, "owner@example.com").await;
    for at in 0..10 {
        deregister(&server, &elsewhere(at), NUMBER).await;
    }
    for at in 10..19 {
        let stranger = fresh(&server, &elsewhere(at)).await;
        claim(&server, &elsewhere(at), &stranger, NUMBER).await;
    }
    // The owner gives the number up from the phone that holds it, without a code.
    let path = format!("/v1/devices/me/handles/{NUMBER}");
    let give_up = server.phone(Method::DELETE, &path).bearer_auth(&old.token);
    Reply::to(give_up).await.is(204, &[]);
    // A new phone joins the account that held it.
    let new = link(&server, &old).await;
    for (who, device) in [("the new phone", &new), ("an account with another proof", &known)] {
        let claimed = claim(&server, &home, device, NUMBER).await;
        assert_eq!(claimed.status, 202, "{who}: {claimed:?}");
        let verification = claimed.body["verification"].as_str().unwrap();
        let code = server.code_for(verification);
        let (status, proved) = server.confirm(verification, &code).await;
        assert_eq!(status, 200, "{who}: {proved}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_named_is_reported_once() {
    let server = Server::start_with(&[("QUOTA__ENABLED", "true")]).await;
    for at in 0..3 {
        fresh(&server, &elsewhere(at)).await;
    }
    let reported = server.output().matches("X-Forwarded-For is ignored").count();
    assert_eq!(reported, 1, "{}", server.output());
    let named = behind_proxy(&[]).await;
    fresh(&named, &elsewhere(1)).await;
    assert!(!named.output().contains("X-Forwarded-For is ignored"), "{}", named.output());
}
