//! From a source to a staged file.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use foldhash::quality::RandomState;

use crate::{clock::Timestamp, handle::Region};

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
    source::{ImportDigest, Source},
    staged::{StagedTotals, StagedWriter},
};

/// How a source is read.
#[derive(Clone, Debug)]
pub struct StageOptions {
    /// Leave bad rows out instead of staging nothing.
    pub skip_bad: bool,
    /// Where phone numbers without a calling code are read; without it they are bad.
    pub region: Option<Region>,
    /// Devices that one account may have.
    pub devices_per_account: usize,
    /// The present: instants more than a day after it are bad.
    pub now: Timestamp,
    /// Threads that parse, besides the one that reads.
    pub threads: NonZeroUsize,
}

/// What was staged.
#[derive(Clone, Debug)]
pub struct Staged {
    /// The staged file.
    pub path: PathBuf,
    /// By which it is found again.
    pub digest: ImportDigest,
    /// Rows of the source, bad ones included.
    pub rows: u64,
    /// What the file holds.
    pub totals: StagedTotals,
    /// Rows that were left out.
    pub bad: BadRows,
}

/// Reads `source`, checks every row and writes its accounts to a staged file in `directory`, which is made if it is not
/// there. Needs about 100 bytes of memory a row.
///
/// Only one staging at a time may use a directory: it removes what an interrupted one left there.
///
/// # Errors
/// If the source cannot be read or has no proper header, if a row is bad and `skip_bad` is not set, or if the staged
/// file cannot be written. Then there is no staged file.
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
    conflicts::settle(&mut rows, &mut bad);
    sorted(total / 2);
    let index = rows.index(|rows, place| Some(rows.account(place)));
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

/// All rows of a source that are good by themselves, and the bad ones.
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
    // Seeded: nobody can make a file whose handles all have one hash.
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
