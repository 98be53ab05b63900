//! `addresses.json`: whoever finds it finds a server that answers there.

use std::{fs, io, net::SocketAddr, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

const FILE: &str = "addresses.json";

/// Where the listeners are, as in `addresses.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The phones' listener.
    pub phones: SocketAddr,
    /// The operators' listener.
    pub operators: SocketAddr,
}

/// Written whole and renamed, so that whoever sees the file can read it.
pub(super) fn write(data: &Path, addresses: Addresses) -> anyhow::Result<()> {
    let path = data.join(FILE);
    let new = path.with_extension("new");
    let text = serde_json::to_vec(&addresses)?;
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
    written.with_context(|| format!("writing {}", path.display()))
}

/// A crash leaves the file behind; the next start removes it before it opens anything.
pub(super) fn remove(data: &Path) -> anyhow::Result<()> {
    let path = data.join(FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}
