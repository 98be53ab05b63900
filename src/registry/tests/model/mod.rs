//! Random operations against a simple model: after each step the index, the store and the log must say what the model
//! says, and so must a registry that is opened from what is durable at that moment.
//!
//! [`truth`] is the model, with [`claims`], [`import`] and [`rows`] as its rules of handles, of imports and of rows. An [`op`] speaks of
//! devices and handles by number, so that a history can be shortened; a [`command`] is what becomes of it. [`memory`]
//! and [`on_file`] carry histories out, [`check`] compares, [`long`] goes on for as long as it is told.

mod check;
mod claims;
pub(super) mod command;
mod import;
mod long;
mod memory;
mod on_file;
pub(super) mod op;
mod rows;
pub(super) mod truth;

use proptest::prelude::*;

use super::*;

/// What can be held. Short histories use the first [`FEW`], so that their commands meet.
const HANDLES: [&str; 20] = [
    "+14155550100",
    "+14155550101",
    "+4915123456789",
    "a@example.org",
    "b@example.org",
    "+14155550102",
    "+14155550103",
    "+14155550104",
    "+14155550105",
    "+14155550106",
    "+14155550107",
    "+14155550108",
    "+14155550109",
    "+4915123456780",
    "+4915123456781",
    "+4915123456782",
    "c@example.org",
    "d@example.org",
    "e@example.org",
    "eleven@letters.example.org",
];
const FEW: usize = 5;

/// For how long it is remembered how a handle ended.
const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);
/// When every store is founded and every clock starts.
const FOUNDED: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs a test. One that waits for what never comes fails, and holds up no other.
pub(super) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    let test = async { tokio::time::timeout(PATIENCE, test).await };
    runtime.block_on(test).expect("it ends")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn index_store_and_log_agree_with_the_model(ops in prop::collection::vec(op::short(), 1..40)) {
        block_on(memory::run(&ops));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn the_real_store_agrees_with_the_model(ops in prop::collection::vec(op::short(), 1..40)) {
        block_on(on_file::run(&ops));
    }
}
