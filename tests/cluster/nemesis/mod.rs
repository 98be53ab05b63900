//! What goes wrong during a run, chosen by a seed: one fault at a time, or two.

pub(crate) mod world;

use std::{fmt, time::Duration};

use rustix::process::Signal;

use crate::{
    dice::Dice,
    network::{Link, MACHINES},
    store::Harm,
};

use self::world::World;

/// How long a fault lasts, at least and at most.
const LENGTH: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// How long a rolling restart waits for a node before it goes on to the next.
const RESTART_PATIENCE: Duration = Duration::from_secs(8);
/// In a short run the longest fault lasts this part of it.
const PARTS: u32 = 15;

/// A process of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Node(usize),
    Member(usize),
    /// The member that leads when the fault begins.
    Leader,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`.
    Kill(Who),
    /// SIGSTOP for some time.
    Pause(Who),
    /// The link is down. A node loses both of its links.
    Cut(Who),
    /// A node reaches phones and other nodes, but no member.
    CutFromEngine(usize),
    /// Each node is stopped and started, one after the other.
    RollingRestart,
    /// `kill -9` for every process.
    KillAll,
    /// A node's wall clock is off by some seconds.
    Clock(usize),
    /// No space is left for what the process writes.
    FullDisk(Who),
    /// The engine forgets old values, and each member gives its space back.
    Compact,
    /// A node is dead until the log has been trimmed past it.
    TrimPast(usize),
    /// The engine begins with nothing. Then an operator recovers the log.
    EngineWiped,
    /// The engine holds what it held when the run began. Then an operator recovers the log.
    EngineRestored,
    /// `kill -9`, and nothing is left on the node's disk. Then it is removed from the cluster and joins again.
    DestroyDisk(usize),
    /// The object store does this to calls.
    Store(Harm),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What happens at one time.
pub(crate) struct Strike {
    pub(crate) faults: Vec<Fault>,
    /// How long it lasts before everything is healed.
    pub(crate) length: Duration,
}

/// The faults that a world can have, each kind as often as the others.
pub(crate) fn deck(world: &World) -> Vec<Fault> {
    let mut deck = vec![
        Fault::Kill(Who::Member(0)),
        Fault::Kill(Who::Leader),
        Fault::Pause(Who::Member(0)),
        Fault::Pause(Who::Leader),
        Fault::Compact,
    ];
    if world.network.has_links() {
        let of_links = [Fault::Cut(Who::Member(0)), Fault::Cut(Who::Leader)];
        deck.extend(of_links);
        deck.push(Fault::FullDisk(Who::Member(0)));
    }
    if !world.nodes.is_empty() {
        deck.extend([
            Fault::Kill(Who::Node(0)),
            Fault::Pause(Who::Node(0)),
            Fault::RollingRestart,
            Fault::KillAll,
            Fault::Clock(0),
            Fault::TrimPast(0),
            Fault::EngineWiped,
            Fault::EngineRestored,
            Fault::DestroyDisk(0),
            Fault::Store(Harm::Slow),
            Fault::Store(Harm::Refuses),
            Fault::Store(Harm::Loses),
        ]);
        if world.network.has_links() {
            deck.extend([
                Fault::Cut(Who::Node(0)),
                Fault::CutFromEngine(0),
                Fault::FullDisk(Who::Node(0)),
            ]);
        }
    }
    deck
}

impl Fault {
    /// The same fault at a machine that the dice choose.
    fn somewhere(self, dice: &mut Dice) -> Self {
        let machine = dice.index(MACHINES);
        let who = |who| match who {
            Who::Node(_) => Who::Node(machine),
            Who::Member(_) => Who::Member(machine),
            Who::Leader => Who::Leader,
        };
        match self {
            Self::Kill(it) => Self::Kill(who(it)),
            Self::Pause(it) => Self::Pause(who(it)),
            Self::Cut(it) => Self::Cut(who(it)),
            // Only the last machine's file systems are small.
            Self::FullDisk(Who::Node(_)) => Self::FullDisk(Who::Node(world::SMALL)),
            Self::FullDisk(_) => Self::FullDisk(Who::Member(world::SMALL)),
            Self::CutFromEngine(_) => Self::CutFromEngine(machine),
            Self::Clock(_) => Self::Clock(machine),
            Self::TrimPast(_) => Self::TrimPast(machine),
            Self::DestroyDisk(_) => Self::DestroyDisk(machine),
            other => other,
        }
    }

    /// Begins the fault. [`World::heal`] ends it.
    async fn begin(self, world: &mut World, dice: &mut Dice) -> anyhow::Result<()> {
        match self {
            Self::Kill(who) => world.process(who).await.kill(),
            Self::Pause(who) => world.process(who).await.signal(Signal::STOP),
            Self::Cut(Who::Node(n)) => {
                world.network.set_link(Link::NodeToPhones(n), false)?;
                world.network.set_link(Link::NodeToEngine(n), false)?;
            }
            Self::Cut(who) => {
                let member = world.member(who).await;
                world.network.set_link(Link::Member(member), false)?;
            }
            Self::CutFromEngine(n) => world.network.set_link(Link::NodeToEngine(n), false)?,
            Self::RollingRestart => {
                for node in &mut world.nodes {
                    node.restart()?;
                    // Another fault may keep it away.
                    node.is_ready_within(RESTART_PATIENCE).await;
                }
            }
            Self::KillAll => world.processes().for_each(crate::process::Process::kill),
            Self::Clock(n) => {
                let seconds = i64::try_from(1 + dice.below(20)).unwrap_or(1);
                world.nodes[n].set_clock(if dice.chance(50) { seconds } else { -seconds })?;
            }
            Self::FullDisk(who) => world.fill_disk(who)?,
            Self::Compact => {
                let engine = &world.engine;
                for n in 0..MACHINES {
                    // A member that another fault has struck does not answer.
                    let _ = engine.compact(n).await;
                    let _ = engine.defragment(n).await;
                }
            }
            Self::TrimPast(n) => world.nodes[n].process.kill(),
            Self::EngineWiped => world.lose_engine(None).await?,
            Self::EngineRestored => world.lose_engine(Some(world::BEGINNING)).await?,
            Self::DestroyDisk(n) => world.destroy_disk(n).await?,
            Self::Store(harm) => world.harm_store(Some(harm)),
        }
        Ok(())
    }
}

/// What happens in one run, in an order that the dice choose.
pub(crate) struct Program {
    deck: Vec<Fault>,
    number: usize,
    /// The longest that something lasts.
    longest: Duration,
}

impl Program {
    /// Of these faults, in a run of this length.
    pub(crate) fn new(deck: Vec<Fault>, run: Duration) -> Self {
        let longest = (run / PARTS).clamp(LENGTH.0 * 2, LENGTH.1);
        Self { deck, number: 0, longest }
    }

    /// What comes next: in the first round each fault, alone or with another one, then always two.
    pub(crate) fn next(&mut self, dice: &mut Dice) -> Strike {
        let at = self.number % self.deck.len();
        if at == 0 {
            for last in (1..self.deck.len()).rev() {
                self.deck.swap(last, dice.index(last + 1));
            }
        }
        let first = self.deck[at].somewhere(dice);
        let mut faults = vec![first];
        let is_alone = |fault| matches!(fault, Fault::EngineWiped | Fault::EngineRestored);
        let is_first_round = self.number < self.deck.len();
        if !is_alone(first) && (!is_first_round || dice.chance(25)) {
            let second = self.deck[dice.index(self.deck.len())].somewhere(dice);
            if second != first && !is_alone(second) {
                faults.push(second);
            }
        }
        // It waits for copies, which need everything to be well.
        faults.sort_by_key(|fault| !matches!(fault, Fault::DestroyDisk(_)));
        self.number += 1;
        // Most are short, so that there are many.
        let longest = if dice.chance(20) { self.longest } else { self.longest / 5 };
        let most = u64::try_from((longest.max(LENGTH.0 * 2) - LENGTH.0).as_millis());
        let more = Duration::from_millis(dice.below(most.unwrap_or(u64::MAX)));
        Strike { faults, length: LENGTH.0 + more }
    }
}

impl Strike {
    /// Has it happen, and heals the world.
    pub(crate) async fn happen(&self, world: &mut World, dice: &mut Dice) -> anyhow::Result<()> {
        for fault in &self.faults {
            fault.begin(world, dice).await?;
        }
        tokio::time::sleep(self.length).await;
        if self.faults.iter().any(|fault| matches!(fault, Fault::TrimPast(_))) {
            world.trim().await?;
        }
        world.heal().await
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, number) in self.faults.iter().zip(0..) {
            write!(f, "{}{fault}", if number == 0 { "" } else { " + " })?;
        }
        write!(f, " for {:.1} s", self.length.as_secs_f64())
    }
}
