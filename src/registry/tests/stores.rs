//! Rows that contradict one another are damage, not an answer.

use super::*;
use crate::registry::{OpenError, StoreError};

#[tokio::test]
async fn a_claim_on_a_stranger_s_device_is_damage() {
    let bench = Bench::new();
    let device = bench.device().await.device;
    bench.registry.prove(device, handle("+14155550123")).await.expect("it binds");
    let mut disk = bench.store.disk().clone();
    disk.devices.clear();
    let registry =
        Registry::with_store(Box::new(MemoryStore::on(disk)), config(), bench.clock.clone());
    let error = registry.load().expect_err("its device is missing");
    assert!(matches!(error, OpenError::Store(StoreError::Damaged(_))), "{error}");
    assert!(!error.to_string().contains("4155550123"));
    assert!(registry.view().is_err(), "nothing is served");
    assert!(matches!(registry.load(), Err(OpenError::OutOfOrder)));
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
