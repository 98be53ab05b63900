//! A node whose own store or query log is busy with one entry neither applies the next one nor sends its own. Commands that are too many for
//! one entry become several.

use super::*;
use crate::{
    limits,
    registry::{RowKind, Rows},
};

/// Longer than the pauses after which a node tries again.
const A_WHILE: Duration = Duration::from_millis(50);

/// Three entries of Ann, while Ben is away.
async fn three_entries(two: &Two) {
    two.ben.log.set_away(true);
    for _ in 0..3 {
        two.ann.device().await;
    }
}

/// Ben has the first of these entries, and not the next one.
async fn ben_has_one(two: &Two) {
    let applied = || two.ben.store.disk().applied.map(|applied| applied.head.place);
    let first = async {
        while applied() != Some(2) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, first).await.expect("it has the entry");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(applied(), Some(2), "the next entry waits");
}

async fn both_have_all(two: Two) {
    two.ben.catches_up(&two.engine).await.expect("it follows");
    check_entries(&two.engine, &[two.ann, two.ben]).await.expect("they agree");
}

#[test]
fn while_the_query_log_refuses_an_entry_the_next_one_waits() {
    Two::run(async |two| {
        three_entries(&two).await;
        two.ben.sink.refuse_all.store(true, Ordering::SeqCst);
        two.ben.log.set_away(false);
        ben_has_one(&two).await;
        two.ben.sink.refuse_all.store(false, Ordering::SeqCst);
        both_have_all(two).await;
    });
}

#[test]
fn while_the_store_may_have_an_entry_or_not_the_next_one_waits() {
    for is_durable in [false, true] {
        Two::run(async |two| {
            three_entries(&two).await;
            {
                let mut disk = two.ben.store.disk();
                (disk.fail_next, disk.reopens_failing) = (Some(is_durable), u32::MAX);
            }
            two.ben.log.set_away(false);
            if is_durable {
                ben_has_one(&two).await;
            } else {
                tokio::time::sleep(A_WHILE).await;
            }
            two.ben.store.disk().reopens_failing = 1;
            both_have_all(two).await;
        });
    }
}

#[test]
fn an_entry_in_doubt_is_not_sent_while_the_store_is_in_doubt() {
    Two::run(async |two| {
        let device = two.ann.device().await.device;
        let (committed, told) = oneshot::channel();
        *lock(&two.ann.sink.commit_next) = Some(told);
        let (ann, phone) = (&two.ann, handle("+14155550123"));
        // Its record is not committed yet, so its row in the store stays.
        let slow = ann.registry.sign_up(sign_up(None));
        let proof = async {
            two.ann.registry.reached(3).await.expect("it is visible");
            ann.log.set_away(true);
            let (proof, ()) = future::join(ann.registry.prove(device, phone.clone()), async {
                while ann.log.count(Call::Append) < 3 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                // Now there is something to tidy up, and that fails.
                {
                    let mut disk = ann.store.disk();
                    (disk.fail_tidying, disk.reopens_failing) = (true, u32::MAX);
                }
                committed.send(()).expect("the log waits");
                while ann.store.disk().fail_tidying {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                ann.log.set_away(false);
                let sent = ann.log.count(Call::Append);
                tokio::time::sleep(A_WHILE).await;
                assert_eq!(ann.log.count(Call::Append), sent, "it waits for the store");
                ann.store.disk().reopens_failing = 1;
            })
            .await;
            proof
        };
        let (signed_up, proof) = future::join(slow, proof).await;
        signed_up.expect("it is recorded");
        // On a slow machine its caller was told that nobody knows.
        assert!(
            matches!(proof, Ok(_) | Err(DeviceError::Change(ChangeError::StoreUnwritable))),
            "{proof:?}"
        );
        two.ann.registry.reached(4).await.expect("it is sent once the store works");
        assert!(ann.is_live(&phone));
        both_have_all(two).await;
    });
}

/// Puts so many of the longest rows at once.
async fn put(registry: &Registry, first: u64, rows: u64) -> Result<(), ChangeError> {
    let plan = move |planned: &mut Rows<'_>| {
        for number in first..first + rows {
            let value = vec![7; limits::REGISTRY_ROW_VALUE_BYTES_MAX];
            planned.put(RowKind::Session, &number.to_be_bytes(), None, value);
        }
        Ok(())
    };
    registry.change_rows(plan).await
}

#[test]
fn commands_that_are_too_large_for_one_entry_together_become_several() {
    Two::run(async |two| {
        // Two thirds of an entry.
        let rows =
            (limits::SHARED_LOG_ENTRY_MAX / limits::REGISTRY_ROW_VALUE_BYTES_MAX * 2 / 3) as u64;
        let registry = &two.ann.registry;
        // While the first one is on its way, the others wait together.
        two.ann.log.set_delay(Duration::from_millis(20));
        let commands = (0..3).map(|number| put(registry, number * rows, rows));
        let outcomes = future::join_all(commands).await;
        assert_eq!(outcomes, [Ok(()); 3]);
        assert_eq!(two.head().await.place, 4, "one entry each");
        let shown = registry.rows().expect("it is loaded").count(RowKind::Session);
        assert_eq!(shown as u64, 3 * rows);
        // One that is too large alone is refused, and nothing else is.
        let too_large = put(registry, 1_000_000, 2 * rows);
        let outcomes = future::join(too_large, put(registry, 2_000_000, 1)).await;
        assert_eq!(outcomes, (Err(ChangeError::TooLarge), Ok(())));
        both_have_all(two).await;
    });
}
