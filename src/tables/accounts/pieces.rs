//! A source of either format as pieces, cut on one thread and read on several.

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

/// Some of a source's rows, in its format.
pub(super) enum Piece {
    Csv(CsvPiece),
    Parquet(ParquetPiece),
}

impl Piece {
    /// Gives each row to `row`, with its line.
    pub(super) fn read(&self, layout: &Layout, row: impl FnMut(u64, Result<Cells<'_>, Reason>)) {
        match self {
            Self::Csv(piece) => csv_source::read(piece, layout, row),
            Self::Parquet(piece) => parquet_source::read(piece, layout, row),
        }
    }
}

/// A source being cut.
pub(super) struct Pieces<'a> {
    cutter: Cutter,
    layout: Layout,
    bytes_total: u64,
    progress: &'a dyn Fn(Progress),
}

enum Cutter {
    /// With the first piece, whose header was needed before all else.
    Csv(Option<CsvPiece>, CsvSource),
    Parquet(ParquetSource),
}

impl<'a> Pieces<'a> {
    pub(super) fn open(
        source: &Source,
        progress: &'a dyn Fn(Progress),
    ) -> Result<Self, StageError> {
        let file = source.file()?;
        let (cutter, layout) = match source.kind() {
            FileKind::Csv => {
                let mut csv = CsvSource::new(file);
                let mut first = csv.next_piece()?.ok_or(ColumnError::NoHeader)?;
                let layout = csv_source::take_header(&mut first)?;
                (Cutter::Csv(Some(first), csv), layout)
            }
            FileKind::Parquet => {
                let parquet = ParquetSource::new(file)?;
                let layout = parquet.layout.clone();
                (Cutter::Parquet(parquet), layout)
            }
        };
        Ok(Self { cutter, layout, bytes_total: source.bytes(), progress })
    }

    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    fn cut(&mut self) -> Result<Option<Piece>, StageError> {
        let phase = Phase::Reading;
        let (piece, progress) = match &mut self.cutter {
            Cutter::Csv(first, csv) => {
                let piece = if first.is_some() { first.take() } else { csv.next_piece()? };
                let (done, total) = (csv.bytes_read, self.bytes_total);
                (piece.map(Piece::Csv), Progress { phase, unit: Unit::Bytes, done, total })
            }
            Cutter::Parquet(parquet) => {
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
        self.cut().transpose()
    }
}
