//! An actor with two accounts that share a few handles. It makes one kind of change and knows which changes were
//! acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Actor, Tally,
    preparations::Prepared,
    world::{Act, Phone, Record, World},
};
use crate::{
    connection::{Reply, Wire},
    load::Dice,
};

/// The kind of change that a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Handles move between the two accounts.
    Move,
    /// A code deregisters handles.
    TakeBack,
    /// Phones unbind handles.
    GiveUp,
    /// Phones sign out.
    SignOut,
    /// Phones join an account.
    Link,
}

/// The number of handles of one actor. No other actor uses them.
pub(super) const HANDLES: u64 = 8;

/// Actors of one round that have handles of their own.
const ACTORS_MAX: u64 = 100;

/// The handle of an actor with this number, in a round.
pub(super) fn handle(actor: u64, round: u64, number: u64) -> String {
    format!("+1415{:07}", (round * ACTORS_MAX + actor) * HANDLES + number)
}

/// What the restarted server shows.
#[derive(Default)]
struct Seen {
    /// The handles that each phone with a token backs. `None` if the phone has signed out.
    own: Vec<Option<BTreeSet<String>>>,
    /// The subject of each handle, as the asker sees it. `None` if the handle is green.
    subjects: BTreeMap<String, Option<String>>,
}

pub(super) struct People {
    kind: Kind,
    number: u64,
    /// Rounds that were prepared.
    rounds: u64,
    pub(super) dice: Dice,
    pub(super) outbox: PathBuf,
    pub(super) handles: Vec<String>,
    pub(super) world: World,
    /// The records that the log must have of this round.
    expected: Vec<Record>,
    tally: Tally,
    pub(super) prepared: Vec<Prepared>,
    in_doubt: Option<Act>,
    /// The subject of each account, as the asker sees it. The asker is the first phone.
    subjects: BTreeMap<String, String>,
    seen: Seen,
}

impl Actor for People {
    fn prepare(&mut self, wire: &mut Wire) {
        // The limits on codes outlive a kill, so each round has accounts and handles of its own.
        self.world = World::default();
        self.subjects.clear();
        self.handles = (0..HANDLES).map(|one| handle(self.number, self.rounds, one)).collect();
        self.rounds += 1;
        self.create_accounts(wire);
        for handle in self.handles.clone() {
            if self.world.holder(&handle).is_none() {
                let root = self.root(self.dice.clone().below(2) as usize);
                self.dice.roll();
                self.prove(wire, root, &handle);
            }
        }
        match self.kind {
            Kind::Move => self.prepare_moves(wire),
            Kind::TakeBack => self.prepare_codes_to_take_back(wire),
            Kind::GiveUp => self.prepare_to_give_up(wire),
            Kind::SignOut => self.prepare_sign_outs(wire),
            Kind::Link => self.prepare_link_codes(wire),
        }
        for last in (1..self.prepared.len()).rev() {
            self.prepared.swap(last, self.dice.below(last as u64 + 1) as usize);
        }
    }

    fn change(&mut self, wire: &mut Wire) -> io::Result<bool> {
        let Some(prepared) = self.prepared.pop() else {
            return Ok(false);
        };
        self.in_doubt = Some(prepared.act.clone());
        let reply = prepared.ask(wire)?;
        assert!((200..300).contains(&reply.status), "{:?}: {reply:?}", prepared.act);
        let act = match prepared.act {
            Act::Join(_) if !reply.is_whole => return Err(io::ErrorKind::UnexpectedEof.into()),
            Act::Join(_) => Act::Join(phone(&reply)),
            act => act,
        };
        self.in_doubt = None;
        self.happened(&act);
        self.tally.of_kind += 1;
        Ok(true)
    }

    fn observe(&mut self, wire: &mut Wire) {
        let mut seen = Seen::default();
        for phone in self.world.phones.clone() {
            let Some(token) = phone.token else {
                seen.own.push(None);
                continue;
            };
            let reply = wire.ask("GET", "/v1/devices/me", &token, &Value::Null).expect("an answer");
            let backed = reply.body["handles"].as_array().into_iter().flatten();
            let backed = backed.map(|held| held["handle"].as_str().expect("text").to_owned());
            assert!([200, 401].contains(&reply.status), "{reply:?}");
            seen.own.push((reply.status == 200).then(|| backed.collect()));
        }
        for handle in self.handles.clone() {
            let subject = self.subject(wire, &handle);
            seen.subjects.insert(handle, subject);
        }
        self.seen = seen;
        self.prepared.clear();
    }

    fn check(&mut self, logged: &[Record]) -> Tally {
        let mut tally = std::mem::take(&mut self.tally);
        let mut logged: Vec<_> =
            logged.iter().filter(|record| self.is_own(record)).cloned().collect();
        let act = self.in_doubt.take().map(|act| self.with_recorded_device(act, &logged));
        if let Some(act) = act {
            tally.in_doubt = 1;
            let (after, records) = self.world.after(&act);
            // The state shows whether the change took effect. For a phone whose token is lost, only the record shows
            // it.
            let is_recorded = records.iter().all(|record| logged.contains(record));
            let differs = !matches!(act, Act::Join(_));
            let is_seen = self.is_as_seen(&after) && (differs || is_recorded);
            if is_seen {
                tally.happened = 1;
                (self.world, self.expected) = (after, [&self.expected[..], &records].concat());
            }
        }
        let mut expected = std::mem::take(&mut self.expected);
        tally.records = expected.len();
        tally.torn = usize::from(!self.is_as_seen(&self.world));
        expected.retain(|record| {
            let found = logged.iter().position(|one| one == record);
            found.map(|place| logged.swap_remove(place)).is_none()
        });
        (tally.lost, tally.doubled) = (expected.len(), logged.len());
        if (tally.lost, tally.doubled, tally.torn) != (0, 0, 0) {
            eprintln!("lost: {expected:#?}\ntoo many: {logged:#?}\n{:#?}", self.world);
        }
        tally
    }
}

/// The phone from the answer to its sign-up.
pub(super) fn phone(reply: &Reply) -> Phone {
    let (device, account) = (reply.text("device"), reply.text("account"));
    Phone { device, account, token: Some(reply.text("token")), is_gone: false }
}

impl People {
    pub(super) fn new(kind: Kind, number: u64, seed: u64, outbox: &Path) -> Self {
        Self {
            kind,
            number,
            rounds: 0,
            dice: Dice::new(seed ^ (number << 32) ^ ((kind as u64) << 48)),
            outbox: outbox.to_owned(),
            handles: Vec::new(),
            world: World::default(),
            expected: Vec::new(),
            tally: Tally::default(),
            prepared: Vec::new(),
            in_doubt: None,
            subjects: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    /// Creates the asker, and two accounts with two phones each. One handle of each account shows its subject to the
    /// asker.
    fn create_accounts(&mut self, wire: &mut Wire) {
        for account in 0..3 {
            let reply = wire.ask("POST", "/v1/devices", "", &json!({"platform": "ios"}));
            self.happened(&Act::SignUp(phone(&reply.expect("an answer"))));
            let first = self.world.phones.len() - 1;
            if account > 0 {
                let home = self.handles[account].clone();
                self.prove(wire, first, &home);
                let subject = self.subject(wire, &home).expect("the handle is blue");
                self.subjects.insert(self.world.phones[first].account.clone(), subject);
                self.link(wire, first);
            }
        }
    }

    /// The first phone of an account. The second phone follows it, and neither signs out.
    pub(super) const fn root(&self, account: usize) -> usize {
        1 + 2 * account
    }

    pub(super) fn happened(&mut self, act: &Act) {
        let (after, records) = self.world.after(act);
        self.world = after;
        self.expected.extend(records);
        self.tally.acknowledged += 1;
    }

    pub(super) fn token(&self, number: usize) -> String {
        self.world.phones[number].token.clone().expect("the phone has a token")
    }

    /// The subject of `handle`, as the asker sees it.
    pub(super) fn subject(&self, wire: &mut Wire, handle: &str) -> Option<String> {
        let path = format!("/v1/lookup/{}", handle.replace('+', "%2B"));
        let reply = wire.ask("GET", &path, &self.token(0), &Value::Null).expect("an answer");
        assert_eq!(reply.status, 200, "{reply:?}");
        let subject = reply.body["subject"].as_str().map(str::to_owned);
        assert_eq!(subject.is_some(), reply.body["route"] == "imessage", "{reply:?}");
        subject
    }

    /// Whether the state that was read is that of `world`.
    fn is_as_seen(&self, world: &World) -> bool {
        let own = |(number, seen): (usize, &Option<BTreeSet<String>>)| {
            let phone = &world.phones[number];
            let backed = || world.backed_by(number);
            phone.token.is_none() || *seen == (!phone.is_gone).then(backed)
        };
        let held = |(handle, seen): (&String, &Option<String>)| {
            world.holder(handle).map(|account| &self.subjects[account]) == seen.as_ref()
        };
        self.seen.own.iter().enumerate().all(own) && self.seen.subjects.iter().all(held)
    }

    fn is_own(&self, record: &Record) -> bool {
        let phones = &self.world.phones;
        record.handle.as_ref().is_some_and(|handle| self.handles.contains(handle))
            || record
                .account
                .as_ref()
                .is_some_and(|own| phones.iter().any(|one| one.account == *own))
    }

    /// Completes a phone whose sign-up was not answered with the device id from the records, if they have one.
    fn with_recorded_device(&self, act: Act, logged: &[Record]) -> Act {
        let Act::Join(phone) = &act else {
            return act;
        };
        let is_new = |device: &String| self.world.phones.iter().all(|one| one.device != *device);
        let registered = logged.iter().filter(|record| record.change == "device-registered");
        let device = registered.filter_map(|record| record.device.clone()).find(is_new);
        Act::Join(Phone { device: device.unwrap_or_default(), ..phone.clone() })
    }
}
