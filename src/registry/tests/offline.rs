//! A stopped registry is filled in pieces that see one another.

use super::*;
use crate::{
    registry::{
        ClusterId, HandleState, ImportRecords, RowKind, Rows, StoppedRegistry, StoreError,
        TransferAccount, TransferClaim, TransferDevice, genesis,
        store::{Applied, Mutation, RedbStore, Store as _},
    },
    shared_log::Head,
    vocabulary::ChangeKind,
};

const PHONES: [&str; 3] = ["+14155550100", "+14155550101", "+14155550102"];

/// An account on its way in that proved `phone` a second ago.
fn arriving(id: u64, phone: &str, now: Timestamp) -> TransferAccount {
    let device = TransferDevice {
        device: DeviceId::from_bits(id),
        platform: Platform::Ios,
        last_check_in_at: now,
        registered_at: None,
        name: None,
        token_hash: None,
    };
    let claim = TransferClaim {
        handle: handle(phone),
        proved_at: Some(now.minus(Duration::from_secs(1))),
        discoverable: true,
        devices: vec![device.device],
    };
    TransferAccount {
        account: AccountId::from_bits(id),
        devices: vec![device],
        claims: vec![claim],
    }
}

#[tokio::test]
async fn what_one_piece_takes_from_an_account_the_next_one_does_not_give_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let open = || {
        let registry = Registry::open(dir.path(), config(), clock.clone()).expect("it opens");
        start(&registry, &Arc::default());
        registry
    };
    let registry = open();
    let holder = registry.sign_up(sign_up(None)).await.expect("nothing stands against it");
    for phone in PHONES {
        registry.prove(holder.device, handle(phone)).await.expect("it binds");
    }
    drop(registry);
    clock.advance(Duration::from_secs(10));
    // Each is in another piece, or the last two would not be in that of the first.
    let now = clock.now();
    let arriving = (1..).zip(PHONES).flat_map(|(number, phone)| {
        [arriving(10 * number, phone, now), arriving(10 * number + 1, "e@example.org", now)]
    });
    let mut arriving: Vec<_> = arriving.collect();
    arriving.iter_mut().skip(1).step_by(2).for_each(|account| account.claims.clear());
    let mut stopped = StoppedRegistry::open(dir.path(), config(), clock.clone()).expect("it opens");
    stopped.piece_accounts = 2;
    let imported = stopped.import(arriving.into_iter().map(Ok), &mut |_| {}).expect("it is sound");
    assert_eq!((imported.accounts, imported.moved), (6, 3));
    drop(stopped);
    let registry = open();
    for (number, phone) in (1..).zip(PHONES) {
        let found = registry.view().expect("it is loaded").probe(&handle(phone));
        let HandleState::Claimed { account, .. } = found else { panic!("somebody holds it") };
        assert_eq!(account, AccountId::from_bits(10 * number));
    }
    let former = registry.device(holder.device).expect("it is loaded").expect("it is there");
    assert_eq!((former.handles.len(), former.lost.len()), (0, 3));
}

#[tokio::test]
async fn what_a_piece_holds_twice_comes_in_once() {
    let bench = Bench::new();
    let now = bench.clock.now();
    let first = arriving(1, "+14155550121", now);
    let same_account = arriving(1, "+14155550122", now);
    let same_handle = arriving(2, "+14155550121", now);
    let mut same_device = arriving(3, "+14155550123", now);
    let device = first.devices[0].device;
    same_device.devices[0].device = device;
    same_device.claims[0].devices = vec![device];
    let piece = vec![first, same_account, same_handle, same_device];
    let imported = bench
        .registry
        .import(piece.into(), &mut ImportRecords::default())
        .await
        .expect("changes are taken");
    assert_eq!((imported.accounts, imported.devices, imported.handles), (1, 1, 1));
    assert_eq!((imported.accounts_kept, imported.handles_held), (1, 1));
    // An index that contradicts itself would not load again.
    let bench = bench.crashed();
    assert_eq!(bench.registry.counts(now).expect("it is loaded").handles, 1);
}

#[tokio::test]
async fn of_a_large_import_the_log_hears_once_and_of_each_handle_that_it_knows() {
    let bench = Bench::new();
    let holder = bench.device().await;
    let [moved, brought, more] = PHONES;
    bench.registry.prove(holder.device, handle(moved)).await.expect("it binds");
    bench.clock.advance(Duration::from_secs(10));
    bench.sink.log().clear();
    let now = bench.clock.now();
    let mut records = ImportRecords::default();
    assert!(records.reserve(crate::limits::IMPORT_CHANGES_RECORDED_MAX));
    let first = vec![arriving(1, brought, now), arriving(2, moved, now)];
    for piece in [first, vec![arriving(3, more, now)]] {
        bench.registry.import(piece.into(), &mut records).await.expect("changes are taken");
    }
    let recorded: Vec<_> =
        bench.sink.log().iter().map(|change| (change.kind, change.handle.clone())).collect();
    let expected =
        [(ChangeKind::HandleImported, None), (ChangeKind::HandleMoved, Some(handle(moved)))];
    assert_eq!(recorded, expected);
    assert!(PHONES.iter().all(|phone| bench.is_live(&handle(phone))));
}

#[test]
fn a_stopped_node_whose_rows_change_has_left_the_shared_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let applied = Applied { head: Head::EMPTY.after(b"an entry"), decided_at: clock.now() };
    let mut store = RedbStore::open(dir.path(), clock.now()).expect("it opens");
    store.commit(1, &[Mutation::Applied(applied)]).expect("there is space");
    drop(store);
    let change = |puts: bool| {
        let mut stopped =
            StoppedRegistry::open(dir.path(), config(), clock.clone()).expect("it opens");
        let plan = |rows: &mut Rows<'_>| {
            if puts {
                rows.put(RowKind::Operator, b"ops", None, vec![1]);
            }
            Ok::<_, StoreError>(())
        };
        stopped.change_rows(RowKind::Operator, plan).expect("there is space");
        drop(stopped);
        RedbStore::open(dir.path(), clock.now()).expect("it opens").applied()
    };
    assert_eq!(change(false), applied);
    assert_eq!(change(true), Applied::NONE);
}

#[test]
fn a_stopped_node_begins_a_log_with_what_it_holds() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let open = || StoppedRegistry::open(dir.path(), config(), clock.clone()).expect("it opens");
    let (cluster, row) = (ClusterId([7; 16]), vec![1]);
    assert_eq!(open().log_head(), None);
    let begun = open().follow_log(cluster, &[RowKind::Operator], |_| Err(StoreError::NotOpen));
    assert!(begun.map(|()| open().log_head()).is_err(), "all or nothing");
    assert_eq!(open().log_head(), None);
    let plan = |rows: &mut Rows<'_>| {
        rows.put(RowKind::Operator, b"ops", None, row.clone());
        Ok::<_, StoreError>(())
    };
    open().follow_log(cluster, &[RowKind::Operator], plan).expect("there is space");
    assert_eq!(open().log_head(), Some(Head::EMPTY.after(&genesis(cluster))));
    let mut rows = Vec::new();
    open().each_row(RowKind::Operator, |key, row| rows.push((key.to_vec(), row.to_vec()))).unwrap();
    assert_eq!(rows, [(b"ops".to_vec(), row)]);
}
