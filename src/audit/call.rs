//! Which calls are audited: those that give out records of the query log or entries of the audit log.

/// A call that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A search of the query log.
    Search,
    /// Following the query log.
    Tail,
    /// Reading every segment of the query log to see whether it is sound.
    Verify,
    /// Records as a file.
    Export,
    /// The history of one handle.
    Timeline,
    /// Handles whose route went back and forth.
    Flips,
    /// Listing the audit log.
    AuditList,
    /// Reading the audit log to see whether it is sound.
    AuditVerify,
}

impl Call {
    /// The stable code, as in the entries.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Tail => "tail",
            Self::Verify => "verify",
            Self::Export => "export",
            Self::Timeline => "timeline",
            Self::Flips => "flips",
            Self::AuditList => "audit-list",
            Self::AuditVerify => "audit-verify",
        }
    }
}
