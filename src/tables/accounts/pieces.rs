//! Splits a source of either format into pieces. One thread splits, and several parse the pieces.

use std::iter;

use super::{
    bad_rows::Reason,
    cells::Cells,
    columns::{ColumnError, Layout},
    csv_source::{self, CsvPiece, CsvSource},
    file_kind::FileKind,
    parquet_source::{self, ParquetPiece, ParquetSource},
    progress::{Phase, Progress, Unit},
    source::{Source, StageError},
};

pub(super) enum Piece {
    Csv(CsvPiece),
    // Boxed, since it is ten times as large.
    Parquet(Box<ParquetPiece>),
}

impl Piece {
    /// Calls `row` for each row, with its line.
    pub(super) fn read(&self, layout: &Layout, row: impl FnMut(u64, Result<Cells<'_>, Reason>)) {
        match self {
            Self::Csv(piece) => csv_source::read(piece, layout, row),
            Self::Parquet(piece) => parquet_source::read(piece, row),
        }
    }
}

type Pieces<'a> = Box<dyn Iterator<Item = Result<Piece, StageError>> + 'a>;

/// The layout of a source's rows, and its pieces.
pub(super) fn open<'a>(
    source: &Source,
    record_bytes_max: usize,
    progress: &'a dyn Fn(Progress),
) -> Result<(Layout, Pieces<'a>), StageError> {
    let (file, bytes_total) = (source.file()?, source.stamp.bytes);
    let report = move |unit, done, total| {
        progress(Progress { phase: Phase::Reading, unit, done, total });
    };
    match source.kind {
        FileKind::Csv => {
            let mut csv = CsvSource::new(file, record_bytes_max);
            let mut first = csv.next_piece()?.ok_or(ColumnError::NoHeader)?;
            let layout = csv_source::split_header(&mut first)?;
            let mut first = Some(first);
            let pieces = iter::from_fn(move || {
                let piece = first.take().map_or_else(|| csv.next_piece(), |first| Ok(Some(first)));
                report(Unit::Bytes, csv.bytes_read, bytes_total);
                piece.transpose()
            });
            Ok((layout, Box::new(pieces.map(|piece| piece.map(Piece::Csv)))))
        }
        FileKind::Parquet => {
            let (layout, mut parquet) = ParquetSource::open(file)?;
            let pieces = iter::from_fn(move || {
                let piece = parquet.next_piece();
                report(Unit::Rows, parquet.rows_read, parquet.rows_total);
                piece.map(|piece| piece.map(Box::new).map(Piece::Parquet)).transpose()
            });
            Ok((layout, Box::new(pieces)))
        }
    }
}
