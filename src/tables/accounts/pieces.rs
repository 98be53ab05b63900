//! Splits a source of either format into pieces. One thread splits, and several parse the pieces.

use super::{
    bad_rows::Reason,
    cells::Cells,
    columns::{ColumnError, Layout},
    csv_source::{self, CsvPiece, CsvSource},
    error::StageError,
    kind::FileKind,
    parquet_source::{self, ParquetPiece, ParquetSource},
    progress::{Phase, Progress, Unit},
    source::Source,
};

/// Some rows of a source, in its format.
pub(super) enum Piece {
    Csv(CsvPiece),
    Parquet(ParquetPiece),
}

impl Piece {
    /// Calls `row` for each row, with its line.
    pub(super) fn read(&self, layout: &Layout, row: impl FnMut(u64, Result<Cells<'_>, Reason>)) {
        match self {
            Self::Csv(piece) => csv_source::read(piece, layout, row),
            Self::Parquet(piece) => parquet_source::read(piece, layout, row),
        }
    }
}

/// Iterates over the pieces of a source.
pub(super) struct Pieces<'a> {
    splitter: Splitter,
    layout: Layout,
    bytes_total: u64,
    progress: &'a dyn Fn(Progress),
}

enum Splitter {
    /// With the first piece, from which the header was read.
    Csv(Option<CsvPiece>, CsvSource),
    Parquet(ParquetSource),
}

impl<'a> Pieces<'a> {
    pub(super) fn open(
        source: &Source,
        progress: &'a dyn Fn(Progress),
    ) -> Result<Self, StageError> {
        let file = source.file()?;
        let (splitter, layout) = match source.kind() {
            FileKind::Csv => {
                let mut csv = CsvSource::new(file);
                let mut first = csv.next_piece()?.ok_or(ColumnError::NoHeader)?;
                let layout = csv_source::split_header(&mut first)?;
                (Splitter::Csv(Some(first), csv), layout)
            }
            FileKind::Parquet => {
                let parquet = ParquetSource::new(file)?;
                let layout = parquet.layout.clone();
                (Splitter::Parquet(parquet), layout)
            }
        };
        Ok(Self { splitter, layout, bytes_total: source.bytes(), progress })
    }

    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    fn next_piece(&mut self) -> Result<Option<Piece>, StageError> {
        let phase = Phase::Reading;
        let (piece, progress) = match &mut self.splitter {
            Splitter::Csv(first, csv) => {
                let piece = if first.is_some() { first.take() } else { csv.next_piece()? };
                let (done, total) = (csv.bytes_read, self.bytes_total);
                (piece.map(Piece::Csv), Progress { phase, unit: Unit::Bytes, done, total })
            }
            Splitter::Parquet(parquet) => {
                let piece = parquet.next_piece()?;
                let (done, total) = (parquet.rows_read, parquet.rows_total);
                (piece.map(Piece::Parquet), Progress { phase, unit: Unit::Rows, done, total })
            }
        };
        (self.progress)(progress);
        Ok(piece)
    }
}

impl Iterator for Pieces<'_> {
    type Item = Result<Piece, StageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_piece().transpose()
    }
}
