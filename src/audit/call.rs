//! Which calls are audited.

use crate::vocabulary::codes;

codes! {
    /// A call that gives out records of the query log, or entries of the audit log.
    Call {
        /// A search of the query log.
        Search = 1 "search",
        /// Following the query log.
        Tail = 2 "tail",
        /// Reading every segment of the query log to see whether it is sound.
        Verify = 3 "verify",
        /// Records as a file.
        Export = 4 "export",
        /// The history of one handle.
        Timeline = 5 "timeline",
        /// Handles whose route went back and forth.
        Flips = 6 "flips",
        /// Listing the audit log.
        AuditList = 7 "audit-list",
        /// Reading the audit log to see whether it is sound.
        AuditVerify = 8 "audit-verify",
    }
}
