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
        let parameter = reply.header(header).split(';').find_map(|p| p.strip_prefix(key));
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
    assert!((174..=260).contains(&three.retry_after()), "{three:?}");
    for refused in [&one, &three] {
        assert!(!refused.text.contains("sms") && refused.body.get("route").is_none());
        assert!(refused.body.get("answers").is_none());
        assert_eq!(refused.header("cache-control"), "no-store");
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
