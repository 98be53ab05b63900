//! Phones that put load on the server and remember every answer.
//!
//! A client has one connection at a time and several phones. It does one thing after another, mostly lookups, and
//! notes every answer in its [`Ledger`](crate::ledger::Ledger). A request in flight when the connection breaks may or
//! may not have taken effect. [`Client::reconcile`] finds out, and that result must stay true.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

use serde_json::{Value, json};

use crate::{
    connection::{Reply, Wire},
    ledger::{Fate, Held, Ledger, Phone},
};

/// A small seeded generator (SplitMix64). It gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 (included) to `end` (excluded).
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

/// The most live phones of one client.
const PHONES_MAX: usize = 6;
/// The most handles that one phone proves.
const HANDLES_MAX: usize = 8;
/// Handles reserved for each client, so that no other client moves them.
const NUMBERS: u64 = 100_000;

/// A client with one connection.
pub(crate) struct Client {
    number: u64,
    dice: Dice,
    outbox: PathBuf,
    proved: u64,
    pub(crate) ledger: Ledger,
    /// How often the server sent each refusal.
    pub(crate) refused: BTreeMap<String, u64>,
}

impl Client {
    pub(crate) fn new(number: u64, seed: u64, outbox: PathBuf) -> Self {
        Self {
            number,
            dice: Dice::new(seed ^ (number << 32)),
            outbox,
            proved: 0,
            ledger: Ledger::default(),
            refused: BTreeMap::new(),
        }
    }

    /// Does one random action, most often a lookup. An error means that the connection broke.
    pub(crate) fn step(&mut self, wire: &mut Wire) -> io::Result<()> {
        let Some(mine) = self.some_phone() else {
            return self.sign_up(wire);
        };
        match self.dice.below(100) {
            0..60 => self.ask_one(wire, mine),
            60..82 => self.ask_many(wire, mine),
            82..84 => self.sign_up(wire),
            84..91 => self.prove(wire, mine),
            91..94 => self.check_in(wire, mine),
            94..98 => self.unbind(wire, mine),
            98 => self.sign_out(wire, mine),
            _ => self.ask_nonsense(wire, mine),
        }
    }

    /// Finds out which requests in flight took effect, and checks that everything else is unchanged.
    pub(crate) fn reconcile(&mut self, wire: &mut Wire) -> io::Result<()> {
        for mine in 0..self.ledger.phones.len() {
            if !std::mem::take(&mut self.ledger.phones[mine].is_stale) {
                continue;
            }
            let token = self.ledger.phones[mine].token.clone();
            let reply = wire.ask("GET", "/v1/devices/me", &token, &Value::Null)?;
            self.ledger.phones[mine].reconcile(&reply);
            let handles = self.ledger.phones[mine].handles.clone();
            let asker = match self.some_phone() {
                Some(asker) => asker,
                None => {
                    self.sign_up(wire)?;
                    self.ledger.phones.len() - 1
                }
            };
            self.ask_handles(wire, asker, &handles)?;
        }
        Ok(())
    }

    /// Picks a random live phone.
    fn some_phone(&mut self) -> Option<usize> {
        let live = |(at, phone): (usize, &Phone)| (phone.gone == Fate::No).then_some(at);
        let mut live: Vec<_> = self.ledger.phones.iter().enumerate().filter_map(live).collect();
        let chosen = self.dice.below(live.len().max(1) as u64) as usize;
        (!live.is_empty()).then(|| live.swap_remove(chosen))
    }

    fn sign_up(&mut self, wire: &mut Wire) -> io::Result<()> {
        let live = self.ledger.phones.iter().filter(|phone| phone.gone == Fate::No);
        if live.count() >= PHONES_MAX {
            return Ok(());
        }
        let reply = wire.ask("POST", "/v1/devices", "", &json!({"platform": "ios"}))?;
        if self.is_done(&reply, 201) {
            self.ledger.phones.push(Phone::new(&reply));
        }
        Ok(())
    }

    fn prove(&mut self, wire: &mut Wire, mine: usize) -> io::Result<()> {
        let phone = &self.ledger.phones[mine];
        if phone.handles.len() >= HANDLES_MAX {
            return Ok(());
        }
        let (handle, token) = (self.own_number(self.proved), phone.token.clone());
        self.proved += 1;
        let claim = json!({"handle": handle});
        let reply = wire.ask("POST", "/v1/devices/me/handles", &token, &claim)?;
        if !self.is_done(&reply, 202) {
            return Ok(());
        }
        let verification = reply.text("verification");
        let code = json!({"code": self.code_for(&verification)?});
        let phone = &mut self.ledger.phones[mine];
        phone.is_stale = true;
        phone.handles.push(Held::maybe(handle));
        let path = format!("/v1/verifications/{verification}");
        let reply = wire.ask("POST", &path, "", &code)?;
        if self.is_done(&reply, 200) {
            self.last_held(mine).bound = Fate::Yes;
        }
        Ok(())
    }

    fn check_in(&mut self, wire: &mut Wire, mine: usize) -> io::Result<()> {
        let token = self.ledger.phones[mine].token.clone();
        let reply = wire.ask("POST", "/v1/devices/me/check-in", &token, &Value::Null)?;
        self.is_done(&reply, 200);
        Ok(())
    }

    fn unbind(&mut self, wire: &mut Wire, mine: usize) -> io::Result<()> {
        let phone = &mut self.ledger.phones[mine];
        let Some(at) = phone.handles.iter().position(Held::is_certainly_bound) else {
            return Ok(());
        };
        phone.is_stale = true;
        phone.handles[at].unbound = Fate::Maybe;
        let (token, handle) = (phone.token.clone(), phone.handles[at].handle.clone());
        let path = format!("/v1/devices/me/handles/{}", handle.replace('+', "%2B"));
        let reply = wire.ask("DELETE", &path, &token, &Value::Null)?;
        if self.is_done(&reply, 204) {
            self.ledger.phones[mine].handles[at].unbound = Fate::Yes;
        }
        Ok(())
    }

    fn sign_out(&mut self, wire: &mut Wire, mine: usize) -> io::Result<()> {
        let phone = &mut self.ledger.phones[mine];
        if phone.handles.iter().any(Held::is_open) {
            return Ok(());
        }
        phone.is_stale = true;
        phone.gone = Fate::Maybe;
        let token = phone.token.clone();
        let reply = wire.ask("DELETE", "/v1/devices/me", &token, &Value::Null)?;
        if self.is_done(&reply, 204) {
            self.ledger.phones[mine].has_gone();
        }
        Ok(())
    }

    /// Looks up a handle that this client may hold, or one that nobody holds.
    fn ask_one(&mut self, wire: &mut Wire, mine: usize) -> io::Result<()> {
        let token = self.ledger.phones[mine].token.clone();
        let held = self.ledger.phones[mine].handles.last().cloned();
        let wanted = match held {
            Some(held) if self.dice.below(2) == 0 => held,
            _ => {
                Held::of_nobody(self.own_number(NUMBERS / 2 + self.dice.clone().below(NUMBERS / 2)))
            }
        };
        self.dice.roll();
        let path = format!("/v1/lookup/{}", wanted.handle.replace('+', "%2B"));
        let reply = wire.ask("GET", &path, &token, &Value::Null)?;
        self.note(&reply, 1);
        if self.is_done(&reply, 200) {
            wanted.check_route(&reply.body);
        }
        Ok(())
    }

    fn ask_many(&mut self, wire: &mut Wire, mine: usize) -> io::Result<()> {
        let mut wanted = self.ledger.phones[mine].handles.clone();
        let first = NUMBERS / 2 + self.dice.below(NUMBERS / 2 - 8);
        let strangers = first..first + 1 + self.dice.below(7);
        wanted.extend(strangers.map(|number| Held::of_nobody(self.own_number(number))));
        self.ask_handles(wire, mine, &wanted)
    }

    /// Looks up a batch and checks the answers.
    fn ask_handles(&mut self, wire: &mut Wire, asker: usize, wanted: &[Held]) -> io::Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let token = self.ledger.phones[asker].token.clone();
        let handles: Vec<_> = wanted.iter().map(|held| held.handle.as_str()).collect();
        let reply = wire.ask("POST", "/v1/lookup", &token, &json!({"handles": handles}))?;
        self.note(&reply, wanted.len());
        if self.is_done(&reply, 200) {
            let answers = reply.body["answers"].as_array().expect("answers");
            assert_eq!(answers.len(), wanted.len(), "{reply:?}");
            wanted.iter().zip(answers).for_each(|(held, answer)| held.check_route(answer));
        }
        Ok(())
    }

    /// Sends an invalid lookup. The log records refusals, too.
    fn ask_nonsense(&mut self, wire: &mut Wire, mine: usize) -> io::Result<()> {
        let (token, expected) = match self.dice.below(2) {
            0 => (self.ledger.phones[mine].token.clone(), 400),
            _ => ("not-a-token".into(), 401),
        };
        let reply = wire.ask("GET", "/v1/lookup/nonsense", &token, &Value::Null)?;
        self.note(&reply, 1);
        self.is_done(&reply, expected);
        Ok(())
    }

    /// Notes that an answered query has this many records in the log from now on.
    fn note(&mut self, reply: &Reply, records: usize) {
        if reply.status < 500 {
            let request = reply.header("x-request-id").expect("every answer has an id");
            self.ledger.answered.insert(request.to_owned(), records);
        }
    }

    /// Whether the request succeeded. Any other answer must be a refusal of the promised form.
    fn is_done(&mut self, reply: &Reply, expected: u16) -> bool {
        if reply.status == expected {
            // If a kill cut the body short, the answer is not usable.
            return reply.is_whole;
        }
        assert!(reply.status >= 500, "expected {expected}: {reply:?}");
        if reply.is_whole {
            let retry_after = reply.header("retry-after").and_then(|text| text.parse().ok());
            assert!(retry_after.is_some_and(|seconds: u32| seconds >= 1), "{reply:?}");
            assert_eq!(reply.header("content-type"), Some("application/problem+json"));
            assert_eq!(reply.body["retry"], "later", "{reply:?}");
            *self.refused.entry(reply.text("code")).or_default() += 1;
        }
        false
    }

    fn last_held(&mut self, mine: usize) -> &mut Held {
        self.ledger.phones[mine].handles.last_mut().expect("it was just pushed")
    }

    fn own_number(&self, number: u64) -> String {
        format!("+1415{:07}", self.number * NUMBERS + number)
    }

    /// The code that was just sent. It is near the end of the outbox.
    fn code_for(&self, verification: &str) -> io::Result<String> {
        let mut file = File::open(&self.outbox)?;
        let from = file.metadata()?.len().saturating_sub(64 * 1024);
        file.seek(SeekFrom::Start(from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let line = text.lines().rev().find(|line| line.contains(verification));
        let line = line.expect("the outbox has the code before the server answers 202");
        let line: Value = serde_json::from_str(line).expect("a line of the outbox is JSON");
        Ok(line["code"].as_str().expect("a code").to_owned())
    }
}
