//! Commands: carried out for real, and by the model.

use std::ops::ControlFlow;

use super::{
    import::{Arrival, piece},
    rows::{RowStep, Seen, change},
    truth::{Refusal, Truth},
    *,
};
use crate::{
    registry::{DeviceError, ImportRecords, Imported, Rows, Ticked, TransferAccount},
    vocabulary::{Cause, FlagReason},
};

/// More than all devices and handles of a history can be due in.
const TICKS_MAX: usize = 100;

/// A command by the numbers of devices and handles.
#[derive(Clone, Debug)]
pub(in crate::registry::tests) enum Wish {
    SignUp,
    Join(usize),
    CheckIn(usize),
    SignOut(usize),
    Prove(usize, usize),
    Rebind(usize, usize),
    Unbind(usize, usize),
    Deregister(usize),
    SetDiscoverable(usize, usize, bool),
    Import(Vec<Arrival>),
    /// Of which the plan makes a refusal if it is told so: then nothing happens.
    Rows(Vec<RowStep>, bool),
    /// Proves, if the plan does not break.
    ProveWith(usize, usize, Vec<RowStep>, bool),
    DeregisterWith(usize, Vec<RowStep>, bool),
    Flag(usize, FlagReason),
    ClearFlag(usize),
}

/// A command as the registry hears it.
#[derive(Clone, Debug)]
pub(in crate::registry::tests) enum Command {
    SignUp(Option<AccountId>),
    CheckIn(DeviceId),
    SignOut(DeviceId),
    Prove(DeviceId, Handle),
    Rebind(DeviceId, Handle),
    Unbind(DeviceId, Handle),
    Deregister(Handle),
    SetDiscoverable(DeviceId, Handle, bool),
    Import(Vec<TransferAccount>),
    Rows(Vec<RowStep>, bool),
    ProveWith(DeviceId, Handle, Vec<RowStep>, bool),
    DeregisterWith(Handle, Vec<RowStep>, bool),
    Flag(AccountId, FlagReason),
    ClearFlag(AccountId),
}

/// What whoever asked is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry::tests) enum Outcome {
    Done,
    Nothing,
    At(Timestamp),
    SignedUp(SignedUp),
    Imported(Imported),
    Refused(Refusal),
    Gone,
    TooMany,
    Failed(ChangeError),
    Saw(Seen),
}

fn at(proved_at: Option<Timestamp>) -> Outcome {
    proved_at.map_or(Outcome::Nothing, Outcome::At)
}

impl From<DeviceError> for Outcome {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::DeviceUnknown => Self::Refused(Refusal::DeviceUnknown),
            DeviceError::NotBound => Self::Refused(Refusal::NotBound),
            DeviceError::TooManyHandles { .. } | DeviceError::TooManyDevices { .. } => {
                Self::TooMany
            }
            DeviceError::AccountGone => Self::Gone,
            DeviceError::NameTooLong => unreachable!("names are short"),
            DeviceError::Change(error) => Self::Failed(error),
        }
    }
}

impl From<ChangeError> for Outcome {
    fn from(error: ChangeError) -> Self {
        Self::Failed(error)
    }
}

fn told<T, E: Into<Outcome>>(result: Result<T, E>, done: impl FnOnce(T) -> Outcome) -> Outcome {
    result.map_or_else(Into::into, done)
}

fn said<T>(result: Result<T, Refusal>, done: impl FnOnce(T) -> Outcome) -> Outcome {
    result.map_or_else(Outcome::Refused, done)
}

/// The account of a device; one that is not there if the device is not.
fn account(truth: &Truth, slot: usize) -> AccountId {
    truth.account_of(truth.pick(slot)).unwrap_or(AccountId::from_bits(1))
}

fn whether(is_done: bool) -> Outcome {
    if is_done { Outcome::Done } else { Outcome::Nothing }
}

fn flow<T>(flow: ControlFlow<Seen, T>, done: impl FnOnce(T) -> Outcome) -> Outcome {
    match flow {
        ControlFlow::Break(seen) => Outcome::Saw(seen),
        ControlFlow::Continue(what) => done(what),
    }
}

/// The plan of `steps`, which decides as it is told.
fn decide(
    steps: Vec<RowStep>,
    breaks: bool,
) -> impl FnMut(&mut Rows<'_>) -> ControlFlow<Seen> + Send {
    move |rows| {
        let seen = change(rows, &steps);
        if breaks { ControlFlow::Break(seen) } else { ControlFlow::Continue(()) }
    }
}

impl Wish {
    /// The command that it is now.
    pub(in crate::registry::tests) fn command(&self, truth: &mut Truth, now: Timestamp) -> Command {
        truth.drop_ended(now);
        let name = |name: usize| handle(HANDLES[name]);
        match *self {
            Self::SignUp => Command::SignUp(None),
            Self::Join(slot) => Command::SignUp(Some(account(truth, slot))),
            Self::CheckIn(slot) => Command::CheckIn(truth.pick(slot)),
            Self::SignOut(slot) => Command::SignOut(truth.pick(slot)),
            Self::Prove(slot, at) => Command::Prove(truth.pick(slot), name(at)),
            Self::Rebind(slot, at) => Command::Rebind(truth.pick(slot), name(at)),
            Self::Unbind(slot, at) => Command::Unbind(truth.pick(slot), name(at)),
            Self::Deregister(at) => Command::Deregister(name(at)),
            Self::SetDiscoverable(slot, at, is_so) => {
                Command::SetDiscoverable(truth.pick(slot), name(at), is_so)
            }
            Self::Import(ref arrivals) => Command::Import(piece(arrivals, truth, now)),
            Self::Rows(ref steps, fails) => Command::Rows(steps.clone(), fails),
            Self::ProveWith(slot, at, ref steps, breaks) => {
                Command::ProveWith(truth.pick(slot), name(at), steps.clone(), breaks)
            }
            Self::DeregisterWith(at, ref steps, breaks) => {
                Command::DeregisterWith(name(at), steps.clone(), breaks)
            }
            Self::Flag(slot, why) => Command::Flag(account(truth, slot), why),
            Self::ClearFlag(slot) => Command::ClearFlag(account(truth, slot)),
        }
    }
}

impl Command {
    /// Carries it out for real.
    pub(in crate::registry::tests) async fn carry_out(&self, registry: &Registry) -> Outcome {
        match self.clone() {
            Self::SignUp(link) => told(registry.sign_up(sign_up(link)).await, Outcome::SignedUp),
            Self::CheckIn(id) => told(registry.check_in(id).await, Outcome::At),
            Self::SignOut(id) => told(registry.sign_out(id).await, |()| Outcome::Done),
            Self::Prove(id, handle) => told(registry.prove(id, handle).await, Outcome::At),
            Self::Rebind(id, handle) => told(registry.rebind(id, handle).await, at),
            Self::Unbind(id, handle) => told(registry.unbind(id, handle).await, |()| Outcome::Done),
            Self::Deregister(handle) => told(registry.deregister(handle).await, |()| Outcome::Done),
            Self::SetDiscoverable(id, handle, is_so) => {
                told(registry.set_discoverable(id, handle, is_so).await, |held| {
                    assert_eq!(held.discoverable, is_so);
                    Outcome::Done
                })
            }
            Self::Import(piece) => told(
                registry.import(piece.into(), &mut ImportRecords::default()).await,
                Outcome::Imported,
            ),
            Self::Rows(steps, fails) => {
                let plan = move |rows: &mut Rows<'_>| {
                    let seen = change(rows, &steps);
                    if fails { Err(ChangeError::Overloaded) } else { Ok(seen) }
                };
                told(registry.change_rows(plan).await, Outcome::Saw)
            }
            Self::ProveWith(id, handle, steps, breaks) => {
                let proved = registry.prove_with(id, handle, decide(steps, breaks)).await;
                told(proved, |done| flow(done, Outcome::At))
            }
            Self::DeregisterWith(handle, steps, breaks) => {
                let done = registry.deregister_with(handle, decide(steps, breaks)).await;
                told(done, |done| flow(done, |()| Outcome::Done))
            }
            Self::Flag(account, why) => told(registry.flag_account(account, why).await, whether),
            Self::ClearFlag(account) => told(registry.clear_flag(account).await, whether),
        }
    }

    /// What the model says of it. A new device has the ids that it was `given`.
    pub(in crate::registry::tests) fn on(
        &self,
        truth: &mut Truth,
        given: &Outcome,
        now: Timestamp,
    ) -> Outcome {
        match self {
            Self::SignUp(link) => signed_up(truth, *link, given, now),
            Self::CheckIn(id) => said(truth.check_in(*id, now), Outcome::At),
            Self::SignOut(id) => said(truth.sign_out(*id, now), |()| Outcome::Done),
            Self::Prove(id, handle) => said(truth.prove(*id, handle, now), Outcome::At),
            Self::Rebind(id, handle) => said(truth.rebind(*id, handle), at),
            Self::Unbind(id, handle) => said(truth.unbind(*id, handle, now), |()| Outcome::Done),
            Self::Deregister(handle) => {
                truth.deregister(handle, now);
                Outcome::Done
            }
            Self::SetDiscoverable(id, handle, is_so) => {
                said(truth.set_discoverable(*id, handle, *is_so), |()| Outcome::Done)
            }
            Self::Import(piece) => Outcome::Imported(truth.import(piece, now)),
            Self::Rows(_, true) => Outcome::Failed(ChangeError::Overloaded),
            Self::Rows(steps, false)
            | Self::ProveWith(_, _, steps, true)
            | Self::DeregisterWith(_, steps, true) => Outcome::Saw(truth.change_rows(steps, now)),
            Self::ProveWith(id, handle, steps, false) => {
                let proved = said(truth.prove(*id, handle, now), Outcome::At);
                if matches!(proved, Outcome::At(_)) {
                    truth.change_rows(steps, now);
                }
                proved
            }
            Self::DeregisterWith(handle, steps, false) => {
                truth.deregister(handle, now);
                truth.change_rows(steps, now);
                Outcome::Done
            }
            Self::Flag(account, why) => whether(truth.flag(*account, *why, now)),
            Self::ClearFlag(account) => whether(truth.clear_flag(*account)),
        }
    }
}

fn signed_up(
    truth: &mut Truth,
    link: Option<AccountId>,
    given: &Outcome,
    now: Timestamp,
) -> Outcome {
    match link.map(|account| truth.devices_of(account)) {
        Some(0) => return Outcome::Gone,
        Some(devices) if devices >= DEVICES_PER_ACCOUNT => return Outcome::TooMany,
        _ => {}
    }
    let Outcome::SignedUp(new) = given else {
        return Outcome::Done;
    };
    assert_eq!(link.unwrap_or(new.account), new.account);
    assert_eq!(new.lease_expires_at, now.plus(LEASE));
    let cause = if link.is_some() { Cause::Linked } else { Cause::SignUp };
    truth.signed_up(new, cause, now);
    given.clone()
}

/// Carries `wish` out and checks what is told. An import that comes a second time finds everything as it left it.
pub(in crate::registry::tests) async fn step(
    registry: &Registry,
    truth: &mut Truth,
    wish: &Wish,
    now: Timestamp,
) {
    let command = wish.command(truth, now);
    let given = command.carry_out(registry).await;
    assert_eq!(given, command.on(truth, &given, now), "{command:?}");
    if let Command::Import(_) = command {
        let before = truth.clone();
        let again = command.carry_out(registry).await;
        assert_eq!(again, command.on(truth, &again, now), "{command:?}");
        assert_eq!(*truth, before, "{command:?} again");
    }
}

/// Sets the clock back. Rows that have ended are dropped first: whether one that is not dropped yet comes back with the time
/// before its end is nobody's business.
pub(in crate::registry::tests) async fn step_back(
    registry: &Registry,
    truth: &mut Truth,
    clock: &ManualClock,
    span: Duration,
) {
    truth.drop_ended(clock.now());
    while registry.drop_ended_rows().await.expect("nothing stands against it") > 0 {}
    clock.set_wall(clock.now().minus(span));
}

/// Upkeep until there is nothing to do: one tick does a bounded part.
pub(in crate::registry::tests) async fn tick(
    registry: &Registry,
    truth: &mut Truth,
    now: Timestamp,
) {
    for turn in 0.. {
        if registry.tick().await.expect("nothing stands against it") == Ticked::default() {
            break;
        }
        assert!(turn < TICKS_MAX, "upkeep comes to no end");
    }
    truth.tick(now);
}
