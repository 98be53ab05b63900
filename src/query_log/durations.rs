//! [`LogDurations`]: how long the log's writes take.

use crate::metrics::Histogram;

/// How long the log's writes take.
#[derive(Debug, Default)]
pub struct LogDurations {
    /// A commit: encrypting, writing, and syncing where the records must survive a power cut.
    pub commit: Histogram,
    /// The sync alone.
    pub sync: Histogram,
}
