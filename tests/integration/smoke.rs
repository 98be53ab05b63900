//! The main task from end to end.

use crate::harness::Server;

#[tokio::test]
async fn a_proved_handle_is_blue_until_its_device_signs_out_and_the_log_says_why() {
    let mut server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    assert_eq!(server.route(&ben, "+1 (415) 555-0123").await, "imessage");
    assert_eq!(server.route(&ben, "+14155550124").await, "sms");
    assert_eq!(server.route(&ben, "nobody@example.com").await, "none");

    let gone = server.phone(reqwest::Method::DELETE, "/v1/devices/me").bearer_auth(&ann.token);
    assert_eq!(gone.send().await.unwrap().status(), 204);
    assert_eq!(server.route(&ben, "+14155550123").await, "sms");

    let reader = server.operator_token("reader", "reader");
    let records = server.records(&reader, "handle=%2B14155550123&order=asc").await;
    let told: Vec<_> =
        records.iter().map(|r| r["reason"].as_str().or(r["change"].as_str()).unwrap()).collect();
    assert_eq!(told, ["handle-bound", "live-device", "handle-unbound", "device-removed"]);
    assert!(server.stop().await.success());
}
