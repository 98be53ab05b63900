//! Ten thousand lookups of the Rust client while everything fails: a proxy drops, delays, cuts and silences connections, the
//! server is killed and started again, its log cannot be written, and accounts reach their limits. Meanwhile handles change.
//!
//! The test knows when each handle had which route. So it knows whether an answer was true at a moment of its lookup, or was a
//! kept one that may still be reused. An error is allowed. A wrong answer is not, and so is `sms` for a handle that is blue all the
//! time.
//!
//! Faults come by the number of answers, not by time. `DISPATCHD_TEST_SEED` changes the dice.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use dispatchd_client::{
    Answer, Batch, Error, Item, NoAnswer, Options, Patience, Phone, Platform, Route,
    Server as Client, SignUp, Together, Token,
};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    changing::Person,
    proxy::Proxy,
    truth::{Truth, unbacked},
};
use crate::{
    harness::{PATIENCE, Server, say, shared_library},
    load::Dice,
    variables::seed,
};

const ANSWERS: u64 = 10_500;
/// Answers of phones that keep none, so that each is the server's word.
const FRESH_MIN: u64 = 5_000;
const CHANGES_MIN: usize = 200;
const PHONES: u64 = 24;
/// How often a person signs up and out. A person gets few codes a day.
const LIVES: u64 = 4;
/// Handles of each kind: they change, stay blue, stay green.
const OF_A_KIND: usize = 16;
/// Answers between two events: a kill, a disk that is full.
const BETWEEN_EVENTS: u64 = 900;
/// How long a kept answer may be reused: longer than the test takes.
const REUSE: Duration = Duration::from_secs(60);
/// What the proxy must have done or seen so often that it counts.
const FAULTS: [&str; 7] =
    ["dropped", "delayed", "cut while asking", "cut while answering", "silent", "429", "503"];
const FAULTS_MIN: u64 = 5;
/// The least reuse, and a limit that only the greedy phone reaches.
const SETTINGS: &[(&str, &str)] = &[
    ("QUOTA__ENABLED", "true"),
    ("QUOTA__NEW_HANDLES_PER_DAY", "100"),
    ("DISPATCH__REUSE_LIVE", "1m"),
    ("DISPATCH__REUSE_OTHER", "1m"),
    ("LOG__DURABILITY", "os"),
];

/// What the phones saw.
#[derive(Default)]
struct Seen {
    /// Answers of phones that keep none, and of all.
    fresh: Cell<u64>,
    all: Cell<u64>,
    kept: Cell<u64>,
    wrong: RefCell<Vec<String>>,
    /// Routes other than `imessage` for handles that are always blue.
    green_by_error: Cell<u64>,
    errors: RefCell<BTreeMap<String, u64>>,
}

struct World {
    handles: Vec<String>,
    truth: Truth,
    seen: Seen,
    proxy: Proxy,
    started: Instant,
}

impl World {
    /// The handles that change, then those that stay blue, then those that stay green. Each number is of another area.
    fn new(proxy: Proxy) -> Self {
        let handle = |at: usize| match at % 4 {
            3 => format!("person{at}@example.com"),
            _ => format!("+1{}5550123", 201 + 3 * at),
        };
        let handles: Vec<_> = (0..3 * OF_A_KIND).map(handle).collect();
        let route = |(at, handle): (usize, &String)| match at / OF_A_KIND {
            1 => Route::Imessage,
            _ => unbacked(handle),
        };
        let truth = Truth::new(handles.iter().enumerate().map(route));
        Self { handles, truth, seen: Seen::default(), proxy, started: Instant::now() }
    }

    fn is_over(&self) -> bool {
        assert!(self.started.elapsed() < 5 * PATIENCE, "{:?}", self.seen.errors.borrow());
        let happened = || FAULTS.iter().all(|fault| self.proxy.count(fault) >= FAULTS_MIN);
        let is_enough = self.seen.all.get() >= ANSWERS
            && self.seen.fresh.get() >= FRESH_MIN
            && self.truth.changes() > CHANGES_MIN;
        is_enough && happened()
    }

    /// Waits until the phones have so many answers. Returns whether the test goes on.
    async fn reaches(&self, answers: u64) -> bool {
        while self.seen.all.get() < answers && !self.is_over() {
            sleep(Duration::from_millis(2)).await;
        }
        !self.is_over()
    }

    fn failed(&self, error: &Error) {
        let what = match error {
            Error::Refused(problem) if [429, 503].contains(&problem.status) => {
                problem.code.as_str()
            }
            Error::NoAnswer(NoAnswer::NotSent(_)) => "not sent",
            Error::NoAnswer(NoAnswer::Lost(_)) => "lost",
            Error::NoAnswer(NoAnswer::TimedOut) => "timed out",
            _ => panic!("no fault leads to this: {error:?}"),
        };
        *self.seen.errors.borrow_mut().entry(what.to_owned()).or_default() += 1;
    }
}

/// How a phone asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It keeps no answers, so that each is the server's word.
    Fresh,
    Keeping,
    /// It asks for all handles at once, and for more strangers than its limit allows.
    Greedy,
}

/// A phone that asks, and remembers its last answer for each handle.
struct Asker<'a> {
    world: &'a World,
    phone: Phone,
    manner: Manner,
    dice: Dice,
    last: HashMap<usize, (Route, Instant)>,
}

impl Asker<'_> {
    async fn ask_until_the_end(mut self) {
        while !self.world.is_over() {
            let since = Instant::now();
            let at = self.handle();
            let text = self.spelled(at);
            if self.manner == Manner::Greedy {
                self.sweep().await;
            }
            let kind = if self.manner == Manner::Greedy { 0 } else { self.dice.below(5) };
            match kind {
                0 => {
                    let ats = self.group();
                    let texts: Vec<_> = ats.iter().map(|at| self.spelled(*at)).collect();
                    let batch = self.phone.look_up_batch(&texts, Some("US")).await;
                    self.judge_batch(&ats, batch, since);
                }
                1 => {
                    let answer = self.phone.look_up_again(&text, Some("US")).await;
                    // This is the server's word. Without it, an answer to another spelling stays kept.
                    if answer.is_ok() {
                        self.last.remove(&at);
                    }
                    self.judge_one(at, answer, since);
                }
                _ => {
                    let answer = self.phone.look_up(&text, Some("US")).await;
                    self.judge_one(at, answer, since);
                }
            }
        }
    }

    /// With the handles of the test, these are more new ones than a day has. The limit forgets some of them with a kill.
    async fn sweep(&mut self) {
        let strangers: Vec<_> = (100..160).map(|line| format!("+12125550{line}")).collect();
        if let Err(error) = self.phone.look_up_batch(&strangers, None).await {
            self.world.failed(&error);
        }
    }

    /// Different handles: of two spellings of one, the first may have a kept answer, and the second a new one.
    fn group(&mut self) -> Vec<usize> {
        let group: BTreeSet<_> = match self.manner {
            Manner::Greedy => (0..self.world.handles.len()).collect(),
            _ => (0..=self.dice.below(8)).map(|_| self.handle()).collect(),
        };
        group.into_iter().collect()
    }

    fn handle(&mut self) -> usize {
        self.dice.below(self.world.handles.len() as u64) as usize
    }

    fn spelled(&mut self, at: usize) -> String {
        let handle = &self.world.handles[at];
        match (self.dice.below(2), handle.strip_prefix("+1")) {
            (0, Some(number)) => format!("({}) {}-{}", &number[..3], &number[3..6], &number[6..]),
            (0, None) => handle.to_uppercase(),
            _ => handle.clone(),
        }
    }

    fn judge_one(&mut self, at: usize, answer: Result<Answer, Error>, since: Instant) {
        match answer {
            Ok(answer) => self.judge(at, &answer, since),
            Err(error) => self.world.failed(&error),
        }
    }

    fn judge_batch(&mut self, ats: &[usize], batch: Result<Batch, Error>, since: Instant) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return self.world.failed(&error),
        };
        let mut routes = Vec::new();
        for (at, item) in ats.iter().zip(&batch.answers) {
            let Item::Answer(answer) = item else { panic!("each text is a handle: {item:?}") };
            routes.push(answer.route.clone());
            self.judge(*at, answer, since);
        }
        let together = match &routes[..] {
            routes if routes.contains(&Route::None) => Together::None,
            routes if routes.iter().all(|route| *route == routes[0]) => {
                Together::from(routes[0].as_str())
            }
            _ => Together::Mixed,
        };
        assert_eq!((batch.together, routes.len()), (together, ats.len()));
    }

    fn judge(&mut self, at: usize, answer: &Answer, since: Instant) {
        let (world, now) = (self.world, Instant::now());
        let seen = &world.seen;
        seen.all.update(|all| all + 1);
        if self.manner == Manner::Fresh {
            seen.fresh.update(|fresh| fresh + 1);
        }
        if at / OF_A_KIND == 1 && answer.route != Route::Imessage {
            seen.green_by_error.update(|errors| errors + 1);
        }
        let is_same = answer.handle == world.handles[at];
        let is_kept = self.manner == Manner::Keeping
            && self
                .last
                .get(&at)
                .is_some_and(|(route, told)| *route == answer.route && told.elapsed() <= REUSE);
        if is_kept {
            seen.kept.update(|kept| kept + 1);
        }
        if !is_same || !(is_kept || world.truth.may_be(at, &answer.route, since, now)) {
            let route = answer.route.as_str();
            let keeps = self.manner == Manner::Keeping;
            seen.wrong.borrow_mut().push(format!("handle {at}: {route}, keeps: {keeps}"));
        }
        // A kept answer is as old as its first telling.
        if !is_kept {
            self.last.insert(at, (answer.route.clone(), since));
        }
    }
}

/// Every few hundred answers the server is killed, or its log cannot be written for a while. Returns the number of kills.
async fn break_things(world: &World, server: &mut Server, control: &Path) -> u64 {
    let mut kills = 0;
    for event in 1.. {
        if !world.reaches(event * BETWEEN_EVENTS).await {
            return kills;
        }
        if event % 2 == 1 {
            server.kill();
            kills += 1;
            server.spawn().await;
            world.proxy.lead_to(&server.phones);
        } else {
            let before = world.proxy.count("503");
            put(control, "write .frames 0 1000000 errno 28\n");
            while world.proxy.count("503") < before + 20 && !world.is_over() {
                sleep(Duration::from_millis(2)).await;
            }
            put(control, "");
        }
    }
    kills
}

fn put(control: &Path, text: &str) {
    fs::write(control.with_extension("next"), text).unwrap();
    fs::rename(control.with_extension("next"), control).unwrap();
}

/// A server whose disk the file `control` breaks.
async fn breakable(folder: &Path, control: &Path) -> Server {
    put(control, "");
    let mut server = Server::stopped(&folder.join("data"), SETTINGS);
    let library = shared_library("disk_faults");
    server.set_process_env(&[
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("DISK_FAULTS", control.to_str().unwrap()),
    ]);
    server.spawn().await;
    server
}

/// A client of the proxy with little patience, because faults are many.
fn client(proxy: &Proxy, kept_answers: usize, deadline: Duration, attempt: Duration) -> Client {
    let first_wait = Duration::from_millis(10);
    let patience = Patience { attempts: 4, deadline, attempt, first_wait };
    let http = Some(crate::harness::client().build().unwrap());
    Client::new(&proxy.url, Options { patience, kept_answers, http }).unwrap()
}

#[tokio::test]
async fn no_fault_makes_a_wrong_answer() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("control");
    let mut server = breakable(folder.path(), &control).await;
    let mut world = World::new(Proxy::start(&server.phones, seed));
    let ann = server.sign_up().await;
    for handle in &world.handles[OF_A_KIND..2 * OF_A_KIND] {
        server.prove(&ann, handle).await;
    }
    world.started = Instant::now();
    let (world, outbox) = (&world, server.data.join("outbox.ndjson"));
    let proxy = &world.proxy;
    // A request that took too long may be done after its repeat. So a change has much time.
    let (milliseconds, seconds) = (Duration::from_millis, Duration::from_secs);
    let changing = &client(proxy, 0, seconds(20), seconds(5));
    let live = async |number: usize| {
        let (truth, outbox, handle) = (&world.truth, &outbox, &world.handles[number]);
        let person = Person { server: changing, truth, outbox, handle, number };
        for turn in 0..LIVES {
            let place = turn * OF_A_KIND as u64 + number as u64;
            if world.reaches(place * ANSWERS / (LIVES * OF_A_KIND as u64)).await {
                person.live(turn).await;
            }
        }
    };
    // Phones that keep answers wait as the server asks them to. The others give up before that, and ask again.
    let keeping = &client(proxy, 1_000, seconds(20), milliseconds(500));
    let asking = &client(proxy, 0, seconds(1), milliseconds(500));
    let ask = async |number: u64| {
        let manner = match number {
            0 => Manner::Greedy,
            number if number.is_multiple_of(4) => Manner::Keeping,
            _ => Manner::Fresh,
        };
        let client = if manner == Manner::Keeping { keeping } else { asking };
        let device = loop {
            match client.sign_up(&SignUp::new(Platform::Ios)).await {
                Ok(device) => break device,
                Err(error) => world.failed(&error),
            }
        };
        let (phone, dice) = (client.phone(device.token), Dice::new(seed + number));
        Asker { world, phone, manner, dice, last: HashMap::new() }.ask_until_the_end().await;
    };
    let (kills, ..) = tokio::join!(
        break_things(world, &mut server, &control),
        join_all((0..OF_A_KIND).map(live)),
        join_all((0..PHONES).map(ask)),
    );
    report(world, kills);
}

fn report(world: &World, kills: u64) {
    let (seen, counts) = (&world.seen, world.proxy.counts());
    let wrong = seen.wrong.borrow();
    say(&format!(
        "{} lookups answered in {:?}, {} of them the server's word, {} kept answers; {} changes, {kills} kills; by the proxy: {counts:?}; errors: {:?}; \
         wrong = {}, green by error = {}",
        seen.all.get(),
        world.started.elapsed(),
        seen.fresh.get(),
        seen.kept.get(),
        world.truth.changes(),
        seen.errors.borrow(),
        wrong.len(),
        seen.green_by_error.get(),
    ));
    assert_eq!((wrong.len(), seen.green_by_error.get()), (0, 0), "{wrong:#?}");
    assert!(kills >= 3 && seen.kept.get() > 100, "{kills} kills");
}

/// The judge of the test above, with answers as a broken client would give them.
#[tokio::test]
async fn a_wrong_answer_is_noticed() {
    let world = World::new(Proxy::start("127.0.0.1:9", 0));
    let told = |at: usize, route| {
        let (input, handle) = (String::new(), world.handles[at].clone());
        Answer { input, handle, route, subject: None, expires_in: 60 }
    };
    let phone = client(&world.proxy, 0, PATIENCE, PATIENCE).phone(Token::new("dd_x").unwrap());
    let (dice, last) = (Dice::new(0), HashMap::new());
    let mut asker = Asker { world: &world, phone, manner: Manner::Fresh, dice, last };
    let counts = || (world.seen.wrong.borrow().len(), world.seen.green_by_error.get());
    let blue = OF_A_KIND;
    asker.judge(blue, &told(blue, Route::Imessage), Instant::now());
    assert_eq!(counts(), (0, 0));
    asker.judge(blue, &told(blue, Route::Sms), Instant::now());
    assert_eq!(counts(), (1, 1), "an error that became sms");
    asker.judge(blue, &told(blue + 1, Route::Imessage), Instant::now());
    assert_eq!(counts(), (2, 1), "the answer to another question");
    // A route that was true before the lookup is right only as a kept answer.
    asker.judge(0, &told(0, Route::Sms), Instant::now());
    world.truth.begin(0, Route::Imessage);
    world.truth.end(0);
    sleep(Duration::from_millis(1)).await;
    asker.judge(0, &told(0, Route::Sms), Instant::now());
    assert_eq!(counts(), (3, 1), "an answer that nobody kept");
    asker.manner = Manner::Keeping;
    asker.last.insert(0, (Route::Sms, Instant::now()));
    asker.judge(0, &told(0, Route::Sms), Instant::now());
    assert_eq!(counts(), (3, 1), "a kept answer");
}
