//! Codes by method, outcome and country, against what the gateway and the mail server saw.

use serde_json::json;

use super::{
    EMAIL, PHONE, claim,
    mail_server::{Authority, MailServer},
    receiver::{Answer, Receiver},
    refused, secret_file, sent, start, undelivered,
};
use crate::metrics::{Scrape, Tally};

fn codes(method: &str, outcome: &str, country: &str) -> String {
    format!(r#"method="{method}",outcome="{outcome}",country="{country}""#)
}

#[tokio::test]
async fn codes_are_counted_as_the_gateway_answered() {
    let answers = [200, 400, 500, 400, 401].map(Answer::Status);
    let gateway = Receiver::start(&answers).await;
    let folder = tempfile::tempdir().unwrap();
    let (url, secret) = (gateway.url(), secret_file(folder.path()));
    let settings =
        [("TEXT__URL", url.as_str()), ("TEXT__SECRET_FILE", &secret), ("TEXT__SERVICE", "Blue")];
    let server = start(&settings).await;
    let ann = server.sign_up().await;
    let mut tally = Tally::default();
    sent(&server, &ann, PHONE).await;
    tally.add(codes("text", "sent", "1"), 1);
    refused(&server, &ann, "+442079460958").await;
    tally.add(codes("text", "refused", "44"), 1);
    // The first attempt may have sent it, so that the refusal of the second proves nothing.
    undelivered(&server, &ann, "+35699123456").await;
    tally.add(codes("text", "unknown", "356"), 1);
    // A wrong secret is no refusal of the number.
    undelivered(&server, &ann, "+4930123456").await;
    tally.add(codes("text", "failed", "49"), 1);
    // Mail goes to the outbox.
    sent(&server, &ann, EMAIL).await;
    tally.add(codes("outbox", "sent", "none"), 1);
    assert_eq!(claim(&server, &ann, "nonsense").await.status, 400);
    tally.is(&Scrape::of(&server).await, "codes_sent_total");
    assert_eq!(gateway.received().len(), answers.len());
    drop(gateway);
}

#[tokio::test]
async fn codes_are_counted_as_the_mail_server_answered() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let plan = json!({"rcpt": ["250 OK", "550 5.1.1 no mailbox here"]});
    let post = MailServer::start(&authority, "starttls", false, &plan);
    let port = post.port.to_string();
    let settings = [
        ("MAIL__HOST", "localhost"),
        ("MAIL__PORT", &port),
        ("MAIL__CA_FILE", authority.ca.to_str().unwrap()),
        ("MAIL__FROM", "Blue codes <codes@example.org>"),
        ("MAIL__SERVICE", "Blue"),
        ("MAIL__ATTEMPT_TIMEOUT", "1s"),
        ("MAIL__TIMEOUT", "1s"),
    ];
    let server = start(&settings).await;
    let ann = server.sign_up().await;
    let mut tally = Tally::default();
    sent(&server, &ann, EMAIL).await;
    tally.add(codes("mail", "sent", "none"), 1);
    refused(&server, &ann, "ben@example.org").await;
    tally.add(codes("mail", "refused", "none"), 1);
    assert_eq!(post.mails().len(), 1);
    drop(post);
    undelivered(&server, &ann, "carl@example.org").await;
    tally.add(codes("mail", "failed", "none"), 1);
    sent(&server, &ann, "+2902123").await;
    tally.add(codes("outbox", "sent", "290"), 1);
    tally.is(&Scrape::of(&server).await, "codes_sent_total");
}
