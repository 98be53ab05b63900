//! What may go wrong.

use std::io;

use parquet::errors::ParquetError;

/// Why a segment was not sealed. What came into the sink is of no use.
#[derive(Debug, thiserror::Error)]
pub(in crate::query_log) enum WriteError<E> {
    /// The rows could not be read.
    #[error("reading the rows: {0}")]
    Source(E),
    /// The sink did not take the bytes.
    #[error(transparent)]
    Sink(#[from] io::Error),
    /// The rows do not fit the format.
    #[error("encoding the rows: {0}")]
    Parquet(ParquetError),
    /// A row is not later than the one before it.
    #[error("the rows are not in the order of time")]
    OutOfOrder,
    /// A row is not of the segment's hour.
    #[error("a row of another hour")]
    OtherHour,
    /// A later pass gave other rows than the first.
    #[error("the rows changed while they were read")]
    Changed,
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
}

impl<E> From<ParquetError> for WriteError<E> {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(error) => Self::Sink(*error),
                Err(inner) => Self::Parquet(ParquetError::External(inner)),
            },
            error => Self::Parquet(error),
        }
    }
}

/// Why a sealed segment gives nothing.
#[derive(Debug, thiserror::Error)]
pub(in crate::query_log) enum SealedError {
    /// Neither the footer nor its copy says where the rows are.
    #[error("the sealed segment's footer is damaged")]
    Unreadable,
    /// The operating system says.
    #[error(transparent)]
    Io(#[from] io::Error),
}
