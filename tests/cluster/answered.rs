//! Whether each lookup that was answered is recorded once, also those of a node whose disk is gone.
//!
//! The log of a destroyed disk is read with what is left: the copies in the store, and the keys of the hours at another node. What was
//! answered in the last moments before may be lost: it is counted.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use dispatchd::{
    clock::{SharedClock, SystemClock},
    cluster::MemberKeyFiles,
    envelope::{KeyFiles, Keyring},
    files::OsDisk,
    limits,
    object_storage::Objects,
    query_log::{Filter, Kind, LogReader, Order, Record},
    registry::NodeId,
};

use tokio::task::block_in_place;

use crate::{
    checks::{Fault, Wrong},
    nemesis::world::{Copies, World},
    node::Node,
};

/// How often nodes copy new bytes of their logs.
pub(crate) const COPY_INTERVAL: Duration = Duration::from_secs(1);
/// What a node may lose with its disk: what came in the last interval, while that was copied, and the round before.
pub(crate) const LOST_WITHIN: Duration = Duration::from_secs(4);

/// An answer that was sent before its node was killed may be noted a little later.
const NOTED_WITHIN: Duration = Duration::from_secs(1);

/// A lookup that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) node: usize,
    pub(crate) request: String,
    /// How many handles were asked for: each has a record.
    pub(crate) handles: usize,
    pub(crate) at: Instant,
}

/// A disk that was destroyed.
#[derive(Clone, Debug)]
pub(crate) struct LostDisk {
    /// The number of the machine.
    pub(crate) node: usize,
    /// As which node of the cluster it ran.
    pub(crate) id: NodeId,
    /// What the names of its objects begin with.
    pub(crate) name: String,
    pub(crate) died: Instant,
}

impl LostDisk {
    /// Whether what was answered then may be lost.
    fn excuses(&self, at: Instant) -> bool {
        at <= self.died + NOTED_WITHIN && self.died.saturating_duration_since(at) <= LOST_WITHIN
    }
}

/// How often each lookup of one log is there, by request and handle.
pub(crate) type Lookups = BTreeMap<(String, String), usize>;

fn lookups(log: &LogReader) -> anyhow::Result<Lookups> {
    let filter = Filter { kind: Some(Kind::Lookup), ..Filter::default() };
    let mut found = Lookups::new();
    for row in log.search(&filter, Order::Asc, None) {
        if let Record::Lookup(lookup) = row?.1.record {
            let handle = lookup.handle.map(|it| it.canonical().into_owned()).unwrap_or_default();
            *found.entry((lookup.request.to_string(), handle)).or_default() += 1;
        }
    }
    Ok(found)
}

/// The lookups in the log of a node, which does not run.
pub(crate) fn of_node(node: &Node) -> anyhow::Result<Lookups> {
    let (log, keys) = (node.data().join("log"), KeyFiles::new(&node.data().join("keys"), None));
    let clock = Arc::new(SystemClock);
    lookups(&LogReader::open_read_only(&log, keys, clock, limits::LOG_RETENTION_MAX)?)
}

/// The log of a disk that was destroyed, as the store and the keys that `holder` has tell. It does not run.
fn of_lost(
    lost: &LostDisk,
    holder: &Node,
    objects: &Objects,
    folder: &Path,
) -> anyhow::Result<LogReader> {
    let keys = MemberKeyFiles::new(holder.data(), None).of(lost.id);
    let keyring = Keyring::open_read_only(keys);
    let keyring = Arc::new(keyring.with_context(|| format!("the keys of {}", lost.name))?);
    let dir = folder.join(format!("{}-by-{}", lost.name, holder.name()));
    let (clock, most): (SharedClock, _) = (Arc::new(SystemClock), limits::LOG_RETENTION_MAX);
    fs::create_dir_all(&dir)?;
    let open = || LogReader::open_with(&dir, Arc::clone(&keyring), Arc::clone(&clock), most);
    let report = open()?.fetch_copies(objects, &lost.name, &OsDisk::shared())?;
    ensure!(report.lost.is_empty(), "copies of {} cannot be read: {:?}", lost.name, report.lost);
    Ok(open()?)
}

/// The logs of the disks that were destroyed, each as often as there are other nodes: as each of them reads it.
pub(crate) fn read_lost(world: &World, copies: &Copies) -> anyhow::Result<Vec<Vec<LogReader>>> {
    let objects = copies.store.objects()?;
    let read = |disk: &LostDisk| {
        let others = world.nodes.iter().zip(0..).filter(|(_, number)| *number != disk.node);
        let read = |(node, _): (&Node, usize)| of_lost(disk, node, &objects, &world.folder);
        others.map(read).collect()
    };
    // The store's client waits on this thread.
    block_in_place(|| copies.lost.iter().map(read).collect())
}

/// Checks the answered lookups of a run whose nodes have stopped. `lost` is what [`read_lost`] gave.
pub(crate) fn check_all(
    answered: &[Answered],
    world: &World,
    copies: &Copies,
    lost: &[Vec<LogReader>],
) -> anyhow::Result<Vec<Fault>> {
    let logs = world.nodes.iter().map(of_node).collect::<anyhow::Result<Vec<_>>>()?;
    let of_lost = lost.iter().map(|read| read.iter().map(lookups).collect());
    let of_lost = of_lost.collect::<anyhow::Result<Vec<Vec<_>>>>()?;
    println!("  the object store: {}", copies.store);
    let (faults, excused) = check(answered, &copies.lost, (&logs, &of_lost));
    println!(
        "  {} answered lookups; {excused} of the last {} s before {} disks were destroyed are lost",
        answered.len(),
        LOST_WITHIN.as_secs(),
        copies.lost.len()
    );
    Ok(faults)
}

/// What is wrong, and how many lookups are lost as they may be. `logs` are those of all nodes, and of each lost disk what each other
/// node reads.
fn check(
    answered: &[Answered],
    lost: &[LostDisk],
    (logs, of_lost): (&[Lookups], &[Vec<Lookups>]),
) -> (Vec<Fault>, usize) {
    let mut faults = Vec::new();
    for (disk, read) in lost.iter().zip(of_lost) {
        if read.windows(2).any(|pair| pair[0] != pair[1]) {
            let text = format!("other nodes read different copies of {}", disk.name);
            faults.push(Fault::new(Wrong::Disagreement, text));
        }
    }
    let mut counts = Lookups::new();
    for log in logs.iter().chain(of_lost.iter().filter_map(|read| read.first())) {
        log.iter().for_each(|(key, count)| *counts.entry(key.clone()).or_default() += count);
    }
    let mut recorded: BTreeMap<&str, usize> = BTreeMap::new();
    for ((request, handle), count) in &counts {
        *recorded.entry(request).or_default() += 1;
        if 1 < *count {
            let text = format!("lookup {request} of {handle}: {count} records");
            faults.push(Fault::new(Wrong::Doubled, text));
        }
    }
    let mut excused = 0;
    for answer in answered {
        if answer.handles <= recorded.get(&*answer.request).copied().unwrap_or_default() {
            continue;
        }
        let disks = || lost.iter().filter(|disk| disk.node == answer.node);
        if disks().any(|disk| disk.excuses(answer.at)) {
            excused += 1;
            continue;
        }
        let died: Vec<_> = disks().map(|it| it.died.saturating_duration_since(answer.at)).collect();
        let Answered { node, request, .. } = answer;
        let text =
            format!("lookup {request}, answered by node {node}; its disks died later by {died:?}");
        faults.push(Fault::new(Wrong::Lost, text));
    }
    (faults, excused)
}

/// Whether the check finds what is wrong with cases made by hand, and nothing in a sound one.
pub(crate) fn check_the_check() -> anyhow::Result<()> {
    let began = Instant::now();
    let at = |seconds| began + Duration::from_secs(seconds);
    let answer = |node, request: &str, seconds| Answered {
        node,
        request: request.to_owned(),
        handles: 1,
        at: at(seconds),
    };
    let answered =
        [answer(0, "r0", 1), answer(1, "r1", 1), answer(1, "r2", 99), answer(1, "r3", 200)];
    let disk = LostDisk { node: 1, id: NodeId(7), name: "n1".to_owned(), died: at(100) };
    let log = |requests: &[&str]| -> Lookups {
        requests
            .iter()
            .map(|request| ((*request).to_owned(), "h".to_owned()))
            .map(|key| (key, 1))
            .collect()
    };
    let cases = [
        // What the last second before had is lost with the disk.
        (vec![log(&["r0"]), log(&["r3"])], vec![log(&["r1"]), log(&["r1"])], None),
        (
            vec![log(&["r0"]), log(&["r3"])],
            vec![log(&["r1", "r2"]), log(&["r1"])],
            Some(Wrong::Disagreement),
        ),
        (vec![log(&["r0"]), log(&["r3"])], vec![log(&["r2"])], Some(Wrong::Lost)),
        (vec![log(&["r0"]), log(&[])], vec![log(&["r1", "r2"])], Some(Wrong::Lost)),
        (vec![log(&[]), log(&["r3"])], vec![log(&["r1", "r2"])], Some(Wrong::Lost)),
        (vec![log(&["r0", "r1"]), log(&["r3"])], vec![log(&["r1"])], Some(Wrong::Doubled)),
    ];
    for (logs, of_lost, expected) in cases {
        let (found, excused) = check(&answered, std::slice::from_ref(&disk), (&logs, &[of_lost]));
        let found: Vec<_> = found.into_iter().map(|fault| fault.wrong).collect();
        let is_right = found == Vec::from_iter(expected) && (expected.is_some() || excused == 1);
        ensure!(is_right, "{logs:?}: {found:?}, {excused} excused");
    }
    Ok(())
}
