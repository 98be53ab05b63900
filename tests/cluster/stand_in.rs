//! The server as a member of a cluster without the commands that make one: one key for all entries, and a copy of one store.
//! This program runs it in a process of its own, so that it can be killed.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use dispatchd::{
    clock::SystemClock,
    config::Config,
    files::DataDirectory,
    registry::{
        ClusterId, EntryFormat, EntryKey, EntryKeys, LogMember, NodeId, StoppedRegistry,
        StoreError, genesis,
    },
    server::Server,
    shared_log::{
        Appended, Head, SharedLog as _,
        etcd::{self, Etcd},
    },
    telemetry,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    network::{MACHINES, Network},
    node::{Node, Paths},
};

const CLUSTER: ClusterId = ClusterId([0xc1; 16]);
const PREFIX: &str = "/stand-in/";

struct OneKey(Arc<EntryKey>);

impl EntryKeys for OneKey {
    fn newest(&self) -> Arc<EntryKey> {
        Arc::clone(&self.0)
    }

    fn find(&self, _: u32) -> Option<Arc<EntryKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// The log in the engine at these URLs, as the node with this number asks for it.
pub(crate) fn log(engine: &[String], number: usize) -> anyhow::Result<Etcd> {
    let mut urls = engine.to_vec();
    urls.rotate_left(number % engine.len());
    Ok(Etcd::new(&etcd::Config::new(urls, PREFIX.to_owned()))?)
}

/// Makes the nodes' data directories, with one store, and starts the nodes.
pub(crate) async fn set_up(
    network: Network,
    engine: &[String],
    paths: Paths<'_>,
) -> anyhow::Result<Vec<Node>> {
    let begun = log(engine, 0)?.append(Head::EMPTY, &genesis(CLUSTER)).await?;
    ensure!(begun == Appended::Mine, "the engine is not empty");
    let mut nodes = Vec::new();
    for number in 0..MACHINES {
        nodes.push(Node::new(network, number, engine, paths)?);
    }
    let directory = |node: &Node| node.data.join("registry");
    let lock = DataDirectory::open(&nodes[0].data)?;
    let config = Config::default().registry;
    let mut registry = StoppedRegistry::open(&directory(&nodes[0]), config, Arc::new(SystemClock))?;
    registry.follow_log(CLUSTER, &[], |_| Ok::<_, StoreError>(()))?;
    drop((registry, lock));
    for node in &nodes[1..] {
        drop(DataDirectory::open(&node.data)?);
        DirBuilder::new().mode(0o700).create(node.data.join("keys"))?;
        fs::create_dir_all(directory(node))?;
        for file in fs::read_dir(directory(&nodes[0]))? {
            let file = file?;
            fs::copy(file.path(), directory(node).join(file.file_name()))?;
        }
    }
    // It hashes codes. The first start makes it.
    let key = |node: &Node| node.data.join("keys/verification.key");
    let first = key(&nodes[0]);
    for (node, number) in nodes.iter_mut().zip(0..) {
        if number > 0 {
            fs::copy(&first, key(node))?;
        }
        node.process.start()?;
        ensure!(node.until_ready().await, "{}", node.process.last_words());
    }
    Ok(nodes)
}

/// Is a node: `words` are its configuration, its number, and the URLs of the engine.
pub(crate) fn serve(words: &[String]) -> anyhow::Result<()> {
    let [config, number, engine @ ..] = words else { anyhow::bail!("too few words") };
    let mut config = read(Path::new(config))?;
    config.server.shed_after = Duration::ZERO;
    config.quota.enabled = false;
    telemetry::start(&config.telemetry, false);
    let number: usize = number.parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let calls = tokio::runtime::Runtime::new()?;
    let log = {
        let _entered = calls.enter();
        log(engine, number)?
    };
    let member = LogMember {
        log: Arc::new(log),
        runtime: calls.handle().clone(),
        cluster: CLUSTER,
        node: NodeId(number as u64),
        keys: Arc::new(OneKey(Arc::new(EntryKey::new(1, &[1; 32])))),
        format: EntryFormat::NEWEST,
    };
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let server = Server::start_following(&config, Arc::new(SystemClock), Some(member)).await?;
        terminate.recv().await;
        ensure!(server.stop().await, "the server did not stop cleanly");
        Ok(())
    })
}

/// The settings that this server needs of a node's configuration.
fn read(path: &Path) -> anyhow::Result<Config> {
    let text = fs::read_to_string(path)?;
    let mut config = Config::default();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
        line.and_then(|line| line.strip_suffix('"')).with_context(|| format!("no {key}"))
    };
    config.server.phones = value("phones")?.parse()?;
    config.server.operators = value("operators")?.parse()?;
    config.server.data = value("data")?.into();
    Ok(config)
}
