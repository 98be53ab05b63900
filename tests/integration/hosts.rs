//! The operators' listener answers for its own address and for `server.hosts`, whatever the path and the token: neither a name
//! that a page lets point to it nor a page of another site gets through.

use reqwest::Method;

use crate::{connection::Wire, harness::Server, wire::Reply};

const PATHS: [&str; 5] = ["/livez", "/readyz", "/metrics", "/openapi.json", "/v1/log"];

#[tokio::test]
async fn the_operators_listener_answers_for_its_hosts_only() {
    let server = Server::start_with(&[
        ("SERVER__HOSTS", r#"["ops.example.org", "192.0.2.7:9"]"#),
        ("TELEMETRY__METRICS_OPEN", "true"),
    ])
    .await;
    let reader = server.operator_token("reader", "reader");
    let port = server.operators.rsplit(':').next().unwrap();
    for path in PATHS {
        let ask = async |name: &str, value: &str| {
            Reply::to(server.operator(&reader, path).header(name, value)).await
        };
        for host in ["evil.example.org", "localhost.evil.example.org", "127.0.0.2", "[::1]"] {
            let refused = ask("host", &format!("{host}:{port}")).await;
            let body = refused.refuses(421, "host-unknown");
            assert!(body["detail"].as_str().unwrap().contains("server.hosts"), "{body}");
            assert_eq!(refused.header("connection"), "close");
        }
        for host in ["127.0.0.1", "localhost", "LOCALHOST:1", "ops.example.org:443", "192.0.2.7"] {
            assert_ne!(ask("host", host).await.status, 421, "{path} {host}");
        }
        for origin in ["https://evil.example.org", "null", "file://"] {
            ask("origin", origin).await.refuses(421, "host-unknown");
        }
        for origin in [&*server.operators, "https://ops.example.org"] {
            assert_ne!(ask("origin", origin).await.status, 421, "{path} {origin}");
        }
        ask("sec-fetch-site", "cross-site").await.refuses(421, "host-unknown");
    }
    let mut wire = Wire::connect(&server.operators).unwrap();
    wire.send(b"GET /nothing HTTP/1.1\r\nhost: evil.example.org\r\n\r\n").unwrap();
    assert_eq!(wire.reply().unwrap().text("code"), "host-unknown");
}

#[tokio::test]
async fn the_phones_listener_answers_for_any_host() {
    let server = Server::start().await;
    for host in ["dispatch.example.org", "127.0.0.1:1", "[2001:db8::1]:443"] {
        let reply = Reply::to(server.phone(Method::GET, "/readyz").header("host", host)).await;
        reply.is(200, &["ready"]);
    }
}

/// An old load balancer probes with HTTP/1.0. No browser does.
#[tokio::test]
async fn http_1_0_may_lack_a_host_on_both_listeners() {
    let server = Server::start().await;
    for url in [&server.phones, &server.operators] {
        let answer = |head: &str| {
            let mut wire = Wire::connect(url).unwrap();
            wire.send(format!("{head}\r\n").as_bytes()).unwrap();
            wire.reply().unwrap()
        };
        assert_eq!(answer("GET /livez HTTP/1.0\r\n").status, 200);
        let refused = answer("GET /livez HTTP/1.1\r\n");
        assert_eq!((refused.status, &*refused.text("code")), (400, "request-invalid"));
        assert_eq!(refused.header("connection"), Some("close"));
        assert!(refused.header("x-request-id").is_some());
    }
    let mut wire = Wire::connect(&server.operators).unwrap();
    wire.send(b"GET http://evil.example.org/livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert_eq!(wire.reply().unwrap().text("code"), "host-unknown");
}
