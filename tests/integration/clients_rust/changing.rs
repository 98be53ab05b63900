//! A person who signs devices up and out with the client, and notes in the truth what it does to a handle.

use std::{fs, path::Path};

use dispatchd_client::{Claim, Error, Phone, Platform, ProblemCode, Route, Server, SignUp};
use serde_json::Value;

use super::truth::{Truth, unbacked};

pub(super) struct Person<'a> {
    pub(super) server: &'a Server,
    pub(super) truth: &'a Truth,
    pub(super) outbox: &'a Path,
    /// The handle and its number in the truth.
    pub(super) handle: &'a str,
    pub(super) number: usize,
}

/// Whether a call is to be made again. Anything else is a fault of the client or the server.
fn is_again(error: &Error) -> bool {
    assert!(error.is_temporary(), "{error:?}");
    true
}

/// Makes a call until it succeeds.
macro_rules! insist {
    ($call:expr) => {
        loop {
            match $call.await {
                Ok(done) => break done,
                Err(error) => assert!(is_again(&error)),
            }
        }
    };
}

impl Person<'_> {
    /// Signs up, proves the handle, hides and shows it, gives it up or signs out.
    pub(super) async fn live(&self, turn: u64) {
        let phone = self.sign_up().await;
        self.prove(&phone).await;
        for shown in [false, true, false, true] {
            let route = if shown { Route::Imessage } else { unbacked(self.handle) };
            self.truth.begin(self.number, route);
            let handle = insist!(phone.set_discoverable(self.handle, shown));
            assert_eq!((&*handle.handle, handle.discoverable), (self.handle, shown));
            self.truth.end(self.number);
        }
        let _ = insist!(phone.check_in());
        self.truth.begin(self.number, unbacked(self.handle));
        match turn.is_multiple_of(2) {
            true => insist!(phone.give_up(self.handle)),
            false => insist!(phone.sign_out()),
        }
        self.truth.end(self.number);
    }

    /// A phone of a new account. A sign-up without an answer leaves a device without a handle.
    async fn sign_up(&self) -> Phone {
        let signed_up = insist!(self.server.sign_up(&SignUp::new(Platform::Ios)));
        self.server.phone(signed_up.token)
    }

    async fn prove(&self, phone: &Phone) {
        let Claim::CodeSent(sent) = insist!(phone.claim(self.handle, None)) else {
            panic!("a new account holds no proof");
        };
        let code = self.code(&sent.verification);
        self.truth.begin(self.number, Route::Imessage);
        loop {
            match phone.confirm(&sent.verification, &code).await {
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
                Err(error) => assert!(is_again(&error)),
            }
        }
        self.truth.end(self.number);
    }

    /// The newest code of a verification.
    fn code(&self, verification: &str) -> String {
        let outbox = fs::read_to_string(self.outbox).unwrap();
        let lines = outbox.lines().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut own = lines.filter(|line| line["verification"] == verification);
        own.next().expect("the code was sent")["code"].as_str().unwrap().to_owned()
    }
}
