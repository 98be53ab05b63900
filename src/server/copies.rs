//! Where the log of a data directory is copied to.

use std::path::Path;

use crate::{
    cluster::Identity,
    query_log::{self, CopyOptions, MayCopy},
};

/// The node's name in the store, on a machine that shares its directory with no other.
const SINGLE: &str = "single";

/// The options of copying for the data directory `data`. None if the configuration names no store.
///
/// # Errors
/// If the file that says which node of a cluster this is cannot be read.
pub fn copy_options(
    config: &query_log::Config,
    data: &Path,
    may_copy: MayCopy,
) -> anyhow::Result<Option<CopyOptions>> {
    let identity = Identity::read(data)?;
    let node = identity.map_or_else(|| SINGLE.to_owned(), |identity| identity.store_name());
    Ok(CopyOptions::of(config, node, may_copy))
}
