//! Three real etcd members.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    network::{MACHINES, Network, Place},
    process::Process,
};

/// How long members may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
const CLIENT_PORT: u16 = 7101;
const PEER_PORT: u16 = 7102;

/// The members of one engine.
pub(crate) struct Engine {
    pub(crate) members: Vec<Process>,
    pub(crate) urls: Vec<String>,
    folder: PathBuf,
    client: Client,
}

/// The folder into which Debian's packages are unpacked. The first call may download them.
pub(crate) fn debian() -> anyhow::Result<PathBuf> {
    let unpack = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/debian/unpack");
    let output = Command::new(unpack).output().context(unpack)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

impl Engine {
    /// Starts the members. Their data lies in folders below `folder`, which may be there.
    pub(crate) async fn start(
        network: Network,
        debian: &Path,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let mut ports = Vec::new();
        for _ in 0..MACHINES {
            ports.push((network.port(CLIENT_PORT)?, network.port(PEER_PORT)?));
        }
        let address = |n: usize| network.address(Place::Member(n));
        let client_url = |n: usize| format!("http://{}:{}", address(n), ports[n].0);
        let peer_url = |n: usize| format!("http://{}:{}", address(n), ports[n].1);
        let peers: Vec<_> = (0..MACHINES).map(|n| format!("m{n}={}", peer_url(n))).collect();
        let mut members = Vec::new();
        for n in 0..MACHINES {
            let mut command = network.command(Place::Member(n), &debian.join("usr/bin/etcd"));
            let data = data(folder, n);
            for (key, value) in [
                ("--name", format!("m{n}")),
                ("--data-dir", data.display().to_string()),
                ("--listen-client-urls", client_url(n)),
                ("--advertise-client-urls", client_url(n)),
                ("--listen-peer-urls", peer_url(n)),
                ("--initial-advertise-peer-urls", peer_url(n)),
                ("--initial-cluster", peers.join(",")),
                ("--initial-cluster-token", format!("{}", folder.display())),
            ] {
                command.args([key, &value]);
            }
            let mut member = Process::new(command, folder.join(format!("member{n}.out")));
            member.start()?;
            members.push(member);
        }
        let client = Client::builder().no_proxy().timeout(CALL_TIMEOUT).build()?;
        let urls = (0..MACHINES).map(client_url).collect();
        let mut engine = Self { members, urls, folder: folder.to_owned(), client };
        engine.until_all_answer().await?;
        Ok(engine)
    }

    async fn call(&self, member: usize, path: &str, body: Value) -> anyhow::Result<Value> {
        let request = self.client.post(format!("{}/v3/{path}", self.urls[member])).json(&body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Waits until every member takes part.
    pub(crate) async fn until_all_answer(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        for n in 0..MACHINES {
            while self.call(n, "kv/range", json!({"key": "YQ=="})).await.is_err() {
                // One that met a full disk may end only now. The service manager starts it again.
                self.members[n].start()?;
                if begun.elapsed() > PATIENCE {
                    bail!("member {n} gives no answer: {}", self.members[n].last_words());
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// The member that leads, if one says so.
    pub(crate) async fn leader(&self) -> Option<usize> {
        for n in 0..MACHINES {
            if let Ok(status) = self.call(n, "maintenance/status", json!({})).await
                && status["leader"] == status["header"]["member_id"]
            {
                return Some(n);
            }
        }
        None
    }

    /// Forgets all old values of keys.
    pub(crate) async fn compact(&self, member: usize) -> anyhow::Result<()> {
        let status = self.call(member, "maintenance/status", json!({})).await?;
        let body = json!({"revision": status["header"]["revision"], "physical": true});
        self.call(member, "kv/compaction", body).await?;
        Ok(())
    }

    /// Gives unused space of a member's file back. The member answers nobody meanwhile.
    pub(crate) async fn defragment(&self, member: usize) -> anyhow::Result<()> {
        self.call(member, "maintenance/defragment", json!({})).await?;
        Ok(())
    }

    /// Stops all members, and copies their data to folders with this name. They stay stopped.
    pub(crate) fn back_up(&mut self, name: &str) -> anyhow::Result<()> {
        self.stop();
        for n in 0..MACHINES {
            let copy = self.backup(name, n);
            let _ = fs::remove_dir_all(&copy);
            copy_folder(&data(&self.folder, n), &copy)?;
        }
        Ok(())
    }

    fn backup(&self, name: &str, member: usize) -> PathBuf {
        self.folder.join(format!("{name}{member}"))
    }

    /// Stops all members, and has them begin with the data of a backup, or with nothing.
    pub(crate) async fn restore(&mut self, backup: Option<&str>) -> anyhow::Result<()> {
        self.stop();
        for n in 0..MACHINES {
            fs::remove_dir_all(data(&self.folder, n))?;
            if let Some(name) = backup {
                copy_folder(&self.backup(name, n), &data(&self.folder, n))?;
            }
        }
        self.start_all().await
    }

    fn stop(&mut self) {
        self.members.iter_mut().for_each(|member| member.stop(STOP_PATIENCE));
    }

    /// Starts the members that do not run.
    pub(crate) async fn start_all(&mut self) -> anyhow::Result<()> {
        for member in &mut self.members {
            member.start()?;
        }
        self.until_all_answer().await
    }
}

/// The data directory of a member, in a folder that may be a file system of its own.
fn data(folder: &Path, member: usize) -> PathBuf {
    folder.join(format!("member{member}")).join("data")
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
