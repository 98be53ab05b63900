//! A search may name a case, and `operators.require_case` has readers name one.

use serde_json::Value;

use crate::{
    audit::begun,
    harness::{Server, dispatchd, run},
    wire::Reply,
};

/// The calls that give out records or accounts.
const CALLS: &[&str] = &[
    "/v1/log",
    "/v1/log/export",
    "/v1/log/tail",
    "/v1/log/flips",
    "/v1/handles/%2B14155550123/timeline",
    "/v1/quota",
];

#[tokio::test]
async fn a_case_is_kept_in_the_audit_log() {
    let server = Server::start().await;
    let reader = server.operator_token("rea", "reader");
    for path in CALLS {
        let path = format!("{path}?case=INC%204711/%C3%A4");
        let response = server.operator(&reader, &path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(begun(&server.data).last().unwrap()["case"], "INC 4711/ä", "{path}");
    }
    let entries = begun(&server.data).len();
    // Among them a mark of the direction of writing, and a character of no width.
    for wrong in ["", "%20", "a%0Ab", &"x".repeat(65), "INC-%E2%80%AE1174", "INC%E2%80%8B-1"] {
        let reply = Reply::to(server.operator(&reader, &format!("/v1/log?case={wrong}"))).await;
        reply.refuses(400, "request-invalid");
        assert!(reply.text.contains("`case` takes 1 to 64 characters"), "{reply:?}");
    }
    // No case is asked for.
    assert_eq!(Reply::to(server.operator(&reader, "/v1/log")).await.status, 200);
    let last = begun(&server.data).pop().unwrap();
    assert!(last.get("case").is_none(), "{last}");
    assert_eq!(begun(&server.data).len(), entries + 1);

    let on_files = |words: &[&str]| run(dispatchd().args(words).arg("--data").arg(&server.data));
    let search = on_files(&["log", "search", "--json", "--case", "INC-9"]);
    assert!(search.status.success(), "{search:?}");
    let listed = on_files(&["audit", "list", "--json"]);
    let calls: Vec<Value> = String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let cases: Vec<_> = calls.iter().map(|call| call["case"].as_str()).collect();
    assert_eq!(cases[..2], [Some("INC 4711/ä"); 2]);
    assert_eq!(cases[cases.len() - 3..], [None, Some("INC-9"), None]);
    let table = on_files(&["audit", "list"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.lines().next().unwrap().contains("CASE") && table.contains("INC-9"), "{table}");
    let wrong = on_files(&["log", "search", "--case", ""]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[tokio::test]
async fn readers_name_a_case_where_it_is_required_and_admins_may() {
    let server = Server::start_with(&[("OPERATORS__REQUIRE_CASE", "true")]).await;
    let [reader, admin] = ["reader", "admin"].map(|role| server.operator_token(role, role));
    for path in CALLS {
        let refused = Reply::to(server.operator(&reader, path)).await;
        refused.refuses(400, "case-required");
        assert_eq!(refused.body["retry"], "after-fixing");
        assert!(begun(&server.data).is_empty(), "{path}");
    }
    for path in
        ["/v1/log/verify", "/v1/log/segments", "/v1/log/forgotten", "/v1/registry", "/v1/clock"]
    {
        assert_eq!(Reply::to(server.operator(&reader, path)).await.status, 200, "{path}");
    }
    let before = begun(&server.data).len();
    for (token, query) in [(&reader, "?case=INC-1"), (&admin, ""), (&admin, "?case=INC-2")] {
        for path in CALLS {
            let response = server.operator(token, &format!("{path}{query}")).send().await.unwrap();
            assert_eq!(response.status(), 200, "{path}{query}");
        }
    }
    assert_eq!(begun(&server.data).len() - before, 3 * CALLS.len());

    let ask = |words: &[&str]| {
        let mut command = dispatchd();
        command.args(words).args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &reader);
        run(&mut command)
    };
    let refused = ask(&["log", "search"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("case-required"), "{said}");
    assert!(ask(&["log", "search", "--case", "INC-3"]).status.success());
    assert!(ask(&["quota", "show", "--case", "INC-3"]).status.success());
    assert_eq!(begun(&server.data).last().unwrap()["case"], "INC-3");
}
