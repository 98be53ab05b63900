//! Why the store cannot be used.

use std::{io, path::PathBuf};

/// The store cannot be used. Never holds a row's content.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the registry store {0} is in use by another process")]
    Locked(PathBuf),
    /// The file is something else.
    #[error("{0} is not a registry store")]
    NotOurs(PathBuf),
    /// Another version of dispatchd wrote it.
    #[error("the registry store was written by another version (format {0})")]
    FormatUnknown(u8),
    /// Its content contradicts itself.
    #[error("the registry store is damaged: {0}")]
    Damaged(String),
    /// A row cannot be read.
    #[error("the registry store has an unreadable row in table {0}")]
    RowUnreadable(&'static str),
    /// The operating system.
    #[error("the registry store cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// What was to be stored could not be had.
    #[error("{0}")]
    Source(String),
    /// A commit failed before; the store has not been opened anew yet.
    #[error("the registry store failed before and is not open")]
    NotOpen,
}
