//! The operators' view of the log: each filter, pages, streams, the tail, segments.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Device, PATIENCE, Server, client},
    wire::{Reply, batch, has_exactly, instant},
};

pub(crate) const LOOKUP: &[&str] = &[
    "at", "kind", "request", "account", "device", "ip", "handle", "route", "reason", "status",
    "took_us",
];

async fn page(server: &Server, token: &str, query: &str) -> Reply {
    let request = server.operator(token, &format!("/v1/log?{query}"));
    Reply::to(request.header("accept", "application/json")).await
}

/// Ann has a number and an address. Ben looks up these and other handles, also from another IP address.
async fn some_traffic(server: &mut Server) -> (Device, Device) {
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    server.prove(&ann, "ann@example.com").await;
    for handle in ["+14155550123", "+14155550124", "nobody@example.com", "nonsense"] {
        server.lookup(&ben, handle).await;
    }
    let elsewhere: IpAddr = "127.13.37.42".parse().unwrap();
    let here =
        std::mem::replace(&mut server.client, client().local_address(elsewhere).build().unwrap());
    server.lookup(&ann, "ann@example.com").await;
    batch(server, &ann, &["+14155550124", "+14155550123", "x"]).await;
    server.client = here;
    let gone = server.phone(Method::DELETE, "/v1/devices/me");
    gone.bearer_auth(&ann.token).send().await.unwrap();
    server.lookup(&ben, "+14155550123").await;
    (ann, ben)
}

#[tokio::test]
async fn each_filter_gives_what_it_names_and_nothing_else() {
    let mut server = Server::start().await;
    let (ann, ben) = some_traffic(&mut server).await;
    let token = server.operator_token("reader", "reader");
    let all = server.records(&token, "order=asc").await;
    type Test = Box<dyn Fn(&Value) -> bool>;
    let is = |field: &'static str, value: &str| -> Test {
        let value = json!(value);
        Box::new(move |record| record[field] == value)
    };
    let cases: Vec<(String, Test)> = vec![
        ("handle=%2B14155550123".into(), is("handle", "+14155550123")),
        ("handle=+14155550123".into(), is("handle", "+14155550123")),
        ("handle=ANN%40example.com".into(), is("handle", "ann@example.com")),
        (format!("device={}", ben.device), is("device", &ben.device)),
        (format!("account={}", ann.account), is("account", &ann.account)),
        ("ip=127.13.37.42".into(), is("ip", "127.13.37.42")),
        ("ip=127.13.0.0/16".into(), is("ip", "127.13.37.42")),
        ("ip=127.0.0.1".into(), is("ip", "127.0.0.1")),
        ("route=imessage".into(), is("route", "imessage")),
        ("route=sms".into(), is("route", "sms")),
        ("route=none".into(), is("route", "none")),
        ("reason=device-removed".into(), is("reason", "device-removed")),
        ("reason=handle-invalid".into(), is("reason", "handle-invalid")),
        ("kind=lookup".into(), is("kind", "lookup")),
        ("kind=change".into(), is("kind", "change")),
        ("since=1h&until=1ms".into(), Box::new(|_| true)),
    ];
    for (query, wanted) in cases {
        let expected: Vec<_> = all.iter().filter(|record| wanted(record)).collect();
        assert!(!expected.is_empty(), "{query} matches no record");
        let found = server.records(&token, &format!("{query}&order=asc")).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
        let mut newest_first = server.records(&token, &query).await;
        newest_first.reverse();
        assert_eq!(newest_first, found, "{query}");
    }
    let both = format!("device={}&route=sms&kind=lookup", ben.device);
    assert_eq!(server.records(&token, &both).await.len(), 2);
    for none in ["until=1h", "since=2100-01-01T00:00:00Z", "ip=192.0.2.0/24"] {
        assert!(server.records(&token, none).await.is_empty(), "{none}");
    }
    for same in ["ip=::ffff:7f00:1", "ip=::ffff:127.0.0.1", "ip=::ffff:127.0.0.0%2F104"] {
        let here = if same.contains("104") { "ip=127.0.0.0/8" } else { "ip=127.0.0.1" };
        let found = server.records(&token, same).await;
        assert!(!found.is_empty() && found == server.records(&token, here).await, "{same}");
    }
    let national = server.records(&token, "handle=(415)%20555-0123&region=US&order=asc").await;
    assert_eq!(national, server.records(&token, "handle=%2B14155550123&order=asc").await);
    let first = all[0]["at"].as_str().unwrap();
    let (date, second) = (&first[..10], &first[..19]);
    let space = second.replace('T', "%20");
    for since in [
        date.to_owned(),
        format!("{second}+00:00"),
        format!("{second}%2B00:00"),
        format!("{space}%2B00"),
        format!("{space}Z"),
    ] {
        let found = server.records(&token, &format!("order=asc&since={since}")).await;
        assert_eq!(found, all, "{since}");
    }
    let empty = page(&server, &token, &format!("since={date}&until={date}")).await;
    let detail = empty.refuses(400, "request-invalid")["detail"].as_str().unwrap();
    assert!(detail.contains("the window is empty"), "{detail}");
    // `since` includes its instant and `until` excludes it.
    let at = all[4]["at"].as_str().unwrap();
    let since = server.records(&token, &format!("since={at}&order=asc")).await;
    assert_eq!(since, all[4..]);
    let until = server.records(&token, &format!("until={at}&order=asc")).await;
    assert_eq!(until, all[..4]);
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repeat_while_the_log_grows() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let numbers: Vec<_> = (0..50).map(|n| format!("+1415555{n:04}")).collect();
    for number in &numbers {
        server.lookup(&ben, number).await;
    }
    let token = server.operator_token("reader", "reader");
    for order in ["asc", "desc"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for _ in 0..30 {
            let query = format!("kind=lookup&order={order}&limit=7{cursor}");
            let reply = page(&server, &token, &query).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let records = reply.body["records"].as_array().unwrap();
            seen.extend(records.iter().map(|r| r["handle"].as_str().unwrap().to_owned()));
            // Records that arrive meanwhile must not shift the pages.
            server.lookup(&ben, "+447700900123").await;
            let Some(next) = reply.body["next_cursor"].as_str() else {
                break;
            };
            assert_eq!(records.len(), 7);
            cursor = format!("&cursor={next}");
        }
        if order == "desc" {
            seen.reverse();
        }
        seen.retain(|handle| handle.starts_with("+1"));
        assert_eq!(seen, numbers, "{order}");
    }
    batch(&server, &ben, &numbers.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let whole = page(&server, &token, "limit=1000").await;
    let all = whole.is(200, &["records"])["records"].as_array().unwrap();
    let first = page(&server, &token, "").await;
    let newest = first.is(200, &["records", "next_cursor"])["records"].as_array().unwrap();
    assert_eq!(newest, &all[..100]);
}

#[tokio::test]
async fn a_stream_has_every_record_and_ends() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let numbers: Vec<_> = (0..1_000).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    batch(&server, &ben, &numbers).await;
    batch(&server, &ben, &numbers).await;
    let token = server.operator_token("reader", "reader");
    let request = server.operator(&token, "/v1/log?kind=lookup&order=asc");
    let reply = Reply::to(request.header("accept", "application/x-ndjson")).await;
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    assert!(reply.text.ends_with('\n'));
    let handles: Vec<_> = reply
        .text
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["handle"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(handles, [numbers.clone(), numbers].concat());
    assert_eq!(server.records(&token, "limit=1500").await.len(), 1_500);
}

#[tokio::test]
async fn the_live_view_has_each_new_record_once_and_only_those_that_match() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    server.lookup(&ben, "+14155559999").await;
    let token = server.operator_token("reader", "reader");
    let request = server.operator(&token, "/v1/log/tail?route=sms");
    let mut tail = request.send().await.unwrap();
    assert_eq!(tail.headers()["content-type"], "text/event-stream");
    let numbers: Vec<_> = (0..300).map(|n| format!("+1415555{n:04}")).collect();
    for some in numbers.chunks(60) {
        let some: Vec<_> = some.iter().map(String::as_str).collect();
        batch(&server, &ben, &some).await;
        server.lookup(&ben, "nobody@example.com").await;
    }
    let mut text = String::new();
    while text.matches("data: ").count() < 300 || !text.ends_with("\n\n") {
        let chunk =
            tokio::time::timeout(PATIENCE, tail.chunk()).await.expect("the tail sends a chunk");
        text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
    }
    let more = tokio::time::timeout(Duration::from_millis(600), tail.chunk()).await;
    assert!(more.is_err(), "the tail sent a record that does not match");
    let handles = text.lines().filter_map(|line| line.strip_prefix("data: ")).map(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        has_exactly(&record, LOOKUP);
        record["handle"].as_str().unwrap().to_owned()
    });
    assert_eq!(handles.collect::<Vec<_>>(), numbers);
}

#[tokio::test]
async fn segments_say_how_much_they_hold_and_when_they_go() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    server.lookup(&ben, "+14155550123").await;
    let token = server.operator_token("reader", "reader");
    let reply = Reply::to(server.operator(&token, "/v1/log/segments")).await;
    let segments = reply.body.as_array().unwrap();
    for segment in segments {
        has_exactly(
            segment,
            &["segment", "state", "from", "until", "records", "bytes", "expires_at"],
        );
        let hour = instant(&segment["until"]).since(instant(&segment["from"]));
        assert_eq!(hour, Duration::from_secs(3_600));
        let kept = instant(&segment["expires_at"]).since(instant(&segment["from"]));
        let most = Duration::from_secs(30 * 24 * 3_600);
        assert!(kept >= most && kept <= most + hour, "{segment}");
        assert!(segment["bytes"].as_u64().unwrap() > 0);
    }
    let newest = segments.last().unwrap();
    assert_eq!(newest["state"], "active");
    let records: u64 = segments.iter().map(|s| s["records"].as_u64().unwrap()).sum();
    assert_eq!(records, 2);
    let names: BTreeSet<_> = segments.iter().map(|s| s["segment"].as_str().unwrap()).collect();
    assert_eq!(names.len(), segments.len());
    let verified = Reply::to(server.operator(&token, "/v1/log/verify")).await;
    assert_eq!((verified.status, &verified.body["sound"]), (200, &json!(true)), "{verified:?}");
}

#[tokio::test]
async fn open_live_views_take_no_place_of_a_search() {
    let server = Server::start().await;
    let token = server.operator_token("reader", "reader");
    let mut views = Vec::new();
    for _ in 0..8 {
        let view = server.operator(&token, "/v1/log/tail").send().await.unwrap();
        assert_eq!(view.status(), 200);
        views.push(view);
    }
    assert_eq!(page(&server, &token, "").await.status, 200);
}
