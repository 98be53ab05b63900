//! `addresses.json`: exists while a server answers at these addresses.

use std::{net::SocketAddr, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::files::{self, OsDisk};

const FILE: &str = "addresses.json";

/// Where the listeners are, as in `addresses.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The phones' listener.
    pub phones: SocketAddr,
    /// The operators' listener.
    pub operators: SocketAddr,
}

/// Writes the file. It appears complete.
pub(super) fn write(data: &Path, addresses: Addresses) -> anyhow::Result<()> {
    let path = data.join(FILE);
    let text = serde_json::to_vec(&addresses)?;
    let written = files::replace(&OsDisk::shared(), &path, &text);
    written.with_context(|| format!("writing {}", path.display()))
}

/// Removes the file. A crash leaves it; the next start removes it before it opens anything.
pub(super) fn remove(data: &Path) -> anyhow::Result<()> {
    let path = data.join(FILE);
    files::remove_if_exists(&path).with_context(|| format!("removing {}", path.display()))
}
