//! The clients: accounts that prove, hide, show and give up a few hot handles at all nodes, and askers who look them up.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use crate::{
    dice::Dice,
    history::{Actor, History, Lookup, Outcome, STRANGER, What},
    service::{Phone, Service},
};

/// Handles that are fought over at one time, accounts that fight over each, and askers at each node.
const HOT: usize = 3;
const RIVALS: usize = 3;
const ASKERS: usize = 2;
/// Proofs of one handle before another takes its place: fewer than the codes that a handle is sent in a day.
const PROOFS: usize = 7;
/// What an account does before a new one takes its place.
const STEPS: u64 = 40;
/// Before a call that was refused or is in doubt is followed by another one.
const PAUSE: Duration = Duration::from_millis(100);

/// How fast the clients are.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// The longest pause between two changes of an account.
    pub(crate) change: Duration,
    /// The longest pause between two lookups of an asker.
    pub(crate) look_up: Duration,
}

/// A handle that is fought over.
#[derive(Clone)]
struct Hot {
    number: usize,
    proofs: usize,
}

/// All clients of one run.
pub(crate) struct Traffic<S> {
    service: Arc<S>,
    pub(crate) history: Arc<History>,
    pace: Pace,
    handles: Mutex<usize>,
    hot: Mutex<Vec<Hot>>,
    /// The device of each account.
    devices: Mutex<Vec<String>>,
    askers: Mutex<Vec<Phone>>,
    /// What each asker calls each account.
    names: Mutex<HashMap<(usize, String), Actor>>,
    is_over: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of a handle.
pub(crate) fn handle_text(number: usize) -> String {
    format!("cluster{number}@example.org")
}

/// The number of a handle.
pub(crate) fn handle_number(text: &str) -> Option<usize> {
    text.strip_prefix("cluster")?.strip_suffix("@example.org")?.parse().ok()
}

impl<S: Service> Traffic<S> {
    pub(crate) fn new(service: Arc<S>, pace: Pace) -> Arc<Self> {
        let traffic = Self {
            service,
            history: Arc::new(History::new()),
            pace,
            handles: Mutex::new(0),
            hot: Mutex::default(),
            devices: Mutex::default(),
            askers: Mutex::default(),
            names: Mutex::default(),
            is_over: AtomicBool::new(false),
        };
        let hot = (0..HOT).map(|_| Hot { number: traffic.new_handle(), proofs: 0 }).collect();
        *lock(&traffic.hot) = hot;
        Arc::new(traffic)
    }

    /// Starts all clients. They end after [`Self::stop`].
    pub(crate) async fn start(self: &Arc<Self>, dice: &mut Dice) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for number in 0..self.service.nodes() * ASKERS {
            let node = number % self.service.nodes();
            if let Some(asker) = self.signed_up(&mut dice.fork()).await {
                lock(&self.askers).push(asker);
                tasks.spawn(Arc::clone(self).asks(number, node, dice.fork()));
            }
        }
        for slot in 0..HOT {
            for _ in 0..RIVALS {
                tasks.spawn(Arc::clone(self).fights(slot, dice.fork()));
            }
        }
        tasks
    }

    /// Has all clients end after their present call.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn nodes(&self) -> usize {
        self.service.nodes()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// The account whose device has this name.
    pub(crate) fn actors(&self) -> HashMap<String, Actor> {
        lock(&self.devices).iter().cloned().zip(0..).collect()
    }

    fn new_handle(&self) -> usize {
        let mut handles = lock(&self.handles);
        *handles += 1;
        *handles
    }

    async fn pause(&self, most: Duration, dice: &mut Dice) {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        sleep(Duration::from_micros(dice.below(most))).await;
    }

    fn any_node(&self, dice: &mut Dice) -> usize {
        dice.index(self.service.nodes())
    }

    /// Signs a device up, at one node after another. None if the run ends before.
    async fn signed_up(&self, dice: &mut Dice) -> Option<Phone> {
        while !self.is_over() {
            match self.service.sign_up(self.any_node(dice)).await {
                Ok(phone) => return Some(phone),
                Err(outcome) => self.history.told(&outcome),
            }
            sleep(PAUSE).await;
        }
        None
    }

    /// Looks handles up and notes what was told. An account that nobody has introduced is a stranger.
    async fn look_up(
        &self,
        asker: usize,
        node: usize,
        handles: &[usize],
    ) -> Option<Vec<Option<String>>> {
        let phone = lock(&self.askers)[asker].clone();
        let texts: Vec<_> = handles.iter().map(|number| handle_text(*number)).collect();
        let invoked = self.history.now();
        let told = self.service.look_up(node, &phone, &texts).await;
        let ended = self.history.now();
        let told = match told {
            Ok(told) => told,
            Err(outcome) => {
                self.refused(&outcome, "an asker");
                return None;
            }
        };
        let names = lock(&self.names);
        let actor = |name: &String| *names.get(&(asker, name.clone())).unwrap_or(&STRANGER);
        let seen: Vec<_> = told.iter().map(|name| name.as_ref().map(actor)).collect();
        drop(names);
        let mut events = self.history.events();
        for (handle, seen) in handles.iter().zip(seen) {
            // A stranger at an anchor is the one whom this lookup introduces.
            if seen != Some(STRANGER) || lock(&self.hot).iter().any(|hot| hot.number == *handle) {
                events.lookups.push(Lookup { handle: *handle, node, invoked, ended, seen });
            }
        }
        Some(told)
    }

    /// Counts a refusal. A token that was given out must be known everywhere at once.
    fn refused(&self, outcome: &Outcome, who: &str) {
        self.history.told(outcome);
        if *outcome == Outcome::Refused("token-invalid".to_owned()) {
            self.history.fault(format!("the token of {who} is not known"));
        }
    }

    async fn asks(self: Arc<Self>, asker: usize, node: usize, mut dice: Dice) {
        while !self.is_over() {
            let mut handles: Vec<_> = lock(&self.hot).iter().map(|hot| hot.number).collect();
            if dice.chance(30) {
                handles = vec![handles[dice.index(handles.len())]];
            }
            if self.look_up(asker, node, &handles).await.is_none() {
                sleep(PAUSE).await;
            }
            self.pause(self.pace.look_up, &mut dice).await;
        }
    }

    /// Makes a change and notes what became of it.
    async fn change(
        &self,
        (by, phone): (Actor, &Phone),
        handle: usize,
        what: What,
        dice: &mut Dice,
    ) -> Outcome {
        let (node, text) = (self.any_node(dice), handle_text(handle));
        let invoked = self.history.now();
        let outcome = self.service.change(node, phone, &text, what).await;
        self.history.attempted((handle, by, what), invoked, outcome.clone());
        self.refused_change(by, &outcome);
        // A change counts at the very next lookup, at any node.
        if outcome == Outcome::Done && dice.chance(50) {
            let asker = dice.index(lock(&self.askers).len());
            self.look_up(asker, self.any_node(dice), &[handle]).await;
        }
        outcome
    }

    fn refused_change(&self, by: Actor, outcome: &Outcome) {
        if *outcome == Outcome::Refused("token-invalid".to_owned()) {
            self.history.fault(format!("the token of account {by} is not known"));
        }
    }

    /// A new account that holds a handle of its own, by which every asker has learned how it calls the account.
    async fn introduced(&self, dice: &mut Dice) -> Option<(Actor, Phone, usize)> {
        'new: while let Some(phone) = self.signed_up(dice).await {
            let by = {
                let mut devices = lock(&self.devices);
                devices.push(phone.device.clone());
                devices.len() - 1
            };
            let anchor = self.new_handle();
            loop {
                match self.change((by, &phone), anchor, What::Prove, dice).await {
                    Outcome::Done => break,
                    Outcome::Refused(_) if !self.is_over() => sleep(PAUSE).await,
                    _ if self.is_over() => return None,
                    _ => continue 'new,
                }
            }
            let askers = lock(&self.askers).len();
            for asker in 0..askers {
                let name = loop {
                    if self.is_over() {
                        return None;
                    }
                    let told = self.look_up(asker, self.any_node(dice), &[anchor]).await;
                    if let Some(Some(name)) = told.and_then(|mut told| told.pop()) {
                        break name;
                    }
                    sleep(PAUSE).await;
                };
                lock(&self.names).insert((asker, name), by);
            }
            return Some((by, phone, anchor));
        }
        None
    }

    /// Accounts, one after another, that fight over the handles of one slot.
    async fn fights(self: Arc<Self>, slot: usize, mut dice: Dice) {
        while !self.is_over() {
            if let Some((by, phone, anchor)) = self.introduced(&mut dice).await {
                self.lives(slot, (by, &phone, anchor), &mut dice).await;
            }
        }
    }

    /// The handle of a slot. With a proof more, which may bring another handle.
    fn hot(&self, slot: usize, proofs: usize) -> usize {
        let mut hot = lock(&self.hot);
        if hot[slot].proofs + proofs > PROOFS {
            hot[slot] = Hot { number: self.new_handle(), proofs: 0 };
        }
        hot[slot].proofs += proofs;
        hot[slot].number
    }

    /// An account's life. It ends when it does not know what became of a change: what it does later could not be told from that.
    async fn lives(
        &self,
        slot: usize,
        (by, phone, anchor): (Actor, &Phone, usize),
        dice: &mut Dice,
    ) {
        let mut held: Option<(usize, bool)> = None;
        let mut proved = vec![anchor];
        for _ in 0..STEPS {
            if self.is_over() {
                return;
            }
            self.pause(self.pace.change, dice).await;
            let what = match (held, dice.below(100)) {
                (_, 0..4) => return self.signs_out((by, phone), &proved, dice).await,
                (_, 4..14) => {
                    let outcome = self.service.check_in(self.any_node(dice), phone).await;
                    self.refused(&outcome, "an account that checks in");
                    continue;
                }
                (Some((handle, _)), _) if handle != self.hot(slot, 0) => {
                    held = None;
                    continue;
                }
                (Some(_), 14..24) => What::GiveUp,
                (Some((_, true)), _) => What::Hide,
                (Some((_, false)), _) => What::Show,
                (None, _) if dice.chance(30) => What::Prove,
                (None, _) => continue,
            };
            let handle = held.map_or_else(|| self.hot(slot, 1), |it| it.0);
            if what == What::Prove && !proved.contains(&handle) {
                proved.push(handle);
            }
            match self.change((by, phone), handle, what, dice).await {
                // It cannot be told whether it is hidden, either.
                Outcome::Unknown(_) | Outcome::Held => return,
                Outcome::Refused(_) => sleep(PAUSE).await,
                Outcome::NotHeld => held = None,
                Outcome::Done => {
                    held = match what {
                        What::GiveUp | What::SignOut => None,
                        What::Hide => Some((handle, false)),
                        What::Prove | What::Show => Some((handle, true)),
                    }
                }
            }
        }
    }

    /// The account's only device signs out. That is one change of each handle that it may hold.
    async fn signs_out(&self, (by, phone): (Actor, &Phone), handles: &[usize], dice: &mut Dice) {
        let (node, invoked) = (self.any_node(dice), self.history.now());
        let outcome = self.service.change(node, phone, "", What::SignOut).await;
        for handle in handles {
            self.history.attempted((*handle, by, What::SignOut), invoked, outcome.clone());
        }
        self.refused_change(by, &outcome);
        if outcome == Outcome::Done {
            let asker = dice.index(lock(&self.askers).len());
            self.look_up(asker, self.any_node(dice), handles).await;
        }
    }
}
