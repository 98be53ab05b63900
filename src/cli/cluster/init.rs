//! `dispatchd cluster init`: a stopped server becomes the first node of a cluster.

use clap::Args;
use data_encoding::HEXLOWER;

use super::files::{StoppedNode, engine};
use crate::{
    cli::{client::block_on, config::ConfigFile, errors::UsageError, note::note},
    cluster::{ClusterKeys, Founder},
    files::OsDisk,
};

#[derive(Args)]
pub(in crate::cli) struct Init {
    #[command(flatten)]
    config: ConfigFile,
}

impl Init {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut node = StoppedNode::open(&self.config)?;
        let (config, now) = (node.config.clone(), node.now());
        let (cluster, server) = (&config.cluster, &config.server);
        let address = cluster.origin(server.operators, config.tls.is_for_operators());
        let founder = Founder {
            data: &server.data,
            keys: ClusterKeys::files(&server.data, config.keys.root_key.as_deref()),
            disk: OsDisk::shared(),
            name: cluster.node_name().map_err(|why| UsageError(format!("cluster.node {why}")))?,
            address: address.clone(),
            now,
        };
        let identity = block_on(async {
            let engine = engine(cluster).await?;
            let found = engine.first_key().await?;
            Ok(founder.found(&mut node.registry, &engine, found).await?)
        })?;
        note!(
            "dispatchd: the cluster {} has begun; this node is {} at {address}. Start it with `dispatchd serve`",
            HEXLOWER.encode(&identity.cluster.0),
            identity.name
        );
        Ok(())
    }
}
