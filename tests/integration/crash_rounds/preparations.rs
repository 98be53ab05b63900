//! Prepares requests with their codes and tokens before a round, so that the round itself consists of changes only.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
};

use serde_json::{Value, json};

use super::{
    people::{HANDLES, People, phone},
    world::{Act, Phone},
};
use crate::connection::{Reply, Wire};

/// Phones that join each account in one round: the limit of open link codes.
const JOINING: usize = 3;
/// The code that was just sent is within this many bytes of the outbox's end.
const OUTBOX_TAIL: u64 = 64 * 1024;

/// A prepared request and its effect.
pub(super) struct Prepared {
    pub(super) act: Act,
    method: &'static str,
    path: String,
    token: String,
    body: Value,
}

impl Prepared {
    pub(super) fn ask(&self, wire: &mut Wire) -> io::Result<Reply> {
        wire.ask(self.method, &self.path, &self.token, &self.body)
    }
}

impl People {
    /// Sends a request and asserts the status of its answer.
    fn ask(&self, wire: &mut Wire, number: usize, path: &str, body: &Value, status: u16) -> Reply {
        let reply = wire.ask("POST", path, &self.token(number), body).expect("an answer");
        assert_eq!(reply.status, status, "{reply:?}");
        reply
    }

    /// Requests a code for `handle`, and prepares the request that confirms it.
    fn claim(&self, wire: &mut Wire, number: usize, handle: &str) -> Prepared {
        let path = "/v1/devices/me/handles";
        let sent = self.ask(wire, number, path, &json!({"handle": handle}), 202);
        self.code(&sent, Act::Prove(number, handle.to_owned()))
    }

    fn code(&self, sent: &Reply, act: Act) -> Prepared {
        let verification = sent.text("verification");
        let body = json!({"code": self.code_for(&verification).expect("the outbox is readable")});
        let (path, token) = (format!("/v1/verifications/{verification}"), String::new());
        Prepared { act, method: "POST", path, token, body }
    }

    pub(super) fn prove(&mut self, wire: &mut Wire, number: usize, handle: &str) {
        let prepared = self.claim(wire, number, handle);
        let reply = prepared.ask(wire).expect("an answer");
        assert_eq!(reply.status, 200, "{reply:?}");
        self.happened(&prepared.act);
    }

    fn link_code(&self, wire: &mut Wire, number: usize) -> Prepared {
        let made = self.ask(wire, number, "/v1/devices/me/link-codes", &Value::Null, 201);
        let body = json!({"platform": "macos", "link_code": made.text("link_code")});
        let account = self.world.phones[number].account.clone();
        let unknown = Phone { device: String::new(), account, token: None, is_gone: false };
        let (path, token) = ("/v1/devices".to_owned(), String::new());
        Prepared { act: Act::Join(unknown), method: "POST", path, token, body }
    }

    pub(super) fn link(&mut self, wire: &mut Wire, number: usize) {
        let reply = self.link_code(wire, number).ask(wire).expect("an answer");
        assert_eq!(reply.status, 201, "{reply:?}");
        self.happened(&Act::Join(phone(&reply)));
    }

    fn own(&self, number: usize, act: Act, path: String) -> Prepared {
        Prepared { act, method: "DELETE", path, token: self.token(number), body: Value::Null }
    }

    fn giving_up(&self, number: usize, handle: &str) -> Prepared {
        let path = format!("/v1/devices/me/handles/{}", handle.replace('+', "%2B"));
        self.own(number, Act::GiveUp(number, handle.to_owned()), path)
    }

    pub(super) fn prepare_moves(&mut self, wire: &mut Wire) {
        for handle in self.handles.clone() {
            let holder = self.world.holder(&handle).expect("all handles are held").to_owned();
            let is_first = self.world.phones[self.root(0)].account == holder;
            let other = self.root(usize::from(is_first)) + self.dice.below(2) as usize;
            self.prepared.push(self.claim(wire, other, &handle));
        }
    }

    pub(super) fn prepare_codes_to_take_back(&mut self, wire: &mut Wire) {
        for handle in self.handles.clone() {
            let sent = wire.ask("POST", "/v1/deregistrations", "", &json!({"handle": handle}));
            let sent = sent.expect("an answer");
            assert_eq!(sent.status, 202, "{sent:?}");
            self.prepared.push(self.code(&sent, Act::TakeBack(handle)));
        }
    }

    pub(super) fn prepare_to_give_up(&mut self, wire: &mut Wire) {
        for handle in self.handles.clone() {
            let holder = self.world.holder(&handle).expect("all handles are held").to_owned();
            let is_second = self.world.phones[self.root(1)].account == holder;
            let root = self.root(usize::from(is_second));
            for number in [root, root + 1] {
                // The account has proved the handle, so the server needs no code.
                if self.dice.below(2) == 0 {
                    let claim = json!({"handle": handle});
                    self.ask(wire, number, "/v1/devices/me/handles", &claim, 200);
                    self.happened(&Act::Rebind(number, handle.clone()));
                }
                if self.world.backed[&handle].contains(&number) {
                    self.prepared.push(self.giving_up(number, &handle));
                }
            }
        }
    }

    /// Links phones that back their account's handles, and has each one prove one handle alone.
    pub(super) fn prepare_sign_outs(&mut self, wire: &mut Wire) {
        let gone = |phone: &Phone| phone.is_gone || phone.token.is_none();
        let first = self.world.phones.len();
        for round in 0..JOINING {
            for account in 0..2 {
                self.link(wire, self.root(account));
                let (number, handle) =
                    (self.world.phones.len() - 1, &self.handles[round * 2 + account]);
                let (handle, own) = (handle.clone(), &self.world.phones[number].account);
                // A handle that moves is backed only by the phone that proved it.
                if self.world.holder(&handle) != Some(own) {
                    self.prove(wire, number, &handle);
                }
            }
        }
        for number in self.root(1) + 2..self.world.phones.len() {
            assert!(number < first || !gone(&self.world.phones[number]));
            if !gone(&self.world.phones[number]) {
                let path = "/v1/devices/me".to_owned();
                self.prepared.push(self.own(number, Act::SignOut(number), path));
            }
        }
    }

    /// Prepares link codes. The phones that joined in the round before sign out.
    ///
    /// All phones with a token unbind one handle. That handle shows whether a phone joined without an answer.
    pub(super) fn prepare_link_codes(&mut self, wire: &mut Wire) {
        for number in self.root(1) + 2..self.world.phones.len() {
            if !self.world.phones[number].is_gone && self.world.phones[number].token.is_some() {
                let leaving = self.own(number, Act::SignOut(number), "/v1/devices/me".to_owned());
                self.leave(wire, &leaving);
            }
        }
        let handle = self.handles[self.dice.below(HANDLES) as usize].clone();
        for number in 0..self.world.phones.len() {
            let is_usable = self.world.phones[number].token.is_some();
            if is_usable && self.world.backed_by(number).contains(&handle) {
                let giving_up = self.giving_up(number, &handle);
                self.leave(wire, &giving_up);
            }
        }
        let is_blue = self.subject(wire, &handle).is_some();
        assert_eq!(is_blue, self.world.holder(&handle).is_some(), "{handle}");
        for _ in 0..JOINING {
            for account in 0..2 {
                self.prepared.push(self.link_code(wire, self.root(account)));
            }
        }
    }

    fn leave(&mut self, wire: &mut Wire, leaving: &Prepared) {
        let reply = leaving.ask(wire).expect("an answer");
        assert_eq!(reply.status, 204, "{reply:?}");
        self.happened(&leaving.act);
    }

    /// The code that was just sent. It is near the end of the outbox.
    fn code_for(&self, verification: &str) -> io::Result<String> {
        let mut file = File::open(&self.outbox)?;
        file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(OUTBOX_TAIL)))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let line = text.lines().rev().find(|line| line.contains(verification));
        let line = line.expect("the outbox has the code before the server answers 202");
        let line: Value = serde_json::from_str(line).expect("a line of the outbox is JSON");
        Ok(line["code"].as_str().expect("a code").to_owned())
    }
}
