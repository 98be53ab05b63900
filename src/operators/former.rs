//! The list of versions before 0.5.0: a file, which becomes rows of the registry.
//!
//! ```text
//! 1  put its operators into the registry, in one transaction    crash before: the file is there, and is taken over again
//! 2  remove the file, and sync the directory                    crash before: the same, which finds each name in the registry
//! ```
//!
//! Nobody is revoked between the two steps, because nothing changes the list before the file is gone. So no operator comes back.

use std::{path::Path, sync::Arc};

use serde::Deserialize;

use super::{
    error::{OperatorsError, ReachError, io_at},
    list::{KIND, put},
    operator::{Operator, is_name},
};
use crate::{
    clock::SystemClock,
    files,
    registry::{self, StoppedRegistry},
};

const FILE: &str = "operators.json";
/// It was held while the file was changed.
const LOCK: &str = "operators.lock";
const VERSION: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormerList {
    version: u32,
    operators: Vec<Operator>,
}

/// Takes the list of the registry in `directory` over if a former version left one. The caller has locked the data directory, and
/// nobody has the registry open.
///
/// # Errors
/// If the file cannot be read or removed, or the store cannot be changed. Then nothing may change the list.
pub fn take_over(directory: &Path) -> Result<(), ReachError> {
    let path = directory.join(FILE);
    let Some(operators) = read(&path)? else { return Ok(()) };
    let config = registry::Config::default();
    let mut registry = StoppedRegistry::open(directory, config, Arc::new(SystemClock))?;
    registry.change_rows(KIND, |rows| {
        let is_new = |it: &&Operator| rows.get(KIND, it.name.as_bytes()).is_none();
        let new: Vec<_> = operators.iter().filter(is_new).collect();
        new.into_iter().for_each(|operator| put(rows, operator));
        Ok::<_, OperatorsError>(())
    })?;
    drop(registry);
    for name in [FILE, LOCK] {
        let path = directory.join(name);
        files::remove_if_exists(&path).map_err(io_at(&path))?;
    }
    // Otherwise a power cut could bring the file back, and with it whoever is revoked from now on.
    files::sync_dir(directory).map_err(io_at(directory))?;
    tracing::info!(operators = operators.len(), "the registry has the operators now");
    Ok(())
}

/// The list in a file of a former version; none if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Operator>>, ReachError> {
    let text = files::if_exists(files::read_text(path)).map_err(io_at(path))?;
    let Some(text) = text else { return Ok(None) };
    let malformed = |line| ReachError::Malformed { path: path.to_owned(), line };
    let list: FormerList = serde_json::from_str(&text).map_err(|error| malformed(error.line()))?;
    let is_sound = list.version == VERSION && list.operators.iter().all(|it| is_name(&it.name));
    if is_sound { Ok(Some(list.operators)) } else { Err(malformed(1)) }
}
