//! Commands that ask a server over https.

use std::process::Command;

use super::*;
use crate::harness::{dispatchd, run};

/// What a command printed, or what it said when it failed.
fn outcome(command: &mut Command) -> Result<String, String> {
    let output = run(command);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn a_command_knows_the_certificate_of_its_own_configuration() {
    let tls = TlsServer::start().await;
    let token = tls.server.operator_token("reader", "reader");
    let port = |url: &str| url.rsplit(':').next().unwrap().to_owned();
    let (phones, operators) = (port(&tls.server.phones), port(&tls.server.operators));
    let config = tls.authority.ca.with_file_name("dispatchd.toml");
    let text = |certificate: &std::path::Path| {
        format!(
            "[server]\nphones = \"127.0.0.1:{phones}\"\noperators = \"127.0.0.1:{operators}\"\n\
             [tls]\ncertificate = {certificate:?}\nkey = {:?}\n",
            tls.authority.key
        )
    };
    fs::write(&config, text(&tls.authority.cert)).unwrap();
    let command = |words: &str| {
        let mut command = dispatchd();
        command
            .args(words.split(' '))
            .env("DISPATCHD_TOKEN", &token)
            .env("DISPATCHD_CONFIG", &config);
        command
    };
    let asked = outcome(&mut command("ask +14155550123")).unwrap();
    assert!(asked.contains("green (sms)"), "{asked}");
    let found = outcome(&mut command("log search --kind lookup --json")).unwrap();
    assert_eq!(found.lines().count(), 1, "{found}");

    // Another certificate, be it of the same authority, is another server.
    let (other, _) = tls.authority.renewed();
    let file = tls.authority.ca.with_file_name("other.pem");
    fs::write(&file, other).unwrap();
    fs::write(&config, text(&file)).unwrap();
    for words in ["ask +14155550123", "log search"] {
        let said = outcome(&mut command(words)).unwrap_err();
        let why = format!("is not the first one in {}", file.display());
        assert!(said.contains(&why), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_is_named_needs_a_certificate_for_its_name() {
    let tls = TlsServer::start().await;
    let token = tls.server.operator_token("reader", "reader");
    let ca = tls.authority.ca.to_str().unwrap();
    let command = |words: &[&str]| {
        let mut command = dispatchd();
        command.args(words).env("DISPATCHD_TOKEN", &token);
        command
    };
    let (phones, operators) = (&*tls.server.phones, &*tls.server.operators);
    let by_ip = operators.replace("localhost", "127.0.0.1");
    let plain = operators.replace("https:", "http:");
    let without_tls = Server::start().await;
    let plain_as_https = without_tls.operators.replace("http:", "https:");
    let search = ["log", "search", "--json", "--server", operators];
    outcome(&mut command(&[&search[..], &["--ca", ca]].concat())).unwrap();
    outcome(command(&search).env("DISPATCHD_CA", ca)).unwrap();
    outcome(&mut command(&["ask", "+14155550123", "--server", phones, "--ca", ca])).unwrap();
    for (words, why) in [
        (
            &search[..],
            "comes from an unknown authority; name the authority's certificate with --ca",
        ),
        (&["log", "search", "--server", &by_ip, "--ca", ca], "is for another name; give --server"),
        (
            &["log", "search", "--server", &plain_as_https],
            "does not speak TLS; give --server http:",
        ),
        (&["log", "search", "--ca", ca], "--ca takes --server"),
        (&["ask", "+14155550123", "--ca", ca], "--ca takes --server"),
        (&["log", "search", "--server", &plain], "With tls.certificate it speaks https only"),
        (
            &["log", "search", "--server", operators, "--ca", "/missing"],
            "the certificates in /missing",
        ),
        (
            &["log", "search", "--server", operators, "--ca", tls.authority.key.to_str().unwrap()],
            "contains no PEM certificate",
        ),
    ] {
        let said = outcome(&mut command(words)).unwrap_err();
        assert!(said.contains(why), "{words:?}: {said}");
    }
}
