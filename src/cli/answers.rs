//! Answers of a server as they arrive: in one piece, or line by line.

use anyhow::{anyhow, bail};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use reqwest::{Body, Response};
use serde::de::DeserializeOwned;

use crate::{cluster::AnswerLines, reading::Outcome};

/// What to say of an answer that cannot be read.
pub(super) const UNREADABLE: &str =
    "the server sends what this command cannot read; is it a newer version?";
/// No answer in one piece is longer.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The answer as JSON.
pub(super) async fn body<T: DeserializeOwned>(response: Response) -> anyhow::Result<T> {
    read(&whole(response, ANSWER_BYTES_MAX).await?)
}

/// The body of an answer that has at most so many bytes.
pub(super) async fn whole(mut response: Response, most: usize) -> anyhow::Result<BytesMut> {
    let mut whole = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        whole.extend_from_slice(&piece);
        if whole.len() > most {
            bail!("the server's answer is longer than {most} bytes");
        }
    }
    Ok(whole)
}

/// What arrived. The error does not say what is in it.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(text).map_err(|_| anyhow!(UNREADABLE))
}

/// The lines of a body as it arrives. A body that breaks off is an error.
pub(super) struct Lines(AnswerLines<reqwest::Error>);

impl Lines {
    pub(super) fn of(response: Response) -> Self {
        Self(AnswerLines::of(Body::from(response).map_err(reqwest::Error::without_url)))
    }

    /// The next line, without its line end; none at the end of the body.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<BytesMut>> {
        Ok(self.0.next().await?)
    }

    /// What the server could not read, from the trailers; none if a proxy dropped them.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        Outcome::of_trailers(|name| self.0.trailer(name))
    }

    pub(super) fn trailer(&self, name: &str) -> Option<u64> {
        self.0.trailer(name)?.parse().ok()
    }
}
