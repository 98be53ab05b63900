//! One operator's long answers leave places to other operators.

use dispatchd::limits;
use reqwest::Response;

use crate::{audit::with_lookups, harness::Server, wire::Reply};

async fn open(server: &Server, token: &str, path: &str) -> Response {
    let request = server.operator(token, path).header("accept", "application/x-ndjson");
    request.send().await.unwrap()
}

#[tokio::test]
async fn one_operator_cannot_take_all_tails() {
    let (server, _) = with_lookups(1).await;
    let (ann, bob) =
        (server.operator_token("ann", "reader"), server.operator_token("bob", "reader"));
    let mut tails = Vec::new();
    for _ in 0..limits::LOG_TAILS_PER_OPERATOR_MAX {
        let tail = open(&server, &ann, "/v1/log/tail").await;
        assert_eq!(tail.status(), 200);
        tails.push(tail);
    }
    let refused = Reply::to(server.operator(&ann, "/v1/log/tail")).await;
    refused.refuses(503, "overloaded");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("this operator has 8 tails under way"), "{detail}");
    let other = open(&server, &bob, "/v1/log/tail").await;
    assert_eq!(other.status(), 200);
    // A place is free again after its tail ended.
    tails.pop();
    let again = async {
        while open(&server, &ann, "/v1/log/tail").await.status() != 200 {
            server.sign_up().await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, again).await.expect("the place is free again");
}

#[tokio::test]
async fn one_operator_cannot_take_all_searches() {
    // More than the buffers of two connections hold.
    let (server, ben) = with_lookups(1).await;
    let numbers: Vec<_> = (0..1_000).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    for _ in 0..200 {
        crate::wire::batch(&server, &ben, &numbers).await;
    }
    let (ann, bob) =
        (server.operator_token("ann", "reader"), server.operator_token("bob", "reader"));
    let mut unread = Vec::new();
    for _ in 0..limits::LOG_SEARCHES_PER_OPERATOR_MAX {
        let answer = open(&server, &ann, "/v1/log").await;
        assert_eq!(answer.status(), 200);
        unread.push(answer);
    }
    let refused = Reply::to(server.operator(&ann, "/v1/log/flips")).await;
    refused.refuses(503, "overloaded");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("this operator has 2 searches under way"), "{detail}");
    assert_eq!(Reply::to(server.operator(&bob, "/v1/log?limit=1")).await.status, 200);
}
