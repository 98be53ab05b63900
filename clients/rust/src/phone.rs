//! A signed-up device and its calls.

use std::fmt;

use reqwest::Method;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{
    answer::{Answer, Batch, Item},
    cache::Question,
    device::{
        CheckedIn, Claim, Confirmed, HandleChange, HandleRequest, MadeLinkCode, OwnDevice,
        OwnHandle,
    },
    error::Error,
    http::{Outgoing, Reply},
    lookup::{Lookups, is_token_void},
    secret::Token,
    server::Server,
    vocabulary::ProblemCode,
};

const DEVICE: &str = "v1/devices/me";
const HANDLES: &str = "v1/devices/me/handles";

/// A signed-up device. Clones share its answers.
#[derive(Clone)]
pub struct Phone {
    server: Server,
    token: Token,
    lookups: Lookups,
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Phone").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Phone {
    pub(crate) fn new(server: Server, token: Token, kept_answers: usize) -> Self {
        let lookups = Lookups::new(server.clone(), token.clone(), kept_answers);
        Self { server, token, lookups }
    }

    /// The token, to be stored.
    #[must_use]
    pub const fn token(&self) -> &Token {
        &self.token
    }

    /// Which way does a message to this handle go? `region` is the country of numbers without a calling code, in two letters.
    ///
    /// An answer is reused until it expires, and callers that ask the same at the same time share one request.
    ///
    /// # Errors
    /// If the text is no handle, or the server cannot tell. An error never means `sms`.
    pub async fn look_up(&self, handle: &str, region: Option<&str>) -> Result<Answer, Error> {
        let mut items = self.lookups.ask(vec![question(handle, region)]).await?;
        match items.pop() {
            Some(Item::Answer(answer)) => Ok(answer),
            Some(Item::Refused(refused)) => Err(Error::NotAHandle(refused.error.reason)),
            None => Err(Error::Unreadable),
        }
    }

    /// As [`look_up`](Self::look_up), but asks the server now. For a message that the messaging service could not deliver: the
    /// other device may have signed out since. If the server cannot tell, the earlier answer is forgotten, too.
    ///
    /// # Errors
    /// As those of [`look_up`](Self::look_up).
    pub async fn look_up_again(&self, handle: &str, region: Option<&str>) -> Result<Answer, Error> {
        self.lookups.forget(&question(handle, region));
        self.look_up(handle, region).await
    }

    /// Which way do messages to these handles go, and which way can the whole group use? More than 1,000 become several requests.
    /// Answers that are reused or come from several requests are not from one point in time.
    ///
    /// # Errors
    /// If the server cannot tell for one of them. A text that is no handle is an item of the batch.
    pub async fn look_up_batch<S: AsRef<str>>(
        &self,
        handles: &[S],
        region: Option<&str>,
    ) -> Result<Batch, Error> {
        let questions = handles.iter().map(|handle| question(handle.as_ref(), region)).collect();
        Ok(Batch::of(self.lookups.ask(questions).await?))
    }

    /// Shows the device: its lease, its handles, and the handles that its account lost.
    ///
    /// # Errors
    /// If the server refuses the call, or does not answer.
    pub async fn device(&self) -> Result<OwnDevice, Error> {
        self.json(Outgoing::new(Method::GET, DEVICE)).await
    }

    /// Renews the lease. Check in once a day at a random minute.
    ///
    /// # Errors
    /// If the server refuses the call, or does not answer.
    pub async fn check_in(&self) -> Result<CheckedIn, Error> {
        self.json(Outgoing::new(Method::POST, DEVICE).at("check-in")).await
    }

    /// Makes a code with which another device of the same person signs up.
    ///
    /// # Errors
    /// If the server refuses the call, or does not answer.
    pub async fn make_link_code(&self) -> Result<MadeLinkCode, Error> {
        self.json(Outgoing::new(Method::POST, DEVICE).at("link-codes").once()).await
    }

    /// Claims a handle: a code is sent to it. A repeat gives the same verification while it is open.
    ///
    /// # Errors
    /// If the text is no handle, or the server refuses the call or does not answer.
    pub async fn claim(&self, handle: &str, region: Option<&str>) -> Result<Claim, Error> {
        let request = Outgoing::new(Method::POST, HANDLES);
        let reply = self.send(request.with(&HandleRequest { handle, region })).await?;
        if reply.status == 202 {
            return Ok(Claim::CodeSent(reply.read()?));
        }
        self.lookups.forget(&question(handle, region));
        Ok(Claim::Proved(reply.read()?))
    }

    /// Answers a code, as [`Server::confirm`] does.
    ///
    /// # Errors
    /// As those of [`Server::confirm`].
    pub async fn confirm(&self, verification: &str, code: &str) -> Result<Confirmed, Error> {
        let confirmed = self.server.confirm(verification, code).await?;
        self.lookups.forget(&question(confirmed.handle(), None));
        Ok(confirmed)
    }

    /// Hides a handle from strangers, or shows it. The handle is a part of the request's address.
    ///
    /// # Errors
    /// If the device does not back the handle, or the server refuses the call or does not answer.
    pub async fn set_discoverable(
        &self,
        handle: &str,
        discoverable: bool,
    ) -> Result<OwnHandle, Error> {
        let request = Outgoing::new(Method::PATCH, HANDLES).at(handle);
        self.json(request.with(&HandleChange { discoverable })).await
    }

    /// Gives a handle up for this device. The handle is a part of the request's address.
    ///
    /// # Errors
    /// If the device does not back the handle, or the server refuses the call or does not answer.
    pub async fn give_up(&self, handle: &str) -> Result<(), Error> {
        let mut request = Outgoing::new(Method::DELETE, HANDLES).at(handle);
        request.done_if = Some(ProblemCode::HandleNotBound);
        self.send(request).await?;
        self.lookups.forget(&question(handle, None));
        Ok(())
    }

    /// Signs the device out: its handles, its token and the answers that it kept are gone.
    ///
    /// # Errors
    /// If the server refuses the call, or does not answer. The kept answers are gone all the same.
    pub async fn sign_out(&self) -> Result<(), Error> {
        let mut request = Outgoing::new(Method::DELETE, DEVICE);
        request.done_if = Some(ProblemCode::TokenInvalid);
        // Before and after: the caller may drop this call.
        self.lookups.clear();
        let sent = self.send(request).await;
        self.lookups.clear();
        sent.map(|_| ())
    }

    async fn json<T: DeserializeOwned>(&self, request: Outgoing) -> Result<T, Error> {
        self.send(request).await?.read()
    }

    async fn send(&self, mut request: Outgoing) -> Result<Reply, Error> {
        request.token = Some(self.token.clone());
        let sent = self.server.call(&request, Instant::now()).await;
        if sent.as_ref().is_err_and(is_token_void) {
            self.lookups.clear();
        }
        Ok(sent?.reply)
    }
}

fn question(handle: &str, region: Option<&str>) -> Question {
    Question { text: handle.into(), region: region.map(Box::from) }
}
