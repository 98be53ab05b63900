//! The stages of a run.

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use dispatchd::shared_log::{
    SharedLog,
    etcd::{Config, Etcd},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    answered, checks,
    dice::Dice,
    engine::{self, Engine},
    http::Nodes,
    isolation::Isolation,
    model::{self, Model},
    nemesis::{
        self, Fault,
        world::{self, Copies, World},
    },
    network::Network,
    node::{self, Paths},
    nodes::{self, Operator},
    stage,
    store::Store,
    traffic::{Pace, Traffic},
};

/// The seed of a run that names none.
const SEED: u64 = 20_261_129;
/// Minutes with faults.
const MINUTES: f64 = 3.0;
/// Each small node reads the head for each lookup. Real nodes share that.
const MODEL_PACE: Pace =
    Pace { change: Duration::from_millis(200), look_up: Duration::from_millis(100) };

const PACE: Pace = Pace { change: Duration::from_millis(200), look_up: Duration::from_millis(40) };

/// One run.
pub(crate) struct Run {
    isolation: Isolation,
    seed: u64,
    length: Duration,
    debian: PathBuf,
    folder: TempDir,
    /// The stages to run, in lower case, and the kinds of faults, which begin with a capital letter; none for all.
    words: Vec<String>,
}

fn variable<T: std::str::FromStr>(name: &str, default: T) -> anyhow::Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name} takes a number")),
        Err(_) => Ok(default),
    }
}

impl Run {
    pub(crate) fn new(isolation: Isolation, words: Vec<String>) -> anyhow::Result<Self> {
        let minutes = variable("DISPATCHD_CLUSTER_MINUTES", MINUTES)?;
        Ok(Self {
            isolation,
            seed: variable("DISPATCHD_TEST_SEED", SEED)?,
            length: Duration::try_from_secs_f64(minutes * 60.0)?,
            debian: engine::debian()?,
            folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?,
            words,
        })
    }

    /// Runs all stages. Returns whether the checks found nothing.
    pub(crate) fn run(&self) -> anyhow::Result<bool> {
        println!(
            "cluster, {:.0} s with faults, DISPATCHD_TEST_SEED={}, {:?}",
            self.length.as_secs_f64(),
            self.seed,
            self.isolation
        );
        let mut dice = Dice::new(self.seed);
        checks::check_the_checks()?;
        answered::check_the_check()?;
        let runtime = Runtime::new().context("no runtime")?;
        if self.includes("broken") {
            println!("broken nodes:");
            runtime.block_on(model::find_the_broken(&mut dice.fork()))?;
        }
        let network = Network::new(self.isolation)?;
        let outcome = runtime.block_on(async {
            let mut is_sound = true;
            if self.includes("small") {
                is_sound &= self.small(network, &mut dice.fork()).await?;
            }
            if self.includes("whole") {
                is_sound &= self.whole(network, &mut dice.fork()).await?;
            }
            Ok(is_sound)
        });
        runtime.shutdown_background();
        self.unmount();
        outcome
    }

    fn includes(&self, stage: &str) -> bool {
        let mut named = self.words.iter().filter(|word| word.starts_with(char::is_lowercase));
        named.clone().next().is_none() || named.any(|named| named == stage)
    }

    /// The faults of a stage.
    fn deck(&self, world: &World) -> anyhow::Result<Vec<Fault>> {
        let named: Vec<_> =
            self.words.iter().filter(|word| word.starts_with(char::is_uppercase)).collect();
        let mut deck = nemesis::deck(world);
        deck.retain(|fault| {
            named.is_empty() || named.iter().any(|named| fault.to_string().starts_with(*named))
        });
        ensure!(!deck.is_empty(), "no fault of this stage has such a name");
        Ok(deck)
    }

    /// Small nodes on real engines.
    async fn small(&self, network: Network, dice: &mut Dice) -> anyhow::Result<bool> {
        println!("small nodes on three etcd members:");
        let folder = self.folder.path().join("small");
        if network.has_links() {
            world::mount_small(&world::small_folders(&folder))?;
        }
        std::fs::create_dir_all(&folder)?;
        let engine = Engine::start(network, &self.debian, &folder).await?;
        let mut logs: Vec<Arc<dyn SharedLog>> = Vec::new();
        for first in 0..engine.urls.len() {
            let mut urls = engine.urls.clone();
            urls.rotate_left(first);
            logs.push(Arc::new(Etcd::new(&Config::new(urls, "/small/".to_owned()))?));
        }
        let trimmer = Arc::clone(&logs[0]);
        let mut world = World {
            network,
            engine,
            nodes: Vec::new(),
            folder,
            is_engine_lost: false,
            copies: None,
            destroyed: None,
        };
        let deck = self.deck(&world)?;
        let model = Model::new(logs, None);
        let traffic = Traffic::new(Arc::clone(&model), MODEL_PACE);
        let tasks = traffic.start(dice).await;
        let trims = async |_: &World| {
            // What all have applied is needed no more. One that fails is made up for by the next.
            let _ = trimmer.trim(model.applied_by_all()).await;
        };
        stage::strike(&traffic, &mut world, (deck, self.length / 4), dice, trims).await?;
        traffic.stop();
        tasks.join_all().await;
        let records = model.records(&traffic.actors()).await;
        let events = traffic.history.events();
        stage::print_counts(&events);
        Ok(stage::print_faults(&checks::check(&events, &records)))
    }

    /// Real nodes on real engines.
    async fn whole(&self, network: Network, dice: &mut Dice) -> anyhow::Result<bool> {
        println!("three nodes on three etcd members:");
        let folder = self.folder.path().join("whole");
        if network.has_links() {
            world::mount_small(&world::small_folders(&folder))?;
        }
        std::fs::create_dir_all(&folder)?;
        let library = node::wall_clock(&folder)?;
        let engine = Engine::start(network, &self.debian, &folder).await?;
        let store = Store::start(network, &folder).await?;
        let paths = Paths { folder: &folder, wall_clock: &library, store: &store.settings() };
        let nodes = nodes::set_up(network, &engine.urls, paths).await?;
        let token = nodes[0].operator()?;
        let copies = Copies { store, operator: Operator::new(token.clone())?, lost: Vec::new() };
        let phones = nodes.iter().map(|node| (node.phones.clone(), node.outbox.clone()));
        let service = Arc::new(Nodes::new(phones)?);
        let copies = Some(copies);
        let mut world = World {
            network,
            engine,
            nodes,
            folder,
            is_engine_lost: false,
            copies,
            destroyed: None,
        };
        world.engine.back_up(world::BEGINNING)?;
        world.engine.start_all().await?;
        let deck = self.deck(&world)?;
        let traffic = Traffic::new(Arc::clone(&service), PACE);
        let tasks = traffic.start(dice).await;
        stage::strike(&traffic, &mut world, (deck, self.length * 3 / 4), dice, async |_| {})
            .await?;
        traffic.stop();
        tasks.join_all().await;
        let copies = world.copies.take().context("nodes copy their logs")?;
        let place = copies.operator.until_level(&world.nodes).await?;
        println!("  every node has applied {place} entries");
        let mut faults = nodes::compare_exports(network, &world.nodes, &token)?;
        let (actors, mut records) = (traffic.actors(), Vec::new());
        for node in &mut world.nodes {
            node.stop();
            records.push((nodes::records(node, &actors)?, !node.lacks_records()));
        }
        let lost = answered::read_lost(&world, &copies)?;
        for log in lost.iter().filter_map(|read| read.first()) {
            // It ends with the disk.
            records.push((nodes::changes(log, &actors)?, false));
        }
        let events = traffic.history.events();
        stage::print_counts(&events);
        faults.extend(checks::check(&events, &records));
        faults.extend(answered::check_all(&service.answered(), &world, &copies, &lost)?);
        Ok(stage::print_faults(&faults))
    }

    /// Gives the small file systems back, so that the folder can be deleted.
    fn unmount(&self) {
        for stage in ["small", "whole"] {
            for folder in world::small_folders(&self.folder.path().join(stage)) {
                // It fails where there is none.
                let _ = Command::new("umount").arg("--lazy").arg(folder).output();
            }
        }
    }
}
