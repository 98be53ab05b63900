//! `dispatchd cluster join`: a data directory becomes that of a node.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use zeroize::Zeroizing;

use crate::{
    cli::{
        address::origin, client::block_on, config::ConfigFile, errors::UsageError,
        listener::Listener, note::note, progress::ProgressView, variables::token,
    },
    clock::SystemClock,
    cluster::{Candidate, ClusterKeys},
    files::{DataDirectory, OsDisk},
    shared_log::etcd::Etcd,
    tables::accounts::{Phase, Progress, Unit},
};

#[derive(Args)]
pub(in crate::cli) struct Join {
    /// The operators' listener of the member that made the invite, such as https://10.0.0.1:8081
    #[arg(value_name = "URL")]
    member: String,
    /// The token that `dispatchd cluster invite` printed on a member. Other users of this machine may see it; --token-file hides it
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// The file with this token; without both, the variable DISPATCHD_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Take the keys of the cluster over without encryption, from an address that is not of this machine
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Join {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        if !config.cluster.is_on() {
            let why = "cluster.engine is empty: name the etcd members of the cluster in the configuration of this node";
            return Err(UsageError(why.to_owned()).into());
        }
        let member = origin(&self.member, &Listener::Operators.example())?;
        if !self.plain && is_exposed(&member) {
            let why = format!(
                "{member} is not encrypted, and the keys of the cluster would pass: take https:// (tls.certificate of the member), or give \
                 --plain if nobody else reads this network"
            );
            return Err(UsageError(why).into());
        }
        let invite = match self.token {
            Some(token) => Zeroizing::new(token),
            None => {
                let read = token(self.token_file.as_deref(), "DISPATCHD_TOKEN")?;
                let missing = "no token: give --token, --token-file or DISPATCHD_TOKEN; `dispatchd cluster invite NAME` on a member prints it";
                Zeroizing::new(read.ok_or_else(|| UsageError(missing.to_owned()))?)
            }
        };
        let data = &config.server.data;
        let _directory = DataDirectory::open(data)?;
        let candidate = Candidate {
            data,
            keys: ClusterKeys::files(data, config.keys.root_key.as_deref()),
            disk: OsDisk::shared(),
            name: config
                .cluster
                .node_name()
                .map_err(|why| UsageError(format!("cluster.node {why}")))?,
            address: config.cluster.origin(config.server.operators, config.tls.is_for_operators()),
            members_ca: &config.cluster.members_ca,
            clock: Arc::new(SystemClock),
        };
        candidate.clear()?;
        let view = ProgressView::stderr();
        let joined = block_on(async {
            let log = Etcd::new(&config.cluster.etcd()?)?;
            let mut progress = |done, total| {
                view.show(Progress { phase: Phase::Downloading, unit: Unit::Bytes, done, total });
            };
            Ok(candidate.join(&member, &invite, &log, &mut progress).await)
        })?;
        view.end();
        let identity = joined.with_context(|| {
            format!(
                "this node did not join. If `dispatchd cluster status` on a member lists {0}, run `dispatchd cluster remove {0}` there; then \
                 invite it again",
                candidate.name
            )
        })?;
        note!(
            "dispatchd: {} is a member now, with the data in {}; `dispatchd serve` starts it",
            identity.name,
            data.display()
        );
        Ok(())
    }
}

/// Whether others may read what goes to this origin.
fn is_exposed(origin: &str) -> bool {
    let Some(host) = origin.strip_prefix("http://") else { return false };
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
        .map_or(host, |(host, _)| host);
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_without_encryption() {
        for (origin, exposed) in [
            ("http://127.0.0.1:8081", false),
            ("http://127.9.0.1", false),
            ("http://[::1]:8081", false),
            ("http://[::1]", false),
            ("http://localhost:8081", false),
            ("https://10.0.0.1:8081", false),
            ("http://10.0.0.1:8081", true),
            ("http://[2001:db8::1]:8081", true),
            ("http://localhost.example.com:8081", true),
            ("http://127.0.0.1.example.com", true),
        ] {
            assert_eq!(is_exposed(origin), exposed, "{origin}");
        }
    }
}
