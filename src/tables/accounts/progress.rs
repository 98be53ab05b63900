//! The progress of an import or an export.

/// A phase of an import or an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Computes the digest of the source.
    Hashing,
    /// Reads and checks rows one by one.
    Reading,
    /// Sorts rows and compares them with each other.
    Sorting,
    /// Writes accounts.
    Writing,
    /// Sends a staged file to a server.
    Uploading,
    /// Reads accounts back, or applies them.
    Applying,
    /// Fetches a copy of a server's registry.
    Downloading,
}

impl Phase {
    /// The name of the phase in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hashing => "hashing",
            Self::Reading => "reading",
            Self::Sorting => "sorting",
            Self::Writing => "writing",
            Self::Uploading => "uploading",
            Self::Applying => "applying",
            Self::Downloading => "downloading",
        }
    }
}

/// The unit of a progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a file.
    Bytes,
    /// Rows of the source.
    Rows,
    /// Accounts.
    Accounts,
}

/// The progress of one phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The current phase.
    pub phase: Phase,
    /// The unit of `done` and `total`.
    pub unit: Unit,
    /// The amount that is done. Never decreases within a phase.
    pub done: u64,
    /// The amount to do. 0 if it is unknown.
    pub total: u64,
}
