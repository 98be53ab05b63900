//! Random operations against a simple model: after each step the index, the store and the log must say what the model
//! says, and so must a registry that is opened from what is durable at that moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::registry::{
    BindError, Cause, ChangeKind, DeviceDetails, DeviceToken, EndedHow, HandleDetails, HandleError,
    HandleLoss, LostDetails, Probe, SignUpError, Ticked,
};

const HANDLES: [&str; 5] =
    ["+14155550100", "+14155550101", "+4915123456789", "a@example.org", "b@example.org"];

const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);

#[derive(Clone, Debug)]
enum Op {
    SignUp,
    Join(usize),
    CheckIn(usize),
    SignOut(usize),
    Prove(usize, usize),
    Rebind(usize, usize),
    Unbind(usize, usize),
    Deregister(usize),
    SetDiscoverable(usize, usize, bool),
    Tick,
    Pass(Duration),
    Crash,
    /// The next commit fails, and is durable or not.
    FailStore(bool),
    /// The log refuses the next records, or fails to commit them.
    FailLog(bool),
    /// The log refuses the records of a sign-up, then the process dies.
    CrashBeforeLog,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Nothing,
    At(Timestamp),
    DeviceUnknown,
    NotBound,
    Gone,
    TooMany,
    Failed(ChangeError),
}

#[derive(Clone, Debug)]
struct ModelDevice {
    account: AccountId,
    lease_until: Timestamp,
    lapse_recorded: bool,
}

#[derive(Clone, Debug)]
struct ModelClaim {
    account: AccountId,
    proved_at: Timestamp,
    discoverable: bool,
    devices: BTreeSet<DeviceId>,
}

type Told = (ChangeKind, Option<Handle>, Option<DeviceId>, Option<AccountId>, Cause);

#[derive(Clone, Debug, Default)]
struct Model {
    devices: BTreeMap<DeviceId, ModelDevice>,
    claims: BTreeMap<Handle, ModelClaim>,
    ended: BTreeMap<Handle, (EndedHow, Timestamp)>,
    lost: BTreeMap<AccountId, Vec<LostDetails>>,
    /// Every device that ever was, with its token.
    tokens: Vec<(DeviceId, DeviceToken)>,
    /// What the log must hold. Changes of one command about several handles come in any order.
    told: Vec<BTreeSet<String>>,
}

fn text(told: &Told) -> String {
    let (kind, handle, device, account, cause) = told;
    let handle = handle.as_ref().map(|handle| handle.canonical().into_owned());
    format!("{kind:?} {handle:?} {device:?} {account:?} {cause:?}")
}

impl Model {
    fn pick(&self, slot: usize) -> DeviceId {
        let known = self.tokens.get(slot % (self.tokens.len() + 1));
        known.map_or(DeviceId::from_bits(1), |(device, _)| *device)
    }

    fn tell(&mut self, told: impl IntoIterator<Item = Told>) {
        let told: BTreeSet<_> = told.into_iter().map(|one| text(&one)).collect();
        if !told.is_empty() {
            self.told.push(told);
        }
    }

    fn signed_up(&mut self, new: &SignedUp, linked: bool, now: Timestamp) {
        let device = ModelDevice {
            account: new.account,
            lease_until: now.plus(LEASE),
            lapse_recorded: false,
        };
        self.devices.insert(new.device, device);
        self.tokens.push((new.device, new.token.clone()));
        let cause = if linked { Cause::Linked } else { Cause::SignUp };
        let (id, account) = (Some(new.device), Some(new.account));
        let mut told = vec![(ChangeKind::DeviceRegistered, None, id, account, cause)];
        for (handle, claim) in &mut self.claims {
            if claim.account == new.account {
                claim.devices.insert(new.device);
                told.push((ChangeKind::HandleBound, Some(handle.clone()), id, account, cause));
            }
        }
        self.tell(told);
    }

    fn release(&mut self, handle: &Handle, device: DeviceId, how: EndedHow, now: Timestamp) {
        if let Some(claim) = self.claims.get_mut(handle) {
            claim.devices.remove(&device);
            if claim.devices.is_empty() {
                let account = claim.account;
                self.claims.remove(handle);
                self.ended.insert(handle.clone(), (how, now));
                self.lose(account, handle, how.loss(), now);
            }
        }
    }

    fn lose(&mut self, account: AccountId, handle: &Handle, how: HandleLoss, at: Timestamp) {
        let lost = self.lost.entry(account).or_default();
        lost.retain(|lost| lost.handle != *handle);
        lost.push(LostDetails { handle: handle.clone(), how, at });
    }

    fn backed(&self, device: DeviceId) -> Vec<Handle> {
        let backs = |claim: &ModelClaim| claim.devices.contains(&device);
        self.claims
            .iter()
            .filter(|(_, claim)| backs(claim))
            .map(|(handle, _)| handle.clone())
            .collect()
    }

    fn sign_out(&mut self, id: DeviceId, now: Timestamp) -> Outcome {
        let Some(device) = self.devices.get(&id).cloned() else {
            return Outcome::DeviceUnknown;
        };
        let told = self.remove(id, device.account, Cause::SignOut, now);
        self.tell(told);
        Outcome::Done
    }

    fn remove(&mut self, id: DeviceId, own: AccountId, cause: Cause, now: Timestamp) -> Vec<Told> {
        let account = Some(own);
        let mut told = vec![(ChangeKind::DeviceRemoved, None, Some(id), account, cause)];
        for handle in self.backed(id) {
            self.release(&handle, id, EndedHow::DeviceRemoved, now);
            told.push((ChangeKind::HandleUnbound, Some(handle), Some(id), account, cause));
        }
        self.devices.remove(&id);
        if self.devices.values().all(|device| device.account != own) {
            self.lost.remove(&own);
        }
        told
    }

    fn prove(&mut self, id: DeviceId, handle: &Handle, now: Timestamp) -> Outcome {
        let Some(account) = self.devices.get(&id).map(|device| device.account) else {
            return Outcome::DeviceUnknown;
        };
        let before = self.claims.remove(handle);
        let (kind, cause) = match &before {
            Some(claim) if claim.account != account => (ChangeKind::HandleMoved, Cause::NewerProof),
            _ => (ChangeKind::HandleBound, Cause::Proof),
        };
        if let Some(claim) = &before
            && claim.account != account
        {
            self.lose(claim.account, handle, HandleLoss::Moved, now);
        }
        self.lost.entry(account).or_default().retain(|lost| lost.handle != *handle);
        let own = before.filter(|claim| claim.account == account);
        let mut claim = own.unwrap_or(ModelClaim {
            account,
            proved_at: now,
            discoverable: true,
            devices: BTreeSet::new(),
        });
        claim.proved_at = now;
        claim.devices.insert(id);
        self.claims.insert(handle.clone(), claim);
        self.ended.remove(handle);
        self.tell([(kind, Some(handle.clone()), Some(id), Some(account), cause)]);
        Outcome::At(now)
    }

    fn rebind(&mut self, id: DeviceId, handle: &Handle) -> Outcome {
        let Some(account) = self.devices.get(&id).map(|device| device.account) else {
            return Outcome::DeviceUnknown;
        };
        let Some(claim) = self.claims.get_mut(handle).filter(|claim| claim.account == account)
        else {
            return Outcome::Nothing;
        };
        let proved_at = claim.proved_at;
        if claim.devices.insert(id) {
            let told = (
                ChangeKind::HandleBound,
                Some(handle.clone()),
                Some(id),
                Some(account),
                Cause::ProofHeld,
            );
            self.tell([told]);
        }
        Outcome::At(proved_at)
    }

    fn unbind(&mut self, id: DeviceId, handle: &Handle, now: Timestamp) -> Outcome {
        let Some(account) = self.devices.get(&id).map(|device| device.account) else {
            return Outcome::DeviceUnknown;
        };
        if !self.backed(id).contains(handle) {
            return Outcome::NotBound;
        }
        self.release(handle, id, EndedHow::Unbound, now);
        let told = (
            ChangeKind::HandleUnbound,
            Some(handle.clone()),
            Some(id),
            Some(account),
            Cause::OwnerRequest,
        );
        self.tell([told]);
        Outcome::Done
    }

    fn deregister(&mut self, handle: &Handle, now: Timestamp) -> Outcome {
        if let Some(claim) = self.claims.remove(handle) {
            self.ended.insert(handle.clone(), (EndedHow::Deregistered, now));
            self.lose(claim.account, handle, HandleLoss::Deregistered, now);
            let (kind, cause) = (ChangeKind::HandleDeregistered, Cause::Deregistration);
            self.tell([(kind, Some(handle.clone()), None, Some(claim.account), cause)]);
        }
        Outcome::Done
    }

    fn set_discoverable(&mut self, id: DeviceId, handle: &Handle, discoverable: bool) -> Outcome {
        if !self.devices.contains_key(&id) {
            return Outcome::DeviceUnknown;
        }
        match self.claims.get_mut(handle).filter(|claim| claim.devices.contains(&id)) {
            Some(claim) => claim.discoverable = discoverable,
            None => return Outcome::NotBound,
        }
        Outcome::Done
    }

    fn tick(&mut self, now: Timestamp) {
        let mut told = Vec::new();
        for (id, device) in &self.devices {
            if device.lease_until <= now && !device.lapse_recorded {
                let mut handles: Vec<_> = self.backed(*id).into_iter().map(Some).collect();
                if handles.is_empty() {
                    handles.push(None);
                }
                let (kind, cause) = (ChangeKind::LeaseExpired, Cause::Silence);
                told.extend(
                    handles
                        .into_iter()
                        .map(|handle| (kind, handle, Some(*id), Some(device.account), cause)),
                );
            }
        }
        for device in self.devices.values_mut() {
            device.lapse_recorded |= device.lease_until <= now;
        }
        let silent_since = now.minus(FORGET_AFTER).plus(LEASE);
        let silent = self.devices.iter().filter(|(_, device)| device.lease_until <= silent_since);
        let silent: Vec<_> = silent.map(|(id, device)| (*id, device.account)).collect();
        for (id, account) in silent {
            told.extend(self.remove(id, account, Cause::Silence, now));
        }
        self.tell(told);
        self.ended.retain(|_, (_, at)| now < at.plus(REMEMBERED));
    }

    fn probe(&self, handle: &Handle, now: Timestamp) -> Probe {
        if let Some(claim) = self.claims.get(handle) {
            let leases = claim.devices.iter().map(|device| self.devices[device].lease_until);
            let live_until = leases.max().expect("a claim has a device");
            return Probe::Claimed {
                account: claim.account,
                live_until,
                discoverable: claim.discoverable,
            };
        }
        let young = self.ended.get(handle).filter(|(_, at)| now < at.plus(REMEMBERED));
        young.map_or(Probe::Unknown, |(how, at)| Probe::Ended { how: *how, at: *at })
    }

    fn handles_of(&self, device: DeviceId) -> Vec<HandleDetails> {
        let mut handles: Vec<_> = self.backed(device);
        handles.sort_by_key(|handle| handle.canonical().into_owned());
        let details = |handle: Handle| {
            let claim = &self.claims[&handle];
            HandleDetails { proved_at: claim.proved_at, discoverable: claim.discoverable, handle }
        };
        handles.into_iter().map(details).collect()
    }

    fn check(&self, registry: &Registry, now: Timestamp) {
        let view = registry.view().expect("it is loaded");
        for name in HANDLES {
            let handle = handle(name);
            assert_eq!(view.probe(&handle), self.probe(&handle, now), "{name}");
        }
        let askers: Vec<_> = self.tokens.iter().map(|(id, _)| view.asker(*id)).collect();
        drop(view);
        for ((id, token), asker) in self.tokens.iter().zip(askers) {
            assert_eq!(registry.authenticate(token.expose()).ok(), asker);
            assert_eq!(
                asker.map(|asker| asker.account),
                self.devices.get(id).map(|device| device.account)
            );
        }
        for (id, _) in &self.tokens {
            let found = registry.device(*id).expect("it is loaded");
            let found = found.map(|found: DeviceDetails| {
                (found.account, found.lease_expires_at, found.handles, found.lost)
            });
            let expected = self.devices.get(id).map(|device| {
                let lost = self.lost.get(&device.account).into_iter().flatten();
                let young = |lost: &&LostDetails| now < lost.at.plus(REMEMBERED);
                let mut lost: Vec<_> = lost.filter(young).cloned().collect();
                lost.sort_by_key(|lost| (lost.at, lost.handle.canonical().into_owned()));
                (device.account, device.lease_until, self.handles_of(*id), lost)
            });
            assert_eq!(found, expected);
        }
        let counts = registry.counts(now).expect("it is loaded");
        let accounts: BTreeSet<_> = self.devices.values().map(|device| device.account).collect();
        let live = self.claims.keys().filter(|handle| self.probe(handle, now).is_live(now)).count();
        let figures = (counts.handles, counts.handles_live, counts.devices, counts.accounts);
        let expected = (self.claims.len(), live, self.devices.len(), accounts.len());
        assert_eq!(
            figures,
            (expected.0 as u64, expected.1 as u64, expected.2 as u64, expected.3 as u64)
        );
    }

    fn check_log(&self, sink: &TestSink) {
        let log = sink.log();
        let mut rest = log.iter().map(|change| {
            text(&(change.kind, change.handle.clone(), change.device, change.account, change.cause))
        });
        for told in &self.told {
            let found: BTreeSet<_> = rest.by_ref().take(told.len()).collect();
            assert_eq!(&found, told);
        }
        assert_eq!(rest.next(), None, "nothing more was recorded");
        let ids: BTreeSet<_> = log.iter().map(|change| change.id).collect();
        assert_eq!(ids.len(), log.len(), "nothing was recorded twice");
    }
}

fn bind_outcome<T>(result: Result<T, BindError>, ok: impl FnOnce(T) -> Outcome) -> Outcome {
    match result {
        Ok(done) => ok(done),
        Err(BindError::DeviceUnknown) => Outcome::DeviceUnknown,
        Err(BindError::TooManyHandles { .. }) => Outcome::TooMany,
        Err(BindError::Change(error)) => Outcome::Failed(error),
    }
}

fn handle_outcome<T>(result: Result<T, HandleError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(HandleError::DeviceUnknown) => Outcome::DeviceUnknown,
        Err(HandleError::NotBound) => Outcome::NotBound,
        Err(HandleError::Change(error)) => Outcome::Failed(error),
    }
}

fn device_outcome<T>(result: Result<T, DeviceError>, ok: impl FnOnce(T) -> Outcome) -> Outcome {
    match result {
        Ok(done) => ok(done),
        Err(DeviceError::DeviceUnknown) => Outcome::DeviceUnknown,
        Err(DeviceError::Change(error)) => Outcome::Failed(error),
    }
}

/// Carries `op` out for real. A sign-up is told to the model at once, since it makes ids.
async fn really(registry: &Registry, model: &mut Model, op: &Op, now: Timestamp) -> Outcome {
    match *op {
        Op::SignUp => signed(registry, model, None, now).await,
        Op::Join(slot) => {
            let id = model.pick(slot);
            let account =
                model.devices.get(&id).map_or(AccountId::from_bits(1), |device| device.account);
            signed(registry, model, Some(account), now).await
        }
        Op::CheckIn(slot) => device_outcome(registry.check_in(model.pick(slot)).await, Outcome::At),
        Op::SignOut(slot) => {
            device_outcome(registry.sign_out(model.pick(slot)).await, |()| Outcome::Done)
        }
        Op::Prove(slot, name) => {
            bind_outcome(registry.prove(model.pick(slot), handle(HANDLES[name])).await, Outcome::At)
        }
        Op::Rebind(slot, name) => {
            let rebound = registry.rebind(model.pick(slot), handle(HANDLES[name])).await;
            bind_outcome(rebound, |proved_at| proved_at.map_or(Outcome::Nothing, Outcome::At))
        }
        Op::Unbind(slot, name) => {
            handle_outcome(registry.unbind(model.pick(slot), handle(HANDLES[name])).await)
        }
        Op::Deregister(name) => match registry.deregister(handle(HANDLES[name])).await {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed(error),
        },
        Op::SetDiscoverable(slot, name, yes) => handle_outcome(
            registry.set_discoverable(model.pick(slot), handle(HANDLES[name]), yes).await,
        ),
        // One tick does a bounded part.
        Op::Tick => loop {
            match registry.tick().await {
                Ok(ticked) if ticked == Ticked::default() => break Outcome::Done,
                Ok(_) => {}
                Err(error) => break Outcome::Failed(error),
            }
        },
        _ => unreachable!("not a command"),
    }
}

async fn signed(
    registry: &Registry,
    model: &mut Model,
    link: Option<AccountId>,
    now: Timestamp,
) -> Outcome {
    match registry.sign_up(sign_up(link)).await {
        Ok(new) => {
            assert_eq!(link.unwrap_or(new.account), new.account);
            assert_eq!(new.lease_expires_at, now.plus(LEASE));
            model.signed_up(&new, link.is_some(), now);
            Outcome::Done
        }
        Err(SignUpError::AccountGone) => Outcome::Gone,
        Err(SignUpError::TooManyDevices { .. }) => Outcome::TooMany,
        Err(SignUpError::NameTooLong) => unreachable!("names are short"),
        Err(SignUpError::Change(error)) => Outcome::Failed(error),
    }
}

/// What the model says of `op`.
fn expected(model: &mut Model, op: &Op, now: Timestamp) -> Outcome {
    match *op {
        Op::SignUp => Outcome::Done,
        Op::CheckIn(slot) => {
            let id = model.pick(slot);
            model.devices.get_mut(&id).map_or(Outcome::DeviceUnknown, |device| {
                device.lease_until = now.plus(LEASE);
                device.lapse_recorded = false;
                Outcome::At(device.lease_until)
            })
        }
        Op::SignOut(slot) => model.sign_out(model.pick(slot), now),
        Op::Prove(slot, name) => model.prove(model.pick(slot), &handle(HANDLES[name]), now),
        Op::Rebind(slot, name) => model.rebind(model.pick(slot), &handle(HANDLES[name])),
        Op::Unbind(slot, name) => model.unbind(model.pick(slot), &handle(HANDLES[name]), now),
        Op::Deregister(name) => model.deregister(&handle(HANDLES[name]), now),
        Op::SetDiscoverable(slot, name, yes) => {
            model.set_discoverable(model.pick(slot), &handle(HANDLES[name]), yes)
        }
        Op::Tick => {
            model.tick(now);
            Outcome::Done
        }
        _ => unreachable!("not a command"),
    }
}

/// Carries `op` out and checks its outcome. `Join` is checked against the model before it is told.
async fn step(registry: &Registry, model: &mut Model, op: &Op, now: Timestamp) {
    if let Op::Join(slot) = op {
        let id = model.pick(*slot);
        let account = model.devices.get(&id).map(|device| device.account);
        let devices =
            model.devices.values().filter(|device| Some(device.account) == account).count();
        let outcome = match account {
            None => Outcome::Gone,
            Some(_) if devices >= DEVICES_PER_ACCOUNT => Outcome::TooMany,
            Some(_) => Outcome::Done,
        };
        assert_eq!(really(registry, model, op, now).await, outcome);
        return;
    }
    let outcome = really(registry, model, op, now).await;
    assert_eq!(outcome, expected(model, op, now), "{op:?}");
}

fn command() -> impl Strategy<Value = Op> {
    let slot = || 0..8usize;
    let name = || 0..HANDLES.len();
    prop_oneof![
        3 => Just(Op::SignUp),
        2 => slot().prop_map(Op::Join),
        3 => slot().prop_map(Op::CheckIn),
        2 => slot().prop_map(Op::SignOut),
        6 => (slot(), name()).prop_map(|(slot, name)| Op::Prove(slot, name)),
        3 => (slot(), name()).prop_map(|(slot, name)| Op::Rebind(slot, name)),
        3 => (slot(), name()).prop_map(|(slot, name)| Op::Unbind(slot, name)),
        2 => name().prop_map(Op::Deregister),
        2 => (slot(), name(), any::<bool>()).prop_map(|(slot, name, yes)| Op::SetDiscoverable(slot, name, yes)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let spans = [1, 50_000_000, 99_999_999, 100_000_000, 86_400_000_000, 30 * 86_400_000_000u64];
    prop_oneof![
        20 => command(),
        2 => Just(Op::Tick),
        4 => prop::sample::select(spans.to_vec()).prop_map(|micros| Op::Pass(Duration::from_micros(micros))),
        2 => Just(Op::Crash),
        1 => any::<bool>().prop_map(Op::FailStore),
        1 => any::<bool>().prop_map(Op::FailLog),
        1 => Just(Op::CrashBeforeLog),
    ]
}

/// A command that fails at the store or the log: what it did is decided by what is durable.
async fn failing(bench: &Bench, model: &mut Model, op: &Op) {
    let now = bench.clock.now();
    let name = handle(HANDLES[0]);
    let device = bench.device().await;
    model.signed_up(&device, false, now);
    let error = match op {
        Op::FailStore(durable) => {
            bench.store.disk().fail_next = Some(*durable);
            bench.store.disk().reopens_failing = 2;
            ChangeError::StoreUnwritable
        }
        Op::FailLog(refuse) => {
            let flag = if *refuse { &bench.sink.refuse_next } else { &bench.sink.fail_next };
            flag.store(true, Ordering::SeqCst);
            ChangeError::LogUnwritable
        }
        _ => unreachable!("not a failure"),
    };
    let failed = bench.registry.prove(device.device, name.clone()).await;
    assert_eq!(failed, Err(BindError::Change(error)));
    if !matches!(op, Op::FailLog(false)) {
        // The writer may have recovered already, so only a change that is not durable is surely not visible.
        let view = bench.registry.view().expect("it is loaded");
        if matches!(op, Op::FailStore(false)) {
            assert_eq!(view.probe(&name), model.probe(&name, now));
        }
    }
    recovered(&bench.registry).await;
    if !matches!(op, Op::FailStore(false)) {
        model.prove(device.device, &name, now);
    }
}

async fn run(ops: Vec<Op>) {
    let mut bench = Bench::new();
    let mut model = Model::default();
    for op in ops {
        match op {
            Op::Pass(span) => bench.clock.advance(span),
            Op::Crash => bench = bench.crashed(),
            Op::FailStore(_) | Op::FailLog(_) => failing(&bench, &mut model, &op).await,
            Op::CrashBeforeLog => {
                let device = bench.device().await;
                model.signed_up(&device, false, bench.clock.now());
                bench.sink.refuse_all.store(true, Ordering::SeqCst);
                let failed = bench.registry.prove(device.device, handle(HANDLES[1])).await;
                assert_eq!(failed, Err(BindError::Change(ChangeError::LogUnwritable)));
                model.prove(device.device, &handle(HANDLES[1]), bench.clock.now());
                let disk = bench.store.disk().clone();
                let store = MemoryStore::on(disk);
                bench.sink.refuse_all.store(false, Ordering::SeqCst);
                // The old process is dead: what it still does reaches neither the disk nor this log.
                let log = bench.sink.log().clone();
                let sink = Arc::new(TestSink { log: log.into(), ..TestSink::default() });
                bench = Bench::on(store, sink, bench.clock.clone());
            }
            command => step(&bench.registry, &mut model, &command, bench.clock.now()).await,
        }
        let now = bench.clock.now();
        model.check(&bench.registry, now);
        model.check_log(&bench.sink);
        let durable = MemoryStore::on(bench.store.disk().clone());
        let reopened = Registry::with_store(Box::new(durable), config(), bench.clock.clone());
        reopened.load().expect("what is durable can be loaded");
        reopened.show();
        model.check(&reopened, now);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it is there");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("there is room");
    }
}

/// The same on the real store. A crash is a copy of its file while it is open.
async fn run_on_redb(ops: Vec<Op>) {
    let root = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let sink = Arc::new(TestSink::default());
    let mut dir = root.path().join("0");
    let mut registry = Registry::open(&dir, config(), clock.clone()).expect("a new store");
    start(&registry, &sink);
    let mut model = Model::default();
    for (number, op) in ops.into_iter().enumerate() {
        match op {
            Op::Pass(span) => clock.advance(span),
            Op::Crash | Op::CrashBeforeLog | Op::FailStore(_) | Op::FailLog(_) => {
                let next = root.path().join((number + 1).to_string());
                copy(&dir, &next);
                dir = next;
                registry =
                    Registry::open(&dir, config(), clock.clone()).expect("a crash is repaired");
                start(&registry, &sink);
            }
            command => step(&registry, &mut model, &command, clock.now()).await,
        }
        model.check(&registry, clock.now());
        model.check_log(&sink);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn index_store_and_log_agree_with_the_model(ops in prop::collection::vec(op(), 1..40)) {
        runtime().block_on(run(ops));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn the_real_store_agrees_with_the_model(ops in prop::collection::vec(op(), 1..40)) {
        runtime().block_on(run_on_redb(ops));
    }
}
