//! Codes by mail through a real mail server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    EMAIL, assert_no_personal_data_printed, assert_paused_once, code_in,
    mail_server::{Authority, MailServer, login_of},
    refused, sent, sent_in_time, start, undelivered,
};
use crate::harness::{Server, own_port, wait_until};

const OTHER: &str = "ben@quuxmail.example";

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
    // The answer does not wait for the mail.
    wait_until("the mail has come", || post.mails().len() == 2);
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
    let ann = server.sign_up().await;
    for (claimed, to) in [
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        ("cat\u{2026}123@example.com", "cat\u{2026}123@example.com"),
        ("\u{1F600}@example.com", "\u{1F600}@example.com"),
    ] {
        sent(&server, &ann, claimed).await;
        assert_eq!(post.events("mail").pop().unwrap()["parameters"], json!(["SMTPUTF8"]));
        let mail = post.mails().pop().unwrap();
        assert_eq!((&mail["to"], header(&mail, "To: ")), (&json!([to]), to));
    }
    assert_eq!(post.mails().len(), 3);
}

#[tokio::test]
async fn a_server_without_smtputf8_refuses_an_address_beyond_ascii_only() {
    let bench = Bench::new();
    let post = MailServer::with(&bench.authority, &json!({"tls": "starttls", "utf8": false}));
    let server = bench.start(post.port, &[]).await;
    let ann = server.sign_up().await;
    refused(&server, &ann, "jörg@bücher.example").await;
    assert_eq!((post.events("ehlo").len(), post.events("mail").len()), (2, 0));
    assert!(server.output().contains("server-without-smtputf8"), "{}", server.output());
    sent(&server, &ann, EMAIL).await;
}

#[tokio::test]
async fn a_server_without_ehlo_is_greeted_with_helo_and_gets_nothing_in_the_clear() {
    let bench = Bench::new();
    let post = MailServer::with(&bench.authority, &json!({"tls": "none", "helo": true}));
    let plain = bench.start(post.port, &[("MAIL__ENCRYPTION", "none")]).await;
    sent(&plain, &plain.sign_up().await, EMAIL).await;
    assert_eq!((post.events("ehlo").len(), post.mails().len()), (1, 1));
    let strict = bench.start(post.port, &[]).await;
    undelivered(&strict, &strict.sign_up().await, EMAIL).await;
    assert_eq!(post.events("mail").len(), 1);
    assert!(strict.output().contains("server-without-starttls"), "{}", strict.output());
    let tls = MailServer::with(&bench.authority, &json!({"tls": "tls", "helo": true}));
    let server = bench.start(tls.port, &[("MAIL__ENCRYPTION", "tls")]).await;
    sent(&server, &server.sign_up().await, EMAIL).await;
}

#[tokio::test]
async fn replies_need_no_text() {
    let bench = Bench::new();
    let options = json!({"tls": "starttls", "bare": true, "login": login_of(true)});
    let post = MailServer::with(&bench.authority, &options);
    let settings = bench.login("open sesame");
    let server = bench.start(post.port, &borrowed(&settings)).await;
    sent(&server, &server.sign_up().await, EMAIL).await;
    assert_eq!((post.events("auth").len(), post.mails().len()), (1, 1));
}

#[tokio::test]
async fn a_template_of_windows_is_read() {
    let bench = Bench::new();
    let post = MailServer::start(&bench.authority, "none", false, &json!({}));
    let words =
        bench.file("words", "\u{FEFF}Subject: For you\r\n\r\nTake {code}.\r\n.\r\nBye.\r\n");
    let settings = [("MAIL__ENCRYPTION", "none"), ("MAIL__BIND_TEMPLATE", words.as_str())];
    let server = bench.start(post.port, &settings).await;
    sent(&server, &server.sign_up().await, EMAIL).await;
    let mail = &post.mails()[0];
    assert_eq!(header(mail, "Subject: "), "For you");
    assert!(content(mail).contains(".\r\n.\r\nBye.\r\n"), "{mail}");
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
async fn a_refused_recipient_is_final_and_keeps_nobody_else_from_a_code() {
    let bench = Bench::new();
    let refusal = format!("550 5.1.1 no mailbox {EMAIL} here");
    // More than the failures that begin a pause.
    let plan = json!({"rcpt": vec![refusal; 8]});
    let post = MailServer::start(&bench.authority, "starttls", false, &plan);
    let server = bench.start(post.port, &[]).await;
    let ann = server.sign_up().await;
    for number in 0..8 {
        refused(&server, &ann, &format!("zyxwv.{number}@quuxmail.example")).await;
    }
    assert_eq!((post.events("rcpt").len(), post.mails().len()), (8, 0));
    sent(&server, &server.sign_up().await, EMAIL).await;
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
    let post = MailServer::with(&bench.authority, &json!({"tls": "starttls", "port": port}));
    let verification = sent(&server, &ann, OTHER).await;
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
async fn a_mail_that_may_have_been_taken_is_not_sent_again_and_its_code_is_good() {
    let bench = Bench::new();
    let post = MailServer::start(&bench.authority, "starttls", false, &json!({"data": ["hang"]}));
    let settings = [("MAIL__ATTEMPT_TIMEOUT", "8s"), ("MAIL__TIMEOUT", "8s")];
    let server = bench.start(post.port, &settings).await;
    let ann = server.sign_up().await;
    let started = Instant::now();
    assert_eq!(undelivered(&server, &ann, EMAIL).await, 5);
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(7),
        "given up after {took:?}, though it may have been taken"
    );
    assert_eq!(post.mails().len(), 1);
    // Asking again gives the verification that the code belongs to.
    let verification = sent(&server, &ann, EMAIL).await;
    assert_eq!(post.mails().len(), 1);
    let code = code_of(&post.mails()[0]);
    let (status, _) = server.confirm(&verification, &code).await;
    assert_eq!(status, 200);
    assert_no_personal_data_printed(&server, &[code]);
}

#[tokio::test]
async fn a_mail_that_was_not_taken_yet_is_sent_again_and_a_refused_one_is_not() {
    let bench = Bench::new();
    let plan =
        json!({"data": ["451 4.3.0 later", "250 OK", "552 5.2.2 too big", "554 5.7.1 spam"]});
    let post = MailServer::start(&bench.authority, "starttls", false, &plan);
    let server = bench.start(post.port, &[]).await;
    let ann = server.sign_up().await;
    let verification = sent(&server, &ann, EMAIL).await;
    let mails = post.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(content(&mails[0]), content(&mails[1]), "the same mail, id and code");
    let (status, _) = server.confirm(&verification, &code_of(&mails[1])).await;
    assert_eq!(status, 200);
    for (mails, address) in [(3, "carl@example.org"), (4, "dora@example.org")] {
        refused(&server, &ann, address).await;
        assert_eq!(post.mails().len(), mails);
    }
    sent(&server, &ann, OTHER).await;
}

#[tokio::test]
async fn a_dead_server_is_left_alone_and_found_again() {
    let bench = Bench::new();
    let port = own_port();
    let server = bench.start(port, &[]).await;
    let ann = server.sign_up().await;
    let address = |number| format!("zyxwv.{number}@quuxmail.example");
    for number in 0..4 {
        assert!((1..=5).contains(&undelivered(&server, &ann, &address(number)).await));
    }
    let attempts = server.output().matches("a code was not delivered").count();
    // Five failures in a row, and perhaps a probe.
    assert!((5..=6).contains(&attempts), "{attempts} attempts: {}", server.output());
    let post = MailServer::with(&bench.authority, &json!({"tls": "starttls", "port": port}));
    sent_in_time(&server, &server.sign_up().await, |number| address(4 + number)).await;
    assert_eq!(post.mails().len(), 1);
    assert_paused_once(&server);
    assert_no_personal_data_printed(&server, &[code_of(&post.mails()[0])]);
}

#[tokio::test]
async fn a_login_that_the_server_forgets_is_no_refusal_of_the_address() {
    let bench = Bench::new();
    let plan = json!({"rcpt": ["530 5.7.0 authentication required"]});
    let post = MailServer::start(&bench.authority, "starttls", false, &plan);
    let server = bench.start(post.port, &[]).await;
    assert_eq!(undelivered(&server, &server.sign_up().await, EMAIL).await, 5);
    assert_eq!(post.events("rcpt").len(), 1);
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
