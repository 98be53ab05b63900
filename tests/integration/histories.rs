//! Linearizability: whatever many clients do to one handle at once, their answers fit one order of all calls. In that
//! order, each call takes effect between its start and its end.
//!
//! Each round uses a new handle. Writers on two devices of each of two accounts prove it, unbind it, hide it, show
//! it, deregister it and sign out. Askers look it up meanwhile. Then the test tries every order that the times allow,
//! until one explains all answers.
//!
//! `DISPATCHD_TEST_HISTORIES` sets the number of rounds (60). `DISPATCHD_TEST_SEED` repeats a run as far as
//! scheduling allows.

use std::{
    collections::{HashMap, HashSet},
    sync::Barrier,
    thread,
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    connection::Wire,
    handles::claim,
    harness::{Device, Server, say},
    load::Dice,
    variables::{from_env, seed},
    wire::{call, link},
};

const ASKERS: u64 = 3;
const LOOKUPS: usize = 7;
const WRITERS: usize = 3;
const CHANGES: usize = 3;
/// The limit is fifty codes a day for an account, and each round sends two.
const ROUNDS_OF_AN_ACCOUNT: u64 = 20;

/// An action of a client. Devices 0 and 1 belong to account 0, devices 2 and 3 to account 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Prove(usize),
    GiveUp(usize),
    Hide(usize),
    Show(usize),
    SignOut(usize),
    TakeBack,
    Lookup,
}

/// The server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    NotBound,
    TokenInvalid,
    /// The account that a lookup shows as the holder of the handle.
    Holder(Option<usize>),
}

#[derive(Clone, Copy, Debug)]
struct Call {
    act: Act,
    answer: Answer,
    begun: Instant,
    done: Instant,
}

/// The state of one handle, and the devices that signed out. Each bit is a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    backed_by: u8,
    is_hidden: bool,
    gone: u8,
}

impl State {
    fn holder(self) -> Option<usize> {
        (self.backed_by != 0).then(|| usize::from(self.backed_by & 0b11 == 0))
    }

    /// The state after `act`, and the answer that the client must get.
    fn after(mut self, act: Act) -> (Self, Answer) {
        let device = match act {
            Act::Lookup => {
                return (self, Answer::Holder(self.holder().filter(|_| !self.is_hidden)));
            }
            Act::TakeBack => return (Self { backed_by: 0, ..self }, Answer::Done),
            Act::Prove(device)
            | Act::GiveUp(device)
            | Act::Hide(device)
            | Act::Show(device)
            | Act::SignOut(device) => device,
        };
        let bit = 1 << device;
        if self.gone & bit != 0 {
            return (self, Answer::TokenInvalid);
        }
        match act {
            Act::Prove(_) if self.holder() == Some(device / 2) => self.backed_by |= bit,
            Act::Prove(_) => (self.backed_by, self.is_hidden) = (bit, false),
            Act::SignOut(_) => {
                self.backed_by &= !bit;
                self.gone |= bit;
            }
            _ if self.backed_by & bit == 0 => return (self, Answer::NotBound),
            Act::GiveUp(_) => self.backed_by &= !bit,
            _ => self.is_hidden = matches!(act, Act::Hide(_)),
        }
        (self, Answer::Done)
    }
}

/// Whether some order of the calls explains all answers. A call that ended before another began must come first.
fn has_an_order(calls: &[Call]) -> bool {
    let all = (1_u64 << calls.len()) - 1;
    let mut open = vec![(0_u64, State::default())];
    let mut seen: HashSet<_> = open.iter().copied().collect();
    while let Some((placed, state)) = open.pop() {
        if placed == all {
            return true;
        }
        let left = || calls.iter().enumerate().filter(|(at, _)| placed >> at & 1 == 0);
        let first_done = left().map(|(_, call)| call.done).min().unwrap();
        for (at, call) in left().filter(|(_, call)| call.begun <= first_done) {
            let (next, answer) = state.after(call.act);
            let place = (placed | 1 << at, next);
            if answer == call.answer && seen.insert(place) {
                open.push(place);
            }
        }
    }
    false
}

/// The four devices, and a stranger who asked up their handles.
struct People {
    devices: Vec<Device>,
    subjects: Vec<Value>,
    asker: Device,
}

impl People {
    async fn sign_up(server: &Server, number: u64) -> Self {
        let asker = server.sign_up().await;
        let (mut devices, mut subjects) = (Vec::new(), Vec::new());
        for account in 0..2 {
            let (first, address) =
                (server.sign_up().await, format!("p{number}-{account}@example.com"));
            server.prove(&first, &address).await;
            subjects.push(server.lookup(&asker, &address).await.1["subject"].clone());
            let second = link(server, &first).await;
            devices.extend([first, second]);
        }
        Self { devices, subjects, asker }
    }
}

/// The handle of one round, with a code for each device to prove it and one to deregister it.
struct Round<'a> {
    server: &'a Server,
    people: &'a People,
    handle: &'a str,
    /// Paths of verifications with their codes. The last one deregisters the handle.
    codes: Vec<(String, Value)>,
}

impl<'a> Round<'a> {
    async fn prepare(server: &'a Server, people: &'a People, handle: &'a str) -> Self {
        let mut verifications = Vec::new();
        for device in &people.devices {
            let sent = claim(server, device, json!({"handle": handle})).await;
            verifications.push(sent.is(202, SENT)["verification"].clone());
        }
        let body = Some(json!({"handle": handle}));
        let sent = call(server, reqwest::Method::POST, "/v1/deregistrations", None, body).await;
        verifications.push(sent.is(202, SENT)["verification"].clone());
        let outbox = server.outbox();
        let sent: HashMap<_, _> =
            outbox.iter().map(|line| (line["verification"].as_str(), &line["code"])).collect();
        let codes = verifications.iter().map(|verification| {
            let code = json!({"code": sent[&verification.as_str()]});
            (format!("/v1/verifications/{}", verification.as_str().unwrap()), code)
        });
        Self { server, people, handle, codes: codes.collect() }
    }

    /// Starts all clients at once and returns all their calls.
    fn play(&self, dice: &mut Dice) -> Vec<Call> {
        let mut lists = changes(dice);
        lists.extend((0..ASKERS).map(|_| vec![Act::Lookup; LOOKUPS]));
        let start = Barrier::new(lists.len());
        thread::scope(|scope| {
            let clients = lists.into_iter().enumerate().map(|(number, acts)| {
                let start = &start;
                scope.spawn(move || {
                    let mut wire = Wire::connect(&self.server.phones).unwrap();
                    start.wait();
                    let acts = acts.into_iter().enumerate();
                    let call = |(turn, act)| self.call(&mut wire, act, (number + turn) % 2 == 0);
                    acts.map(call).collect::<Vec<_>>()
                })
            });
            let clients: Vec<_> = clients.collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        })
    }

    fn call(&self, wire: &mut Wire, act: Act, in_batch: bool) -> Call {
        let token = |device: usize| self.people.devices[device].token.as_str();
        let own = format!("/v1/devices/me/handles/{}", self.handle);
        let shown = |is_so: bool| json!({"discoverable": is_so});
        let (method, path, token, body) = match act {
            Act::Prove(device) => {
                let (path, code) = &self.codes[device];
                ("POST", path.clone(), "", code.clone())
            }
            Act::TakeBack => {
                let (path, code) = &self.codes[4];
                ("POST", path.clone(), "", code.clone())
            }
            Act::GiveUp(device) => ("DELETE", own, token(device), Value::Null),
            Act::Hide(device) => ("PATCH", own, token(device), shown(false)),
            Act::Show(device) => ("PATCH", own, token(device), shown(true)),
            Act::SignOut(device) => {
                ("DELETE", "/v1/devices/me".to_owned(), token(device), Value::Null)
            }
            Act::Lookup if in_batch => {
                let body = json!({"handles": [self.handle]});
                ("POST", "/v1/lookup".to_owned(), &*self.people.asker.token, body)
            }
            Act::Lookup => {
                let path = format!("/v1/lookup/{}", self.handle);
                ("GET", path, &*self.people.asker.token, Value::Null)
            }
        };
        let begun = Instant::now();
        let reply = wire.ask(method, &path, token, &body).expect("it answers");
        let done = Instant::now();
        let answer = match (act, reply.status) {
            (Act::Lookup, 200) => {
                let answer = if in_batch { &reply.body["answers"][0] } else { &reply.body };
                let subjects = &self.people.subjects;
                let holder = answer.get("subject").map(|seen| {
                    subjects.iter().position(|known| known == seen).expect("one of the two")
                });
                assert_eq!(answer["route"] == "imessage", holder.is_some(), "{reply:?}");
                Answer::Holder(holder)
            }
            (_, 200 | 204) => Answer::Done,
            (_, 404) => Answer::NotBound,
            (_, 401) => Answer::TokenInvalid,
            _ => panic!("{act:?}: {reply:?}"),
        };
        Call { act, answer, begun, done }
    }
}

/// The actions of each writer. A code is valid once, and one device of each account stays signed in.
fn changes(dice: &mut Dice) -> Vec<Vec<Act>> {
    let mut proofs = vec![0, 1, 2, 3];
    let (mut is_back, mut is_out) = (false, false);
    let mut some = || loop {
        let device = dice.below(4) as usize;
        let act = match dice.below(12) {
            0..5 if !proofs.is_empty() => {
                Act::Prove(proofs.swap_remove(dice.below(proofs.len() as u64) as usize))
            }
            5..7 => Act::GiveUp(device),
            7..9 => Act::Hide(device),
            9 => Act::Show(device),
            10 if !std::mem::replace(&mut is_back, true) => Act::TakeBack,
            11 if !std::mem::replace(&mut is_out, true) => Act::SignOut(device | 1),
            _ => continue,
        };
        return act;
    };
    (0..WRITERS).map(|_| (0..CHANGES).map(|_| some()).collect()).collect()
}

const SENT: &[&str] =
    &["verification", "handle", "sent_by", "expires_at", "next_send_at", "attempts_left"];

#[tokio::test]
async fn the_answers_to_everyone_fit_one_order() {
    let rounds = from_env("DISPATCHD_TEST_HISTORIES", 60);
    let seed = seed();
    println!("DISPATCHD_TEST_SEED={seed}");
    let server = Server::start_with(&[("LOG__DURABILITY", "os")]).await;
    let mut people = People::sign_up(&server, 0).await;
    let (mut dice, mut blue, mut lookups) = (Dice::new(seed), 0, 0);
    for number in 0..rounds {
        if number % ROUNDS_OF_AN_ACCOUNT == ROUNDS_OF_AN_ACCOUNT - 1 {
            people = People::sign_up(&server, number).await;
        }
        let handle = format!("+1415{number:07}");
        let mut calls = Round::prepare(&server, &people, &handle).await.play(&mut dice);
        calls.sort_by_key(|call| call.begun);
        assert!(has_an_order(&calls), "DISPATCHD_TEST_SEED={seed}, round {number}: {calls:#?}");
        let asked = calls.iter().filter(|call| call.act == Act::Lookup);
        lookups += asked.clone().count();
        blue += asked.filter(|call| call.answer != Answer::Holder(None)).count();
        for call in calls {
            if let (Act::SignOut(device), Answer::Done) = (call.act, call.answer) {
                people.devices[device] = link(&server, &people.devices[device - 1]).await;
            }
        }
    }
    say(&format!("{rounds} histories, {lookups} lookups, {blue} of them blue"));
    assert!(blue * 20 > lookups && blue * 20 < lookups * 19, "too few route changes");
}

#[test]
fn an_order_is_found_where_there_is_one_and_only_there() {
    let start = Instant::now();
    let call = |act, answer, begun, done| {
        let after = |millis| start + std::time::Duration::from_millis(millis);
        Call { act, answer, begun: after(begun), done: after(done) }
    };
    let proved = call(Act::Prove(0), Answer::Done, 0, 10);
    let seen = |begun, done| call(Act::Lookup, Answer::Holder(Some(0)), begun, done);
    let unseen = |begun, done| call(Act::Lookup, Answer::Holder(None), begun, done);
    assert!(has_an_order(&[proved, unseen(1, 2), seen(3, 4), seen(11, 12)]));
    assert!(!has_an_order(&[proved, unseen(11, 12)]), "the lookup after the proof must see it");
    assert!(
        !has_an_order(&[proved, seen(1, 2), unseen(3, 4)]),
        "a later lookup must not see an older state"
    );
    let moved = call(Act::Prove(2), Answer::Done, 20, 30);
    assert!(!has_an_order(&[proved, moved, seen(31, 32)]), "the newer proof must win");
    let hidden = call(Act::Hide(0), Answer::NotBound, 40, 50);
    assert!(has_an_order(&[proved, moved, hidden]));
    assert!(!has_an_order(&[proved, hidden]), "the handle was bound");
}
