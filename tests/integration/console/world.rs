//! Servers with data as phones make it, for the pages to show.

use std::time::Duration;

use dispatchd::clock::{Clock as _, ManualClock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{Device, Server},
    scenarios::sign_out,
    timed::Timed,
    wire::{batch, call},
};

pub(super) const NUMBER: &str = "+14155550142";
pub(super) const ADDRESS: &str = "ann@example.com";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The tokens of a reader, an admin, and a program that reads metrics.
pub(super) fn tokens(server: &Server) -> Value {
    let token = |role| server.operator_token(role, role);
    json!({"reader": token("reader"), "admin": token("admin"), "metrics": token("metrics")})
}

/// Twelve days of one number, up to the present.
pub(super) struct History {
    pub(super) timed: Timed,
    /// Tokens, the number, its routes with their times, who holds an older answer.
    pub(super) facts: Value,
    _folder: TempDir,
}

impl History {
    fn now(&self) -> Value {
        json!(self.timed.clock.now())
    }

    fn passes(&self, time: Duration) {
        self.timed.clock.advance(time);
    }

    async fn proves(&self) -> (Device, Value) {
        let device = self.timed.server.sign_up().await;
        self.timed.server.prove(&device, NUMBER).await;
        (device, self.now())
    }

    async fn is(&self, asker: &Device, route: &str) {
        assert_eq!(self.timed.server.route(asker, NUMBER).await, route);
    }

    /// The number is bound and lost twice, then bound and lost within the last ten minutes. Ben asks each time, Cat in the end
    /// while it is blue.
    pub(super) async fn of_twelve_days() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(SystemClock.now().minus(DAY * 12));
        let timed = Timed::on(&folder.path().join("data"), clock, |_| ()).await;
        let mut world = Self { timed, facts: Value::Null, _folder: folder };
        let server = &world.timed.server;
        let (ben, cat) = (server.sign_up().await, server.sign_up().await);
        let mut routes = Vec::new();
        for days in [3, 2] {
            let (ann, bound) = world.proves().await;
            world.passes(HOUR);
            world.is(&ben, "imessage").await;
            world.passes(DAY * days);
            sign_out(server, &ann).await;
            let lost = world.now();
            world.passes(HOUR);
            world.is(&ben, "sms").await;
            world.passes(DAY);
            routes.extend([json!(["imessage", bound, lost]), json!(["sms", lost, world.now()])]);
        }
        // What is left until ten minutes ago.
        world.passes(DAY * 12 - DAY * 7 - HOUR * 4 - MINUTE * 10);
        let (ann, bound) = world.proves().await;
        routes.last_mut().unwrap()[2] = bound.clone();
        batch(server, &cat, &[NUMBER, ADDRESS]).await;
        world.passes(MINUTE * 5);
        sign_out(server, &ann).await;
        let lost = world.now();
        world.passes(MINUTE * 4);
        world.is(&ben, "sms").await;
        routes.extend([json!(["imessage", bound, lost]), json!(["sms", lost, null])]);
        world.timed.running().tick_retention();
        world.timed.running().tick_sealing();
        world.facts = json!({
            "tokens": tokens(server), "personal": [NUMBER, ADDRESS], "number": NUMBER, "routes": routes,
            "holder": cat.device, "account": ben.account, "devices": {"ben": ben.device, "cat": cat.device, "ann": ann.device},
        });
        world
    }
}

/// Devices that own handles, and lookups of theirs and others.
pub(super) async fn of_today(server: &Server) -> Value {
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, NUMBER).await;
    server.prove(&ann, ADDRESS).await;
    batch(server, &ben, &[NUMBER, ADDRESS, "+14155550199", "nobody@example.net"]).await;
    call(server, reqwest::Method::DELETE, "/v1/devices/me", Some(&ann.token), None).await;
    batch(server, &ben, &[NUMBER, ADDRESS]).await;
    json!({
        "tokens": tokens(server), "personal": [NUMBER, ADDRESS, "+14155550199", "nobody@example.net"],
        "number": NUMBER, "address": ADDRESS, "devices": {"ann": ann.device, "ben": ben.device},
        "accounts": {"ann": ann.account, "ben": ben.account},
    })
}

/// Puts `count` thousand lookups into the log.
pub(super) async fn many(server: &Server, thousands: u32) -> Device {
    let asker = server.sign_up().await;
    for thousand in 0..thousands {
        let handle = |at: u32| format!("+1415{:07}", 2_000_000 + thousand * 1000 + at);
        let handles: Vec<_> = (0..1000).map(handle).collect();
        let handles: Vec<_> = handles.iter().map(String::as_str).collect();
        assert_eq!(batch(server, &asker, &handles).await.status, 200);
    }
    asker
}

/// Handles that are as bad as the API lets them be, and lookups of them.
pub(super) async fn hostile(server: &Server) -> Value {
    let long = format!("{}@{}.{}.example", "m".repeat(64), "d".repeat(60), "e".repeat(60));
    let handles = [
        "'onload='alert`1`'@example.com",
        "{{constructor.constructor`alert`}}@example.com",
        "$ifs`id`|sh&script/*@example.com",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}123@example.com",
        &long,
    ];
    let (owner, asker) = (server.sign_up().await, server.sign_up().await);
    for handle in handles {
        server.prove(&owner, handle).await;
        assert_eq!(server.route(&asker, handle).await, "imessage");
    }
    sign_out(server, &owner).await;
    for handle in handles {
        assert_eq!(server.route(&asker, handle).await, "none");
    }
    json!({"tokens": tokens(server), "personal": handles, "handles": handles, "devices": {"asker": asker.device}})
}
