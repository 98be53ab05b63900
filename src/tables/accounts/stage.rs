//! [`stage()`]: reads a source, groups its rows into accounts and writes them to a staged file.

use std::{
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
};

use foldhash::quality::RandomState;

use super::{
    account::AccountBuilder,
    bad_rows::BadRows,
    cells::CellReader,
    columns::Layout,
    conflicts,
    pieces::{self, Piece},
    pipeline,
    progress::{Phase, Progress, Unit},
    rows::{Entry, PieceOfRows, Rows},
    source::{ImportDigest, Source, StageError, StageOptions},
    staged::{Block, StagedTotals, StagedWriter},
};

/// The approximate number of rows in a block: with the longest handles and names 2 MB.
const BLOCK_ROWS: usize = if cfg!(test) { 8 } else { 4_096 };

/// The result of a staging.
#[derive(Clone, Debug)]
pub struct Staged {
    /// The staged file.
    pub path: PathBuf,
    /// The digest by which [`find`](super::find) finds the file again.
    pub digest: ImportDigest,
    /// All rows of the source, including bad ones, without empty ones.
    pub rows: u64,
    /// What the staged file contains.
    pub totals: StagedTotals,
    /// Rows that were left out.
    pub bad: BadRows,
    /// How the source was read where it could be read in another way.
    pub notes: Vec<Note>,
}

/// How a source was read where it could be read in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// A column was left out.
    IndexColumn,
    /// A time zone was assumed.
    LocalTime,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IndexColumn => "index column ignored: it only numbers the rows",
            Self::LocalTime => "instants without a time zone are read as UTC",
        })
    }
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

    let Read { mut rows, mut bad, notes } = read(source, options, progress)?;
    source.check_unchanged()?;
    let total = rows.count;
    let rows_total = total + bad.total();
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
        parts(&index).map(Ok),
        |part| (part.len() as u64, group(&rows, part, options.devices_per_account)),
        |(part_rows, (block, part_bad))| {
            bad.absorb(&part_bad);
            done += part_rows;
            let total = index.len() as u64;
            progress(Progress { phase: Phase::Writing, unit: Unit::Rows, done, total });
            writer.write(&block?)
        },
    )
    .map_err(failed)?;
    if bad.total() > 0 && !options.skip_bad {
        return Err(StageError::BadRows(bad));
    }
    let (path, totals) = writer.finish().map_err(failed)?;
    let notes = notes.into_iter().collect();
    Ok(Staged { path, digest, rows: rows_total, totals, bad, notes })
}

/// What was read of a source: the rows that passed the checks of their cells, and the bad ones.
#[derive(Default)]
struct Read {
    rows: Rows,
    bad: BadRows,
    notes: BTreeSet<Note>,
}

fn read(
    source: &Source,
    options: &StageOptions,
    progress: &dyn Fn(Progress),
) -> Result<Read, StageError> {
    let (layout, pieces) = pieces::open(source, options.record_bytes_max, progress)?;
    // The random seed prevents a file whose handles all have the same hash.
    let hasher = RandomState::default();
    let mut all = Read::default();
    all.notes.extend(layout.has_index.then_some(Note::IndexColumn));
    all.notes.extend(layout.has_local_time.then_some(Note::LocalTime));
    pipeline::in_order(
        options.threads.get(),
        pieces,
        |piece| parse(&piece, &layout, options, &hasher),
        |(rows, bad, has_local_time)| {
            all.rows.add(rows);
            all.bad.absorb(&bad);
            all.notes.extend(has_local_time.then_some(Note::LocalTime));
            Ok(())
        },
    )?;
    Ok(all)
}

/// The rows of a piece, the bad ones, and whether an instant had no time zone.
fn parse(
    piece: &Piece,
    layout: &Layout,
    options: &StageOptions,
    hasher: &RandomState,
) -> (PieceOfRows, BadRows, bool) {
    let mut rows = PieceOfRows::default();
    let mut bad = BadRows::default();
    let mut reader = CellReader::new(options.region, options.now);
    piece.read(layout, |line, cells| match cells.and_then(|cells| reader.read(line, &cells)) {
        Ok(Some(row)) => rows.push(&row, hasher),
        Ok(None) => {}
        Err(reason) => bad.add(line, reason),
    });
    (rows, bad, reader.has_local_time)
}

/// Splits an index that is sorted by account, so that no account is in two parts.
fn parts(mut index: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    std::iter::from_fn(move || {
        let (last, _) = index.get(BLOCK_ROWS - 1).or_else(|| index.last())?;
        let end = index.partition_point(|(account, _)| account <= last);
        let (part, rest) = index.split_at(end);
        index = rest;
        Some(part)
    })
}

/// The good rows of a part, and the bad ones.
fn group(rows: &Rows, part: &[Entry], devices_max: usize) -> (io::Result<Block>, BadRows) {
    let (mut bytes, mut totals, mut bad) =
        (Vec::new(), StagedTotals::default(), BadRows::default());
    for entries in part.chunk_by(|one, other| one.0 == other.0) {
        let mut builder: Option<AccountBuilder> = None;
        for (_, position) in entries {
            let row = rows.row(*position);
            let builder =
                builder.get_or_insert_with(|| AccountBuilder::new(row.account, devices_max));
            match builder.add(&row) {
                Ok(()) => rows.copy(*position, &mut bytes),
                Err(reason) => bad.add(row.line, reason),
            }
        }
        if let Some(account) = builder.and_then(AccountBuilder::finish) {
            totals += (&account).into();
        }
    }
    (Block::new(&bytes, totals), bad)
}
