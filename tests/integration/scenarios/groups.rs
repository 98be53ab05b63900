//! Groups whose members change while clients look all of them up at once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    connection::Wire,
    harness::{Device, Server, say},
    load::Dice,
    timed::Timed,
    variables::seed,
};

const MEMBERS: [&str; 6] = [
    "+14155550120",
    "+14155550121",
    "+14155550122",
    "+14155550123",
    "+14155550124",
    "eva@example.com",
];
/// How often each batch names each member. A long batch takes long to decide, and all of its answers must agree.
const TIMES: usize = 60;
const CHANGES: usize = 400;
const ASKERS: u64 = 3;
const LEASE: Duration = Duration::from_secs(60);
/// The limit is ten codes a day for a handle, and the setup needs one.
const MOVES_MAX: usize = 8;

/// The holder of each member, as strangers see it.
type Seen = Vec<Option<usize>>;

/// Two people, and which of them holds each member's handle.
struct Group<'a> {
    timed: &'a Timed,
    wire: Wire,
    people: [Device; 2],
    held_by: [usize; MEMBERS.len()],
    moves: [usize; MEMBERS.len()],
    is_hidden: [bool; MEMBERS.len()],
    live_until: [Duration; 2],
    now: Duration,
}

/// A state that became true between `begun` and `done`.
struct Truth {
    begun: Instant,
    done: Instant,
    seen: Seen,
}

/// The answers to one batch, and when they came.
struct Observation {
    asked: Instant,
    answered: Instant,
    seen: Seen,
}

impl Group<'_> {
    fn seen(&self) -> Seen {
        let of_member = |member: usize| {
            let holder = self.held_by[member];
            let is_seen = !self.is_hidden[member] && self.now < self.live_until[holder];
            is_seen.then_some(holder)
        };
        (0..MEMBERS.len()).map(of_member).collect()
    }

    /// Makes one change. A check-in and the passing of time affect all handles of a person at once.
    fn change(&mut self, dice: &mut Dice) {
        let (person, member) = (dice.below(2) as usize, dice.below(6) as usize);
        match dice.below(10) {
            0..4 => self.check_in(person),
            4..7 => self.pass([20, 45, 61][dice.below(3) as usize]),
            7..9 => self.hide_or_show(member),
            _ if self.moves[member] < MOVES_MAX => self.prove(1 - self.held_by[member], member),
            _ => self.check_in(person),
        }
    }

    fn check_in(&mut self, person: usize) {
        let token = &self.people[person].token;
        let path = "/v1/devices/me/check-in";
        let reply = self.wire.ask("POST", path, token, &Value::Null).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        self.live_until[person] = self.now + LEASE;
    }

    fn pass(&mut self, seconds: u64) {
        let span = Duration::from_secs(seconds);
        self.timed.clock.advance(span);
        self.now += span;
    }

    fn hide_or_show(&mut self, member: usize) {
        let token = &self.people[self.held_by[member]].token;
        let path = format!("/v1/devices/me/handles/{}", MEMBERS[member]);
        let body = json!({"discoverable": self.is_hidden[member]});
        let reply = self.wire.ask("PATCH", &path, token, &body).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        self.is_hidden[member] ^= true;
    }

    fn prove(&mut self, person: usize, member: usize) {
        let (token, body) = (&self.people[person].token, json!({"handle": MEMBERS[member]}));
        let sent = self.wire.ask("POST", "/v1/devices/me/handles", token, &body).unwrap();
        let verification = sent.text("verification");
        let code = json!({"code": self.timed.server.code_for(&verification)});
        let path = format!("/v1/verifications/{verification}");
        let reply = self.wire.ask("POST", &path, "", &code).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        self.held_by[member] = person;
        self.is_hidden[member] = false;
        self.moves[member] += 1;
    }
}

/// The common route of all answers, computed from the answers alone.
fn in_common(answers: &[Value]) -> &str {
    let routes = || answers.iter().map(|answer| answer["route"].as_str().unwrap());
    let first = routes().next().unwrap();
    if routes().any(|route| route == "none") {
        "none"
    } else if routes().all(|route| route == first) {
        first
    } else {
        "mixed"
    }
}

/// The holder of each member by these answers. Answers for the same member must agree.
fn seen_in(asked_for: &[&str], answers: &[Value], subjects: &[Value; 2]) -> Seen {
    let holder = |answer: &Value| {
        let subject = answer.get("subject")?;
        Some(subjects.iter().position(|known| known == subject).expect("one of the two"))
    };
    let of_member = |member: &&str| {
        let is_of_member = |(handle, _): &(&&str, &Value)| *handle == member;
        let items = asked_for.iter().zip(answers).filter(is_of_member);
        let mut holders = items.map(|(_, answer)| holder(answer));
        let first = holders.next().expect("the batch names every member");
        assert!(
            holders.all(|other| other == first),
            "one batch has two different answers for {member}"
        );
        first
    };
    MEMBERS.iter().map(of_member).collect()
}

/// Looks the group up until the test ends, each time in another order.
fn ask(
    server: &Server,
    asker: &Device,
    subjects: &[Value; 2],
    mut dice: Dice,
    is_over: &AtomicBool,
) -> Vec<Observation> {
    let mut wire = Wire::connect(&server.phones).unwrap();
    let mut handles = MEMBERS.repeat(TIMES);
    let mut all = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        for last in (1..handles.len()).rev() {
            handles.swap(last, dice.below(last as u64 + 1) as usize);
        }
        let asked = Instant::now();
        let body = json!({"handles": handles});
        let reply = wire.ask("POST", "/v1/lookup", &asker.token, &body).unwrap();
        let answered = Instant::now();
        let answers = reply.body["answers"].as_array().unwrap();
        assert_eq!(reply.text("together"), in_common(answers));
        all.push(Observation { asked, answered, seen: seen_in(&handles, answers, subjects) });
    }
    all
}

/// Changes the group. Returns all states in order.
fn change(group: &mut Group<'_>, dice: &mut Dice) -> Vec<Truth> {
    let now = Instant::now();
    let mut truths = vec![Truth { begun: now, done: now, seen: group.seen() }];
    for _ in 0..CHANGES {
        let begun = Instant::now();
        group.change(dice);
        truths.push(Truth { begun, done: Instant::now(), seen: group.seen() });
    }
    truths
}

fn check(observed: &[Observation], truths: &[Truth]) {
    for observed in observed {
        let may_be_meant = |at: &usize| {
            let is_over_before = truths.get(at + 1).is_some_and(|next| next.done < observed.asked);
            !is_over_before && truths[*at].begun <= observed.answered
        };
        let candidates: Vec<_> =
            (0..truths.len()).filter(may_be_meant).map(|at| &truths[at].seen).collect();
        assert!(
            candidates.contains(&&observed.seen),
            "observed {:?}, but only {candidates:?} were true meanwhile",
            observed.seen
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_answered_from_one_point_in_time_while_members_change() {
    let seed = seed();
    println!("DISPATCHD_TEST_SEED={seed}");
    let mut timed = Timed::with_lease(LEASE).await;
    let server = &timed.server;
    let (ann, eva, ben) = (server.sign_up().await, server.sign_up().await, server.sign_up().await);
    for (place, member) in MEMBERS.iter().enumerate() {
        server.prove([&ann, &eva][place / 3], member).await;
    }
    let of_ann = server.lookup(&ben, MEMBERS[0]).await.1["subject"].clone();
    let of_eva = server.lookup(&ben, MEMBERS[5]).await.1["subject"].clone();
    let (subjects, is_over) = ([of_ann, of_eva], AtomicBool::new(false));
    let mut group = Group {
        timed: &timed,
        wire: Wire::connect(&server.phones).unwrap(),
        people: [ann, eva],
        held_by: [0, 0, 0, 1, 1, 1],
        moves: [0; MEMBERS.len()],
        is_hidden: [false; MEMBERS.len()],
        live_until: [LEASE; 2],
        now: Duration::ZERO,
    };
    let mut dice = Dice::new(seed);
    let (truths, observed) = thread::scope(|scope| {
        let askers = (0..ASKERS).map(|number| {
            let dice = Dice::new(seed ^ ((number + 1) << 32));
            let (server, ben, subjects, is_over) = (&timed.server, &ben, &subjects, &is_over);
            scope.spawn(move || ask(server, ben, subjects, dice, is_over))
        });
        let askers: Vec<_> = askers.collect();
        let truths = change(&mut group, &mut dice);
        is_over.store(true, Ordering::SeqCst);
        let observed: Vec<_> = askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect();
        (truths, observed)
    });
    check(&observed, &truths);
    say(&format!("{} answers for a group while it changed {CHANGES} times", observed.len()));
    assert!(observed.len() > 50, "too few batches");
    timed.stop().await;
}
