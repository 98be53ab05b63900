//! Requests of phones as libraries and people really send them: odd regions, odd bodies, common mistakes.

use dispatchd::{
    api::{
        BatchAnswer, BatchItem, CheckInAnswer, Confirmation, HandleDetails, LinkCodeAnswer,
        LookupAnswer, OwnDevice, Problem, ProvedHandle, Ready, SentBy, SignUpAnswer, Verification,
    },
    handle::HandleError,
    vocabulary::{HandleLoss, ProblemCode, Route, Together},
};
use reqwest::{Method, RequestBuilder};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    harness::{Device, Server},
    wire::{Reply, call, with_json},
};

const NUMBER: &str = "+14155550123";
const MAIL: &str = "alice@example.com";
/// Texts that are no region: of standards, of other lists, of people.
const NO_REGIONS: &[&str] =
    &["001", "419", "UN", "UK", "EU", "XX", "en-US", "USA", "", "%20", "%FF"];

async fn get(server: &Server, device: &Device, rest: &str) -> Reply {
    let path = format!("/v1/lookup/{rest}");
    call(server, Method::GET, &path, Some(&device.token), None).await
}

fn batch_call(server: &Server, device: &Device) -> RequestBuilder {
    server.phone(Method::POST, "/v1/lookup").bearer_auth(&device.token)
}

/// The answer as its type, which has every field that was sent, and no other.
#[track_caller]
fn typed<T: Serialize + DeserializeOwned>(reply: &Reply) -> T {
    let answer: T =
        serde_json::from_str(&reply.text).unwrap_or_else(|error| panic!("{error}: {reply:?}"));
    assert_eq!(serde_json::to_value(&answer).unwrap(), reply.body);
    answer
}

#[track_caller]
fn problem(reply: &Reply) -> Problem {
    typed(reply)
}

#[tokio::test]
async fn every_answer_is_read_and_written_by_its_type() {
    let server = Server::start().await;
    let asked = async |method: Method, path: &str, token: Option<&str>, body: Option<Value>| {
        call(&server, method, path, token, body).await
    };
    let (post, me) = (Method::POST, "/v1/devices/me");
    let new = json!({"platform": "visionos", "name": "Ann"});
    let ann: SignUpAnswer = typed(&asked(post.clone(), "/v1/devices", None, Some(new)).await);
    let token = Some(ann.token.as_str());
    let made = asked(post.clone(), "/v1/devices/me/link-codes", token, None).await;
    typed::<LinkCodeAnswer>(&made);
    typed::<CheckInAnswer>(&asked(post.clone(), "/v1/devices/me/check-in", token, None).await);

    let claims = "/v1/devices/me/handles";
    let claim = Some(json!({"handle": MAIL}));
    let sent: Verification = typed(&asked(post.clone(), claims, token, claim.clone()).await);
    assert_eq!((sent.sent_by, sent.handle.canonical().as_ref()), (SentBy::Email, MAIL));
    let path = format!("/v1/verifications/{}", sent.verification);
    let wrong = Some(json!({"code": "no code"}));
    let refused = problem(&asked(post.clone(), &path, None, wrong).await);
    // What cannot be a code costs no attempt.
    assert_eq!((refused.code, refused.attempts_left), (ProblemCode::CodeWrong, Some(5)));
    let code = Some(json!({"code": server.code_for(&sent.verification.to_string())}));
    let bound: Confirmation = typed(&asked(post.clone(), &path, None, code).await);
    assert!(matches!(bound, Confirmation::Bound(proved) if proved.handle == MAIL));
    typed::<ProvedHandle>(&asked(post.clone(), claims, token, claim.clone()).await);

    let path = format!("{claims}/{MAIL}");
    let hidden = Some(json!({"discoverable": false}));
    let held: HandleDetails = typed(&asked(Method::PATCH, &path, token, hidden).await);
    assert!(!held.discoverable);
    let path = format!("/v1/lookup/{MAIL}");
    let answer: LookupAnswer = typed(&asked(Method::GET, &path, token, None).await);
    assert_eq!((answer.route, answer.subject.is_some()), (Route::Imessage, true));
    let handles = Some(json!({"handles": [MAIL, NUMBER, "?"]}));
    let batch: BatchAnswer = typed(&asked(post.clone(), "/v1/lookup", token, handles).await);
    assert_eq!(batch.together, Together::Route(Route::None));

    let sent: Verification = typed(&asked(post.clone(), "/v1/deregistrations", None, claim).await);
    let code = Some(json!({"code": server.code_for(&sent.verification.to_string())}));
    let path = format!("/v1/verifications/{}", sent.verification);
    let gone: Confirmation = typed(&asked(post, &path, None, code).await);
    assert!(matches!(gone, Confirmation::Deregistered(gone) if gone.handle == MAIL));
    let device: OwnDevice = typed(&asked(Method::GET, me, token, None).await);
    assert_eq!((device.device.device, device.device.account), (ann.device, ann.account));
    assert_eq!(device.device.lost[0].how, HandleLoss::Deregistered);
    assert!(typed::<Ready>(&asked(Method::GET, "/readyz", None, None).await).ready);
}

#[tokio::test]
async fn a_region_plays_no_part_where_the_handle_needs_none() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    for region in NO_REGIONS.iter().chain(&["US", "us", "DE"]) {
        for (handle, canonical) in [(NUMBER, NUMBER), (MAIL, MAIL), ("tel:+1-415-555-0123", NUMBER)]
        {
            let found = get(&server, &ben, &format!("{handle}?region={region}")).await;
            assert_eq!(
                (found.status, &found.body["handle"]),
                (200, &json!(canonical)),
                "{found:?}"
            );
        }
    }
    for region in NO_REGIONS {
        let refused = get(&server, &ben, &format!("4155550123?region={region}")).await;
        let body = refused.refuses(400, "handle-invalid");
        assert_eq!(body["reason"], "unknown-country", "{region}");
        assert!(body["detail"].as_str().unwrap().contains("two letters"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_wrong_region_is_a_fault_of_one_item_and_of_no_batch() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    for region in ["UK", "419", "001", "en-US", "", "\u{1f1fa}\u{1f1f8}"] {
        let body = json!({"handles": [NUMBER, MAIL, "4155550123"], "region": region});
        let reply = Reply::to(batch_call(&server, &ben).json(&body)).await;
        let answer: BatchAnswer = serde_json::from_str(&reply.text).unwrap();
        let [BatchItem::Answer(number), BatchItem::Answer(mail), BatchItem::Refused(national)] =
            &answer.answers[..]
        else {
            panic!("{region}: {reply:?}");
        };
        assert_eq!((number.handle.as_str(), mail.handle.as_str()), (NUMBER, MAIL));
        assert_eq!(national.error.reason, HandleError::UnknownCountry);
        assert_eq!(national.input, "4155550123");
    }
    let body = json!({"handles": [NUMBER], "region": 1});
    let refused = Reply::to(batch_call(&server, &ben).json(&body)).await;
    refused.refuses(400, "request-invalid");
    assert_eq!(problem(&refused).detail, "`region` takes a text, not a number");
}

#[tokio::test]
async fn claims_and_deregistrations_read_regions_like_lookups() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    for (path, token) in [("/v1/devices/me/handles", Some(&ann)), ("/v1/deregistrations", None)] {
        let token = token.map(|device| device.token.as_str());
        let post = async |body: Value| call(&server, Method::POST, path, token, Some(body)).await;
        let sent = post(json!({"handle": MAIL, "region": "en-US"})).await;
        assert_eq!((sent.status, &sent.body["handle"]), (202, &json!(MAIL)), "{sent:?}");
        let refused = post(json!({"handle": "4155550123", "region": "UK"})).await;
        assert_eq!(refused.refuses(400, "handle-invalid")["reason"], "unknown-country");
        let refused = post(json!({"handle": NUMBER, "region": ["US"]})).await;
        refused.refuses(400, "request-invalid");
        for (escape, reason) in [
            (r#"alice\ud83d@example.com"#, HandleError::NotAnAddress),
            (r#"\udc00415"#, HandleError::NotANumber),
        ] {
            let request = server.phone(Method::POST, path).bearer_auth(token.unwrap_or("none"));
            let refused =
                Reply::to(with_json(request, format!("{{\"handle\":\"{escape}\"}}"))).await;
            refused.refuses(400, "handle-invalid");
            assert_eq!(problem(&refused).reason, Some(reason), "{escape}");
        }
    }
}

#[tokio::test]
async fn bodies_are_read_as_libraries_write_them() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    for (body, items, faults) in [
        ("\u{feff}{\"handles\":[\"+14155550123\"]}".to_owned(), 1, 0),
        (format!("\r\n\t {{\"handles\":[\"{NUMBER}\"],\"region\":null}}\n"), 1, 0),
        (format!(r#"{{"handles":["{NUMBER}","alice\ud83d@example.com"]}}"#), 2, 1),
        (format!(r#"{{"handles":["{NUMBER}","alice\udc00@example.com","\ud83d"]}}"#), 3, 2),
        (format!(r#"{{"handles":["{NUMBER}","alice@\ud83dexample.com","4\udfff"]}}"#), 3, 2),
        (r#"{"handles":["\u002b14155550123","alice@example.com"],"region":"UK"}"#.to_owned(), 2, 0),
        (r#"{"region":"419","handles":["+14155550123","alice@example.com"]}"#.to_owned(), 2, 0),
    ] {
        let reply = Reply::to(with_json(batch_call(&server, &ben), body.clone())).await;
        let answer: BatchAnswer = serde_json::from_str(&reply.text)
            .unwrap_or_else(|error| panic!("{error}: {body} {reply:?}"));
        assert_eq!(answer.answers.len(), items, "{body}");
        let BatchItem::Answer(first) = &answer.answers[0] else { panic!("{body} {reply:?}") };
        assert_eq!(first.handle, NUMBER);
        let refused = answer.answers.iter().filter_map(|item| match item {
            BatchItem::Refused(item) => Some(item),
            BatchItem::Answer(_) => None,
        });
        assert_eq!(refused.clone().count(), faults, "{body} {reply:?}");
        for item in refused {
            assert!(item.input.contains('\u{fffd}'), "{body}");
            let is_mail = item.input.contains('@');
            let reason = if is_mail { HandleError::NotAnAddress } else { HandleError::NotANumber };
            assert_eq!((item.error.code, item.error.reason), (ProblemCode::HandleInvalid, reason));
        }
    }
}

#[tokio::test]
async fn only_plain_json_that_says_so_is_read() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let calls = [
        (Method::POST, "/v1/devices", r#"{"platform":"ios"}"#),
        (Method::POST, "/v1/lookup", r#"{"handles":["+14155550123"]}"#),
        (Method::POST, "/v1/devices/me/handles", r#"{"handle":"+14155550123"}"#),
        (Method::PATCH, "/v1/devices/me/handles/+14155550123", r#"{"discoverable":true}"#),
        (Method::POST, "/v1/deregistrations", r#"{"handle":"+14155550123"}"#),
        (Method::POST, "/v1/verifications/v_0123456789abc", r#"{"code":"123456"}"#),
    ];
    for (method, path, body) in calls {
        let plain = || server.phone(method.clone(), path).bearer_auth(&ann.token).body(body);
        let json = || with_json(server.phone(method.clone(), path).bearer_auth(&ann.token), body);
        let form = "application/x-www-form-urlencoded";
        for (request, says) in [
            (plain(), "`curl --json`"),
            (plain().header("content-type", form), "a form"),
            (plain().header("content-type", "text/plain"), "`Content-Type: application/json`"),
            (json().header("content-encoding", "gzip"), "compressed"),
            (json().header("content-encoding", "br"), "compressed"),
        ] {
            let refused = Reply::to(request).await;
            refused.refuses(415, "content-type-unsupported");
            assert!(problem(&refused).detail.contains(says), "{refused:?}");
        }
        for kind in ["application/json; charset=utf-8", "APPLICATION/JSON"] {
            let read = Reply::to(plain().header("content-type", kind)).await;
            assert_ne!(read.status, 415, "{path} {kind}");
        }
        assert_ne!(Reply::to(json().header("content-encoding", "identity")).await.status, 415);
    }
    let large = server.phone(Method::POST, "/v1/devices").body(vec![b' '; 3_000_000]);
    Reply::to(large).await.refuses(415, "content-type-unsupported");
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_answered_with_what_does() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let known = "one of ios, ipados, macos, watchos, visionos, other";
    for (body, says) in [
        (r#"{"platform":"android"}"#, format!(r#"platform: "android" is not {known}"#)),
        (r#"{"platform":"iOS"}"#, format!(r#"platform: "iOS" is not {known}; did you mean `ios`?"#)),
        ("{}", format!("`platform` is missing; it takes {known}")),
        (
            r#"{"platfrom":"ios"}"#,
            "the field `platfrom` is unknown; this call takes link_code, name, platform; did you mean `platform`?"
                .to_owned(),
        ),
    ] {
        let refused = Reply::to(with_json(server.phone(Method::POST, "/v1/devices"), body)).await;
        refused.refuses(400, "request-invalid");
        assert_eq!(problem(&refused).detail, says);
    }
    let body = r#"{"handles":["a","b","c",14155550123]}"#;
    let refused = Reply::to(with_json(batch_call(&server, &ben), body)).await;
    assert_eq!(problem(&refused).detail, "`handles[3]` takes a text, not a number");
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_named() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    for (query, says) in [
        ("country=US", "the parameter `country` is unknown; this call takes region"),
        (
            "regoin=US",
            "the parameter `regoin` is unknown; this call takes region; did you mean `region`?",
        ),
        ("4155550123", "a parameter is unknown; this call takes region"),
        ("region=US&region=DE", "the parameter `region` appears twice"),
        ("region=US&region=US", "the parameter `region` appears twice"),
    ] {
        let refused = get(&server, &ben, &format!("{NUMBER}?{query}")).await;
        refused.refuses(400, "request-invalid");
        assert_eq!(problem(&refused).detail, says, "{query}");
    }
    for nothing in ["", "?region=US", "%20"] {
        let refused = get(&server, &ben, nothing).await;
        assert_eq!(refused.refuses(400, "handle-invalid")["reason"], "empty", "{nothing:?}");
    }
    let stranger = call(&server, Method::GET, "/v1/lookup/", None, None).await;
    stranger.refuses(401, "token-invalid");
}

#[tokio::test]
async fn who_asks_the_wrong_listener_is_told_the_right_one() {
    let server = Server::start().await;
    let (ann, admin) = (server.sign_up().await, server.operator_token("root", "admin"));
    for (method, path) in
        [(Method::GET, "/v1/lookup/+14155550123"), (Method::GET, "/v1/devices/me")]
    {
        let refused = call(&server, method, path, Some(&admin), None).await;
        refused.refuses(401, "token-invalid");
        let detail = problem(&refused).detail;
        assert!(
            detail.contains("this is an operator's token") && detail.contains("8081"),
            "{detail}"
        );
    }
    let refused = Reply::to(server.operator(&ann.token, "/v1/log")).await;
    refused.refuses(401, "token-invalid");
    assert!(problem(&refused).detail.contains("this is a device's token"), "{refused:?}");

    for path in ["/v1/log", "/v1/handles/+14155550123/timeline", "/v1/registry", "/metrics"] {
        let refused = call(&server, Method::GET, path, Some(&ann.token), None).await;
        refused.refuses(404, "not-found");
        assert!(problem(&refused).detail.starts_with("the operators' listener"), "{refused:?}");
    }
    for path in ["/v1/devices/me", "/v1/lookup/+14155550123", "/v1/verifications/v_0123456789abc"] {
        let refused = Reply::to(server.operator(&admin, path)).await;
        refused.refuses(404, "not-found");
        assert!(problem(&refused).detail.starts_with("the phones' listener"), "{refused:?}");
    }
    for path in ["/", "/v1/lookup/a/b", "/v1/nothing"] {
        let refused = call(&server, Method::GET, path, None, None).await;
        refused.refuses(404, "not-found");
        assert!(problem(&refused).detail.contains("/openapi.json"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_the_right_ones() {
    let server = Server::start().await;
    for (method, path, detail, allow) in [
        (Method::GET, "/v1/lookup", "this path takes POST", "POST"),
        (Method::PUT, "/v1/devices/me", "this path takes GET, DELETE", "GET,HEAD,DELETE"),
        (Method::GET, "/v1/devices/me/check-in", "this path takes POST", "POST"),
        (
            Method::POST,
            "/v1/devices/me/handles/+14155550123",
            "this path takes PATCH, DELETE",
            "DELETE,PATCH",
        ),
        (Method::POST, "/livez", "this path takes GET", "GET,HEAD"),
    ] {
        let refused = call(&server, method, path, None, None).await;
        refused.refuses(405, "method-not-allowed");
        assert_eq!(problem(&refused).detail, detail, "{path}");
        assert_eq!(refused.header("allow"), allow, "{path}");
    }
    let request = server.client.delete(format!("{}/v1/registry/import", server.operators));
    let refused = Reply::to(request).await;
    refused.refuses(405, "method-not-allowed");
    assert_eq!(problem(&refused).detail, "this path takes GET, POST");
}
