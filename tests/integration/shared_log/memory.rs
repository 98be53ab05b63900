//! The log in memory: it does what every engine must, and fails as it is told.

use std::{sync::Arc, time::Duration};

use dispatchd::shared_log::{Appended, Call, EngineError, Fault, Head, MemoryLog, SharedLog};
use proptest::{
    prelude::Rng as _,
    test_runner::{RngAlgorithm, TestRng},
};

use super::{Log, contract, workload};

#[tokio::test]
async fn the_contract_holds() {
    contract::holds(async || {
        let log = MemoryLog::new();
        [log.handle(), log].map(|log| Arc::new(log) as Log)
    })
    .await;
}

/// A chooser of faults, the same for the same seed.
fn choose(seed: u8) -> impl FnMut(Call) -> Option<Fault> {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    move |_| match random.next_u32() % 8 {
        0 => Some(Fault::RequestLost),
        1 => Some(Fault::AnswerLost),
        2 => Some(Fault::Late),
        3 => Some(Fault::Twice),
        _ => None,
    }
}

#[tokio::test]
async fn the_contract_holds_while_messages_are_lost_late_and_doubled() {
    for seed in 0..4 {
        let log = MemoryLog::new();
        let nodes = [log.handle(), log.handle(), log].map(Arc::new);
        for (node, seed) in nodes.iter().zip(seed * 3..) {
            node.fail_by(choose(seed));
            node.set_delay(Duration::from_millis(1));
        }
        let handles = nodes.clone().map(|log| log as Log);
        let nemesis = async || {
            for node in nodes.iter().cycle().take(15) {
                node.set_away(true);
                tokio::time::sleep(Duration::from_millis(20)).await;
                node.set_away(false);
                node.deliver();
            }
        };
        workload::holds(&handles, 20, nemesis).await;
    }
}

/// What the caller was told, and the head then.
async fn after(fault: Fault) -> (Result<Appended, EngineError>, Head) {
    let log = MemoryLog::new();
    log.fail(Call::Append, fault);
    let told = log.append(Head::EMPTY, b"entry").await;
    (told, log.head().await.unwrap())
}

#[tokio::test]
async fn each_fault_does_what_it_says() {
    let first = Head::EMPTY.after(b"entry");
    let unknown = |told| matches!(told, Err(EngineError::Unknown(_)));
    let (told, head) = after(Fault::RequestLost).await;
    assert!(unknown(told) && head == Head::EMPTY);
    let (told, head) = after(Fault::AnswerLost).await;
    assert!(unknown(told) && head == first);
    let (told, head) = after(Fault::Twice).await;
    assert!(told == Ok(Appended::Taken(first)) && head == first);
    let (told, head) = after(Fault::Refused).await;
    assert!(matches!(told, Err(EngineError::Refused(_))) && head == Head::EMPTY);

    let (log, backup) = (MemoryLog::new(), MemoryLog::new().backup());
    log.fail(Call::Append, Fault::Late);
    log.fail(Call::Head, Fault::RequestLost);
    assert!(unknown(log.append(Head::EMPTY, b"entry").await));
    assert!(log.head().await.is_err(), "each call has its own faults");
    assert_eq!(log.head().await, Ok(Head::EMPTY));
    log.deliver();
    assert_eq!(log.head().await, Ok(first));
    assert_eq!((log.count(Call::Append), log.count(Call::Head)), (1, 3));

    let other = log.handle();
    log.set_away(true);
    assert!(unknown(log.append(first, b"second").await));
    assert_eq!(other.head().await, Ok(first));
    other.restore(&backup);
    assert_eq!(other.head().await, Ok(Head::EMPTY));
    log.set_away(false);
    assert_eq!(log.head().await, Ok(Head::EMPTY));
}
