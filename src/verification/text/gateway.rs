//! One attempt at posting a message to the gateway.
//!
//! What an answer means: 2xx, the gateway has taken the message. 429 and 503, it has not, and may be asked again. Any
//! other 4xx, it never will. 3xx is not followed: the message would go where nobody has configured. Any other 5xx, and no
//! answer, leave it open; the message is posted again with the same `Idempotency-Key`, by which the gateway must know
//! it.

use std::{net::IpAddr, path::Path, time::Duration};

use reqwest::{
    Certificate, Client, StatusCode as Status, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use tokio::time::Instant;

use crate::{clock::SharedClock, files};

use super::{
    super::{
        attempts::{Again, Deadlines, Failure},
        delivery_router::OpenError,
        secret::Secret,
    },
    config::TextConfig,
    signature::{self, Signer},
};

const STAGE: &str = "post";
/// A secret that is shorter is guessed.
const SECRET_BYTES_MIN: usize = 16;

/// The gateway.
pub(super) struct Gateway {
    client: Client,
    url: Url,
    signer: Signer,
    clock: SharedClock,
}

impl Gateway {
    pub(super) fn open(config: &TextConfig, clock: SharedClock) -> Result<Self, OpenError> {
        let url = check_url(&config.url, config.allow_unencrypted)
            .map_err(|why| OpenError::new("delivery.text.url", why))?;
        let key = match config.secret_file {
            Some(_) => "delivery.text.secret_file",
            None => "delivery.text.secret_env",
        };
        let (file, variable) = (config.secret_file.as_deref(), config.secret_env.as_deref());
        let secret = Secret::read(key, file, variable)?;
        if secret.expose().len() < SECRET_BYTES_MIN {
            let why = format!("must have {SECRET_BYTES_MIN} bytes or more");
            return Err(OpenError::new(key, why));
        }
        let client =
            client(config, &url).map_err(|why| OpenError::new("delivery.text.ca_file", why))?;
        Ok(Self { client, url, signer: Signer::new(secret.expose()), clock })
    }

    /// Posts `body` once; `id` is the message's own.
    pub(super) async fn post(
        &self,
        id: &str,
        body: &[u8],
        deadlines: Deadlines,
    ) -> Result<(), Failure> {
        let left = deadlines.attempt.saturating_duration_since(Instant::now());
        let signature = self.signer.sign(body, self.clock.now());
        let request = self
            .client
            .post(self.url.clone())
            .timeout(left)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("idempotency-key", id)
            .header(signature::HEADER, signature)
            .body(body.to_vec());
        match request.send().await {
            Ok(response) => outcome(response.status(), response.headers()),
            // Nothing was posted: there is no connection yet.
            Err(error) if error.is_connect() => {
                Err(Failure::not_sent(STAGE, "connection-failed", Again::Soon))
            }
            Err(error) if error.is_timeout() => {
                Err(Failure::perhaps_sent(STAGE, "timeout", Again::Soon))
            }
            Err(_) => Err(Failure::perhaps_sent(STAGE, "connection-lost", Again::Soon)),
        }
    }
}

fn outcome(status: Status, headers: &HeaderMap) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let failure = match status {
        Status::TOO_MANY_REQUESTS | Status::SERVICE_UNAVAILABLE => {
            let again = wish(headers).map_or(Again::Soon, Again::After);
            Failure::not_sent(STAGE, "not-now", again)
        }
        _ if status.is_server_error() => Failure::perhaps_sent(STAGE, "failed", Again::Soon),
        _ if status.is_redirection() => Failure::not_sent(STAGE, "redirected", Again::Never),
        _ => Failure::not_sent(STAGE, "refused", Again::Never),
    };
    Err(failure.with_status(status.as_u16()))
}

/// The seconds of `Retry-After`. A date would need the gateway's clock to agree with ours: then we choose the pause.
fn wish(headers: &HeaderMap) -> Option<Duration> {
    let secs = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(secs))
}

/// An address that codes may be posted to.
pub(super) fn check_url(text: &str, allow_unencrypted: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "must be where messages are posted, as https://…")?;
    let is_loopback = url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    match url.scheme() {
        "https" => {}
        "http" if is_loopback || allow_unencrypted => {}
        "http" => {
            return Err("http is for loopback; allow_unencrypted = true lifts that".into());
        }
        _ => return Err("must be where messages are posted, as https://…".into()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user and no password".into());
    }
    Ok(url)
}

fn client(config: &TextConfig, url: &Url) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("dispatchd/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Variables of the environment must not lead codes elsewhere.
        .no_proxy()
        // So that a dead host is told from a host that says nothing, and nothing was posted to the first.
        .connect_timeout(config.attempt_timeout / 2)
        .retry(reqwest::retry::never());
    if url.scheme() == "http" {
        // A machine without the system's certificates can do without them.
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = &config.ca_file {
        builder = builder.tls_certs_merge(certificates(path)?);
    }
    builder.build().map_err(|error| format!("no certificates to trust: {error}"))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = files::read(path);
    let pem = pem.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{} holds no certificate in PEM form", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means() {
        let after = |value: &'static str| {
            HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))])
        };
        let never = Again::Never;
        let three = Again::After(Duration::from_secs(3));
        for (status, headers, perhaps_sent, again) in [
            (400, HeaderMap::new(), false, never),
            (401, after("3"), false, never),
            (404, HeaderMap::new(), false, never),
            (429, after("3"), false, three),
            (429, after("soon"), false, Again::Soon),
            (503, after("3"), false, three),
            (500, after("3"), true, Again::Soon),
            (502, HeaderMap::new(), true, Again::Soon),
            (504, HeaderMap::new(), true, Again::Soon),
            (301, HeaderMap::new(), false, never),
            (304, HeaderMap::new(), false, never),
        ] {
            let failure = outcome(Status::from_u16(status).expect("a status"), &headers);
            let failure = failure.expect_err("not a success");
            assert_eq!((failure.perhaps_sent, failure.again), (perhaps_sent, again), "{status}");
            assert_eq!(failure.status, Some(status));
        }
        for status in [200, 201, 202, 204] {
            assert!(outcome(Status::from_u16(status).expect("a status"), &after("3")).is_ok());
        }
    }
}
