//! What phones do, and what the server may answer.

use reqwest::Method;
use serde_json::json;

use super::{
    rules::{Asked, Phone},
    world::World,
};
use crate::wire::{Reply, call};

impl World<'_> {
    pub(super) async fn sign_up(&mut self) {
        if self.is_full {
            return;
        }
        self.numbers += 1;
        let handle = format!("+1415{:07}", 5_550_000 + self.numbers);
        let device = self.server().sign_up().await;
        self.server().prove(&device, &handle).await;
        self.phones.push(Phone::new(device, handle, &self.now));
    }

    pub(super) async fn check_in(&mut self, phone: u64) {
        let Some(at) = self.some_phone(phone) else { return };
        let (path, token) = ("/v1/devices/me/check-in", self.phones[at].device.token.clone());
        let reply = call(self.server(), Method::POST, path, Some(&token), None).await;
        if self.was_done(&reply, 200) {
            let Phone { device, handle, .. } = self.phones[at].clone();
            self.phones[at] = Phone::new(device, handle, &self.now);
        }
    }

    pub(super) async fn sign_out(&mut self, phone: u64) {
        let Some(at) = self.some_phone(phone).filter(|_| !self.is_full) else { return };
        let token = self.phones[at].device.token.clone();
        let reply = call(self.server(), Method::DELETE, "/v1/devices/me", Some(&token), None).await;
        self.phones[at].is_gone = self.was_done(&reply, 204);
    }

    fn some_phone(&self, drawn: u64) -> Option<usize> {
        let here = self.phones.iter().enumerate().filter(|(_, phone)| !phone.is_gone);
        let here: Vec<_> = here.map(|(at, _)| at).collect();
        (!here.is_empty()).then(|| here[(drawn % here.len() as u64) as usize])
    }

    /// Whether a phone got the answer. It may be refused while the disk is full. Whether it was removed rightly is another
    /// check.
    pub(super) fn was_done(&self, reply: &Reply, status: u16) -> bool {
        let may_be_refused = reply.status == 401 || self.is_full && reply.status == 503;
        assert!(reply.status == status || may_be_refused, "{reply:?}");
        reply.status == status
    }

    /// Looks up a number, for the first phone that is left. Returns whether it is on the messaging service; none if
    /// the lookup is refused.
    pub(super) async fn look_up(&mut self, handle: &str) -> Option<bool> {
        let asker = self.some_phone(0)?;
        let token = self.phones[asker].device.token.clone();
        let body = json!({"handles": [handle]});
        let path = "/v1/lookup";
        let reply = call(self.server(), Method::POST, path, Some(&token), Some(body)).await;
        if !self.was_done(&reply, 200) {
            self.figures.refused += 1;
            return None;
        }
        self.figures.answered += 1;
        self.asked.push(Asked::new(reply.header("x-request-id"), &self.now));
        Some(reply.body["answers"][0]["route"] == "imessage")
    }

    pub(super) async fn sign_up_if_alone(&mut self) {
        if self.some_phone(0).is_none() {
            self.sign_up().await;
        }
    }
}
