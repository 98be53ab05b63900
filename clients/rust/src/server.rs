//! A server, and the calls that need no token.

use std::{error, fmt, sync::Arc, time::Duration};

use reqwest::{Method, Url, redirect::Policy};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{
    device::{CodeRequest, Confirmed, HandleRequest, SignUp, SignedUp, Verification},
    error::Error,
    http::{Exchange, Http, Outgoing},
    phone::Phone,
    retry::{Done, Patience, call},
    secret::Token,
};

const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How a server is asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long calls go on.
    pub patience: Patience,
    /// The most answers that a phone keeps; 0 keeps none.
    pub kept_answers: usize,
    /// The HTTP client, if it must trust other certificates or use a proxy. It must not follow redirects: a token would go along.
    pub http: Option<reqwest::Client>,
}

impl Default for Options {
    /// The default patience, 10,000 answers, and a client that trusts the system's certificates.
    fn default() -> Self {
        Self { patience: Patience::default(), kept_answers: 10_000, http: None }
    }
}

/// The server's address is no `http` or `https` URL, or no client can be made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAddress;

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's address is no URL such as https://dispatch.example.org")
    }
}

impl error::Error for InvalidAddress {}

/// A server. Clones share its connections.
#[derive(Clone)]
pub struct Server {
    exchange: Arc<dyn Exchange>,
    patience: Patience,
    kept_answers: usize,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Server {
    /// The server at a URL such as `https://dispatch.example.org`. It connects at the first call.
    ///
    /// # Errors
    /// If the text is no such URL.
    pub fn new(url: &str, options: Options) -> Result<Self, InvalidAddress> {
        let base = Url::parse(url).map_err(|_| InvalidAddress)?;
        if !["http", "https"].contains(&base.scheme()) || base.query().is_some() {
            return Err(InvalidAddress);
        }
        let Options { patience, kept_answers, http } = options;
        let client = match http {
            Some(client) => client,
            None => {
                let http = reqwest::Client::builder().redirect(Policy::none()).referer(false);
                http.connect_timeout(CONNECT_MAX).build().map_err(|_| InvalidAddress)?
            }
        };
        Ok(Self::over(Arc::new(Http { client, base }), patience, kept_answers))
    }

    pub(crate) fn over(
        exchange: Arc<dyn Exchange>,
        patience: Patience,
        kept_answers: usize,
    ) -> Self {
        Self { exchange, patience, kept_answers }
    }

    /// A device of this server, by its token.
    #[must_use]
    pub fn phone(&self, token: Token) -> Phone {
        Phone::new(self.clone(), token, self.kept_answers)
    }

    /// Signs a device up. Without an answer it is not repeated: sign up again, and the first device does no harm. With a link
    /// code, make a new code first.
    ///
    /// # Errors
    /// If the server refuses the call, or does not answer.
    pub async fn sign_up(&self, device: &SignUp) -> Result<SignedUp, Error> {
        self.json(Outgoing::new(Method::POST, "v1/devices").with(device).once()).await
    }

    /// Answers a code. Without an answer it is not repeated: a wrong code would cost a second attempt. Within a minute, the right
    /// code gives the same answer again.
    ///
    /// # Errors
    /// If the code is wrong or too old, or the server refuses the call or does not answer.
    pub async fn confirm(&self, verification: &str, code: &str) -> Result<Confirmed, Error> {
        let request = Outgoing::new(Method::POST, "v1/verifications").at(verification);
        self.json(request.with(&CodeRequest { code }).once()).await
    }

    /// Sends a code to a handle whose device is lost. The code takes the handle from every device.
    ///
    /// # Errors
    /// If the text is no handle, or the server refuses the call or does not answer.
    pub async fn deregister(
        &self,
        handle: &str,
        region: Option<&str>,
    ) -> Result<Verification, Error> {
        let request = Outgoing::new(Method::POST, "v1/deregistrations");
        self.json(request.with(&HandleRequest { handle, region }).once()).await
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self, request: Outgoing) -> Result<T, Error> {
        self.call(&request, Instant::now()).await?.reply.read()
    }

    /// Makes a call whose patience began at `started`.
    pub(crate) async fn call(&self, request: &Outgoing, started: Instant) -> Result<Done, Error> {
        call(&*self.exchange, &self.patience, request, started).await
    }
}
