//! What can be wrong with an entry.

/// An entry cannot be written, read or applied. The text holds nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It would be longer than [`SHARED_LOG_ENTRY_MAX`](crate::limits::SHARED_LOG_ENTRY_MAX).
    #[error("the change is larger than an entry of the shared log may be")]
    TooLarge,
    /// A newer version wrote it. The node stops before it, and goes on once it is upgraded.
    #[error("the shared log has an entry of format {0}: upgrade this node to read it")]
    FormatUnknown(u8),
    /// It was written for another cluster.
    #[error("the shared log belongs to another cluster")]
    OtherCluster,
    /// It says of itself that it has another place, or that another entry comes before it.
    #[error("the entry at place {0} of the shared log does not follow what this node has applied")]
    NotNext(u64),
    /// The node that it names is no member of the cluster at its place, or did not sign it.
    #[error("no member of the cluster wrote an entry of the shared log")]
    Stranger,
    /// No member may write under its key at its place: all have newer ones, or there is none with this number.
    #[error(
        "an entry of the shared log is under key {0}, under which no member writes at its place"
    )]
    KeyVoid(u32),
    /// This node does not have its key, or does not have it yet.
    #[error("this node does not have key {0} of the shared log's entries")]
    KeyMissing(u32),
    /// Who wrote it does not have its key.
    #[error("an entry of the shared log is not authentic")]
    NotAuthentic,
    /// Its content is no steps.
    #[error("an entry of the shared log cannot be read")]
    Unreadable,
    /// It changes what this node does not have.
    #[error("an entry of the shared log does not fit what this node has applied")]
    Misfit,
}
