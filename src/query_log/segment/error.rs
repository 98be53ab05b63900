//! Why a sealed segment could not be written.

use std::io;

use parquet::errors::ParquetError;

/// Why a sealed segment could not be written. The bytes in the sink are useless.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError<E> {
    /// The source could not read the rows.
    #[error("cannot read the rows: {0}")]
    Source(E),
    /// The sink could not write the bytes.
    #[error(transparent)]
    Sink(#[from] io::Error),
    /// The rows do not fit the format.
    #[error("cannot encode the rows: {0}")]
    Parquet(ParquetError),
    /// A row is not later than its predecessor.
    #[error("the rows are not in the order of time")]
    OutOfOrder,
    /// A row belongs to another hour.
    #[error("a row belongs to another hour")]
    OtherHour,
    /// A later pass read other rows than the first.
    #[error("the rows changed between two passes")]
    Changed,
    /// The caller asked the writer to stop.
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
