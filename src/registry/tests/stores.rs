//! Rows that contradict one another are damage, not an answer.

use super::*;
use crate::registry::{OpenError, StoreError};

/// What loading says of two accounts of which the second is changed so that it meets the first.
async fn refusal(meet: impl Fn(&SignedUp, &mut crate::registry::account::Account)) -> String {
    let bench = Bench::new();
    let (first, second) = (bench.device().await, bench.device().await);
    for (device, phone) in [(&first, "+14155550123"), (&second, "+14155550124")] {
        bench.registry.prove(device.device, handle(phone)).await.expect("it binds");
    }
    let mut disk = bench.store.disk().clone();
    meet(&first, disk.accounts.get_mut(&second.account).expect("it signed up"));
    let registry =
        Registry::with_store(Box::new(MemoryStore::on(disk)), config(), bench.clock.clone());
    let error = registry.load().expect_err("they contradict each other");
    assert!(matches!(error, OpenError::Store(StoreError::Damaged(_))), "{error}");
    assert!(registry.view().is_err(), "nothing is served");
    assert!(matches!(registry.load(), Err(OpenError::OutOfOrder)));
    error.to_string()
}

#[tokio::test]
async fn a_handle_or_a_device_of_two_accounts_is_damage() {
    let error = refusal(|_, second| second.claims[0].handle = handle("+14155550123")).await;
    assert!(error.ends_with("two accounts have the same handle"), "{error}");
    let error = refusal(|first, second| {
        second.devices[0].id = first.device;
        second.claims[0].devices = [first.device].into_iter().collect();
    });
    let error = error.await;
    assert!(error.ends_with("two accounts have the same device"), "{error}");
}

#[tokio::test]
async fn a_subject_survives_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let [asking, found] = [1, 2].map(AccountId::from_bits);
    let open =
        |dir: &std::path::Path| Registry::open(dir, config(), clock.clone()).expect("it opens");
    let before = open(dir.path()).subject(asking, found);
    assert_eq!(open(dir.path()).subject(asking, found), before);
    let other = tempfile::tempdir().expect("a directory");
    assert_ne!(open(other.path()).subject(asking, found), before);
}
