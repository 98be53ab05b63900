//! The file of operators: read whole, replaced whole.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use super::{error::OperatorsError, operator::Operator};
use crate::{
    files::{self, FileLock, FileStamp, OsDisk},
    limits,
};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorsFile {
    version: u32,
    operators: Vec<Operator>,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OperatorsError {
    let path = path.to_owned();
    move |source| OperatorsError::Io { path, source }
}

/// The file's present state; `None` if there is no file.
pub(super) fn stamp(path: &Path) -> Result<Option<FileStamp>, OperatorsError> {
    files::if_exists(FileStamp::of(path)).map_err(io_error(path))
}

/// Reads the list; empty if there is no file.
pub(super) fn load(path: &Path) -> Result<Vec<Operator>, OperatorsError> {
    let text = files::if_exists(files::read_text(path)).map_err(io_error(path))?;
    let Some(text) = text else { return Ok(Vec::new()) };
    let malformed = |line| OperatorsError::Malformed { path: path.to_owned(), line };
    let file: OperatorsFile =
        serde_json::from_str(&text).map_err(|error| malformed(error.line()))?;
    if file.version == VERSION { Ok(file.operators) } else { Err(malformed(1)) }
}

/// Changes the list under a lock, so that two command lines do not undo each other. Durable when this returns.
pub(super) fn change(
    path: &Path,
    edit: impl FnOnce(&mut Vec<Operator>) -> Result<(), OperatorsError>,
) -> Result<(), OperatorsError> {
    let folder = files::parent(path);
    files::create_dir(folder).map_err(io_error(folder))?;
    let _lock =
        FileLock::acquire_within(&path.with_extension("lock"), limits::OPERATORS_LOCK_PATIENCE)?;
    let mut operators = load(path)?;
    edit(&mut operators)?;
    let file = OperatorsFile { version: VERSION, operators };
    let mut text =
        serde_json::to_vec_pretty(&file).map_err(io::Error::from).map_err(io_error(path))?;
    text.push(b'\n');
    files::replace(&OsDisk::shared(), path, &text).map_err(io_error(path))
}
