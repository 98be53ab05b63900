//! What the HTTP library refuses by itself is answered as everything else: with a problem and a request id.

use std::io::{Read as _, Write as _};

use serde_json::Value;

use super::connect_from;
use crate::harness::Server;

/// Sends `bytes` and reads what the server answers before it closes the connection.
fn exchange(url: &str, bytes: &[u8]) -> String {
    let mut stream = connect_from(url, [0, 0, 1]);
    let mut reader = stream.try_clone().unwrap();
    // Both at once: the server may answer before it has read everything.
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("the answer arrives whole");
        text
    });
    stream.write_all(bytes).unwrap();
    reading.join().unwrap()
}

/// The last answer of `text`, which must be this problem.
fn assert_problem(text: &str, status: u16, code: &str) {
    let last = &text[text.rfind("HTTP/1.1 4").unwrap_or_else(|| panic!("no answer: {text:?}"))..];
    let (head, body) = last.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{text}");
    let length = body.len();
    for line in [
        "connection: close",
        "content-type: application/problem+json",
        "cache-control: no-store",
        "x-request-id: r_",
        "date: ",
        &format!("content-length: {length}"),
    ] {
        assert_eq!(head.matches(&format!("\r\n{line}")).count(), 1, "{line}: {text}");
    }
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["code"], &body["status"]), (&code.into(), &status.into()), "{body}");
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn a_head_that_is_refused_gets_a_problem_with_a_request_id() {
    let server = Server::start().await;
    let header = |bytes: usize| get("/livez", &format!("cookie: {}\r\n", "x".repeat(bytes)));
    let headers = |count: usize| get("/livez", &"a: b\r\n".repeat(count - 1));
    let path = |bytes: usize| get(&format!("/{}", "x".repeat(bytes)), "");
    let mut met = [0; 3];
    for url in [&server.phones, &server.operators] {
        for (bytes, status, code) in [
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400, "request-invalid"),
            (b"GARBAGE\r\n\r\n".to_vec(), 400, "request-invalid"),
            (b"GET / HTTP/9.9\r\n\r\n".to_vec(), 400, "request-invalid"),
            (get("/livez", "no colon\r\n"), 400, "request-invalid"),
            (get("/livez", "content-length: x\r\n"), 400, "request-invalid"),
            (header(16 * 1024), 431, "head-too-large"),
            (header(400_000), 431, "head-too-large"),
            (headers(65), 431, "head-too-large"),
            (path(16 * 1024), 414, "uri-too-long"),
            (path(400_000), 414, "uri-too-long"),
        ] {
            assert_problem(&exchange(url, &bytes), status, code);
            met[[400, 414, 431].iter().position(|is| *is == status).unwrap()] += 1;
        }
        // After an answer on the same connection, even one that hyper has not sent yet.
        let both = exchange(url, &[get("/livez", ""), b"GARBAGE\r\n\r\n".to_vec()].concat());
        assert!(both.starts_with("HTTP/1.1 200 OK"), "{both}");
        assert_problem(&both, 400, "request-invalid");
        let old = b"GET /livez HTTP/1.0\r\nhost: 127.0.0.1\r\nconnection: keep-alive\r\n\r\nGARBAGE\r\n\r\n";
        assert_problem(&exchange(url, old), 400, "request-invalid");
        met[0] += 2;
        // What is just allowed.
        let close = "connection: close\r\n";
        for bytes in [
            get("/livez", &format!("cookie: {}\r\n{close}", "x".repeat(15 * 1024))),
            get("/livez", &("a: b\r\n".repeat(62) + close)),
            get(&format!("/{}", "x".repeat(15 * 1024)), close),
        ] {
            let text = exchange(url, &bytes);
            assert!(text.starts_with("HTTP/1.1 200") || text.starts_with("HTTP/1.1 404"), "{text}");
        }
    }
    let metrics = server.scrape().send().await.unwrap().text().await.unwrap();
    for (index, (status, problem)) in
        [(400, "request-invalid"), (414, "uri-too-long"), (431, "head-too-large")]
            .iter()
            .enumerate()
    {
        for listener in ["phones", "operators"] {
            let line = format!(
                "dispatchd_http_requests_total{{listener=\"{listener}\",call=\"other\",status=\"{status}\",problem=\"{problem}\"}} {}",
                met[index] / 2
            );
            assert!(metrics.lines().any(|is| is == line), "the metrics lack {line}:\n{metrics}");
        }
    }
    assert!(!server.output().contains("GARBAGE"));
}
