//! Histories: whatever many clients do to one handle at once, what each of them was told fits one order of all their
//! calls, in which every call has its place between its beginning and its end.
//!
//! Each round has a handle of its own. Writers prove it, give it up, hide it, show it, take it back and sign out, from two
//! devices of each of two accounts, while askers look it up; then every order that the times allow is tried, until one
//! explains all answers. `DISPATCHD_TEST_HISTORIES` says how many rounds (60), `DISPATCHD_TEST_SEED` repeats a run as far
//! as scheduling allows.

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
    wire::{call, link},
};

const ASKERS: u64 = 3;
const LOOKUPS: usize = 7;
const WRITERS: usize = 3;
const CHANGES: usize = 3;
/// An account may be sent fifty codes a day, and is sent two a round.
const ROUNDS_OF_AN_ACCOUNT: u64 = 20;

/// Something that a client does. Devices have numbers: 0 and 1 are of account 0, 2 and 3 of account 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Prove(usize),
    GiveUp(usize),
    Hide(usize),
    Show(usize),
    SignOut(usize),
    TakeBack,
    Look,
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Done,
    NotBound,
    TokenInvalid,
    /// The account that the handle is seen to be of.
    Holder(Option<usize>),
}

#[derive(Clone, Copy, Debug)]
struct Call {
    act: Act,
    told: Told,
    begun: Instant,
    done: Instant,
}

/// One handle, and who has signed out. Devices are bits.
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

    /// What `act` does here, and what whoever does it is told.
    fn after(mut self, act: Act) -> (Self, Told) {
        let device = match act {
            Act::Look => return (self, Told::Holder(self.holder().filter(|_| !self.is_hidden))),
            Act::TakeBack => return (Self { backed_by: 0, ..self }, Told::Done),
            Act::Prove(device)
            | Act::GiveUp(device)
            | Act::Hide(device)
            | Act::Show(device)
            | Act::SignOut(device) => device,
        };
        let bit = 1 << device;
        if self.gone & bit != 0 {
            return (self, Told::TokenInvalid);
        }
        match act {
            Act::Prove(_) if self.holder() == Some(device / 2) => self.backed_by |= bit,
            Act::Prove(_) => (self.backed_by, self.is_hidden) = (bit, false),
            Act::SignOut(_) => {
                self.backed_by &= !bit;
                self.gone |= bit;
            }
            _ if self.backed_by & bit == 0 => return (self, Told::NotBound),
            Act::GiveUp(_) => self.backed_by &= !bit,
            _ => self.is_hidden = matches!(act, Act::Hide(_)),
        }
        (self, Told::Done)
    }
}

/// Whether some order of the calls, none before another that had ended when it began, explains what all were told.
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
            let (next, told) = state.after(call.act);
            let place = (placed | 1 << at, next);
            if told == call.told && seen.insert(place) {
                open.push(place);
            }
        }
    }
    false
}

/// The four devices, whose handles a stranger looks up.
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

/// One round's handle, with a code for each device to prove it and one to take it back.
struct Round<'a> {
    server: &'a Server,
    people: &'a People,
    handle: &'a str,
    /// Verifications with their codes; the last takes back.
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

    /// Everything that everyone did, all starting at once.
    fn play(&self, dice: &mut Dice) -> Vec<Call> {
        let mut lists = changes(dice);
        lists.extend((0..ASKERS).map(|_| vec![Act::Look; LOOKUPS]));
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
            Act::Look if in_batch => {
                let body = json!({"handles": [self.handle]});
                ("POST", "/v1/lookup".to_owned(), &*self.people.asker.token, body)
            }
            Act::Look => {
                let path = format!("/v1/lookup/{}", self.handle);
                ("GET", path, &*self.people.asker.token, Value::Null)
            }
        };
        let begun = Instant::now();
        let reply = wire.ask(method, &path, token, &body).expect("it answers");
        let done = Instant::now();
        let told = match (act, reply.status) {
            (Act::Look, 200) => {
                let answer = if in_batch { &reply.body["answers"][0] } else { &reply.body };
                let subjects = &self.people.subjects;
                let holder = answer.get("subject").map(|seen| {
                    subjects.iter().position(|known| known == seen).expect("one of the two")
                });
                assert_eq!(answer["route"] == "imessage", holder.is_some(), "{reply:?}");
                Told::Holder(holder)
            }
            (_, 200 | 204) => Told::Done,
            (_, 404) => Told::NotBound,
            (_, 401) => Told::TokenInvalid,
            _ => panic!("{act:?}: {reply:?}"),
        };
        Call { act, told, begun, done }
    }
}

/// What each writer does. Codes are good once, and one device of each account stays.
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

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test]
async fn what_everyone_is_told_fits_one_order() {
    let rounds = from_env("DISPATCHD_TEST_HISTORIES", 60);
    let seed = from_env("DISPATCHD_TEST_SEED", u64::from(std::process::id()));
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
        let looks = calls.iter().filter(|call| call.act == Act::Look);
        lookups += looks.clone().count();
        blue += looks.filter(|call| call.told != Told::Holder(None)).count();
        for call in calls {
            if let (Act::SignOut(device), Told::Done) = (call.act, call.told) {
                people.devices[device] = link(&server, &people.devices[device - 1]).await;
            }
        }
    }
    say(&format!("{rounds} histories, {lookups} lookups, {blue} of them blue"));
    assert!(blue * 20 > lookups && blue * 20 < lookups * 19, "hardly anything changed");
}

#[test]
fn an_order_is_found_where_there_is_one_and_only_there() {
    let start = Instant::now();
    let call = |act, told, begun, done| {
        let after = |millis| start + std::time::Duration::from_millis(millis);
        Call { act, told, begun: after(begun), done: after(done) }
    };
    let proved = call(Act::Prove(0), Told::Done, 0, 10);
    let seen = |begun, done| call(Act::Look, Told::Holder(Some(0)), begun, done);
    let unseen = |begun, done| call(Act::Look, Told::Holder(None), begun, done);
    assert!(has_an_order(&[proved, unseen(1, 2), seen(3, 4), seen(11, 12)]));
    assert!(!has_an_order(&[proved, unseen(11, 12)]), "seen too late");
    assert!(!has_an_order(&[proved, seen(1, 2), unseen(3, 4)]), "forth and back");
    let moved = call(Act::Prove(2), Told::Done, 20, 30);
    assert!(!has_an_order(&[proved, moved, seen(31, 32)]), "the older proof");
    let hidden = call(Act::Hide(0), Told::NotBound, 40, 50);
    assert!(has_an_order(&[proved, moved, hidden]));
    assert!(!has_an_order(&[proved, hidden]), "it was bound");
}
