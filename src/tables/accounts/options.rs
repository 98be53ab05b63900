//! [`StageOptions`]: how a source is read.

use std::num::NonZeroUsize;

use crate::{clock::Timestamp, handle::Region};

/// How a source is read.
#[derive(Clone, Debug)]
pub struct StageOptions {
    /// Leave out bad rows. Otherwise one bad row prevents the staged file.
    pub skip_bad: bool,
    /// The region of phone numbers without a calling code. None: their rows are bad.
    pub region: Option<Region>,
    /// The most devices that one account may have.
    pub devices_per_account: usize,
    /// The present. Instants more than a day later are bad.
    pub now: Timestamp,
    /// Threads that parse, in addition to the one that reads.
    pub threads: NonZeroUsize,
}
