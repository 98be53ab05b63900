//! One request over HTTP, and its answer.

use std::{error, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use reqwest::{
    Method, Response, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, NoAnswer},
    problem::Problem,
    secret::Token,
    vocabulary::ProblemCode,
};

/// No answer is longer: a thousand answers have about 200 kB.
const ANSWER_BYTES_MAX: usize = 4 << 20;
const JSON: &str = "application/json";

/// A request.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// The parts of its path behind the server's address.
    pub(crate) path: Vec<Box<str>>,
    pub(crate) token: Option<Token>,
    pub(crate) body: Option<Vec<u8>>,
    /// Whether it does no harm to send it again if its answer was lost.
    pub(crate) is_repeatable: bool,
    /// A refusal of a repeat that means: an earlier attempt has done it.
    pub(crate) done_if: Option<ProblemCode>,
}

impl Outgoing {
    /// A repeatable request without a token and a body. `path` has no variable parts.
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let path = path.split('/').map(Box::from).collect();
        Self { method, path, token: None, body: None, is_repeatable: true, done_if: None }
    }

    /// The same below its path.
    pub(crate) fn at(mut self, part: &str) -> Self {
        self.path.push(part.into());
        self
    }

    /// The same with a body.
    pub(crate) fn with(self, body: &impl Serialize) -> Self {
        // A struct of texts and lists always has a JSON form.
        Self { body: Some(serde_json::to_vec(body).unwrap_or_default()), ..self }
    }

    /// The same, to be sent again only if it did not reach the server.
    pub(crate) fn once(self) -> Self {
        Self { is_repeatable: false, ..self }
    }
}

/// A good answer.
#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|_| Error::Unreadable)
    }
}

/// Sends requests. Tests have one of their own.
pub(crate) trait Exchange: Send + Sync {
    fn send<'a>(&'a self, request: &'a Outgoing) -> BoxFuture<'a, Result<Reply, Error>>;
}

/// A server at an address.
pub(crate) struct Http {
    pub(crate) client: reqwest::Client,
    pub(crate) base: Url,
}

impl Http {
    pub(crate) fn url(&self, path: &[Box<str>]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        url
    }

    async fn exchange(&self, request: &Outgoing) -> Result<Reply, Error> {
        let mut http = self.client.request(request.method.clone(), self.url(&request.path));
        http = http.header(ACCEPT, JSON);
        if let Some(token) = &request.token {
            http = http.bearer_auth(token.expose());
        }
        if let Some(body) = &request.body {
            http = http.header(CONTENT_TYPE, JSON).body(body.clone());
        }
        let response = http.send().await.map_err(|error| no_answer(error, true))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = whole(response).await?;
        match status {
            200..=299 => Ok(Reply { status, body }),
            _ => Err(refusal(status, &headers, &body)),
        }
    }
}

impl Exchange for Http {
    fn send<'a>(&'a self, request: &'a Outgoing) -> BoxFuture<'a, Result<Reply, Error>> {
        Box::pin(self.exchange(request))
    }
}

/// What an answer without success says.
pub(crate) fn refusal(status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
    match serde_json::from_slice::<Problem>(body) {
        Ok(mut problem) if problem.status == status => {
            problem.retry_after = problem.retry_after.or(retry_after);
            problem.request_id = text("x-request-id").map(str::to_owned);
            Error::Refused(Box::new(problem))
        }
        _ => {
            let url = text(LOCATION.as_str()).and_then(|location| Url::parse(location).ok());
            let redirect = url.map(|url| url.origin().ascii_serialization());
            Error::Foreign { status, retry_after: retry_after.map(Duration::from_secs), redirect }
        }
    }
}

/// Why no answer came. The cause names no address: it may hold a handle.
fn no_answer(error: reqwest::Error, may_be_unsent: bool) -> Error {
    let is_unsent = may_be_unsent && error.is_connect();
    let cause: Arc<dyn error::Error + Send + Sync> = Arc::new(error.without_url());
    Error::NoAnswer(if is_unsent { NoAnswer::NotSent(cause) } else { NoAnswer::Lost(cause) })
}

/// The body of an answer. One that breaks off is an error.
async fn whole(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| no_answer(error, false))? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(Error::Unreadable);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
