//! How far an operation has come.

/// A part of an import or an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The source's digest is computed.
    Hashing,
    /// Rows are read and checked one by one.
    Reading,
    /// Rows are sorted and compared with each other.
    Sorting,
    /// Accounts are written.
    Writing,
    /// A staged file is sent to a server.
    Uploading,
    /// Accounts are read back, or applied.
    Applying,
    /// A copy of a server's registry is fetched.
    Downloading,
}

impl Phase {
    /// What is being done, in a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
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

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a file.
    Bytes,
    /// Rows of the source.
    Rows,
    /// Accounts.
    Accounts,
}

/// How far a phase has come. `done` only grows within a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// What `done` and `total` count.
    pub unit: Unit,
    /// How much is done.
    pub done: u64,
    /// How much there is to do; 0 if nobody knows.
    pub total: u64,
}
