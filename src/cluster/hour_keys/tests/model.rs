//! Three nodes under random absences, restarts, power cuts, steps of their wall clocks and a removal, against what must hold.

use std::{collections::BTreeMap, fs, path::Path};

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::cluster::sealing::{self, KeyOf, Purpose};

#[derive(Clone, Debug)]
enum Step {
    /// So many hours pass, one by one. Each running node writes in each.
    Pass(u32),
    /// So many hours pass at once.
    Jump(u32),
    /// A node stops, or is killed, which loses nothing but the time since its last tick.
    Stop(usize),
    Start(usize),
    /// The power of a running node's machine goes away for so many hours. The node starts again with it.
    PowerCut(usize, u32),
    /// Somebody sets a node's wall clock by so many hours.
    WrongWall(usize, i64),
    /// The wall clock is right again.
    RightWall(usize),
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (node, hours) = (0..3_usize, prop_oneof![2..50_i64, 700..800_i64, -800..-2_i64]);
    let step = prop_oneof![
        5 => (1..6_u32).prop_map(Step::Pass),
        2 => (6..800_u32).prop_map(Step::Jump),
        2 => node.clone().prop_map(Step::Stop),
        3 => node.clone().prop_map(Step::Start),
        1 => (node.clone(), 1..900_u32).prop_map(|(node, hours)| Step::PowerCut(node, hours)),
        1 => (node.clone(), hours).prop_map(|(node, hours)| Step::WrongWall(node, hours)),
        2 => node.clone().prop_map(Step::RightWall),
        1 => node.prop_map(Step::Remove),
    ];
    proptest::collection::vec(step, 1..25)
}

struct World {
    nodes: Vec<Node>,
    /// The real time.
    real: Timestamp,
    /// How far each wall clock is ahead of it.
    wrong_us: [i64; 3],
    removed: Option<usize>,
    /// Each key, with its bytes and when its hour really began.
    made: BTreeMap<Name, ([u8; 32], Timestamp)>,
    /// What each node held at the last check.
    held: [BTreeSet<Name>; 3],
    /// Everything that went over the network.
    wire: Vec<String>,
}

impl World {
    fn new() -> Self {
        let nodes = ["a", "b", "c"].map(|name| Node::at(name, START)).into();
        let (made, held) = (BTreeMap::new(), Default::default());
        Self { nodes, real: START, wrong_us: [0; 3], removed: None, made, held, wire: Vec::new() }
    }

    fn is_running(&self, at: usize) -> bool {
        self.nodes[at].running.is_some()
    }

    fn stop(&mut self, at: usize) {
        drop(self.nodes[at].running.take());
    }

    fn start(&mut self, at: usize) {
        if !self.is_running(at) {
            self.nodes[at].start();
        }
    }

    /// A machine's time passes also while its power is off. The hardware clock goes on.
    fn pass(&mut self, hours: u32) {
        self.real = self.real.plus(HOUR * hours);
        self.nodes.iter().for_each(|node| node.machine.advance(HOUR * hours));
        self.round();
    }

    fn members(&self) -> Vec<usize> {
        (0..3).filter(|at| self.removed != Some(*at)).collect()
    }

    /// What running nodes do within seconds: they write, destroy and ask each other, twice.
    fn round(&mut self) {
        let ids: Vec<_> = self.members().into_iter().map(|at| self.nodes[at].id()).collect();
        let running: Vec<_> = (0..3).filter(|at| self.is_running(*at)).collect();
        for node in running.iter().map(|at| &self.nodes[*at]) {
            let name = node.write();
            let made = node.key(name).unwrap();
            let began = Timestamp::from_secs(self.real.as_secs() / 3_600 * 3_600);
            self.made.entry(name).or_insert((made, began));
            node.tick(&ids);
        }
        for _ in 0..2 {
            for (own, other) in
                running.iter().flat_map(|own| running.iter().map(move |it| (*own, *it)))
            {
                // A removed node has no token any more.
                let are_members = self.removed != Some(own) && self.removed != Some(other);
                if own != other && are_members {
                    self.nodes[own].pull(&self.nodes[other], &mut self.wire).unwrap();
                }
            }
        }
        for node in running.iter().map(|at| &self.nodes[*at]) {
            let others: Vec<_> = ids.iter().copied().filter(|id| *id != node.id()).collect();
            node.run().keys.look(&others);
        }
        self.check(&running);
    }

    fn is_expired(&self, name: &Name) -> bool {
        self.made[name].1.plus(RETENTION) <= self.real
    }

    fn check(&mut self, running: &[usize]) {
        for at in running {
            let (node, held) = (&self.nodes[*at], self.nodes[*at].held());
            assert_eq!(node.run().clock.now(), self.real, "a wrong wall clock is not followed");
            for name in &held {
                assert!(!self.is_expired(name), "{at} holds {name:?}");
                assert_eq!(node.key(*name), Some(self.made[name].0));
            }
            let lost: Vec<_> = self.held[*at]
                .iter()
                .filter(|it| !held.contains(it) && !self.is_expired(it))
                .collect();
            assert!(lost.is_empty(), "{at} lost {lost:?}");
            self.held[*at] = held;
        }
        // A wall clock that is ahead hides what it takes for expired, as it does in the log.
        let is_right = |at: &&usize| self.removed != Some(**at) && self.wrong_us[**at] <= 0;
        let sound: Vec<_> = running.iter().filter(is_right).collect();
        let alive: BTreeSet<_> = sound.iter().flat_map(|at| &self.held[**at]).copied().collect();
        for at in &sound {
            for name in alive.iter().filter(|it| it.0 != self.nodes[**at].id()) {
                assert!(self.held[**at].contains(name), "{at} lacks {name:?}");
            }
            let (own, keys) = (self.nodes[**at].id(), &self.nodes[**at].run().keys);
            for (_, hour) in alive.iter().filter(|it| it.0 == own && 1 < sound.len()) {
                assert!(keys.is_held_elsewhere(*hour), "{at} does not know it of {hour:?}");
            }
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Pass(hours) => (0..hours).for_each(|_| self.pass(1)),
            Step::Jump(hours) => self.pass(hours),
            Step::Stop(at) => self.stop(at),
            Step::Start(at) => self.start(at),
            Step::PowerCut(at, hours) => {
                // A time service confirms the clock before and after: other cuts are a matter of `eras`.
                self.start(at);
                self.set_wall(at, 0);
                self.round();
                self.stop(at);
                self.pass(hours);
                self.nodes[at].machine.reboot();
                self.start(at);
            }
            Step::WrongWall(at, hours) if self.is_running(at) => {
                self.set_wall(at, hours * 3_600_000_000)
            }
            Step::WrongWall(..) => {}
            Step::RightWall(at) => self.set_wall(at, 0),
            Step::Remove(at) => self.removed = self.removed.or(Some(at)),
        }
        self.round();
    }

    /// The kernel knows of it: who sets a clock by hand says that it is not synchronised.
    fn set_wall(&mut self, at: usize, wrong_us: i64) {
        let machine = &self.nodes[at].machine;
        self.wrong_us[at] = wrong_us;
        machine.set_wall(self.real.moved(wrong_us));
        machine.set_synchronised(wrong_us == 0);
    }
}

/// Every file below a directory.
fn files_below(dir: &Path, files: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => files_below(&entry.path(), files),
            false => files.push(fs::read(entry.path()).unwrap()),
        }
    }
}

/// Whether these secrets open anything of what went over the network.
fn opens(wire: &[String], nodes: &[NodeId], secrets: &[[u8; 32]]) -> bool {
    let answers = wire.iter().filter_map(|text| serde_json::from_str::<HourKeysAnswer>(text).ok());
    answers.flat_map(|answer| answer.keys).any(|key| {
        let sealed = HEXLOWER.decode(key.sealed.as_bytes()).unwrap();
        let origin = crate::cluster::report::node_of(&key.node).unwrap();
        let of = KeyOf::Hour(origin, Hour::from_number(key.hour));
        let mut tried =
            nodes.iter().flat_map(|node| secrets.iter().map(move |secret| (node, secret)));
        tried.any(|(node, secret)| {
            let purpose = Purpose { cluster: ClusterId([7; 16]), key: of, node: *node };
            sealing::open(purpose, secret, &sealed).is_some()
        })
    })
}

fn run(steps: &[Step]) {
    let mut world = World::new();
    world.round();
    steps.iter().for_each(|step| world.apply(step));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn living_members_hold_what_is_alive_and_nobody_what_has_expired(steps in steps()) {
        run(&steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    #[ignore = "takes minutes"]
    fn long_living_members_hold_what_is_alive_and_nobody_what_has_expired(steps in steps()) {
        run(&steps);
    }
}

#[test]
fn a_thief_with_one_disk_and_all_traffic_opens_nothing_of_day_1_after_day_31() {
    let mut world = World::new();
    (0..24).for_each(|_| world.pass(1));
    let day_1 = world.made.clone();
    assert!(day_1.len() >= 72 && (0..3).all(|at| world.held[at].len() == day_1.len()));
    // Keyrings of that day lie in a backup, without the root keys.
    let ids: Vec<_> = world.nodes.iter().map(Node::id).collect();
    let mut backup = Vec::new();
    for node in &world.nodes {
        let files = MemberKeyFiles::new(node.folder.path(), None);
        for id in ids.iter().filter(|id| **id != node.id()) {
            backup.push((files.of(*id), fs::read(files.of(*id).keyring).unwrap()));
        }
    }
    (0..31 * 4).for_each(|_| world.pass(6));
    for at in 0..3 {
        world.stop(at);
    }
    // The thief would know a key of that day.
    let known: Vec<_> = day_1.values().map(|(key, _)| *key).collect();
    for (files, then) in backup {
        let now = fs::read(&files.keyring).unwrap();
        fs::write(&files.keyring, &then).unwrap();
        assert!(Keyring::open_read_only(files.clone()).is_err(), "its root key is gone");
        fs::write(&files.keyring, now).unwrap();
        assert!(
            !Keyring::open_read_only(files).unwrap().hours().is_empty(),
            "that of today opens it"
        );
    }
    for at in 0..3 {
        let mut files = Vec::new();
        files_below(world.nodes[at].folder.path(), &mut files);
        for bytes in &files {
            assert!(!bytes.windows(32).any(|window| known.iter().any(|key| key == window)));
        }
        world.start(at);
        let node = &world.nodes[at];
        let held: Vec<_> = node.held().into_iter().filter_map(|name| node.key(name)).collect();
        assert!(held.len() > 300 && known.iter().all(|key| !held.contains(key)));
        // Anything of 32 bytes that lies on the disk may be the private half of a key.
        let mut secrets: BTreeSet<[u8; 32]> = held.into_iter().take(60).collect();
        secrets.insert(*node.identity.secret);
        secrets.extend(
            files
                .iter()
                .filter(|it| it.len() < 200)
                .flat_map(|it| it.windows(32).map(|it| <[u8; 32]>::try_from(it).unwrap())),
        );
        let secrets: Vec<_> = secrets.into_iter().collect();
        let of_day_1: Vec<_> = world.wire.iter().take(100).cloned().collect();
        assert!(!opens(&of_day_1, &ids, &secrets));
    }
}

#[test]
fn the_thief_finds_a_private_half_that_lies_about() {
    let (a, b, _) = pair();
    let (private, request) = b.run().keys.request(a.id());
    let answer = a.run().keys.sealed(a.run().keys.wanted(&b.member(), &request).unwrap());
    let wire = [serde_json::to_string(&answer).unwrap()];
    assert!(opens(&wire, &[a.id(), b.id()], &[*private]));
}
