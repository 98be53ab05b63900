//! Quotas: every answer states what is left, repeated lookups are free, and an exceeded limit is an error, never a
//! route.

use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{Device, Server},
    wire::{Reply, batch, call, link},
};

/// Limit and window of the `RateLimit-Policy` header, remaining and reset of the `RateLimit` header.
pub(crate) fn limits(reply: &Reply) -> (u64, u64, u64, u64) {
    let number = |header: &str, key: &str| -> u64 {
        // The first limit is the daily one.
        let first = reply.header(header).split(',').next().unwrap();
        let parameter = first.split(';').find_map(|p| p.strip_prefix(key));
        parameter.unwrap_or_else(|| panic!("{reply:?}")).parse().unwrap()
    };
    assert!(reply.header("ratelimit").starts_with("\"new-handles\""));
    assert!(reply.header("ratelimit-policy").starts_with("\"new-handles\""));
    (
        number("ratelimit-policy", "q="),
        number("ratelimit-policy", "w="),
        number("ratelimit", "r="),
        number("ratelimit", "t="),
    )
}

async fn get(server: &Server, device: &Device, handle: &str) -> Reply {
    let path = format!("/v1/lookup/{handle}");
    call(server, Method::GET, &path, Some(&device.token), None).await
}

#[tokio::test]
async fn a_new_handle_counts_and_a_repeat_is_free() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__NEW_HANDLES_PER_DAY", "1000")];
    let server = Server::start_with(&env).await;
    let ben = server.sign_up().await;
    let (limit, window, left, reset) = limits(&get(&server, &ben, "+14155550123").await);
    assert_eq!((limit, window, left), (1_000, 86_400, 999));
    assert!((80..=87).contains(&reset), "{reset}");
    for again in ["+14155550123", "%2B1-415-555-0123", "tel:+14155550123"] {
        assert_eq!(limits(&get(&server, &ben, again).await).2, 999, "{again}");
    }
    let mixed = ["+14155550123", "+14155550124", "+14155550124", "x@example.com", "nonsense"];
    assert_eq!(limits(&batch(&server, &ben, &mixed).await).2, 997);
    let carl = server.sign_up().await;
    assert_eq!(limits(&get(&server, &carl, "+14155550123").await).2, 999);
}

#[tokio::test]
async fn beyond_the_limit_is_an_error_that_says_when_and_never_a_route() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__NEW_HANDLES_PER_DAY", "1000")];
    let server = Server::start_with(&env).await;
    let ben = server.sign_up().await;
    let numbers: Vec<_> = (0..1_000).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    assert_eq!(limits(&batch(&server, &ben, &numbers).await).2, 0);

    let one = get(&server, &ben, "+14155559999").await;
    let body = one.refuses(429, "lookup-quota");
    assert_eq!((&body["limit"], &body["cost"]), (&json!("new-handles"), &json!(1)));
    assert_eq!(body["retry_after"], one.retry_after());
    assert!((1..=87).contains(&one.retry_after()), "{one:?}");
    let three = ["+14155559997", "+14155559998", "+14155559999", "+14155550001"];
    let three = batch(&server, &ben, &three).await;
    assert_eq!(three.refuses(429, "lookup-quota")["cost"], 3);
    assert_eq!(three.body["remaining"], 0);
    assert!((174..=260).contains(&three.retry_after()), "{three:?}");
    for refused in [&one, &three] {
        assert!(!refused.text.contains("sms") && refused.body.get("route").is_none());
        assert!(refused.body.get("answers").is_none());
        assert_eq!(refused.header("cache-control"), "no-store");
        assert_eq!(limits(refused).2, 0, "the headers of an answer");
    }
    // Handles that the device looked up before are still free.
    assert_eq!(get(&server, &ben, "+14155550001").await.status, 200);
}

#[tokio::test]
async fn too_many_requests_are_refused_whatever_they_ask() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__REQUESTS_PER_MINUTE", "2")];
    let server = Server::start_with(&env).await;
    let ben = server.sign_up().await;
    // The next one is allowed half a minute later.
    for _ in 0..2 {
        assert_eq!(get(&server, &ben, "+14155550123").await.status, 200);
    }
    for refused in [
        get(&server, &ben, "+14155550123").await,
        batch(&server, &ben, &["+14155550123"]).await,
        get(&server, &ben, "nonsense").await,
        get(&server, &ben, "%FF").await,
        batch(&server, &ben, &[]).await,
    ] {
        assert_eq!(refused.refuses(429, "rate-limited")["limit"], "requests");
        assert!((1..=30).contains(&refused.retry_after()));
    }
}

/// The limit that a 429 names.
#[track_caller]
fn limit_of(reply: &Reply) -> &str {
    reply.refuses(429, "rate-limited")["limit"].as_str().unwrap()
}

#[tokio::test]
async fn repeats_and_long_addresses_count_for_the_lookups_of_the_account() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__LOOKUPS_PER_DAY", "4000")];
    let server = Server::start_with(&env).await;
    let (ben, carl) = (server.sign_up().await, server.sign_up().await);
    let repeats = ["+14155550123"; 999];
    for _ in 0..4 {
        assert_eq!(batch(&server, &ben, &repeats).await.status, 200);
    }
    assert_eq!(batch(&server, &ben, &["nonsense"; 4]).await.status, 200);
    let one = get(&server, &ben, "+14155550123").await;
    assert_eq!(limit_of(&one), "lookups");
    assert!((1..=22).contains(&one.retry_after()), "{one:?}");
    // An address of 254 bytes is four units.
    let domain = format!("{0}.{0}.{0}", "d".repeat(61));
    let long = format!("{}@{domain}.ab", "l".repeat(64));
    let long = format!("{long}{}", "c".repeat(254 - long.len()));
    assert_eq!(batch(&server, &carl, &vec![long.as_str(); 1_000]).await.status, 200);
    assert_eq!(limit_of(&get(&server, &carl, "+14155550123").await), "lookups");
}

#[tokio::test]
async fn strangers_cannot_use_up_the_sign_ups_of_second_devices() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__ALL_SIGN_UPS_PER_HOUR", "3")];
    let server = Server::start_with(&env).await;
    let (ben, _) = (server.sign_up().await, server.sign_up().await);
    let stranger = json!({"platform": "ios"});
    let refused = call(&server, Method::POST, "/v1/devices", None, Some(stranger)).await;
    assert_eq!(limit_of(&refused), "all-sign-ups");
    assert!((1..=1_200).contains(&refused.retry_after()), "{refused:?}");
    assert_eq!(link(&server, &ben).await.account, ben.account);
}

#[tokio::test]
async fn an_account_with_a_handle_has_an_address_book_more() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__IMPORT_HANDLES", "30")];
    let server = Server::start_with(&env).await;
    let ben = server.sign_up().await;
    let numbers: Vec<_> = (0..131).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    let one = get(&server, &ben, "+14155559999").await;
    assert_eq!(one.header("ratelimit-policy"), "\"new-handles\";q=100;w=86400");
    assert_eq!(
        batch(&server, &ben, &numbers[..100]).await.refuses(429, "lookup-quota")["cost"],
        100
    );
    server.prove(&ben, "+14155558888").await;
    let policy = "\"new-handles\";q=100;w=86400, \"address-book\";q=30;w=10368000";
    let all = batch(&server, &ben, &numbers[..129]).await;
    assert_eq!(all.header("ratelimit-policy"), policy);
    assert!(all.header("ratelimit").starts_with("\"new-handles\";r=0;t="), "{all:?}");
    assert!(all.header("ratelimit").contains(", \"address-book\";r=0;t="), "{all:?}");
    let more = batch(&server, &ben, &numbers[129..]).await;
    let body = more.refuses(429, "lookup-quota");
    assert_eq!((&body["limit"], &body["cost"]), (&json!("new-handles"), &json!(2)));
    assert_eq!(batch(&server, &ben, &numbers[..129]).await.status, 200);
}

#[tokio::test]
async fn a_batch_that_never_fits_is_told_to_be_split() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__REQUESTS_PER_MINUTE", "50")];
    let server = Server::start_with(&env).await;
    let ben = server.sign_up().await;
    let numbers: Vec<_> = (0..1_000).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    let detail =
        |reply: &Reply, code: &str| reply.refuses(429, code)["detail"].as_str().unwrap().to_owned();
    let never = batch(&server, &ben, &numbers[..101]).await;
    assert_eq!(limits(&never).2, 100);
    assert_eq!(
        detail(&never, "lookup-quota"),
        "the batch never fits: it costs 101 new handles, and at most 100 can be left. Split it into smaller ones"
    );
    assert_eq!(batch(&server, &ben, &numbers[..99]).await.status, 200);
    let later = batch(&server, &ben, &numbers[99..102]).await;
    assert!(detail(&later, "lookup-quota").starts_with("wait as long"), "{later:?}");
    // A thousand repeats count as a hundred requests.
    let requests = batch(&server, &ben, &numbers[..1].repeat(1_000)).await;
    assert_eq!(requests.refuses(429, "rate-limited")["limit"], "requests");
    assert!(detail(&requests, "rate-limited").starts_with("the batch never fits"), "{requests:?}");
    assert!(!requests.headers.contains_key("ratelimit"), "it is another limit");
}

/// `kill -9` forgives what was asked within the last second, and nothing else.
#[tokio::test]
async fn a_killed_server_remembers_what_was_asked_a_second_before() {
    let folder = tempfile::tempdir().unwrap();
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__NETWORK_UNPROVEN_HANDLES_PER_DAY", "300")];
    let mut server = Server::on(&folder.path().join("data"), &env).await;
    let (ben, carl) = (server.sign_up().await, server.sign_up().await);
    let numbers: Vec<_> = (0..100).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    for round in 0..3 {
        let (from, to) = (round * 20, round * 20 + 20);
        let left = 100 - to as u64;
        assert_eq!(limits(&batch(&server, &ben, &numbers[from..to]).await).2, left);
        assert_eq!(limits(&batch(&server, &carl, &numbers[from..to]).await).2, left);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        server.kill();
        server.spawn().await;
        // Repeats are free, and as much is left as before.
        assert_eq!(limits(&batch(&server, &ben, &numbers[..to]).await).2, left);
    }
    // Their network has used up 120 of the 150 that it may ask for at once.
    let refused = batch(&server, &ben, &numbers[60..]).await;
    let body = refused.refuses(429, "lookup-quota");
    assert_eq!((&body["limit"], &body["cost"]), (&json!("network-new-handles"), &json!(40)));
    assert_eq!(body["remaining"], 30);
}
