//! Versions of TLS and HTTP, as curl speaks them, and what is neither.

use std::process::{Command, Output};

use super::*;
use crate::harness::run;

/// curl with the authority, and the options and the URL in `words`.
fn curl(tls: &TlsServer, words: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"])
        .arg("--cacert")
        .arg(&tls.authority.ca)
        .args(["--write-out", "\n%{http_version} %{http_code}"])
        .args(words);
    curl
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn both_listeners_speak_both_protocols_over_both_versions() {
    let mut tls = TlsServer::start().await;
    let ann = tls.server.sign_up().await;
    tls.server.prove(&ann, "+14155550123").await;
    let operator = tls.server.operator_token("reader", "reader");
    let (lookup, log) = (
        format!("{}/v1/lookup/+14155550123", tls.server.phones),
        format!("{}/v1/log?kind=lookup&limit=1000", tls.server.operators),
    );
    let batch = format!("{}/v1/lookup", tls.server.phones);
    let of_ann = format!("Authorization: Bearer {}", ann.token);
    let of_operator = format!("Authorization: Bearer {operator}");
    let body = r#"{"handles":["+14155550123","+14155550124"]}"#;
    for version in ["1.2", "1.3"] {
        for (protocol, shown) in [("--http1.1", "1.1 200"), ("--http2", "2 200")] {
            let version = [&*format!("--tlsv{version}"), "--tls-max", version];
            let ask = |words: &[&str]| {
                let output = run(&mut curl(&tls, &[&version[..], &[protocol], words].concat()));
                assert_eq!(
                    last_line(&output),
                    shown,
                    "{version:?} {protocol} {words:?} {output:?}"
                );
                String::from_utf8(output.stdout).unwrap()
            };
            assert!(ask(&["-H", &of_ann, &lookup]).contains("\"route\":\"imessage\""));
            assert!(
                ask(&["-H", &of_ann, "--json", body, &batch]).contains("\"together\":\"mixed\"")
            );
            assert!(ask(&["-H", &of_operator, &log]).contains("\"ip\":\"127.0.0.1\""));
        }
    }
    // Four single lookups and four batches of two.
    assert_eq!(tls.server.records(&operator, "kind=lookup").await.len(), 4 + 4 * 2);
    assert!(tls.server.stop().await.success());
}

#[tokio::test]
async fn each_listener_speaks_tls_if_it_shall_and_plain_http_otherwise() {
    for (listeners, of_phones) in [("phones", true), ("operators", false)] {
        let mut tls = TlsServer::start_with(&[("TLS__LISTENERS", listeners)]).await;
        let mut urls = [tls.server.phones.clone(), tls.server.operators.clone()];
        urls[usize::from(of_phones)] = urls[usize::from(of_phones)].replace("https:", "http:");
        for url in urls {
            let readiness = tls.server.client.get(format!("{url}/readyz")).send().await;
            assert_eq!(readiness.unwrap().status(), 200, "{listeners}: {url}");
        }
        assert!(tls.server.stop().await.success());
    }
}

#[tokio::test]
async fn an_old_version_and_what_is_no_tls_are_refused_and_counted() {
    let tls = TlsServer::start().await;
    let url = format!("{}/livez", tls.server.phones);
    let old = ["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", &url];
    let output = run(&mut curl(&tls, &old));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("alert"), "{said}");
    // Plain HTTP gets an alert at most, and the connection ends.
    let mut plain =
        Wire::connect(&tls.server.phones.replace("https://localhost", "http://127.0.0.1")).unwrap();
    plain.send(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let got = plain.drain().unwrap_or(0);
    assert!(got < 64, "{got} bytes");
    // HTTP/2 that ALPN has not chosen.
    let http1 = session::config(&tls.authority, &[b"http/1.1"]);
    let mut session = Session::connect(&tls.phones(), &http1).unwrap();
    session.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    assert_eq!(session.drain().0, b"");
    let metrics = tls.server.scrape().send().await.unwrap().text().await.unwrap();
    let counted = "dispatchd_tls_handshakes_failed_total{listener=\"phones\"} 2";
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    // The healthy client is not disturbed.
    assert_eq!(tls.server.client.get(url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_client_chooses_the_protocol_and_resumes_its_session() {
    let tls = TlsServer::start().await;
    for (offered, chosen) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let config = session::config(&tls.authority, offered);
        let session = Session::connect(&tls.phones(), &config).unwrap();
        assert_eq!(session.protocol(), chosen);
        assert_eq!(session.version(), rustls::ProtocolVersion::TLSv1_3);
    }
    let config = session::config(&tls.authority, &[b"http/1.1"]);
    for is_resumed in [false, true] {
        let mut session = Session::connect(&tls.phones(), &config).unwrap();
        assert_eq!(session.ask().unwrap(), "HTTP/1.1 200 OK");
        assert_eq!(session.is_resumed(), is_resumed);
    }
}
