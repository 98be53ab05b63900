//! A person who signs devices up and out with the client, and notes in the truth what it does to a handle.

use std::{fs, path::Path, time::Duration};

use dispatchd_client::{
    Claim, Error, Limit, Phone, Platform, ProblemCode, Route, Server, SignUp, Verification,
};
use serde_json::Value;
use tokio::time::sleep;

use super::truth::{Truth, unbacked};

pub(super) struct Person<'a> {
    pub(super) server: &'a Server,
    pub(super) truth: &'a Truth,
    pub(super) outbox: &'a Path,
    /// The handle and its number in the truth.
    pub(super) handle: &'a str,
    pub(super) number: usize,
}

/// Waits until a call may be made again. Other errors are a fault of the client or the server.
async fn wait_after(error: Error) {
    assert!(error.is_temporary(), "{error:?}");
    sleep(Duration::from_millis(10)).await;
}

/// Makes a call until it succeeds.
macro_rules! insist {
    ($call:expr) => {
        loop {
            match $call.await {
                Ok(done) => break done,
                Err(error) => wait_after(error).await,
            }
        }
    };
}

impl Person<'_> {
    /// Signs up, proves the handle, hides and shows it, gives it up or signs out.
    pub(super) async fn live(&self, turn: u64) {
        let (phone, sent, code) = self.claimed().await;
        self.prove(&phone, &sent, &code).await;
        for shown in [false, true, false, true] {
            let route = if shown { Route::Imessage } else { unbacked(self.handle) };
            self.truth.begin(self.number, route);
            let handle = insist!(phone.set_discoverable(self.handle, shown));
            assert_eq!((&*handle.handle, handle.discoverable), (self.handle, shown));
            self.truth.end(self.number);
        }
        let _ = insist!(phone.check_in());
        self.truth.begin(self.number, unbacked(self.handle));
        self.leave(&phone, turn.is_multiple_of(2)).await;
        self.truth.end(self.number);
    }

    /// Gives the handle up, or signs out. A call that failed may have been carried out. The next one is then refused.
    async fn leave(&self, phone: &Phone, gives_up: bool) {
        let mut may_be_done = false;
        loop {
            let left = match gives_up {
                true => phone.give_up(self.handle).await,
                false => phone.sign_out().await,
            };
            match left {
                Ok(()) => break,
                Err(Error::Refused(problem))
                    if may_be_done
                        && [ProblemCode::HandleNotBound, ProblemCode::TokenInvalid]
                            .contains(&problem.code) =>
                {
                    break;
                }
                Err(error) => wait_after(error).await,
            }
            may_be_done = true;
        }
    }

    /// A phone of a new account that has the code for the handle. A sign-up without an answer leaves a device without a handle. A code
    /// that a kill kept from being sent pauses its phone, so another one claims the handle.
    async fn claimed(&self) -> (Phone, Verification, String) {
        loop {
            let signed_up = insist!(self.server.sign_up(&SignUp::new(Platform::Ios)));
            let phone = self.server.phone(signed_up.token);
            let claim = loop {
                match phone.claim(self.handle, None).await {
                    Ok(claim) => break Some(claim),
                    Err(Error::Refused(problem)) if problem.limit == Some(Limit::Resend) => {
                        break None;
                    }
                    Err(error) => wait_after(error).await,
                }
            };
            if let Some(Claim::CodeSent(sent)) = claim
                && let Some(code) = self.code(&sent.verification)
            {
                return (phone, sent, code);
            }
        }
    }

    async fn prove(&self, phone: &Phone, sent: &Verification, code: &str) {
        self.truth.begin(self.number, Route::Imessage);
        loop {
            match phone.confirm(&sent.verification, code).await {
                Ok(confirmed) => {
                    assert_eq!(confirmed.handle(), self.handle);
                    break;
                }
                // More than a minute after the right code, whose answer was lost.
                Err(Error::Refused(problem))
                    if problem.code == ProblemCode::VerificationUnknown =>
                {
                    let device = insist!(phone.device());
                    assert_eq!(device.handles[0].handle, self.handle);
                    break;
                }
                Err(error) => wait_after(error).await,
            }
        }
        self.truth.end(self.number);
    }

    /// The newest code of a verification.
    fn code(&self, verification: &str) -> Option<String> {
        let outbox = fs::read_to_string(self.outbox).unwrap();
        // The last line may be half written.
        let lines =
            outbox.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut own = lines.filter(|line| line["verification"] == verification);
        Some(own.next()?["code"].as_str().unwrap().to_owned())
    }
}
