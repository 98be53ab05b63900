//! Three members of Debian's etcd.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command},
};

use anyhow::{Context as _, ensure};

/// Running members. Dropping it kills them.
pub(crate) struct Engine {
    members: Vec<(Child, PathBuf)>,
    /// What the nodes' configuration names.
    pub(crate) urls: String,
}

impl Drop for Engine {
    fn drop(&mut self) {
        for (member, _) in &mut self.members {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Engine {
    /// Starts the members, with the settings of `docs/operators/cluster.md`.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let unpack = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/debian/unpack");
        let unpacked = Command::new(unpack).output()?;
        ensure!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
        let packages = PathBuf::from(String::from_utf8(unpacked.stdout)?.trim());
        let mut ports = Vec::new();
        for _ in 0..6 {
            ports.push(free_port()?);
        }
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let all: Vec<_> = (0..3).map(|n| format!("m{n}={}", url(ports[3 + n]))).collect();
        let urls = format!("[\"{}\",\"{}\",\"{}\"]", url(ports[0]), url(ports[1]), url(ports[2]));
        let mut engine = Self { members: Vec::new(), urls };
        for n in 0..3 {
            let (clients, peers) = (url(ports[n]), url(ports[3 + n]));
            let data = folder.join(format!("m{n}"));
            let member = Command::new(packages.join("usr/bin/etcd"))
                .args(["--name", &format!("m{n}"), "--initial-cluster", &all.join(",")])
                .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
                .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
                .args(["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "5m"])
                .args(["--quota-backend-bytes", "4294967296", "--data-dir"])
                .arg(&data)
                .stderr(File::create(data.with_extension("out"))?)
                .spawn()
                .context("starting etcd")?;
            engine.members.push((member, data.join("member")));
        }
        Ok(engine)
    }

    /// The bytes of the member's files that has the most.
    pub(crate) fn largest(&self) -> anyhow::Result<u64> {
        let mut largest = 0;
        for (_, files) in &self.members {
            let mut sum = 0;
            for part in ["snap", "wal"] {
                for file in fs::read_dir(files.join(part))? {
                    // A file may go meanwhile.
                    sum += file?.metadata().map_or(0, |data| data.len());
                }
            }
            largest = largest.max(sum);
        }
        Ok(largest)
    }
}
