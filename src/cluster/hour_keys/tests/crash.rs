//! Crashes at each call of the disk.

use super::{keyrings::Giver, *};
use crate::files::tests::sim_disk::{SimDisk, Survives};

const NODES: [NodeId; 2] = [NodeId(1), NodeId(2)];

/// What had been acknowledged after so many calls of the disk: a key is there, or it is gone.
type Ack = (usize, NodeId, Hour, bool);

fn hour(n: u32) -> Hour {
    Timestamp::EPOCH.plus(HOUR * (498_000 + n)).hour(Default::default())
}

/// Keys of two nodes come, one of which is dated by another hour. Some expire. One node is removed, and its last keys expire.
fn history(disk: &SimDisk, files: MemberKeyFiles) -> Vec<Ack> {
    let (clock, mut acks) = (ManualClock::at(hour(720).start()), Vec::new());
    let members = MemberKeyrings::open(Arc::new(disk.clone()), files).unwrap();
    for (node, n, dated) in [(0, 0, 0), (0, 1, 3), (1, 0, 0), (1, 2, 2), (0, 2, 2)] {
        let key = HourKey::of(&[1 + n as u8; 32]);
        members.put(NODES[node], Giver::Other, vec![(hour(n), hour(dated), key)]).unwrap();
        acks.push((disk.ops(), NODES[node], hour(n), true));
    }
    // Only now, since time stands still: those of the first hour are due.
    members.destroy_expired(&*clock, RETENTION, Some(&NODES)).unwrap();
    acks.extend(NODES.map(|node| (disk.ops(), node, hour(0), false)));
    clock.advance(2 * HOUR);
    members.destroy_expired(&*clock, RETENTION, Some(&NODES[..1])).unwrap();
    acks.extend([(disk.ops(), NODES[1], hour(2), false), (disk.ops(), NODES[0], hour(2), false)]);
    assert!(
        members.get(NODES[1]).is_none()
            && members.get(NODES[0]).unwrap().hours() == [hour(1)].into()
    );
    acks
}

#[test]
fn a_crash_at_any_call_keeps_what_was_taken_and_forgets_what_was_destroyed() {
    let live = TempDir::new().unwrap();
    let sim = SimDisk::new(live.path());
    let acks = history(&sim, MemberKeyFiles::new(live.path(), None));
    for count in 0..=sim.ops() {
        for torn in [0, sim.appended(count) / 2] {
            for survives in Survives::ALL {
                let crashed = TempDir::new().unwrap();
                sim.crash_at(count, torn, survives, crashed.path());
                let files = MemberKeyFiles::new(crashed.path(), None);
                let again = MemberKeyrings::open(disk(), files.clone());
                let again =
                    again.unwrap_or_else(|error| panic!("{count} {torn} {survives:?}: {error}"));
                for (_, node, hour, is_there) in acks.iter().filter(|ack| ack.0 <= count) {
                    let later = |ack: &&Ack| (ack.1, ack.2) == (*node, *hour) && ack.3 != *is_there;
                    // The next change of the same key may have begun.
                    if *is_there && acks.iter().any(|ack| later(&ack)) {
                        continue;
                    }
                    let found = again.get(*node).and_then(|it| it.get(*hour));
                    assert_eq!(
                        found.is_some(),
                        *is_there,
                        "{count} {survives:?} {node:?} {hour:?}"
                    );
                }
                // What goes on from here ends where it would have without the crash.
                let clock = ManualClock::at(hour(722).start());
                again.destroy_expired(&*clock, RETENTION, Some(&NODES[..1])).unwrap();
                assert_eq!(again.unforgotten(&*clock, RETENTION).unwrap(), []);
                assert!(again.get(NODES[1]).is_none() && !files.of(NODES[1]).root_key.exists());
            }
        }
    }
}

#[test]
fn keys_that_could_not_be_written_are_not_held() {
    let live = TempDir::new().unwrap();
    let sim = SimDisk::new(live.path());
    let files = MemberKeyFiles::new(live.path(), None);
    let members = MemberKeyrings::open(Arc::new(sim.clone()), files).unwrap();
    let put =
        |n| members.put(NODES[0], Giver::Other, vec![(hour(n), hour(n), HourKey::of(&[1; 32]))]);
    put(0).unwrap();
    sim.fail_syncs.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(put(1).is_err());
    assert_eq!(members.get(NODES[0]).unwrap().hours(), [hour(0)].into());
    sim.fail_syncs.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(put(1).unwrap(), 1);
    assert_eq!(put(1).unwrap(), 0, "it is there");
}

#[test]
fn a_keyring_that_could_not_be_removed_is_removed_later() {
    let live = TempDir::new().unwrap();
    let sim = SimDisk::new(live.path());
    let files = MemberKeyFiles::new(live.path(), None);
    let members = MemberKeyrings::open(Arc::new(sim.clone()), files.clone()).unwrap();
    members.put(NODES[0], Giver::Origin, vec![(hour(0), hour(0), HourKey::of(&[1; 32]))]).unwrap();
    let clock = ManualClock::at(hour(720).start());
    assert_eq!(members.destroy_expired(&*clock, RETENTION, Some(&NODES)).unwrap(), 1);
    let remove = || members.destroy_expired(&*clock, RETENTION, Some(&NODES[1..]));
    sim.fail_syncs.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(remove().is_err());
    sim.fail_syncs.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(remove().unwrap(), 0);
    assert!(!files.of(NODES[0]).keyring.parent().unwrap().exists());
}

#[test]
fn there_are_keyrings_of_a_bounded_number_of_nodes() {
    let folder = TempDir::new().unwrap();
    let members = MemberKeyrings::open(disk(), MemberKeyFiles::new(folder.path(), None)).unwrap();
    let put = |node, giver| {
        members.put(NodeId(node), giver, vec![(hour(0), hour(0), HourKey::of(&[1; 32]))]).unwrap()
    };
    let most = limits::CLUSTER_KEYRINGS_MAX as u64;
    for node in 0..most / 2 {
        assert_eq!(put(node, Giver::Other), 1);
    }
    assert_eq!(put(u64::MAX, Giver::Other), 0, "whoever makes nodes up leaves some for real ones");
    for node in most / 2..most {
        assert_eq!(put(node, Giver::Origin), 1);
    }
    assert_eq!(put(u64::MAX, Giver::Origin), 0);
}

#[test]
fn root_keys_lie_beside_that_of_the_log() {
    let (folder, roots) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let files = MemberKeyFiles::new(folder.path(), Some(&roots.path().join("root.key")));
    let members = MemberKeyrings::open(disk(), files.clone()).unwrap();
    members
        .put(NodeId(255), Giver::Other, vec![(hour(0), hour(0), HourKey::of(&[1; 32]))])
        .unwrap();
    assert!(roots.path().join("root.key.00000000000000ff").exists());
    assert!(!files.of(NodeId(255)).keyring.with_file_name("root.key").exists());
    MemberKeyrings::remove_all(&disk(), &files).unwrap();
    assert!(crate::files::names(roots.path()).unwrap().is_empty());
    assert!(!folder.path().join("keys/members").exists());
}
