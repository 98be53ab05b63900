//! What can happen, and how often.

use super::{
    command::Wish,
    import::{Arrival, arrivals},
    rows::row_steps,
    *,
};
use crate::vocabulary::FlagReason;

/// One step of a history.
#[derive(Clone, Debug)]
pub(in crate::registry::tests) enum Op {
    Do(Wish),
    Tick,
    Pass(Duration),
    /// Somebody sets the clock back.
    StepBack(Duration),
    /// The process dies, and a new one starts.
    Crash,
    /// The command meets a store or a log that fails.
    Fail(Failure, Wish),
    /// The process dies when the store has the command's change and the log has not.
    CrashBeforeLog(Wish),
    /// Stopped, filled from a file, and started.
    ImportStopped(Vec<Arrival>),
    /// Copied as it is at one moment.
    Snapshot,
}

/// How a command fails.
#[derive(Clone, Copy, Debug)]
pub(in crate::registry::tests) enum Failure {
    /// The commit fails, although it is durable.
    StoreDurable,
    /// The commit fails, and nothing is durable.
    StoreLost,
    /// The log takes no records.
    LogRefuses,
    /// The log takes records and does not commit them.
    LogFails,
}

/// Commands that need not be answered for it to be known what they did.
fn settled(slots: usize, names: usize) -> impl Strategy<Value = Wish> {
    let slot = move || 0..slots;
    let both = move || (0..slots, 0..names);
    prop_oneof![
        3 => slot().prop_map(Wish::CheckIn),
        2 => slot().prop_map(Wish::SignOut),
        6 => both().prop_map(|(slot, name)| Wish::Prove(slot, name)),
        3 => both().prop_map(|(slot, name)| Wish::Rebind(slot, name)),
        3 => both().prop_map(|(slot, name)| Wish::Unbind(slot, name)),
        2 => (0..names).prop_map(Wish::Deregister),
        2 => (both(), any::<bool>()).prop_map(|((slot, name), is_so)| Wish::SetDiscoverable(slot, name, is_so)),
        2 => arrivals(names).prop_map(Wish::Import),
        6 => rows(slots, names),
    ]
}

/// Commands of rows and flags.
fn rows(slots: usize, names: usize) -> impl Strategy<Value = Wish> {
    let why = prop::sample::select(FlagReason::ALL.to_vec());
    prop_oneof![
        6 => (row_steps(), any::<bool>()).prop_map(|(steps, fails)| Wish::Rows(steps, fails)),
        4 => (0..slots, 0..names, row_steps(), any::<bool>())
            .prop_map(|(slot, name, steps, breaks)| Wish::ProveWith(slot, name, steps, breaks)),
        1 => (0..names, row_steps(), any::<bool>())
            .prop_map(|(name, steps, breaks)| Wish::DeregisterWith(name, steps, breaks)),
        4 => (0..slots, why).prop_map(|(slot, why)| Wish::Flag(slot, why)),
        1 => (0..slots).prop_map(Wish::ClearFlag),
    ]
}

fn command(slots: usize, names: usize) -> impl Strategy<Value = Op> {
    let wish = prop_oneof![
        3 => Just(Wish::SignUp),
        2 => (0..slots).prop_map(Wish::Join),
        29 => settled(slots, names),
    ];
    wish.prop_map(Op::Do)
}

fn trouble(slots: usize, names: usize) -> impl Strategy<Value = Op> {
    let failures =
        [Failure::StoreDurable, Failure::StoreLost, Failure::LogRefuses, Failure::LogFails];
    let fail = (prop::sample::select(failures.to_vec()), settled(slots, names));
    prop_oneof![
        2 => Just(Op::Crash),
        2 => fail.prop_map(|(failure, wish)| Op::Fail(failure, wish)),
        1 => settled(slots, names).prop_map(Op::CrashBeforeLog),
        1 => arrivals(names).prop_map(Op::ImportStopped),
        1 => Just(Op::Snapshot),
    ]
}

fn pass(micros: &[u64]) -> impl Strategy<Value = Op> + use<> {
    let span = prop::sample::select(micros.to_vec()).prop_map(Duration::from_micros);
    (span, 0..8u8).prop_map(|(span, chance)| match chance {
        0 => Op::StepBack(span.min(LEASE)),
        _ => Op::Pass(span),
    })
}

const LEASE_MICROS: u64 = 100_000_000;
const DAY_MICROS: u64 = 86_400_000_000;
const SHORT: [u64; 4] = [1, LEASE_MICROS / 2, LEASE_MICROS - 1, LEASE_MICROS];
const LONG: [u64; 4] = [DAY_MICROS, 11 * DAY_MICROS, 30 * DAY_MICROS, 40 * DAY_MICROS];

/// Of a history of some forty steps: everything comes, and meets.
pub(in crate::registry::tests) fn short() -> impl Strategy<Value = Op> {
    let (slots, names) = (8, FEW);
    prop_oneof![
        20 => command(slots, names),
        2 => Just(Op::Tick),
        3 => pass(&SHORT),
        2 => pass(&LONG),
        6 => trouble(slots, names),
    ]
}

/// Of a history of any length: much happens within a lease and within what is remembered, and what takes real time is
/// rare.
pub(in crate::registry::tests) fn long() -> impl Strategy<Value = Op> {
    let (slots, names) = (24, HANDLES.len());
    prop_oneof![
        900 => command(slots, names),
        30 => Just(Op::Tick),
        50 => pass(&SHORT),
        4 => pass(&LONG),
        16 => trouble(slots, names),
    ]
}
