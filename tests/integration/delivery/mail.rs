//! Codes by mail through a real mail server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    EMAIL, assert_no_personal_data_printed, claim, code_in,
    mail_server::{Authority, MailServer},
    sent, start, undelivered,
};
use crate::harness::{Server, own_port};

struct Bench {
    folder: TempDir,
    authority: Authority,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "ours");
        Self { folder, authority }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A dispatchd that sends mail to this port of this machine, and waits as long as a busy machine may need.
    async fn start(&self, port: u16, settings: &[(&str, &str)]) -> Server {
        let (port, ca) = (port.to_string(), self.authority.ca.to_str().unwrap());
        let mut all = vec![
            ("MAIL__HOST", "localhost"),
            ("MAIL__PORT", &port),
            ("MAIL__CA_FILE", ca),
            ("MAIL__FROM", "Blue codes <codes@example.org>"),
            ("MAIL__SERVICE", "Blue"),
            ("MAIL__ATTEMPT_TIMEOUT", "13s"),
            ("MAIL__TIMEOUT", "13s"),
        ];
        all.extend_from_slice(settings);
        start(&all).await
    }

    fn login(&self, password: &str) -> [(&'static str, String); 2] {
        let file = self.file("password", &format!("{password}\n"));
        [("MAIL__USER", "codes".to_owned()), ("MAIL__PASSWORD_FILE", file)]
    }
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn content(mail: &Value) -> &str {
    mail["content"].as_str().unwrap()
}

/// The code in the body of the mail.
fn code_of(mail: &Value) -> String {
    code_in(content(mail).split_once("\r\n\r\n").unwrap().1)
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let mut lines = content(mail).split("\r\n");
    lines.find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {mail}"))
}

async fn a_code_arrives_and_binds(tls: &str, encryption: &str) {
    let bench = Bench::new();
    let post = MailServer::start(&bench.authority, tls, true, &json!({}));
    let mut settings = bench.login("open sesame").to_vec();
    settings.push(("MAIL__ENCRYPTION", encryption.to_owned()));
    let server = bench.start(post.port, &borrowed(&settings)).await;
    let ann = server.sign_up().await;
    let verification = sent(&server, &ann, EMAIL).await;
    let mails = post.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!((&mail["to"], &mail["sender"]), (&json!([EMAIL]), &json!("codes@example.org")));
    assert_eq!(header(mail, "Subject: "), "Your Blue code");
    assert_eq!(header(mail, "Auto-Submitted: "), "auto-generated");
    assert!(header(mail, "Message-ID: ").starts_with("<m_"));
    assert!(!header(mail, "Date: ").is_empty());
    assert_eq!(post.events("auth").len(), 1);
    let code = code_of(mail);
    let (status, answer) = server.confirm(&verification, &code).await;
    assert_eq!(status, 200, "{answer}");

    let body = json!({"handle": EMAIL});
    let request = server.phone(reqwest::Method::POST, "/v1/deregistrations").json(&body);
    let (status, asked) = crate::harness::json_of(request).await;
    assert_eq!(status, 202);
    let mail = post.mails().pop().unwrap();
    assert_eq!(header(&mail, "Subject: "), "Remove your address from Blue");
    let (status, _) =
        server.confirm(asked["verification"].as_str().unwrap(), &code_of(&mail)).await;
    assert_eq!(status, 200);
    assert_eq!(server.route(&ann, EMAIL).await, "none");
    assert_no_personal_data_printed(&server, &[code, code_of(&mail)]);
}

#[tokio::test]
async fn a_code_arrives_and_binds_with_starttls() {
    a_code_arrives_and_binds("starttls", "starttls").await;
}

#[tokio::test]
async fn a_code_arrives_and_binds_with_tls() {
    a_code_arrives_and_binds("tls", "tls").await;
}

#[tokio::test]
async fn own_words_are_sent_and_loopback_needs_no_encryption() {
    let bench = Bench::new();
    let post = MailServer::start(&bench.authority, "none", false, &json!({}));
    let words = bench.file("words", "Subject: Für {service}\n\nGrüße, {code} ({minutes})\n");
    let settings = [("MAIL__ENCRYPTION", "none"), ("MAIL__BIND_TEMPLATE", words.as_str())];
    let server = bench.start(post.port, &settings).await;
    sent(&server, &server.sign_up().await, EMAIL).await;
    let mail = &post.mails()[0];
    assert!(header(mail, "Subject: ").starts_with("=?utf-8?"), "{mail}");
    assert!(content(mail).is_ascii());
}

#[tokio::test]
async fn an_address_beyond_ascii_is_written_to() {
    let bench = Bench::new();
    let post = MailServer::start(&bench.authority, "starttls", false, &json!({}));
    let server = bench.start(post.port, &[]).await;
    sent(&server, &server.sign_up().await, "jörg@bücher.example").await;
    assert_eq!(post.events("mail")[0]["parameters"], json!(["SMTPUTF8"]));
    assert_eq!(post.mails()[0]["to"], json!(["jörg@xn--bcher-kva.example"]));
}

#[tokio::test]
async fn a_wrong_password_is_final() {
    let bench = Bench::new();
    let post = MailServer::start(&bench.authority, "starttls", true, &json!({}));
    let settings = bench.login("open says me");
    let server = bench.start(post.port, &borrowed(&settings)).await;
    assert_eq!(undelivered(&server, &server.sign_up().await, EMAIL).await, 5);
    assert_eq!((post.events("auth").len(), post.events("mail").len()), (1, 0));
    assert!(server.output().contains("535"), "{}", server.output());
    assert_no_personal_data_printed(&server, &[]);
}

#[tokio::test]
async fn a_refused_recipient_is_final_and_counts_nothing() {
    let bench = Bench::new();
    let refusal = format!("550 5.1.1 no mailbox {EMAIL} here");
    let plan = json!({"rcpt": vec![refusal; 12]});
    let post = MailServer::start(&bench.authority, "starttls", false, &plan);
    let server = bench.start(post.port, &[]).await;
    let ann = server.sign_up().await;
    // More than the daily limit for one handle.
    for _ in 0..12 {
        assert_eq!(undelivered(&server, &ann, EMAIL).await, 5);
    }
    assert_eq!((post.events("rcpt").len(), post.mails().len()), (12, 0));
    sent(&server, &ann, EMAIL).await;
    assert_no_personal_data_printed(&server, &[]);
}

#[tokio::test]
async fn what_is_put_off_is_tried_again_and_arrives_once() {
    let bench = Bench::new();
    let plan = json!({"rcpt": ["451 4.7.1 come again"], "mail": ["250 OK", "421 4.3.2 busy"]});
    let post = MailServer::start(&bench.authority, "starttls", false, &plan);
    let server = bench.start(post.port, &[]).await;
    let verification = sent(&server, &server.sign_up().await, EMAIL).await;
    assert_eq!((post.events("mail").len(), post.mails().len()), (3, 1));
    let code = code_of(&post.mails()[0]);
    let (status, _) = server.confirm(&verification, &code).await;
    assert_eq!(status, 200);
    assert_no_personal_data_printed(&server, &[code]);
}

#[tokio::test]
async fn after_an_outage_the_next_call_sends_one_mail() {
    let bench = Bench::new();
    let port = own_port();
    let server = bench.start(port, &[]).await;
    let ann = server.sign_up().await;
    assert_eq!(undelivered(&server, &ann, EMAIL).await, 5);
    let post = MailServer::on(port, &bench.authority, "starttls", false, &json!({}));
    let verification = sent(&server, &ann, EMAIL).await;
    assert_eq!(post.mails().len(), 1);
    let (status, _) = server.confirm(&verification, &code_of(&post.mails()[0])).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_slow_server_is_given_up_in_time() {
    let bench = Bench::new();
    let plan = json!({"mail": ["hang", "hang", "hang", "hang"]});
    let post = MailServer::start(&bench.authority, "starttls", false, &plan);
    let settings = [("MAIL__ATTEMPT_TIMEOUT", "1500ms"), ("MAIL__TIMEOUT", "4s")];
    let server = bench.start(post.port, &settings).await;
    assert_eq!(undelivered(&server, &server.sign_up().await, EMAIL).await, 5);
    assert_eq!(post.mails().len(), 0);
    assert_no_personal_data_printed(&server, &[]);
}

#[tokio::test]
async fn a_mail_that_may_have_been_taken_is_not_sent_again_and_its_code_is_not_good() {
    let bench = Bench::new();
    let post = MailServer::start(&bench.authority, "starttls", false, &json!({"data": ["hang"]}));
    let settings = [("MAIL__ATTEMPT_TIMEOUT", "8s"), ("MAIL__TIMEOUT", "8s")];
    let server = bench.start(post.port, &settings).await;
    let ann = server.sign_up().await;
    let started = Instant::now();
    let retry_after = undelivered(&server, &ann, EMAIL).await;
    assert!((6..=30).contains(&retry_after), "{retry_after}");
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(7),
        "given up after {took:?}, though it may have been taken"
    );
    assert_eq!(post.mails().len(), 1);
    claim(&server, &ann, EMAIL).await.refuses(429, "rate-limited");
    assert_eq!(post.mails().len(), 1);
    assert_no_personal_data_printed(&server, &[code_of(&post.mails()[0])]);
}

#[tokio::test]
async fn a_mail_refused_as_a_whole_is_not_sent_again() {
    let bench = Bench::new();
    let plan = json!({"data": ["554 5.7.1 spam", "451 4.3.0 later"]});
    let post = MailServer::start(&bench.authority, "starttls", false, &plan);
    let server = bench.start(post.port, &[]).await;
    let ann = server.sign_up().await;
    for mails in [1, 2] {
        assert_eq!(undelivered(&server, &ann, EMAIL).await, 5);
        assert_eq!(post.mails().len(), mails);
    }
    sent(&server, &ann, EMAIL).await;
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_is_not_trusted() {
    let bench = Bench::new();
    let stranger = Authority::new(bench.folder.path(), "strange");
    for tls in ["starttls", "tls"] {
        let post = MailServer::start(&stranger, tls, true, &json!({}));
        let mut settings = bench.login("open sesame").to_vec();
        settings.push(("MAIL__ENCRYPTION", tls.to_owned()));
        let server = bench.start(post.port, &borrowed(&settings)).await;
        assert_eq!(undelivered(&server, &server.sign_up().await, EMAIL).await, 5);
        for kind in ["auth", "mail", "content"] {
            assert_eq!(post.events(kind).len(), 0, "{tls}, {kind}");
        }
        assert!(server.output().contains("certificate-not-trusted"), "{}", server.output());
    }
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_when_starttls_is_not_offered() {
    let bench = Bench::new();
    let post = MailServer::start(&bench.authority, "none", true, &json!({}));
    let settings = bench.login("open sesame");
    let server = bench.start(post.port, &borrowed(&settings)).await;
    assert_eq!(undelivered(&server, &server.sign_up().await, EMAIL).await, 5);
    for kind in ["auth", "mail", "content"] {
        assert_eq!(post.events(kind).len(), 0, "{kind}");
    }
    assert!(server.output().contains("server-without-starttls"), "{}", server.output());
    assert_no_personal_data_printed(&server, &[]);
}
