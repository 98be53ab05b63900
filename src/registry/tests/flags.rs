//! Flags: set once, cleared by a proof or an operator, gone with the account.

use super::*;
use crate::{
    limits,
    registry::AccountFlag,
    vocabulary::{Cause, ChangeKind, FlagReason},
};

const WHY: FlagReason = FlagReason::SweptNumbers;

fn told(bench: &Bench) -> Vec<(ChangeKind, Cause, Option<AccountId>)> {
    let of_flags = |change: &&Change| {
        matches!(change.kind, ChangeKind::AccountFlagged | ChangeKind::AccountCleared)
    };
    let log = bench.sink.log();
    log.iter().filter(of_flags).map(|told| (told.kind, told.cause, told.account)).collect()
}

#[tokio::test]
async fn an_account_is_flagged_once_and_stays_so_after_a_crash() {
    let bench = Bench::new();
    let (one, other) = (bench.device().await, bench.device().await);
    assert_eq!(bench.registry.flag_count(), 0);
    assert_eq!(bench.registry.flag_account(one.account, WHY).await, Ok(true));
    let flag = AccountFlag { reason: WHY, at: bench.clock.now() };
    bench.clock.advance(LEASE / 2);
    let again = bench.registry.flag_account(one.account, FlagReason::TooFewHits).await;
    assert_eq!(again, Ok(false));
    let nobody = AccountId::from_bits(0);
    assert_eq!(bench.registry.flag_account(nobody, WHY).await, Ok(false));
    let bench = bench.crashed();
    assert_eq!(bench.registry.flag_of(one.account), Some(flag));
    assert_eq!(bench.registry.flag_of(other.account), None);
    assert_eq!(bench.registry.newest_flags(9).expect("it is loaded"), [(one.account, flag)]);
    assert_eq!(bench.registry.flag_count(), 1);
    assert_eq!(told(&bench), [(ChangeKind::AccountFlagged, Cause::Flag(WHY), Some(one.account))]);
}

#[tokio::test]
async fn a_fresh_proof_or_an_operator_clears_a_flag_and_a_rebinding_does_not() {
    let bench = Bench::new();
    let phone = handle("+14155550123");
    let first = bench.device().await;
    bench.registry.prove(first.device, phone.clone()).await.expect("it binds");
    let second = bench.joined(first.account).await;
    bench.registry.unbind(second.device, phone.clone()).await.expect("it was bound");
    bench.registry.flag_account(first.account, WHY).await.expect("changes are taken");
    bench.registry.rebind(second.device, phone.clone()).await.expect("the proof is held");
    bench.registry.check_in(second.device).await.expect("it is known");
    assert_eq!(bench.registry.flag_count(), 1);
    bench.registry.prove(second.device, phone).await.expect("it is proved again");
    assert_eq!(bench.registry.flag_of(first.account), None);
    assert_eq!(bench.registry.clear_flag(first.account).await, Ok(false));
    bench.registry.flag_account(first.account, WHY).await.expect("changes are taken");
    assert_eq!(bench.registry.clear_flag(first.account).await, Ok(true));
    let bench = bench.crashed();
    assert_eq!(bench.registry.flag_count(), 0);
    let account = Some(first.account);
    let flagged = (ChangeKind::AccountFlagged, Cause::Flag(WHY), account);
    let cleared = |cause| (ChangeKind::AccountCleared, cause, account);
    assert_eq!(told(&bench), [flagged, cleared(Cause::Proof), flagged, cleared(Cause::Operator)]);
}

#[tokio::test]
async fn proofs_clear_one_flag_in_seven_days() {
    let bench = Bench::new();
    let phone = bench.device().await;
    let mut cleared = Vec::new();
    for (place, by_operator) in [false, false, true, false, false].into_iter().enumerate() {
        bench.registry.flag_account(phone.account, WHY).await.expect("changes are taken");
        let address = handle(&format!("ann+{place}@example.com"));
        bench.registry.prove(phone.device, address).await.expect("it binds");
        cleared.push(bench.registry.flag_of(phone.account).is_none());
        if by_operator {
            bench.registry.clear_flag(phone.account).await.expect("changes are taken");
        }
    }
    assert_eq!(cleared, [true, false, false, true, false]);
    let bench = bench.crashed();
    bench.clock.advance(limits::FLAG_CLEARED_BY_PROOF_EVERY);
    bench.registry.prove(phone.device, handle("ann@example.com")).await.expect("it binds");
    assert_eq!(bench.registry.flag_of(phone.account), None);
}

#[tokio::test]
async fn a_flag_goes_with_its_account() {
    let bench = Bench::new();
    let first = bench.device().await;
    let second = bench.joined(first.account).await;
    bench.registry.flag_account(first.account, WHY).await.expect("changes are taken");
    bench.registry.sign_out(first.device).await.expect("it is known");
    assert_eq!(bench.registry.flag_count(), 1);
    bench.registry.sign_out(second.device).await.expect("it is known");
    assert_eq!(bench.registry.flag_count(), 0);
    assert_eq!(bench.crashed().registry.flag_count(), 0);
}

/// Like every change with a record, a flag is seen only once the log has it.
#[tokio::test]
async fn a_flag_is_not_seen_before_the_log_has_it() {
    let bench = Bench::new();
    let account = bench.device().await.account;
    bench.sink.refuse_all.store(true, Ordering::SeqCst);
    let refused = bench.registry.flag_account(account, WHY).await;
    assert_eq!(refused, Err(ChangeError::LogUnwritable));
    assert_eq!((bench.store.disk().expiring.len(), bench.registry.flag_count()), (1, 0));
    bench.sink.refuse_all.store(false, Ordering::SeqCst);
    recovered(&bench.registry).await;
    assert_eq!(bench.registry.flag_of(account).map(|flag| flag.reason), Some(WHY));
}
