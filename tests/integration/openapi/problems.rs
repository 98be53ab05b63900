//! Makes each problem happen, so that each is declared where it does: every answer here is held to the description.

use std::{collections::BTreeSet, fs, time::Duration};

use dispatchd::vocabulary::ProblemCode;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    fenced::{Told, ToldLog},
    harness::{Device, Server, own_port},
    lifecycle::asked_while_it_loads,
    timed::Timed,
    wire::{Reply, batch, call, link},
};

const HANDLE: &str = "+14155550123";

/// The codes that were met.
#[derive(Default)]
struct Met(BTreeSet<ProblemCode>);

impl Met {
    /// Takes a refusal with this code.
    #[track_caller]
    fn take<'a>(&mut self, code: ProblemCode, reply: &'a Reply) -> &'a Value {
        self.0.insert(code);
        reply.refuses(code.status(), code.code())
    }
}

/// Answers to a path or a method that the listener does not have, or to a head that names neither. No call that is described gives
/// them.
const OF_NO_CALL: [ProblemCode; 4] = [
    ProblemCode::NotFound,
    ProblemCode::MethodNotAllowed,
    ProblemCode::UriTooLong,
    ProblemCode::HeadTooLarge,
];

#[tokio::test]
async fn every_problem_happens_and_is_declared() {
    let mut met = Met::default();
    wrong_requests(&mut met).await;
    limits(&mut met).await;
    what_breaks(&mut met).await;
    while_it_loads(&mut met).await;
    behind_the_fence(&mut met).await;
    let missing: Vec<_> = ProblemCode::ALL.iter().filter(|code| !met.0.contains(code)).collect();
    assert!(missing.is_empty(), "nothing here is refused with {missing:?}");
    let declared = super::described::kept().to_string();
    for code in ProblemCode::ALL.iter().filter(|code| !OF_NO_CALL.contains(code)) {
        assert!(declared.contains(&format!("/{code:?}Problem\"")), "no call declares {code}");
    }
}

async fn post(server: &Server, device: &Device, path: &str, body: Value) -> Reply {
    call(server, Method::POST, path, Some(&device.token), Some(body)).await
}

async fn wrong_requests(met: &mut Met) {
    let timed = Timed::start().await;
    let server = &timed.server;
    let ann = server.sign_up().await;
    let lookup = |path: &str| server.phone(Method::GET, path).bearer_auth(&ann.token);
    let raw = |body: &'static str, content_type: &str| {
        let request = server.phone(Method::POST, "/v1/lookup").bearer_auth(&ann.token);
        request.header("content-type", content_type).body(body)
    };
    wrong_requests_of_operators(met, server).await;
    let verification =
        post(server, &ann, "/v1/devices/me/handles", json!({"handle": HANDLE})).await;
    let confirm =
        format!("/v1/verifications/{}", verification.body["verification"].as_str().unwrap());
    let code = server.code_for(verification.body["verification"].as_str().unwrap());
    let wrong_code = if code == "000000" { "000001" } else { "000000" };
    let requests: [(ProblemCode, RequestBuilder); 14] = [
        (
            ProblemCode::TransferCodingUnsupported,
            raw("{}", "application/json").header("transfer-encoding", "gzip, chunked"),
        ),
        (ProblemCode::RequestInvalid, raw("{", "application/json")),
        (ProblemCode::HandleInvalid, lookup("/v1/lookup/nonsense")),
        (ProblemCode::TokenInvalid, server.phone(Method::GET, "/v1/lookup/nonsense")),
        (
            ProblemCode::LinkCodeInvalid,
            server
                .phone(Method::POST, "/v1/devices")
                .json(&json!({"platform": "ios", "link_code": "X"})),
        ),
        (ProblemCode::NotFound, lookup("/v1/nothing")),
        (ProblemCode::UriTooLong, lookup(&format!("/v1/nothing/{}", "x".repeat(20_000)))),
        (ProblemCode::HeadTooLarge, lookup("/v1/nothing").header("cookie", "x".repeat(20_000))),
        (ProblemCode::MethodNotAllowed, server.phone(Method::PUT, "/v1/devices")),
        (
            ProblemCode::HandleNotBound,
            server.phone(Method::DELETE, "/v1/devices/me/handles/x@y.org").bearer_auth(&ann.token),
        ),
        (
            ProblemCode::VerificationUnknown,
            server
                .phone(Method::POST, "/v1/verifications/v_0000000000000")
                .json(&json!({"code": "1"})),
        ),
        (
            ProblemCode::CodeWrong,
            server.phone(Method::POST, &confirm).json(&json!({"code": wrong_code})),
        ),
        (
            ProblemCode::ContentTypeUnsupported,
            raw("handles=x", "application/x-www-form-urlencoded"),
        ),
        (
            ProblemCode::BodyTooLarge,
            server.phone(Method::POST, "/v1/devices").json(&"x".repeat(100_000)),
        ),
    ];
    for (code, request) in requests {
        met.take(code, &Reply::to(request).await);
    }
    let many = [HANDLE; 1_001];
    met.take(ProblemCode::TooManyHandles, &batch(server, &ann, &many).await);
    codes(met, &timed, &ann, &confirm, &code).await;
}

/// Codes that are not sent, not the newest, and too late. `confirm` answers the code `first` for [`HANDLE`].
async fn codes(met: &mut Met, timed: &Timed, ann: &Device, confirm: &str, first: &str) {
    let claim = async |handle| {
        let body = json!({"handle": handle});
        post(&timed.server, ann, "/v1/devices/me/handles", body).await
    };
    let answer = || timed.server.phone(Method::POST, confirm).json(&json!({"code": first}));
    met.take(ProblemCode::DeliveryRefused, &claim("+19002345678").await);
    timed.clock.advance(Duration::from_secs(31));
    assert_eq!(claim(HANDLE).await.status, 202);
    met.take(ProblemCode::CodeOvertaken, &Reply::to(answer()).await);
    timed.clock.advance(Duration::from_secs(700));
    met.take(ProblemCode::CodeExpired, &Reply::to(answer()).await);
}

async fn wrong_requests_of_operators(met: &mut Met, server: &Server) {
    let strange = server.client.get(format!("{}/v1/registry", server.operators));
    let strange = Reply::to(strange.header("host", "evil.example.org")).await;
    met.take(ProblemCode::HostUnknown, &strange);
    let (reader, admin) =
        (server.operator_token("reader", "reader"), server.operator_token("admin", "admin"));
    let (import, nobody) = (format!("{}/v1/registry/import", server.operators), "a_0000000000000");
    let flag = format!("{}/v1/quota/flags/{nobody}", server.operators);
    let unknown = server.operator(&reader, &format!("/v1/quota?account={nobody}"));
    for (code, request) in [
        (ProblemCode::RoleInsufficient, server.operator(&reader, "/v1/audit")),
        (ProblemCode::AccountUnknown, unknown),
        (ProblemCode::AccountNotFlagged, server.client.delete(flag).bearer_auth(&admin)),
        (
            ProblemCode::ImportInvalid,
            server.client.post(import).bearer_auth(&admin).body("no staged file"),
        ),
    ] {
        met.take(code, &Reply::to(request).await);
    }
}

async fn limits(met: &mut Met) {
    let env = [
        ("QUOTA__ENABLED", "true"),
        ("QUOTA__NEW_HANDLES_PER_DAY", "1000"),
        ("QUOTA__SIGN_UPS_PER_HOUR", "3"),
        ("REGISTRY__DEVICES_PER_ACCOUNT", "2"),
    ];
    let server = Server::start_with(&env).await;
    let ann = server.sign_up().await;
    link(&server, &ann).await;
    let code = post(&server, &ann, "/v1/devices/me/link-codes", Value::Null).await;
    let third = json!({"platform": "ios", "link_code": code.body["link_code"]});
    let third = call(&server, Method::POST, "/v1/devices", None, Some(third)).await;
    met.take(ProblemCode::TooManyDevices, &third);
    let body = json!({"platform": "ios"});
    let mut refused = call(&server, Method::POST, "/v1/devices", None, Some(body.clone())).await;
    while refused.status == 201 {
        refused = call(&server, Method::POST, "/v1/devices", None, Some(body.clone())).await;
    }
    met.take(ProblemCode::RateLimited, &refused);
    let numbers: Vec<_> = (0..1_001).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    assert_eq!(batch(&server, &ann, &numbers[1..]).await.status, 200);
    met.take(ProblemCode::LookupQuota, &batch(&server, &ann, &numbers[..1]).await);

    let timed = Timed::start().await;
    let holder = timed.server.sign_up().await;
    let mut handles = (0..).map(|n| format!("h{n}@example.com"));
    for handle in handles.by_ref().take(dispatchd::limits::HANDLES_PER_ACCOUNT_MAX) {
        timed.server.prove(&holder, &handle).await;
        // An account is sent so many codes a day.
        timed.clock.advance(Duration::from_secs(3_600));
    }
    let one_more = json!({"handle": handles.next()});
    let claim = post(&timed.server, &holder, "/v1/devices/me/handles", one_more).await;
    let verification = claim.body["verification"].as_str().unwrap();
    let code = json!({"code": timed.server.code_for(verification)});
    let path = format!("/v1/verifications/{verification}");
    met.take(ProblemCode::TooManyHandlesHeld, &post(&timed.server, &holder, &path, code).await);
}

/// What fails because something of the server is broken or busy.
async fn what_breaks(met: &mut Met) {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "correct-horse-battery-staple\n").unwrap();
    // Nothing listens at the text gateway.
    let gateway = format!("http://127.0.0.1:{}/", own_port());
    let server = Server::start_with(&[
        ("OWNERSHIP__DELIVERY__TEXT__URL", &gateway),
        ("OWNERSHIP__DELIVERY__TEXT__SECRET_FILE", secret.to_str().unwrap()),
        ("OPERATORS__REQUIRE_CASE", "true"),
    ])
    .await;
    let ann = server.sign_up().await;
    let admin = server.operator_token("admin", "admin");
    let reader = server.operator_token("reader", "reader");
    met.take(ProblemCode::CaseRequired, &Reply::to(server.operator(&reader, "/v1/log")).await);

    let mut tails = Vec::new();
    let busy = loop {
        let tail = server.operator(&admin, "/v1/log/tail").send().await.unwrap();
        if tail.status() == 503 {
            break Reply::to(server.operator(&admin, "/v1/log/tail")).await;
        }
        tails.push(tail);
    };
    met.take(ProblemCode::Overloaded, &busy);
    drop(tails);

    let claim = post(&server, &ann, "/v1/devices/me/handles", json!({"handle": HANDLE})).await;
    met.take(ProblemCode::DeliveryFailed, &claim);

    let data = |name: &str| server.data.join(name);
    // No file can take the place of a directory.
    fs::remove_file(data("clock")).unwrap();
    fs::create_dir(data("clock")).unwrap();
    let trust = server.client.post(format!("{}/v1/clock/trust?yes=true", server.operators));
    met.take(ProblemCode::Internal, &Reply::to(trust.bearer_auth(&admin)).await);

    let _ = fs::remove_dir_all(data("audit"));
    // Not even root can write into a directory whose path is a file.
    fs::write(data("audit"), "in the way").unwrap();
    met.take(ProblemCode::AuditUnwritable, &Reply::to(server.operator(&admin, "/v1/log")).await);

    fs::remove_file(data("registry/registry.redb")).unwrap();
    let body = Some(json!({"platform": "ios"}));
    let sign_up = call(&server, Method::POST, "/v1/devices", None, body).await;
    met.take(ProblemCode::RegistryUnwritable, &sign_up);

    fs::remove_dir_all(data("log")).unwrap();
    met.take(ProblemCode::LogUnwritable, &batch(&server, &ann, &[HANDLE]).await);
    let ready = Reply::to(server.phone(Method::GET, "/readyz")).await;
    assert_eq!(met.take(ProblemCode::LogUnwritable, &ready)["missing"], json!(["log"]));
}

async fn behind_the_fence(met: &mut Met) {
    let log = ToldLog::new();
    let timed = Timed::following(log.member()).await;
    let ann = timed.server.sign_up().await;
    log.tell(Told::Nothing);
    met.take(ProblemCode::RegistryBehind, &batch(&timed.server, &ann, &[HANDLE]).await);
    log.tell(Told::Other);
    met.take(ProblemCode::RegistryDiverged, &batch(&timed.server, &ann, &[HANDLE]).await);
}

async fn while_it_loads(met: &mut Met) {
    let mut server = Server::start().await;
    let ann = server.sign_up().await;
    server.prove(&ann, HANDLE).await;
    let address = format!("127.0.0.1:{}", own_port());
    server.set_env(&[("SERVER__PHONES", &address)]);
    // A start may be over before this process gets to ask.
    let is_seen = (0..20).any(|_| {
        server.kill();
        asked_while_it_loads(&mut server, &address, &ann) > 0
    });
    assert!(is_seen, "no start was seen loading");
    met.0.insert(ProblemCode::RegistryLoading);
}
