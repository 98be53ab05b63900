//! People with a few handles between two accounts, who do one kind of change at a time and know what was acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Player, Tally,
    world::{Act, Phone, Record, World},
};
use crate::{
    connection::{Reply, Wire},
    load::Dice,
};

/// What a strike is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Handles go from one account to the other and back.
    Move,
    /// Handles are taken back with a code.
    TakeBack,
    /// Phones give handles up.
    GiveUp,
    /// Phones sign out.
    SignOut,
    /// Phones join an account.
    Link,
}

/// Handles of one player, which nobody else uses.
pub(super) const HANDLES: u64 = 8;
/// Phones that join, or sign out, in one round: as many as may have a link code at once.
const JOINING: usize = 3;
/// Bytes at the end of the outbox in which a code that was just sent is.
const OUTBOX_TAIL: u64 = 64 * 1024;

/// One handle of a player.
pub(super) fn handle(player: u64, number: u64) -> String {
    format!("+1415{:07}", player * HANDLES + number)
}

/// A request that was got ready, and what it does.
struct Prepared {
    act: Act,
    method: &'static str,
    path: String,
    token: String,
    body: Value,
}

/// What a new server says.
#[derive(Default)]
struct Seen {
    /// What each phone that has a token backs; none if it is gone.
    own: Vec<Option<BTreeSet<String>>>,
    /// Whose each handle is, as an asker sees it; none if it is green.
    subjects: BTreeMap<String, Option<String>>,
}

pub(super) struct People {
    kind: Kind,
    dice: Dice,
    outbox: PathBuf,
    handles: Vec<String>,
    world: World,
    /// What the log must hold of this round.
    expected: Vec<Record>,
    tally: Tally,
    prepared: Vec<Prepared>,
    in_doubt: Option<Act>,
    /// How the asker, the first phone of all, sees each account.
    subjects: BTreeMap<String, String>,
    seen: Seen,
}

impl Player for People {
    fn prepare(&mut self, wire: &mut Wire) {
        if self.world.phones.is_empty() {
            self.move_in(wire);
        }
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

    fn play(&mut self, wire: &mut Wire) -> io::Result<bool> {
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

    fn see(&mut self, wire: &mut Wire) {
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

    fn judge(&mut self, told: &[Record]) -> Tally {
        let mut tally = std::mem::take(&mut self.tally);
        let mut told: Vec<_> = told.iter().filter(|record| self.is_own(record)).cloned().collect();
        let act = self.in_doubt.take().map(|act| self.joined(act, &told));
        if let Some(act) = act {
            tally.in_doubt = 1;
            let (after, records) = self.world.after(&act);
            // What happened is decided by what is seen, and for a phone that nobody can use by its record.
            let is_recorded = records.iter().all(|record| told.contains(record));
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
            let found = told.iter().position(|one| one == record);
            found.map(|place| told.swap_remove(place)).is_none()
        });
        (tally.lost, tally.doubled) = (expected.len(), told.len());
        if (tally.lost, tally.doubled, tally.torn) != (0, 0, 0) {
            eprintln!("lost: {expected:#?}\ntoo many: {told:#?}\n{:#?}", self.world);
        }
        tally
    }
}

impl Prepared {
    fn ask(&self, wire: &mut Wire) -> io::Result<Reply> {
        wire.ask(self.method, &self.path, &self.token, &self.body)
    }
}

/// A phone as its sign-up was answered.
fn phone(reply: &Reply) -> Phone {
    let (device, account) = (reply.text("device"), reply.text("account"));
    Phone { device, account, token: Some(reply.text("token")), is_gone: false }
}

impl People {
    pub(super) fn new(kind: Kind, number: u64, seed: u64, outbox: &Path) -> Self {
        Self {
            kind,
            dice: Dice::new(seed ^ (number << 32) ^ ((kind as u64) << 48)),
            outbox: outbox.to_owned(),
            handles: (0..HANDLES).map(|one| handle(number, one)).collect(),
            world: World::default(),
            expected: Vec::new(),
            tally: Tally::default(),
            prepared: Vec::new(),
            in_doubt: None,
            subjects: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    /// An asker, and two accounts with two phones and a handle that shows how the asker sees them.
    fn move_in(&mut self, wire: &mut Wire) {
        for account in 0..3 {
            let reply = wire.ask("POST", "/v1/devices", "", &json!({"platform": "ios"}));
            self.happened(&Act::SignUp(phone(&reply.expect("an answer"))));
            let first = self.world.phones.len() - 1;
            if account > 0 {
                let home = self.handles[account].clone();
                self.prove(wire, first, &home);
                let subject = self.subject(wire, &home).expect("it is blue");
                self.subjects.insert(self.world.phones[first].account.clone(), subject);
                self.link(wire, first);
            }
        }
    }

    /// The first phone of one of the two accounts; the next one is the second, and both stay.
    const fn root(&self, account: usize) -> usize {
        1 + 2 * account
    }

    fn happened(&mut self, act: &Act) {
        let (after, records) = self.world.after(act);
        self.world = after;
        self.expected.extend(records);
        self.tally.acknowledged += 1;
    }

    fn token(&self, number: usize) -> String {
        self.world.phones[number].token.clone().expect("it can be used")
    }

    /// Asks what must be answered so.
    fn ask(&self, wire: &mut Wire, number: usize, path: &str, body: &Value, status: u16) -> Reply {
        let reply = wire.ask("POST", path, &self.token(number), body).expect("an answer");
        assert_eq!(reply.status, status, "{reply:?}");
        reply
    }

    /// A code to prove `handle`, ready to be answered.
    fn claim(&self, wire: &mut Wire, number: usize, handle: &str) -> Prepared {
        let path = "/v1/devices/me/handles";
        let sent = self.ask(wire, number, path, &json!({"handle": handle}), 202);
        self.code(&sent, Act::Prove(number, handle.to_owned()))
    }

    fn code(&self, sent: &Reply, act: Act) -> Prepared {
        let verification = sent.text("verification");
        let body = json!({"code": self.code_for(&verification).expect("the outbox is there")});
        let (path, token) = (format!("/v1/verifications/{verification}"), String::new());
        Prepared { act, method: "POST", path, token, body }
    }

    fn prove(&mut self, wire: &mut Wire, number: usize, handle: &str) {
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

    fn link(&mut self, wire: &mut Wire, number: usize) {
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

    fn prepare_moves(&mut self, wire: &mut Wire) {
        for handle in self.handles.clone() {
            let holder = self.world.holder(&handle).expect("all are held").to_owned();
            let is_first = self.world.phones[self.root(0)].account == holder;
            let other = self.root(usize::from(is_first)) + self.dice.below(2) as usize;
            self.prepared.push(self.claim(wire, other, &handle));
        }
    }

    fn prepare_codes_to_take_back(&mut self, wire: &mut Wire) {
        for handle in self.handles.clone() {
            let sent = wire.ask("POST", "/v1/deregistrations", "", &json!({"handle": handle}));
            let sent = sent.expect("an answer");
            assert_eq!(sent.status, 202, "{sent:?}");
            self.prepared.push(self.code(&sent, Act::TakeBack(handle)));
        }
    }

    fn prepare_to_give_up(&mut self, wire: &mut Wire) {
        for handle in self.handles.clone() {
            let holder = self.world.holder(&handle).expect("all are held").to_owned();
            let is_second = self.world.phones[self.root(1)].account == holder;
            let root = self.root(usize::from(is_second));
            for number in [root, root + 1] {
                // The account holds the proof, so no code is needed.
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

    /// Phones that back what their account holds, and one handle that each of them alone has proved.
    fn prepare_sign_outs(&mut self, wire: &mut Wire) {
        let gone = |phone: &Phone| phone.is_gone || phone.token.is_none();
        let first = self.world.phones.len();
        for round in 0..JOINING {
            for account in 0..2 {
                self.link(wire, self.root(account));
                let (number, handle) =
                    (self.world.phones.len() - 1, &self.handles[round * 2 + account]);
                let (handle, own) = (handle.clone(), &self.world.phones[number].account);
                // A handle that moves is backed by the phone that proved it, and by no other.
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

    /// Codes with which phones join; those of the round before sign out. A handle that all usable phones give up shows
    /// whether one joined that nobody heard of.
    fn prepare_link_codes(&mut self, wire: &mut Wire) {
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

    /// Whose `handle` is, as the asker sees it.
    fn subject(&self, wire: &mut Wire, handle: &str) -> Option<String> {
        let path = format!("/v1/lookup/{}", handle.replace('+', "%2B"));
        let reply = wire.ask("GET", &path, &self.token(0), &Value::Null).expect("an answer");
        assert_eq!(reply.status, 200, "{reply:?}");
        let subject = reply.body["subject"].as_str().map(str::to_owned);
        assert_eq!(subject.is_some(), reply.body["route"] == "imessage", "{reply:?}");
        subject
    }

    /// Whether what was seen is all of `world`.
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

    /// A phone whose sign-up was not answered has the device id that the records say, if they do.
    fn joined(&self, act: Act, told: &[Record]) -> Act {
        let Act::Join(phone) = &act else {
            return act;
        };
        let is_new = |device: &String| self.world.phones.iter().all(|one| one.device != *device);
        let registered = told.iter().filter(|record| record.change == "device-registered");
        let device = registered.filter_map(|record| record.device.clone()).find(is_new);
        Act::Join(Phone { device: device.unwrap_or_default(), ..phone.clone() })
    }

    /// The code that was just sent: near the end of the outbox.
    fn code_for(&self, verification: &str) -> io::Result<String> {
        let mut file = File::open(&self.outbox)?;
        file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(OUTBOX_TAIL)))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let line = text.lines().rev().find(|line| line.contains(verification));
        let line = line.expect("the code is in the outbox before the 202 is out");
        let line: Value = serde_json::from_str(line).expect("a line of the outbox is JSON");
        Ok(line["code"].as_str().expect("a code").to_owned())
    }
}
