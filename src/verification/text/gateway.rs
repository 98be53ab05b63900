//! One attempt to post a message to the gateway.
//!
//! | answer | meaning | another attempt |
//! | --- | --- | --- |
//! | 2xx | the gateway has accepted the message | |
//! | 429, 503 | it has not accepted the message yet | yes, after `Retry-After` if the answer has it; all messages wait |
//! | 408, 425 | it has not accepted the message yet | yes |
//! | 409 | it works on this message, from another attempt | yes |
//! | 403, 404 | it will never accept this message, if it has taken another one lately; else as 401 | no |
//! | 401, 402, 405 to 407, 411, 414, 415, 417, 421, 426, 428, 431 | it does not let this server send, or not in this way | no |
//! | other 4xx | it will never accept this message | no |
//! | 3xx | not followed, since nobody configured the new address | no |
//! | other 5xx, or none | it may have accepted the message | yes |
//!
//! Every attempt sends the same `Idempotency-Key`, by which the gateway must recognise a message that it has accepted.
//!
//! `Dispatchd-Signature: t=<Unix seconds>,v1=<hex>` signs it: hex is HMAC-SHA-256 of `<t>.<body>` with the shared secret.
//! The signature covers the time, so that the receiver can refuse a replayed request.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use reqwest::{
    Certificate, Client, StatusCode as Status, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect,
};
use tokio::time::Instant;

use crate::clock::{SharedClock, Timestamp};

use super::{
    super::{
        breaker::{Health, Wish},
        method_config::{InvalidKey, Secret, read_certificates},
        retry::{AttemptError, Deadlines, Retry},
    },
    config::TextConfig,
    retry_after::retry_after,
};

const STAGE: &str = "post";
/// A shorter secret could be guessed.
const SECRET_BYTES_MIN: usize = 16;

pub(super) struct Gateway {
    client: Client,
    url: Url,
    secret: hmac::Key,
    clock: SharedClock,
}

impl Gateway {
    /// Reads the secret and the trusted certificates that `config` names.
    pub(super) fn open(config: &TextConfig, clock: SharedClock) -> Result<Self, InvalidKey> {
        let url = config.gateway_url()?;
        let file = ("secret_file", config.secret_file.as_deref());
        let variable = ("secret_env", config.secret_env.as_deref());
        let secret = Secret::read(file, variable)?;
        if secret.expose().len() < SECRET_BYTES_MIN {
            let key = if file.1.is_some() { file.0 } else { variable.0 };
            return Err((key, format!("must have at least {SECRET_BYTES_MIN} bytes")));
        }
        let client = client(config, &url).map_err(|why| ("ca_file", why))?;
        Ok(Self { client, url, secret: signing_key(secret.expose()), clock })
    }

    /// Posts `body` once; `id` is the message's id.
    pub(super) async fn post(
        &self,
        id: &str,
        body: &[u8],
        deadlines: Deadlines,
    ) -> Result<(), AttemptError> {
        let left = deadlines.attempt.saturating_duration_since(Instant::now());
        let signature = sign(&self.secret, body, self.clock.wall_clock());
        let request = self
            .client
            .post(self.url.clone())
            .timeout(left)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("idempotency-key", id)
            .header("dispatchd-signature", signature)
            .body(body.to_vec());
        match request.send().await {
            Ok(response) => outcome(response.status(), response.headers(), self.clock.wall_clock()),
            // Without a connection nothing was posted.
            Err(error) if error.is_connect() => {
                Err(AttemptError::not_sent(STAGE, "connection-failed", Retry::AfterBackoff))
            }
            Err(error) if error.is_timeout() => {
                Err(AttemptError::perhaps_sent(STAGE, "timeout", Retry::AfterBackoff))
            }
            Err(_) => {
                Err(AttemptError::perhaps_sent(STAGE, "connection-lost", Retry::AfterBackoff))
            }
        }
    }
}

fn signing_key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

/// The signature of a body that is sent at `now`.
fn sign(key: &hmac::Key, body: &[u8], now: Timestamp) -> String {
    let time = now.as_secs().to_string();
    let mut context = hmac::Context::with_key(key);
    context.update(time.as_bytes());
    context.update(b".");
    context.update(body);
    format!("t={time},v1={}", HEXLOWER.encode(context.sign().as_ref()))
}

fn outcome(status: Status, headers: &HeaderMap, now: Timestamp) -> Result<(), AttemptError> {
    if status.is_success() {
        return Ok(());
    }
    let not_sent = |kind, retry| AttemptError::not_sent(STAGE, kind, retry);
    let perhaps_sent = |kind| AttemptError::perhaps_sent(STAGE, kind, Retry::AfterBackoff);
    let error = match status.as_u16() {
        429 | 503 => {
            // A gateway may limit each recipient by 429.
            let wish = |span| Retry::After(Wish { span, perhaps_for_one: status == 429 });
            let span = retry_after(headers, now).filter(|span| !span.is_zero());
            not_sent("not-now", span.map_or(Retry::AfterBackoff, wish))
        }
        408 | 425 => not_sent("not-now", Retry::AfterBackoff),
        409 => perhaps_sent("in-progress").with_health(Health::Works),
        // Of the number, or a wrong secret or URL.
        403 | 404 => not_sent("not-allowed", Retry::Never).with_health(Health::RefusesOneOrAll),
        // An account without credit, for example: no fault of the number.
        401 | 402 | 405..=407 | 411 | 414 | 415 | 417 | 421 | 426 | 428 | 431 => {
            not_sent("not-allowed", Retry::Never)
        }
        400..=499 => AttemptError::refused(STAGE, "refused"),
        300..=399 => not_sent("redirected", Retry::Never),
        _ => perhaps_sent("failed"),
    };
    Err(error.with_status(status.as_u16()))
}

fn client(config: &TextConfig, url: &Url) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("dispatchd/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // One message is one request, and the adapters of gateways speak HTTP/1.1.
        .http1_only()
        // An environment variable must not redirect codes.
        .no_proxy()
        // Shorter than the attempt, so that an unreachable host fails as "not sent" and not as "perhaps sent".
        .connect_timeout(config.attempt_timeout / 2)
        .retry(reqwest::retry::never());
    if url.scheme() == "http" {
        // Plain HTTP must also work on a machine without system certificates.
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = &config.ca_file {
        let parse = |pem: &[u8]| Certificate::from_pem_bundle(pem).ok().filter(|c| !c.is_empty());
        builder = builder.tls_certs_merge(read_certificates(path, parse)?);
    }
    builder.build().map_err(|error| format!("no certificates to trust: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn each_answer_has_its_outcome() {
        use Health::{Fails, RefusesOneOrAll, Works};
        use Retry::{AfterBackoff, Never};

        let after = |value: &'static str| {
            HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))])
        };
        let now = Timestamp::from_secs(784_111_777);
        let three =
            |perhaps_for_one| Retry::After(Wish { span: Duration::from_secs(3), perhaps_for_one });
        for (status, headers, perhaps_sent, retry, health) in [
            (400, HeaderMap::new(), false, Never, Works),
            (401, after("3"), false, Never, Fails),
            (402, HeaderMap::new(), false, Never, Fails),
            (403, HeaderMap::new(), false, Never, RefusesOneOrAll),
            (404, HeaderMap::new(), false, Never, RefusesOneOrAll),
            (405, HeaderMap::new(), false, Never, Fails),
            (407, HeaderMap::new(), false, Never, Fails),
            (408, HeaderMap::new(), false, AfterBackoff, Fails),
            (409, HeaderMap::new(), true, AfterBackoff, Works),
            (410, HeaderMap::new(), false, Never, Works),
            (422, after("3"), false, Never, Works),
            (425, HeaderMap::new(), false, AfterBackoff, Fails),
            (429, after("3"), false, three(true), Fails),
            (429, after("Sun, 06 Nov 1994 08:49:40 GMT"), false, three(true), Fails),
            (429, after("soon"), false, AfterBackoff, Fails),
            (451, HeaderMap::new(), false, Never, Works),
            (499, HeaderMap::new(), false, Never, Works),
            (429, after("0"), false, AfterBackoff, Fails),
            (503, after("3"), false, three(false), Fails),
            (500, after("3"), true, AfterBackoff, Fails),
            (502, HeaderMap::new(), true, AfterBackoff, Fails),
            (504, HeaderMap::new(), true, AfterBackoff, Fails),
            (301, HeaderMap::new(), false, Never, Fails),
            (304, HeaderMap::new(), false, Never, Fails),
        ] {
            let error = outcome(Status::from_u16(status).expect("a status"), &headers, now);
            let error = error.expect_err("not a success");
            let facts = (error.perhaps_sent, error.retry, error.health);
            assert_eq!(facts, (perhaps_sent, retry, health), "{status}");
            assert_eq!(error.status, Some(status));
        }
        for status in [200, 201, 202, 204] {
            assert!(outcome(Status::from_u16(status).expect("a status"), &after("3"), now).is_ok());
        }
    }

    #[test]
    fn the_signature_is_what_openssl_computes() {
        // printf '1795423267.{"to":"+14155550123"}' | openssl dgst -sha256 -hmac 'a secret of the tests'
        let key = signing_key("a secret of the tests");
        let body = br#"{"to":"+14155550123"}"#;
        let at = Timestamp::from_secs(1_795_423_267);
        assert_eq!(
            sign(&key, body, at),
            "t=1795423267,v1=d491604c4d7223a937f975c23cb6f8ce6dd17a37a465321337007b4b66b134e0"
        );
        assert_ne!(sign(&key, body, at), sign(&key, body, Timestamp::from_secs(1_795_423_268)));
        assert_ne!(sign(&key, body, at), sign(&signing_key("another secret"), body, at));
    }
}
