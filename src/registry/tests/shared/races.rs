//! Three nodes that race for places, with lost messages, delays and crashes: what was acknowledged is there exactly once, what was
//! refused is not, and nobody planned on what was no longer true.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
};

use futures_util::future::join_all;

use super::*;
use crate::{
    registry::{RowKind, Rows},
    vocabulary::ChangeKind,
};

const ROUNDS: u64 = 10;
const CLIENTS: u64 = 2;
const STEPS: u64 = 5;
const COUNT: &[u8] = b"count";
const PHONES: [&str; 3] = ["+14155550100", "+14155550101", "+14155550102"];

/// SplitMix64 (Steele and others, 2014).
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// What became of a client's commands.
#[derive(Default)]
struct Heard {
    /// Increments by their number: the value that each made, or why it was refused.
    counts: BTreeMap<u64, Result<u64, ChangeError>>,
    signed_up: Vec<DeviceId>,
    /// Who proved which phone, as far as that was acknowledged.
    proofs: Vec<(DeviceId, Handle)>,
}

fn value(row: Option<&[u8]>) -> u64 {
    row.map_or(0, |row| u64::from_le_bytes(row.try_into().expect("eight bytes")))
}

/// Increments the one counter, and leaves a row of its own.
async fn count(registry: &Registry, number: u64) -> Result<u64, ChangeError> {
    let plan = move |rows: &mut Rows<'_>| {
        let next = value(rows.get(RowKind::Sends, COUNT)) + 1;
        rows.put(RowKind::Sends, COUNT, None, next.to_le_bytes().into());
        rows.put(RowKind::Session, &number.to_le_bytes(), None, next.to_le_bytes().into());
        Ok(next)
    };
    registry.change_rows(plan).await
}

async fn client(registry: &Registry, first: u64, mut dice: Dice, heard: &Mutex<Heard>) {
    let mut device = None;
    for number in first..first + STEPS {
        match (dice.below(4), device) {
            (0, _) | (_, None) => {
                if let Ok(new) = registry.sign_up(sign_up(None)).await {
                    lock(heard).signed_up.push(new.device);
                    device = Some(new.device);
                }
            }
            (1, Some(device)) => {
                let phone = handle(PHONES[dice.below(3) as usize]);
                if registry.prove(device, phone.clone()).await.is_ok() {
                    lock(heard).proofs.push((device, phone));
                }
            }
            (2, Some(device)) => drop(registry.check_in(device).await),
            _ => {}
        }
        let outcome = count(registry, number).await;
        lock(heard).counts.insert(number, outcome);
    }
}

/// Faults of one call in five.
fn wire(log: &MemoryLog, mut dice: Dice) {
    log.set_delay(Duration::from_micros(dice.below(300)));
    log.fail_by(move |call| match (call, dice.below(100)) {
        (_, 0..5) => Some(Fault::RequestLost),
        (_, 5..12) => Some(Fault::AnswerLost),
        (Call::Append, 12..16) => Some(Fault::Late),
        (Call::Append, 16..20) => Some(Fault::Twice),
        (Call::Append, 20..22) => Some(Fault::Refused),
        _ => None,
    });
}

async fn round(
    nodes: &mut [Node],
    engine: &MemoryLog,
    round: u64,
    heard: &Mutex<Heard>,
    runtime: &Runtime,
    dice: &mut Dice,
) {
    for node in nodes.iter() {
        wire(&node.log, Dice(dice.below(u64::MAX)));
    }
    let victim = dice.below(NODES as u64 * 2) as usize;
    let after = Duration::from_micros(dice.below(4_000));
    let clients = nodes.iter().enumerate().flat_map(|(at, node)| {
        (0..CLIENTS).map(move |client| (at as u64 * CLIENTS + client, node))
    });
    let clients = clients.map(|(number, node)| {
        let first = (round * NODES as u64 * CLIENTS + number) * STEPS;
        client(&node.registry, first, Dice(first ^ dice.0), heard)
    });
    let clients: Vec<_> = clients.collect();
    let dies = async {
        tokio::time::sleep(after).await;
        nodes.get(victim).map(|node| node.crashed(engine, runtime))
    };
    let (_, reborn) = futures_util::future::join(join_all(clients), dies).await;
    for node in nodes.iter() {
        // What comes late finds its place taken, or not.
        node.log.deliver();
        node.log.fail_by(|_| None);
    }
    if let Some(node) = reborn {
        nodes[victim] = node;
    }
}

/// Many rounds, and what is wrong after them.
fn run(seed: u64, wrap: Wrap) -> Result<u64, String> {
    let runtime = engine_runtime();
    let engine = begun_log();
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let nodes = (0..NODES as u64).map(|number| {
        let with = (clock.clone(), &runtime, wrap);
        Node::start(number, Arc::new(engine.handle()), begun_disk(), Vec::new(), with)
    });
    let (mut nodes, mut dice, heard): (Vec<_>, _, _) =
        (nodes.collect(), Dice(seed), Mutex::default());
    crate::registry::tests::model::block_on(async {
        let mut lost_races = 0;
        for number in 0..ROUNDS {
            let before: Vec<_> = nodes.iter().map(|node| node.registry.lost_races()).collect();
            round(&mut nodes, &engine, number, &heard, &runtime, &mut dice).await;
            clock.advance(Duration::from_millis(dice.below(20_000)));
            for (node, before) in nodes.iter().zip(before) {
                node.catches_up(&engine).await?;
                // A node that crashed counts anew.
                lost_races += node.registry.lost_races().saturating_sub(before);
            }
        }
        let entries = check_entries(&engine, &nodes).await?;
        check_heard(&entries, &nodes[0], &lock(&heard))?;
        Ok(lost_races)
    })
}

fn check_heard(entries: &[Entry], node: &Node, heard: &Heard) -> Result<(), String> {
    let rows = node.registry.rows().expect("it is loaded");
    let made: HashMap<u64, u64> = heard
        .counts
        .keys()
        .filter_map(|number| {
            let row = rows.get(RowKind::Session, &number.to_le_bytes())?;
            Some((*number, value(Some(row))))
        })
        .collect();
    let distinct: BTreeSet<_> = made.values().collect();
    if value(rows.get(RowKind::Sends, COUNT)) != made.len() as u64 || distinct.len() != made.len() {
        return Err("an increment was lost or made twice".to_owned());
    }
    for (number, outcome) in &heard.counts {
        let fits = match outcome {
            Ok(value) => made.get(number) == Some(value),
            Err(ChangeError::Overloaded) => !made.contains_key(number),
            Err(_) => true,
        };
        if !fits {
            return Err(format!(
                "increment {number} heard {outcome:?} and made {:?}",
                made.get(number)
            ));
        }
    }
    let changes: Vec<_> = entries.iter().flat_map(|entry| &entry.changes).collect();
    let ids: BTreeSet<_> = changes.iter().map(|change| change.id).collect();
    if ids.len() != changes.len() {
        return Err("a change was recorded twice".to_owned());
    }
    let is_proof = |kind| matches!(kind, ChangeKind::HandleBound | ChangeKind::HandleMoved);
    for device in &heard.signed_up {
        let of = changes.iter().filter(|change| {
            change.kind == ChangeKind::DeviceRegistered && change.device == Some(*device)
        });
        if of.count() != 1 {
            return Err("a sign-up is not there exactly once".to_owned());
        }
    }
    let mut proved = BTreeMap::<_, usize>::new();
    for (device, phone) in &heard.proofs {
        *proved.entry((*device, phone.clone())).or_default() += 1;
    }
    for ((device, phone), least) in proved {
        let of = changes.iter().filter(|change| {
            is_proof(change.kind)
                && (change.device, change.handle.as_ref()) == (Some(device), Some(&phone))
        });
        if of.count() < least {
            return Err("an acknowledged proof is not there".to_owned());
        }
    }
    if entries.is_sorted_by(|one, next| one.decided_at < next.decided_at) {
        Ok(())
    } else {
        Err("an entry was decided before an earlier one".to_owned())
    }
}

#[test]
fn what_three_racing_nodes_acknowledge_is_there_once_and_what_they_refuse_is_not() {
    let races: u64 = (1..=4)
        .map(|seed| run(seed, |log| log).unwrap_or_else(|why| panic!("seed {seed}: {why}")))
        .sum();
    assert!(races > 20, "{races} lost races are too few to say anything");
}

/// An engine that appends whatever the head is.
struct Careless(Arc<MemoryLog>);

impl Quirk for Careless {
    fn log(&self) -> &MemoryLog {
        &self.0
    }

    fn append<'a>(
        &'a self,
        _: Head,
        entry: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>> {
        Box::pin(async move {
            let head = self.0.head().await?;
            self.0.append(head, entry).await
        })
    }
}

#[test]
fn an_engine_that_ignores_the_expected_head_is_noticed_by_the_chain() {
    let why = run(1, |log| Arc::new(Quirky(Careless(log)))).expect_err("it is wrong");
    assert!(why.contains("does not continue") || why.contains("does not follow"), "{why}");
}
