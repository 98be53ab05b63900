//! [`stage()`]: reads a source and writes its staged file.

use std::path::{Path, PathBuf};

use foldhash::quality::RandomState;

use super::{
    bad_rows::BadRows,
    cells::CellReader,
    columns::Layout,
    conflicts,
    error::StageError,
    grouping,
    pieces::{Piece, Pieces},
    pipeline,
    progress::{Phase, Progress, Unit},
    rows::{PieceOfRows, Rows},
    source::{ImportDigest, Source, StageOptions},
    staged::{StagedTotals, StagedWriter},
};

/// The result of a staging.
#[derive(Clone, Debug)]
pub struct Staged {
    /// The staged file.
    pub path: PathBuf,
    /// The digest by which [`find`](super::find) finds the file again.
    pub digest: ImportDigest,
    /// All rows of the source, including bad ones.
    pub rows: u64,
    /// What the staged file contains.
    pub totals: StagedTotals,
    /// Rows that were left out.
    pub bad: BadRows,
}

/// Reads `source`, checks every row and writes its accounts to a staged file in `directory`, which is created if needed.
/// Needs about 100 bytes of memory for each row.
///
/// Only one staging at a time may use a directory, since each removes the files of an interrupted one.
///
/// # Errors
/// If the source cannot be read, its header is invalid, or the staged file cannot be written. Without `skip_bad`, also if a
/// row is bad. No staged file exists then.
pub fn stage(
    source: &Source,
    directory: &Path,
    options: &StageOptions,
    progress: &dyn Fn(Progress),
) -> Result<Staged, StageError> {
    let failed = |source| StageError::Write { path: directory.to_owned(), source };
    let digest = source.digest(options);
    let mut writer = StagedWriter::create(directory, digest).map_err(failed)?;

    let read = read(source, options, progress)?;
    source.check_unchanged()?;
    let (mut rows, mut bad) = (read.rows, read.bad);
    let total = rows.count;
    let sorted = |done| {
        progress(Progress { phase: Phase::Sorting, unit: Unit::Rows, done, total });
    };
    sorted(0);
    conflicts::resolve(&mut rows, &mut bad);
    sorted(total / 2);
    let index = rows.index(|rows, position| Some(rows.account(position)));
    sorted(total);

    let mut done = 0;
    pipeline::in_order(
        options.threads.get(),
        grouping::parts(&index).map(Ok),
        |part| grouping::group(&rows, part, options.devices_per_account),
        |grouped| {
            bad.absorb(&grouped.bad);
            done += grouped.rows;
            let total = index.len() as u64;
            progress(Progress { phase: Phase::Writing, unit: Unit::Rows, done, total });
            writer.write(&grouped.block)
        },
    )
    .map_err(failed)?;
    if bad.total() > 0 && !options.skip_bad {
        return Err(StageError::BadRows(bad));
    }
    let (path, totals) = writer.finish().map_err(failed)?;
    Ok(Staged { path, digest, rows: read.rows_total, totals, bad })
}

/// The rows of a source that passed the checks of their cells, and the bad ones.
struct Read {
    rows: Rows,
    bad: BadRows,
    rows_total: u64,
}

fn read(
    source: &Source,
    options: &StageOptions,
    progress: &dyn Fn(Progress),
) -> Result<Read, StageError> {
    let pieces = Pieces::open(source, progress)?;
    let layout = pieces.layout().clone();
    // The random seed prevents a file whose handles all have the same hash.
    let hasher = RandomState::default();
    let mut read = Read { rows: Rows::default(), bad: BadRows::default(), rows_total: 0 };
    pipeline::in_order(
        options.threads.get(),
        pieces,
        |piece| parse(&piece, &layout, options, &hasher),
        |(rows, bad)| {
            read.rows_total += rows.count + bad.total();
            read.rows.add(rows);
            read.bad.absorb(&bad);
            Ok(())
        },
    )?;
    Ok(read)
}

fn parse(
    piece: &Piece,
    layout: &Layout,
    options: &StageOptions,
    hasher: &RandomState,
) -> (PieceOfRows, BadRows) {
    let mut rows = PieceOfRows::default();
    let mut bad = BadRows::default();
    let mut reader = CellReader::new(options.region, options.now);
    piece.read(layout, |line, cells| {
        match cells.and_then(|cells| reader.read(line, &cells).map(|row| rows.push(&row, hasher))) {
            Ok(()) => {}
            Err(reason) => bad.add(line, reason),
        }
    });
    (rows, bad)
}
