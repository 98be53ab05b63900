//! Expiring rows: what commands change, what ends, what a failure leaves.

use std::ops::ControlFlow;

use super::*;
use crate::registry::{RowKind, Rows, Ticked};

const KEY: &[u8] = b"key";
const SPAN: Duration = Duration::from_secs(10);

/// Puts a row that ends after [`SPAN`].
async fn put(registry: &Registry, kind: RowKind, key: &'static [u8], value: &'static [u8]) {
    let put = move |rows: &mut Rows<'_>| {
        rows.put(kind, key, Some(rows.now().plus(SPAN)), value.to_vec());
        Ok::<_, ChangeError>(())
    };
    registry.change_rows(put).await.expect("nothing stands against it");
}

fn get(registry: &Registry, kind: RowKind, key: &[u8]) -> Option<Vec<u8>> {
    registry.rows().expect("it is loaded").get(kind, key).map(<[u8]>::to_vec)
}

fn session(bench: &Bench) -> Option<Vec<u8>> {
    get(&bench.registry, RowKind::Session, KEY)
}

#[tokio::test]
async fn a_row_is_there_until_its_very_end_also_after_a_crash() {
    let mut bench = Bench::new();
    put(&bench.registry, RowKind::Session, KEY, b"one").await;
    bench.clock.advance(SPAN - Duration::from_micros(1));
    for _ in 0..2 {
        assert_eq!(session(&bench).as_deref(), Some(&b"one"[..]));
        assert_eq!(get(&bench.registry, RowKind::Sends, KEY), None, "another kind");
        bench = bench.crashed();
    }
    bench.clock.advance(Duration::from_micros(1));
    for _ in 0..2 {
        assert_eq!(session(&bench), None);
        assert_eq!(bench.store.disk().expiring.len(), 1);
        bench = bench.crashed();
    }
    let ticked = Ticked { rows: 1, ..Ticked::default() };
    assert_eq!(bench.registry.tick().await, Ok(ticked));
    assert_eq!(bench.registry.rows().expect("it is loaded").count(RowKind::Session), 0);
    assert_eq!(bench.store.disk().expiring.len(), 0);
    assert_eq!(bench.registry.tick().await, Ok(Ticked::default()));
}

#[tokio::test]
async fn a_commit_drops_some_rows_that_have_ended_but_none_that_it_puts_anew() {
    let bench = Bench::new();
    for key in [KEY, b"p", b"q", b"r", b"s", b"t"] {
        put(&bench.registry, RowKind::Session, key, b"old").await;
    }
    bench.clock.advance(SPAN);
    put(&bench.registry, RowKind::Session, KEY, b"new").await;
    assert_eq!(session(&bench).as_deref(), Some(&b"new"[..]));
    // Four of six were dropped, and one of these was put anew.
    assert_eq!(bench.store.disk().expiring.len(), 3);
    let bench = bench.crashed();
    assert_eq!(session(&bench).as_deref(), Some(&b"new"[..]));
    assert_eq!(bench.registry.rows().expect("it is loaded").count(RowKind::Session), 3);
}

#[tokio::test]
async fn a_plan_sees_its_own_changes_and_those_before_and_an_error_drops_its_own_alone() {
    let bench = Bench::new();
    let count = |rows: &mut Rows<'_>| {
        let counted = rows.get(RowKind::Sends, KEY).map_or(0, |value| value[0]) + 1;
        rows.put(RowKind::Sends, KEY, None, vec![counted]);
        assert_eq!(rows.get(RowKind::Sends, KEY), Some(&[counted][..]));
        assert_eq!(rows.count(RowKind::Sends), 1);
        if counted.is_multiple_of(2) && counted < 200 && rows.get(RowKind::LinkCode, KEY).is_none()
        {
            rows.put(RowKind::LinkCode, KEY, None, vec![counted]);
            return Err(ChangeError::Overloaded);
        }
        rows.remove(RowKind::LinkCode, KEY);
        assert_eq!(rows.count(RowKind::LinkCode), 0);
        Ok(counted)
    };
    // They share transactions.
    let all = (0..100).map(|_| bench.registry.change_rows(count));
    let all = future::join_all(all).await;
    assert_eq!(all.iter().filter(|done| done.is_ok()).count(), 1, "the second always fails");
    assert_eq!(get(&bench.registry, RowKind::Sends, KEY), Some(vec![1]));
    assert_eq!(get(&bench.registry, RowKind::LinkCode, KEY), None);
    let add = |rows: &mut Rows<'_>| {
        let counted = rows.get(RowKind::Sends, KEY).map_or(0, |value| value[0]) + 1;
        rows.put(RowKind::Sends, KEY, None, vec![counted]);
        Ok::<_, ChangeError>(counted)
    };
    let all = future::join_all((0..100).map(|_| bench.registry.change_rows(add))).await;
    let counted: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(counted, (2..=101).collect::<Vec<_>>());
    let bench = bench.crashed();
    assert_eq!(get(&bench.registry, RowKind::Sends, KEY), Some(vec![101]));
}

/// Takes the session if there is one. If not, counts the attempt.
fn take(rows: &mut Rows<'_>) -> ControlFlow<&'static str> {
    if rows.get(RowKind::Session, KEY).is_some() {
        rows.remove(RowKind::Session, KEY);
        return ControlFlow::Continue(());
    }
    rows.put(RowKind::Sends, KEY, None, vec![1]);
    ControlFlow::Break("there is no session")
}

#[tokio::test]
async fn a_proof_and_what_decides_on_it_are_one_transaction() {
    let bench = Bench::new();
    let (device, phone) = (bench.device().await.device, handle("+14155550123"));
    let refused = bench.registry.prove_with(device, phone.clone(), take).await;
    assert_eq!(refused, Ok(ControlFlow::Break("there is no session")));
    assert!(!bench.is_live(&phone));
    assert_eq!(get(&bench.registry, RowKind::Sends, KEY), Some(vec![1]), "it is counted");

    put(&bench.registry, RowKind::Session, KEY, b"one").await;
    let nobody = DeviceId::from_bits(0);
    let refused = bench.registry.prove_with(nobody, phone.clone(), take).await;
    assert_eq!(refused, Err(DeviceError::DeviceUnknown));
    assert!(session(&bench).is_some(), "the proof failed, so the session stays");

    let proved = bench.registry.prove_with(device, phone.clone(), take).await;
    assert_eq!(proved, Ok(ControlFlow::Continue(bench.clock.now())));
    assert!(bench.is_live(&phone) && session(&bench).is_none());

    put(&bench.registry, RowKind::Session, KEY, b"one").await;
    let done = bench.registry.deregister_with(phone.clone(), take).await;
    assert_eq!(done, Ok(ControlFlow::Continue(())));
    let done = bench.registry.deregister_with(phone.clone(), take).await;
    assert_eq!(done, Ok(ControlFlow::Break("there is no session")));
    let bench = bench.crashed();
    assert!(!bench.is_live(&phone) && session(&bench).is_none());
}

#[tokio::test]
async fn a_sign_up_and_its_link_code_are_one_transaction() {
    let bench = Bench::new();
    let first = bench.device().await;
    put(&bench.registry, RowKind::Session, KEY, b"one").await;
    let gone = sign_up(Some(AccountId::from_bits(0)));
    let refused = bench.registry.sign_up_with(gone, first.device, take).await;
    assert_eq!(refused, Err(DeviceError::AccountGone));
    let join = |inviter| bench.registry.sign_up_with(sign_up(Some(first.account)), inviter, take);
    // A device that has signed out invites nobody, though its account still exists; nor does one of another account.
    let lost = bench.registry.sign_up(sign_up(Some(first.account))).await.expect("it joins");
    bench.registry.sign_out(lost.device).await.expect("it is known");
    for stranger in [lost.device, bench.device().await.device] {
        assert_eq!(join(stranger).await, Err(DeviceError::AccountGone));
    }
    let joining = || join(first.device);
    let joined = joining().await.expect("there is space").continue_value();
    assert_eq!(joined.map(|joined| joined.account), Some(first.account));
    assert_eq!(joining().await, Ok(ControlFlow::Break("there is no session")));
}

#[tokio::test]
async fn rows_change_while_the_log_takes_no_records() {
    let bench = Bench::new();
    let (device, phone) = (bench.device().await.device, handle("+14155550123"));
    put(&bench.registry, RowKind::Session, KEY, b"one").await;
    bench.sink.refuse_all.store(true, Ordering::SeqCst);
    let proved = bench.registry.prove_with(device, phone.clone(), take).await;
    assert_eq!(proved, Err(ChangeError::LogUnwritable.into()));
    assert!(!bench.is_live(&phone), "it is durable but not recorded");
    // What is durable is what the next command sees: or the store would keep what memory forgets.
    assert_eq!(session(&bench), None);
    put(&bench.registry, RowKind::Session, KEY, b"two").await;
    assert_eq!(session(&bench).as_deref(), Some(&b"two"[..]));
    let refused = bench.registry.prove_with(device, phone.clone(), take).await;
    assert_eq!(refused, Err(ChangeError::LogUnwritable.into()));
    bench.sink.refuse_all.store(false, Ordering::SeqCst);
    recovered(&bench.registry).await;
    assert!(bench.is_live(&phone));
    assert_eq!(session(&bench).as_deref(), Some(&b"two"[..]));
    let bench = bench.crashed();
    assert_eq!(session(&bench).as_deref(), Some(&b"two"[..]));
}

#[tokio::test]
async fn a_failing_store_changes_no_row_unless_the_commit_proves_durable() {
    for is_durable in [false, true] {
        let bench = Bench::new();
        put(&bench.registry, RowKind::Session, KEY, b"one").await;
        bench.store.disk().fail_next = Some(is_durable);
        let remove = |rows: &mut Rows<'_>| {
            rows.remove(RowKind::Session, KEY);
            Ok::<_, ChangeError>(())
        };
        let failed = bench.registry.change_rows(remove).await;
        assert_eq!(failed, Err(ChangeError::StoreUnwritable));
        recovered(&bench.registry).await;
        assert_eq!(session(&bench).is_none(), is_durable);
        let bench = bench.crashed();
        assert_eq!(session(&bench).is_none(), is_durable);
    }
}

#[tokio::test]
async fn nothing_is_said_of_rows_before_they_are_loaded() {
    let bench = Bench::new();
    put(&bench.registry, RowKind::Session, KEY, b"one").await;
    let store = MemoryStore::on(bench.store.disk().clone());
    let registry = Registry::with_store(Box::new(store), config(), bench.clock.clone());
    assert!(registry.rows().is_err() && registry.newest_flags(1).is_err());
    registry.load().expect("the rows are good");
    assert!(registry.rows().is_err());
    registry.start(bench.sink.clone(), &|_| HashSet::new()).expect("it is loaded");
    assert!(get(&registry, RowKind::Session, KEY).is_some());
}
