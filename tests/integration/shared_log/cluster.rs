//! Real etcd members on this machine, which tests kill and pause.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Stdio},
};

use dispatchd::shared_log::{
    SharedLog as _,
    etcd::{Config, Etcd, Fence, Tls},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::RETRY_PAUSE;
use crate::{
    harness::{PATIENCE, client, own_port},
    recipes::authority::Authority,
    repository::debian_program,
};

/// Members of one etcd cluster, which end with it.
pub(crate) struct Cluster {
    members: Vec<Member>,
    /// Of the members' certificates, if they take TLS with client certificates only.
    pub(crate) authority: Option<Authority>,
    folder: TempDir,
}

struct Member {
    url: String,
    words: Vec<String>,
    child: Child,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Member {
    fn kill(&mut self) {
        // It fails if the member ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// Starts etcd. Its messages go to a file.
fn spawn(words: &[String], folder: &TempDir) -> Child {
    let path = folder.path().join("output");
    let output = File::options().create(true).append(true).open(path).unwrap();
    let mut etcd = debian_program("usr/bin/etcd");
    etcd.args(words).stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    etcd.spawn().expect("etcd starts")
}

impl Cluster {
    /// Starts members without TLS, with more words on their command lines.
    pub(crate) async fn start(count: usize, more: &[&str]) -> Self {
        Self::start_with(count, more, None, tempfile::tempdir().unwrap()).await
    }

    /// Starts one member that takes TLS with client certificates only.
    pub(crate) async fn start_with_tls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let [ca, cert, key] = [&authority.ca, &authority.cert, &authority.key]
            .map(|file| file.to_str().unwrap().to_owned());
        let more = ["--client-cert-auth", "--trusted-ca-file", &ca, "--cert-file", &cert];
        let more = [&more[..], &["--key-file", &key]].concat();
        Self::start_with(1, &more, Some(authority), folder).await
    }

    async fn start_with(
        count: usize,
        more: &[&str],
        authority: Option<Authority>,
        folder: TempDir,
    ) -> Self {
        let ports: Vec<_> = (0..count).map(|_| (own_port(), own_port())).collect();
        let peer = |n: usize| format!("http://127.0.0.1:{}", ports[n].1);
        let peers: Vec<_> = (0..count).map(|n| format!("m{n}={}", peer(n))).collect();
        let scheme = if authority.is_some() { "https" } else { "http" };
        let start = |n: usize| {
            let (name, data) = (format!("m{n}"), folder.path().join(format!("m{n}")));
            let listen = format!("{scheme}://127.0.0.1:{}", ports[n].0);
            let url = listen.replace("https://127.0.0.1", "https://localhost");
            let mut words: Vec<String> = Vec::new();
            for (key, value) in [
                ("--name", name.as_str()),
                ("--data-dir", data.to_str().unwrap()),
                ("--listen-client-urls", &listen),
                ("--advertise-client-urls", &url),
                ("--listen-peer-urls", &peer(n)),
                ("--initial-advertise-peer-urls", &peer(n)),
                ("--initial-cluster", &peers.join(",")),
                // Clusters of different tests have different ids.
                ("--initial-cluster-token", &peers.join(",")),
            ] {
                words.extend([key.to_owned(), value.to_owned()]);
            }
            words.extend(more.iter().map(|word| (*word).to_owned()));
            let child = spawn(&words, &folder);
            Member { url, words, child }
        };
        let members = (0..count).map(start).collect();
        let cluster = Self { members, authority, folder };
        for n in 0..count {
            cluster.until_it_answers(n).await;
        }
        cluster
    }

    /// How a node asks the cluster, member `first` before the others.
    pub(crate) fn config(&self, first: usize, prefix: &str, fence: Fence) -> Config {
        let mut urls: Vec<_> = self.members.iter().map(|member| member.url.clone()).collect();
        urls.rotate_left(first);
        let mut config = Config::new(urls, prefix.to_owned());
        config.fence = fence;
        config.tls = self.authority.as_ref().map(|authority| Tls {
            authority: fs::read(&authority.ca).unwrap(),
            identity: Some(both(&authority.operator)),
        });
        config
    }

    /// A log in this cluster whose calls go to one member only.
    pub(crate) fn log_of(&self, member: usize, prefix: &str, fence: Fence) -> Etcd {
        let mut config = self.config(member, prefix, fence);
        config.urls.truncate(1);
        Etcd::new(&config).unwrap()
    }

    /// The client URLs of all members.
    pub(crate) fn urls(&self) -> Vec<&str> {
        self.members.iter().map(|member| &*member.url).collect()
    }

    pub(crate) fn url(&self, member: usize) -> &str {
        &self.members[member].url
    }

    /// The data directory of a member.
    pub(crate) fn data(&self, member: usize) -> PathBuf {
        self.folder.path().join(format!("m{member}"))
    }

    /// Waits until a member takes part in transactions.
    pub(crate) async fn until_it_answers(&self, member: usize) {
        let (log, begun) = (self.log_of(member, "", Fence::Write), Instant::now());
        while let Err(error) = log.head().await {
            let output = || fs::read_to_string(self.folder.path().join("output")).unwrap();
            assert!(begun.elapsed() < PATIENCE, "{error}: {}", output());
            sleep(RETRY_PAUSE).await;
        }
    }

    /// The member that leads now.
    pub(crate) async fn leader(&self) -> usize {
        let begun = Instant::now();
        loop {
            for (n, member) in self.members.iter().enumerate() {
                let client = client().timeout(PATIENCE).build().unwrap();
                let metrics = client.get(format!("{}/metrics", member.url)).send().await.unwrap();
                if metrics.text().await.unwrap().contains("\netcd_server_is_leader 1\n") {
                    return n;
                }
            }
            assert!(begun.elapsed() < PATIENCE, "no member leads");
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Kills a member with SIGKILL.
    pub(crate) fn kill(&mut self, member: usize) {
        self.members[member].kill();
    }

    /// Starts a member that was killed.
    pub(crate) fn restart(&mut self, member: usize) {
        let member = &mut self.members[member];
        member.child = spawn(&member.words, &self.folder);
    }

    /// Stops a member with SIGSTOP.
    pub(crate) fn pause(&self, member: usize) {
        self.signal(member, Signal::STOP);
    }

    /// Has it go on.
    pub(crate) fn resume(&self, member: usize) {
        self.signal(member, Signal::CONT);
    }

    fn signal(&self, member: usize, signal: Signal) {
        kill_process(Pid::from_child(&self.members[member].child), signal).unwrap();
    }
}

/// A certificate and a key that are one text.
pub(crate) fn both(text: &str) -> (Vec<u8>, Vec<u8>) {
    (text.as_bytes().to_vec(), text.as_bytes().to_vec())
}
