//! A data directory that is read without its server.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    clock::SystemClock,
    dispatch,
    envelope::KeyFiles,
    query_log::{LogReader, OpenError},
};

/// Where the files are, and what of the configuration matters to their readers.
#[derive(Clone, Debug)]
pub struct DataFiles {
    /// The data directory.
    pub data: PathBuf,
    /// Where the root key lies, if not in the data directory.
    pub root_key: Option<PathBuf>,
    /// How long records are kept.
    pub retention: Duration,
    /// How long audit entries are kept.
    pub audit_retention: Duration,
    /// How long askers may reuse an answer.
    pub dispatch: dispatch::Config,
}

impl DataFiles {
    /// A reader of the query log as its files are now.
    pub(super) fn reader(&self) -> Result<LogReader, OpenError> {
        let keys = KeyFiles::new(&self.data.join("keys"), self.root_key.as_deref());
        let clock = Arc::new(SystemClock);
        LogReader::open_read_only(&self.data.join("log"), keys, clock, self.retention)
    }
}
