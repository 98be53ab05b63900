//! Files that a command writes.

use std::path::Path;

use anyhow::bail;

/// Refuses to write over a file unless that was asked for.
pub(super) fn may_write(path: &Path, force: bool) -> anyhow::Result<()> {
    if !force && path.exists() {
        bail!("{} is there already; --force replaces it", path.display());
    }
    Ok(())
}
