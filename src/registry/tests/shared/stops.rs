//! What stops a node, what it refuses, and what it leaves alone.

use super::*;
use crate::{
    limits,
    registry::{
        EntryError, HandleState, Hold, ImportRecords, LogStop, OpenError, RowKind, Rows,
        TransferAccount, TransferClaim, TransferDevice,
    },
    shared_log::Stopped,
};

async fn stops(node: &Node) -> LogStop {
    let mut told = node.registry.shared.position.subscribe();
    let stopped =
        tokio::time::timeout(PATIENCE, told.wait_for(|position| position.stopped.is_some()));
    stopped.await.expect("it stops").expect("it lives").stopped.expect("it says why")
}

const REFUSED: DeviceError = DeviceError::Change(ChangeError::StoreUnwritable);

#[test]
fn a_change_at_one_node_is_seen_at_the_other_and_kept_by_both() {
    Two::run(async |two| {
        let device = two.ann.device().await.device;
        two.ben.catches_up(&two.engine).await.expect("it follows");
        let phone = handle("+14155550123");
        two.ben.registry.prove(device, phone.clone()).await.expect("it knows the device");
        two.ann.catches_up(&two.engine).await.expect("it follows");
        assert!(two.ann.is_live(&phone) && two.ben.is_live(&phone));
        let head = two.head().await;
        assert_eq!(head.place, 3);
        for node in [&two.ann, &two.ben] {
            assert_eq!((node.registry.applied(), node.registry.reached(3).await), (head, Ok(head)));
            assert_eq!(node.store.disk().applied.map(|applied| applied.head), Some(head));
        }
        assert_eq!(*two.ann.sink.log(), *two.ben.sink.log());
        let decided = two.ann.sink.log().last().map(|change| change.id.decided_us());
        let floor = |node: &Node| Some(lock(&node.sink.floor).as_micros());
        assert_eq!([floor(&two.ann), floor(&two.ben)], [decided; 2]);
        let reborn = two.ann.crashed(&two.engine, &two.runtime);
        assert_eq!((reborn.registry.applied(), floor(&reborn)), (head, decided));
        assert!(reborn.is_live(&phone));
    });
}

#[test]
fn entries_of_one_node_are_decided_later_than_all_before_them_though_its_clock_is_a_little_behind()
{
    Two::run(async |two| {
        let ahead = two.ann.clock.now();
        two.ann.device().await;
        two.ben.catches_up(&two.engine).await.expect("it follows");
        two.ann.clock.set_wall(ahead.minus(limits::CLUSTER_ENTRY_AHEAD_MAX / 2));
        two.ben.device().await;
        let reborn = two.ben.crashed(&two.engine, &two.runtime);
        reborn.device().await;
        let decided: Vec<_> = entries(&two.engine).await.expect("they are whole");
        let decided: Vec<_> = decided.iter().map(|entry| entry.decided_at.as_micros()).collect();
        let first = ahead.as_micros();
        assert_eq!(decided, [first, first + 1, first + 2]);
    });
}

const HELD: DeviceError = DeviceError::Change(ChangeError::Held);

#[test]
fn behind_an_entry_from_the_future_nothing_is_decided_until_the_clock_is_there() {
    Two::run(async |two| {
        let (now, device) = (two.ann.clock.now(), two.ann.device().await.device);
        two.ben.catches_up(&two.engine).await.expect("it follows");
        let future = now.plus(Duration::from_secs(365 * 24 * 3_600));
        two.ben.clock.set_wall(future);
        two.ben.device().await;
        two.ben.clock.set_wall(now);
        // Nobody has told this node. It finds the entry when it appends its own.
        assert_eq!(two.ann.registry.check_in(device).await, Err(HELD));
        let reborn = two.ann.crashed(&two.engine, &two.runtime);
        for node in [&two.ben, &reborn] {
            assert_eq!(node.registry.held(), Some(Hold::EntryAhead));
            assert_eq!(node.registry.check_in(device).await, Err(HELD));
        }
        reborn.clock.set_wall(future.minus(limits::CLUSTER_ENTRY_AHEAD_MAX));
        assert_eq!(reborn.registry.held(), None);
        reborn.registry.check_in(device).await.expect("the clock is there");
        let decided = entries(&two.engine).await.expect("they are whole");
        assert_eq!(decided.last().map(|entry| entry.decided_at), Some(future.moved(1)));
    });
}

#[test]
fn an_operator_who_trusts_the_clock_of_one_node_ends_an_entry_from_the_future_for_all() {
    Two::run(async |two| {
        let (now, device) = (two.ann.clock.now(), two.ann.device().await.device);
        let future = now.plus(Duration::from_secs(365 * 24 * 3_600));
        two.ann.clock.set_wall(future);
        two.ann.device().await;
        two.ann.clock.set_wall(now);
        two.ben.catches_up(&two.engine).await.expect("it follows");
        two.ben.registry.trust_clock();
        assert_eq!(
            [&two.ann, &two.ben].map(|it| it.registry.held()),
            [Some(Hold::EntryAhead), None]
        );
        two.ben.device().await;
        two.ann.catches_up(&two.engine).await.expect("it follows");
        assert_eq!(two.ann.registry.held(), None);
        two.ann.device().await;
        // The word holds for the entries until then, and not for the next one from the future.
        two.ann.clock.set_wall(future);
        two.ann.device().await;
        two.ann.clock.set_wall(now);
        two.ben.catches_up(&two.engine).await.expect("it follows");
        assert_eq!(two.ben.registry.check_in(device).await, Err(HELD));
        let decided = entries(&two.engine).await.expect("they are whole");
        let decided: Vec<_> = decided.iter().map(|entry| entry.decided_at).collect();
        assert_eq!(decided, [now, future, now, now.moved(1), future]);
        check_entries(&two.engine, &[two.ann, two.ben]).await.expect("they agree");
    });
}

#[test]
fn what_depends_on_no_time_is_decided_right_behind_the_last_entry_whatever_the_clock_shows() {
    Two::run(async |two| {
        let now = two.ann.clock.now();
        two.ann.device().await;
        let year = Duration::from_secs(365 * 24 * 3_600);
        let put = |rows: &mut Rows<'_>| {
            rows.put(RowKind::LinkCode, &rows.now().as_micros().to_be_bytes(), None, Vec::new());
            Ok::<_, ChangeError>(())
        };
        for (clock, hold) in
            [(now.plus(year), Some(Hold::Clock)), (now.minus(year), None), (now, Some(Hold::Clock))]
        {
            two.ann.clock.set_wall(clock);
            two.ann.registry.hold(hold);
            let held = two.ann.registry.held();
            assert_eq!(held, hold.or(Some(Hold::EntryAhead)));
            assert_eq!(two.ann.registry.change_rows(put).await, Err(ChangeError::Held));
            assert_eq!(two.ann.registry.change_rows_at_any_time(put).await, Ok(()), "{clock}");
        }
        two.ben.catches_up(&two.engine).await.expect("it follows");
        assert_eq!(two.ben.registry.held(), None, "no time of a wrong clock is in the log");
        let decided = entries(&two.engine).await.expect("they are whole");
        let decided: Vec<_> = decided.iter().map(|entry| entry.decided_at).collect();
        assert_eq!(decided, [0, 1, 2, 3].map(|more| now.moved(more)));
        for hold in [Hold::Removed, Hold::NotCompared, Hold::Copied] {
            two.ann.registry.hold(Some(hold));
            let refused = two.ann.registry.change_rows_at_any_time(put).await;
            assert_eq!(refused, Err(ChangeError::Held), "{hold}");
        }
        check_entries(&two.engine, &[two.ann, two.ben]).await.expect("they agree");
    });
}

#[test]
fn while_an_entry_is_in_doubt_nothing_is_shown_and_nothing_else_planned() {
    Two::run(async |two| {
        let device = two.ann.device().await.device;
        let phone = handle("+14155550123");
        two.ann.log.set_away(true);
        assert_eq!(two.ann.registry.prove(device, phone.clone()).await, Err(REFUSED));
        let sent = two.ann.log.count(Call::Append);
        assert!(!two.ann.is_live(&phone));
        assert_eq!(two.ann.registry.check_in(device).await, Err(REFUSED));
        assert_eq!(two.head().await.place, 2);
        // Then the same entry is sent until it is known.
        two.ann.log.set_away(false);
        let mut told = two.ann.registry.shared.position.subscribe();
        let settled =
            tokio::time::timeout(PATIENCE, told.wait_for(|position| position.applied.place == 3));
        drop(settled.await.expect("it is settled").expect("it lives"));
        assert!(two.ann.is_live(&phone) && two.ann.log.count(Call::Append) > sent);
        recovered(&two.ann.registry).await;
        two.ann.registry.check_in(device).await.expect("it goes on");
        two.ben.catches_up(&two.engine).await.expect("it follows");
        check_entries(&two.engine, &[two.ann, two.ben]).await.expect("they agree");
    });
}

#[test]
fn an_entry_in_doubt_whose_place_another_got_is_dropped() {
    Two::run(async |two| {
        let device = two.ann.device().await.device;
        two.ben.catches_up(&two.engine).await.expect("it follows");
        two.ann.log.set_away(true);
        let phone = handle("+14155550123");
        assert_eq!(two.ann.registry.prove(device, phone.clone()).await, Err(REFUSED));
        two.ben.device().await;
        two.ann.log.set_away(false);
        two.ann.catches_up(&two.engine).await.expect("it follows");
        recovered(&two.ann.registry).await;
        assert!(!two.ann.is_live(&phone), "its caller was refused");
        assert_eq!(two.head().await.place, 3);
        check_entries(&two.engine, &[two.ann, two.ben]).await.expect("they agree");
    });
}

#[test]
fn a_log_restored_from_a_backup_stops_a_node_and_is_not_repaired() {
    Two::run(async |two| {
        two.ann.device().await;
        let backup = two.engine.backup();
        two.ben.log.set_away(true);
        let device = two.ann.device().await.device;
        two.engine.restore(&backup);
        assert_eq!(stops(&two.ann).await, LogStop::Diverged);
        assert_eq!(two.ann.registry.reached(99).await, Err(Stopped::Diverged));
        assert_eq!(two.ann.registry.check_in(device).await, Err(REFUSED));
        // The other one goes on: it had not applied what is gone.
        two.ben.log.set_away(false);
        two.ben.catches_up(&two.engine).await.expect("it follows");
        two.ben.device().await;
        // As long as that, and another one.
        let reborn = two.ann.crashed(&two.engine, &two.runtime);
        assert_eq!(stops(&reborn).await, LogStop::Diverged);
        assert_eq!(reborn.registry.applied().place, 3);
        // And longer.
        two.ben.device().await;
        let reborn = reborn.crashed(&two.engine, &two.runtime);
        assert_eq!(stops(&reborn).await, LogStop::Diverged);
    });
}

#[test]
fn a_command_that_finds_another_log_stops_the_node() {
    Two::run(async |two| {
        two.ann.device().await;
        let backup = two.engine.backup();
        let device = two.ann.device().await.device;
        two.engine.restore(&backup);
        // The poll may come first.
        assert_eq!(two.ann.registry.check_in(device).await, Err(REFUSED));
        assert_eq!(stops(&two.ann).await, LogStop::Diverged);
        assert_eq!(two.head().await.place, 2);
    });
}

#[test]
fn a_node_that_was_away_for_too_long_says_that_it_needs_a_snapshot() {
    Two::run(async |two| {
        two.ben.log.set_away(true);
        for _ in 0..3 {
            two.ann.device().await;
        }
        two.engine.trim(3).await.expect("it is memory");
        two.ben.log.set_away(false);
        assert_eq!(stops(&two.ben).await, LogStop::Trimmed(3));
        assert_eq!(two.ben.registry.sign_up(sign_up(None)).await.map(drop), Err(REFUSED));
        assert_eq!(two.ben.registry.reached(4).await, Err(Stopped::Trimmed));
    });
}

#[test]
fn an_entry_that_cannot_be_read_stops_every_node_before_it() {
    Two::run(async |two| {
        let device = two.ann.device().await.device;
        let head = two.head().await;
        two.engine.append(head, &[9, 1, 2, 3]).await.expect("it takes any bytes");
        let why = LogStop::Entry(EntryError::FormatUnknown(9));
        assert_eq!((stops(&two.ann).await, stops(&two.ben).await), (why, why));
        // Also whoever asks only for what is applied.
        for place in [head.place, head.place + 1] {
            assert_eq!(two.ann.registry.reached(place).await, Err(Stopped::Entry));
        }
        assert_eq!(two.ann.registry.applied(), head);
        assert_eq!(two.ann.registry.check_in(device).await, Err(REFUSED));
        assert!(two.ann.registry.device(device).expect("reading goes on").is_some());
    });
}

#[test]
fn an_entry_that_does_not_fit_stops_every_node_before_it() {
    Two::run(async |two| {
        let nobody = DeviceId::from_bits(7);
        let at = two.ann.clock.now();
        let step = Mutation::CheckIn { account: AccountId::from_bits(7), device: nobody, at };
        append(&two.engine, vec![step]).await;
        let why = LogStop::Entry(EntryError::Misfit);
        assert_eq!((stops(&two.ann).await, stops(&two.ben).await), (why, why));
    });
}

fn at() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

#[test]
fn an_entry_that_no_member_wrote_has_a_place_and_changes_nothing() {
    Two::run(async |two| {
        two.ann.device().await;
        let nobody = DeviceId::from_bits(7);
        // It would stop every node, if a member had written it. It is decided at the end of all time.
        let step = Mutation::CheckIn { account: AccountId::from_bits(7), device: nobody, at: at() };
        let forged = |node| {
            let (steps, changes) = (vec![step.clone()], Vec::new());
            Entry {
                node: NodeId(node),
                decided_at: Timestamp::from_micros(u64::MAX),
                steps,
                changes,
            }
        };
        let (key, stranger) = (OneKey::new().newest(), NodeKey::new(&[3; 32]));
        append_entry(&two.engine, forged(STRANGER), &key, &node_key()).await;
        append_entry(&two.engine, forged(1), &key, &stranger).await;
        let unknown = EntryKey::new(7, &[7; 32]);
        append_entry(&two.engine, forged(STRANGER), &unknown, &stranger).await;
        for node in [&two.ann, &two.ben] {
            node.catches_up(&two.engine).await.expect("it goes on");
            assert_eq!(node.registry.applied().place, 5);
        }
        two.ben.device().await;
        two.ann.catches_up(&two.engine).await.expect("it follows");
        let reborn = two.ann.crashed(&two.engine, &two.runtime);
        assert_eq!(reborn.registry.applied().place, 6);
        assert!(two.ann.store.disk().agrees_with(&two.ben.store.disk()));
        let decided = two.ann.store.disk().applied.map(|applied| applied.decided_at);
        assert!(decided.is_some_and(|decided| decided < Timestamp::from_secs(1_800_000_100)));
    });
}

#[test]
fn a_node_that_is_no_member_appends_nothing() {
    Two::run(async |two| {
        let log = Arc::new(two.engine.handle());
        let with = (two.ann.clock.clone(), &*two.runtime, (|log| log) as Wrap);
        let removed = Node::start(STRANGER, Arc::clone(&log), begun_disk(), Vec::new(), with);
        let refused = removed.registry.sign_up(sign_up(None)).await.map(drop);
        assert_eq!(refused, Err(DeviceError::Change(ChangeError::Held)));
        assert_eq!(log.count(Call::Append), 0);
        two.ann.device().await;
        removed.catches_up(&two.engine).await.expect("it follows");
    });
}

#[test]
fn a_node_that_lacks_a_destroyed_key_says_that_it_needs_a_snapshot() {
    Two::run(async |two| {
        append_under(&two.engine, 0).await;
        assert_eq!(stops(&two.ann).await, LogStop::KeyGone(0));
        assert_eq!(two.ann.registry.reached(2).await, Err(Stopped::Trimmed));
    });
}

async fn append_under(engine: &MemoryLog, key: u32) {
    let entry = Entry { node: NodeId(9), decided_at: at(), steps: Vec::new(), changes: Vec::new() };
    append_entry(engine, entry, &EntryKey::new(key, &[0; 32]), &node_key()).await;
}

async fn append(engine: &MemoryLog, steps: Vec<Mutation>) {
    let entry = Entry { node: NodeId(9), decided_at: at(), steps, changes: Vec::new() };
    append_entry(engine, entry, &OneKey::new().newest(), &node_key()).await;
}

/// An engine that lets another node append first, every time.
struct Late(Arc<MemoryLog>);

impl Quirk for Late {
    fn log(&self) -> &MemoryLog {
        &self.0
    }

    fn append<'a>(
        &'a self,
        expected: Head,
        bytes: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>> {
        Box::pin(async move {
            append(&self.0, Vec::new()).await;
            self.0.append(expected, bytes).await
        })
    }
}

#[test]
fn a_command_that_loses_every_race_is_refused_as_overloaded() {
    let (engine, runtime) = (begun_log(), engine_runtime());
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let with = (clock, &runtime, (|log| Arc::new(Quirky(Late(log)))) as Wrap);
    let node = Node::start(1, Arc::new(engine.handle()), begun_disk(), Vec::new(), with);
    super::super::model::block_on(async {
        let refused = node.registry.sign_up(sign_up(None)).await.map(drop);
        assert_eq!(refused, Err(DeviceError::Change(ChangeError::Overloaded)));
        let races = u64::from(crate::limits::REGISTRY_LOST_RACES_MAX);
        assert_eq!((node.registry.lost_races(), node.registry.applied().place), (races, races + 1));
        assert!(node.store.disk().accounts.is_empty());
    });
}

fn crowd(accounts: u64) -> Arc<[TransferAccount]> {
    let at = Timestamp::from_secs(1_800_000_000);
    let account = |number: u64| TransferAccount {
        account: AccountId::from_bits(number),
        devices: vec![TransferDevice {
            device: DeviceId::from_bits(number),
            platform: Platform::Ios,
            last_check_in_at: at,
            registered_at: None,
            name: None,
            token_hash: None,
        }],
        claims: (0..60)
            .map(|claim| TransferClaim {
                handle: handle(&format!("{claim}.{number}.{}@example.org", "x".repeat(40))),
                proved_at: None,
                discoverable: true,
                devices: vec![DeviceId::from_bits(number)],
            })
            .collect(),
    };
    (1..=accounts).map(account).collect()
}

#[test]
fn an_import_that_is_too_large_for_one_entry_becomes_several() {
    Two::run(async |two| {
        let crowd = crowd(200);
        let imported = two.ann.registry.import(crowd, &mut ImportRecords::default()).await;
        let imported = imported.expect("it is divided");
        assert_eq!((imported.accounts, imported.handles), (200, 200 * 60));
        two.ben.catches_up(&two.engine).await.expect("it follows");
        assert!(two.head().await.place > 2);
        let last = handle(&format!("59.200.{}@example.org", "x".repeat(40)));
        let found = two.ben.registry.view().expect("it is loaded").probe(&last);
        assert!(matches!(found, HandleState::Claimed { .. }));
        check_entries(&two.engine, &[two.ann, two.ben]).await.expect("they agree");
    });
}

#[test]
fn a_node_that_changes_something_alone_has_left_the_log() {
    Two::run(async |two| {
        two.ann.device().await;
        let disk = two.ann.store.disk().clone();
        let alone = Bench::on(MemoryStore::on(disk), Arc::default(), two.ann.clock.clone());
        assert_ne!(alone.store.applied(), Applied::NONE);
        alone.device().await;
        assert_eq!(alone.store.applied(), Applied::NONE);
        assert_eq!(two.head().await.place, 2);
        // From the log's first entry on it would not come where it is.
        let again =
            Registry::with_store(Box::new(alone.store.clone()), config(), two.ann.clock.clone());
        let refused = again.following(member(two.ann.log.clone(), &two.runtime, 1));
        assert!(matches!(refused, Err(OpenError::OutsideLog)));
    });
}
