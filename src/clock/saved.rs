//! Trusted time on disk: what a process saves for the next one.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    eras::Eras,
    rules::Standing,
    timestamp::{Era, Hour, Timestamp},
};
use crate::files::{self, SharedDisk};

/// What is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) trusted: Timestamp,
    /// The boot; empty if it is not known.
    pub(super) boot_id: String,
    /// The boot clock at the time `trusted`.
    pub(super) boot_us: u64,
    #[serde(flatten)]
    pub(super) standing: Standing,
    /// See [`super::rules::Rules`].
    pub(super) steps_from: (u64, i64),
    pub(super) eras: Eras,
}

/// Why trusted time cannot be read or saved.
#[derive(Debug, thiserror::Error)]
pub enum ClockFileError {
    /// The operating system refuses.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is damaged.
    #[error(
        "{}: damaged: it holds no valid time. Set the machine's clock right, then run `dispatchd clock trust --yes --data DIR`",
        .0.display()
    )]
    Damaged(PathBuf),
}

/// What the last process saved; none before the first start. A wrong time would destroy what is still needed, so the second line is
/// a CRC-32 of the first.
pub(super) fn read(path: &Path) -> Result<Option<Saved>, ClockFileError> {
    let io = |source| ClockFileError::Io { path: path.to_owned(), source };
    let Some(bytes) = files::if_exists(files::read_small(path)).map_err(io)? else {
        return Ok(None);
    };
    let parse = || {
        let text = str::from_utf8(&bytes).ok()?;
        let (saved, crc) = text.strip_suffix('\n')?.split_once('\n')?;
        let is_whole = crc == format!("{:08x}", crc32fast::hash(saved.as_bytes()));
        is_whole.then(|| serde_json::from_str(saved).ok())?
    };
    parse().map(Some).ok_or_else(|| ClockFileError::Damaged(path.to_owned()))
}

/// What is known without the file: time went on at least to the newest hour of the log.
pub(super) fn guess(newest: Hour) -> Saved {
    tracing::warn!(
        "no time was saved in the data directory; it continues from the newest hour of its log"
    );
    let (trusted, eras) = (newest.start(), Eras::of(newest));
    let (boot_id, standing) = (String::new(), Standing::Followed);
    Saved { trusted, boot_id, boot_us: 0, standing, steps_from: (0, 0), eras }
}

/// The newest hour of the log in the directory `data`, if there is a log.
pub(super) fn newest_hour(data: &Path) -> Result<Option<Hour>, ClockFileError> {
    let path = data.join("log");
    let names = files::if_exists(files::names(&path));
    let names = names.map_err(|source| ClockFileError::Io { path, source })?.unwrap_or_default();
    // The names of the log's files begin with the number of their hour.
    let hour = |name: OsString| {
        let (number, rest) = name.to_str()?.split_once('-')?;
        let is_segment =
            number.len() == 10 && [".frames", ".sealed"].iter().any(|end| rest.ends_with(end));
        is_segment.then(|| number.parse().ok().map(Hour::from_number))?
    };
    let hours = names.into_iter().filter_map(hour);
    Ok(hours.filter(|hour| hour.era() <= Era::MAX).max())
}

/// Replaces the file.
pub(super) fn write(disk: &SharedDisk, path: &Path, saved: &Saved) -> Result<(), ClockFileError> {
    let io = |source| ClockFileError::Io { path: path.to_owned(), source };
    let saved = serde_json::to_string(saved).map_err(io::Error::other).map_err(io)?;
    let text = format!("{saved}\n{:08x}\n", crc32fast::hash(saved.as_bytes()));
    files::replace(disk, path, text.as_bytes()).map_err(io)
}
