//! The largest accounts that the limits allow: whatever is done with one of them fits into an entry of the log.

use super::*;
use crate::{
    limits,
    registry::{
        ImportRecords, Imported, TransferAccount, TransferClaim, TransferDevice,
        packed::DEVICES_MAX,
    },
    vocabulary::ChangeKind,
};

fn device(account: u64, device: u64, at: Timestamp) -> TransferDevice {
    TransferDevice {
        device: DeviceId::from_bits(account * 1_000 + device),
        platform: Platform::Ios,
        last_check_in_at: at,
        registered_at: None,
        name: Some("x".repeat(limits::DEVICE_NAME_BYTES_MAX)),
        token_hash: None,
    }
}

/// The longest address there is with these numbers in it.
fn longest(account: u64, claim: usize) -> Handle {
    let local = format!("{claim}.{account}.");
    let local = format!("{local}{}", "x".repeat(limits::EMAIL_LOCAL_BYTES_MAX - local.len()));
    let label = "y".repeat(60);
    let domain = format!("{label}.{label}.{label}.org");
    let room = limits::EMAIL_BYTES_MAX - local.len() - domain.len() - 2;
    handle(&format!("{local}@{}.{domain}", "z".repeat(room)))
}

/// An account that has as much of everything as it may. Each device backs each handle.
fn largest(account: u64, at: Timestamp) -> TransferAccount {
    let devices: Vec<_> =
        (1..=DEVICES_MAX as u64).map(|number| device(account, number, at)).collect();
    let claims = (0..limits::HANDLES_PER_ACCOUNT_MAX).map(|claim| TransferClaim {
        handle: longest(account, claim),
        proved_at: Some(at),
        discoverable: false,
        devices: devices.iter().map(|device| device.device).collect(),
    });
    let claims = claims.collect();
    TransferAccount { account: AccountId::from_bits(account), devices, claims }
}

/// A node at a log, with limits as wide as they can be.
fn widest(engine: &MemoryLog, runtime: &Runtime) -> Bench {
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let store = MemoryStore::on(begun_disk());
    let config = Config { devices_per_account: DEVICES_MAX, ..config() };
    let registry = Registry::with_store(Box::new(store.clone()), config, clock.clone());
    let registry = registry.following(member(Arc::new(engine.handle()), runtime, 1));
    Bench::started(registry.expect("the store is in the log"), store, Arc::default(), clock)
}

async fn import(node: &Bench, account: TransferAccount) -> Imported {
    let imported = node.registry.import([account].into(), &mut ImportRecords::default()).await;
    imported.expect("it fits into an entry")
}

#[test]
fn the_largest_account_comes_in_lapses_and_leaves() {
    let runtime = engine_runtime();
    super::super::model::block_on(async {
        let node = widest(&begun_log(), &runtime);
        let imported = import(&node, largest(1, node.clock.now())).await;
        let handles = limits::HANDLES_PER_ACCOUNT_MAX;
        assert_eq!((imported.devices, imported.handles), (DEVICES_MAX as u64, handles as u64));
        let (mut lapsed, mut removed) = (0, 0);
        for span in [LEASE, FORGET_AFTER] {
            node.clock.advance(span);
            loop {
                let ticked = node.registry.tick().await.expect("it fits into an entry");
                (lapsed, removed) = (lapsed + ticked.lapsed, removed + ticked.removed);
                if ticked.lapsed + ticked.removed == 0 {
                    break;
                }
            }
        }
        assert_eq!((lapsed, removed), (DEVICES_MAX, DEVICES_MAX));
        assert!(node.store.disk().accounts.is_empty());
        // Nothing of it went unrecorded.
        let count = |kind| node.sink.log().iter().filter(|change| change.kind == kind).count();
        assert_eq!(count(ChangeKind::LeaseExpired), DEVICES_MAX * handles);
        assert_eq!(count(ChangeKind::HandleUnbound), DEVICES_MAX * handles);
    });
}

#[test]
fn an_account_takes_handles_from_no_more_large_accounts_than_fit_into_an_entry() {
    let runtime = engine_runtime();
    super::super::model::block_on(async {
        let node = widest(&begun_log(), &runtime);
        let at = node.clock.now();
        let holders = 2..22;
        for holder in holders.clone() {
            import(&node, largest(holder, at)).await;
        }
        node.clock.advance(Duration::from_secs(1));
        let later = node.clock.now();
        let mut taker = largest(1, later);
        let number = taker.claims.len() as u64;
        for (claim, holder) in taker.claims.iter_mut().zip(holders) {
            claim.handle = longest(holder, 0);
        }
        let imported = import(&node, taker.clone()).await;
        assert!(imported.moved >= 3, "{imported:?}");
        assert_eq!(
            (imported.handles, imported.handles_held),
            (number - (20 - imported.moved), 20 - imported.moved)
        );
        // From one account it may take everything.
        let mut second = largest(23, later);
        for (claim, held) in second.claims.iter_mut().zip(0..limits::HANDLES_PER_ACCOUNT_MAX) {
            claim.handle = longest(21, held);
        }
        assert_eq!(import(&node, second).await.moved, number);
    });
}

#[test]
fn the_row_of_an_account_is_no_longer_than_it_says() {
    let runtime = engine_runtime();
    super::super::model::block_on(async {
        let node = widest(&begun_log(), &runtime);
        let imported = largest(1, node.clock.now());
        import(&node, imported).await;
        for number in 0..limits::LOST_HANDLES_PER_ACCOUNT_MAX {
            node.registry.deregister(longest(1, number)).await.expect("it ends");
        }
        let disk = node.store.disk();
        let account = disk.accounts.values().next().expect("it came in");
        let bytes = crate::registry::store::write_steps(
            &[Mutation::PutAccount { account: account.clone(), known_by: None }],
            &[],
            node.clock.now(),
        )
        .len();
        assert!(bytes <= account.row_bytes_max(), "{bytes} of {}", account.row_bytes_max());
        assert!(account.row_bytes_max() < limits::IMPORT_HOLDERS_BYTES_MAX / 3);
    });
}
