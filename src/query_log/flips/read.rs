//! What is read to count flips, and what could not be.

use super::super::search::SearchOutcome;
use crate::{clock::Timestamp, handle::Handle};

/// Which rows are read.
#[derive(Clone, Debug, Default)]
pub struct FlipWindow {
    /// Rows from this instant on.
    pub since: Option<Timestamp>,
    /// Rows before this instant.
    pub until: Option<Timestamp>,
    /// Rows of the handles behind this one.
    pub after: Option<Handle>,
}

/// What was read.
#[derive(Clone, Copy, Debug)]
pub struct FlipsRead {
    /// From this instant on: as was asked, as far as the rows have not expired.
    pub since: Timestamp,
    /// Before this instant.
    pub until: Timestamp,
    /// What could not be read.
    pub passed_over: SearchOutcome,
    /// It was asked to stop, and did not read everything.
    pub stopped: bool,
}
