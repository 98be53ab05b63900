//! One attempt to post a message to the gateway.
//!
//! | answer | meaning | another attempt |
//! | --- | --- | --- |
//! | 2xx | the gateway has accepted the message | |
//! | 429, 503 | it has not accepted the message yet | yes, after `Retry-After` if the answer has it |
//! | other 4xx | it will never accept the message | no |
//! | 3xx | not followed, since nobody configured the new address | no |
//! | other 5xx, or none | it may have accepted the message | yes |
//!
//! Every attempt sends the same `Idempotency-Key`, by which the gateway must recognise a message that it has accepted.
//!
//! `Dispatchd-Signature: t=<Unix seconds>,v1=<hex>` signs it: hex is HMAC-SHA-256 of `<t>.<body>` with the shared secret.
//! The signature covers the time, so that the receiver can refuse a replayed request.

use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use reqwest::{
    Certificate, Client, StatusCode as Status, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use tokio::time::Instant;

use crate::clock::{SharedClock, Timestamp};

use super::{
    super::{
        method_config::{InvalidKey, Secret, read_certificates},
        retry::{AttemptError, Deadlines, Retry},
    },
    config::TextConfig,
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
            Ok(response) => outcome(response.status(), response.headers()),
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

fn outcome(status: Status, headers: &HeaderMap) -> Result<(), AttemptError> {
    if status.is_success() {
        return Ok(());
    }
    let error = match status {
        Status::TOO_MANY_REQUESTS | Status::SERVICE_UNAVAILABLE => {
            let retry = retry_after(headers).map_or(Retry::AfterBackoff, Retry::After);
            AttemptError::not_sent(STAGE, "not-now", retry)
        }
        _ if status.is_server_error() => {
            AttemptError::perhaps_sent(STAGE, "failed", Retry::AfterBackoff)
        }
        _ if status.is_redirection() => AttemptError::not_sent(STAGE, "redirected", Retry::Never),
        _ => AttemptError::not_sent(STAGE, "refused", Retry::Never),
    };
    Err(error.with_status(status.as_u16()))
}

/// The seconds of `Retry-After`. Ignores a date, which is reliable only if both clocks agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let secs = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(secs))
}

fn client(config: &TextConfig, url: &Url) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("dispatchd/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
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
    use super::*;

    #[test]
    fn each_answer_has_its_outcome() {
        let after = |value: &'static str| {
            HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))])
        };
        let never = Retry::Never;
        let three = Retry::After(Duration::from_secs(3));
        for (status, headers, perhaps_sent, retry) in [
            (400, HeaderMap::new(), false, never),
            (401, after("3"), false, never),
            (404, HeaderMap::new(), false, never),
            (429, after("3"), false, three),
            (429, after("soon"), false, Retry::AfterBackoff),
            (503, after("3"), false, three),
            (500, after("3"), true, Retry::AfterBackoff),
            (502, HeaderMap::new(), true, Retry::AfterBackoff),
            (504, HeaderMap::new(), true, Retry::AfterBackoff),
            (301, HeaderMap::new(), false, never),
            (304, HeaderMap::new(), false, never),
        ] {
            let error = outcome(Status::from_u16(status).expect("a status"), &headers);
            let error = error.expect_err("not a success");
            assert_eq!((error.perhaps_sent, error.retry), (perhaps_sent, retry), "{status}");
            assert_eq!(error.status, Some(status));
        }
        for status in [200, 201, 202, 204] {
            assert!(outcome(Status::from_u16(status).expect("a status"), &after("3")).is_ok());
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
