//! The next alternative: one SQLite table of typed columns with an index on handle and time.
//!
//! The settings favour SQLite: no journal, no syncs, large transactions, numeric ids, and an index built after
//! loading.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dispatchd::query_log::{LogRow, Record};
use rusqlite::{Connection, OpenFlags, Statement, params};

use crate::{
    Amounts,
    asked::Asked,
    generator,
    memory::{self, Memory, Watch},
    searching::{Found, Loaded, Searched, measure_handles},
};

pub(crate) const SUBJECT: &str = "sqlite";
pub(crate) const SUBJECT_SEARCH: &str = "sqlite-search";
pub(crate) const FOLDER: &str = "sqlite";

const TABLE: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA locking_mode = EXCLUSIVE;
    CREATE TABLE log (
        at INTEGER NOT NULL, kind INTEGER NOT NULL, id INTEGER NOT NULL, account INTEGER, device INTEGER, ip BLOB,
        handle TEXT, route INTEGER, reason INTEGER, status INTEGER, took_us INTEGER, change INTEGER, cause INTEGER
    );";
const INSERT: &str =
    "INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const SELECT: &str = "SELECT * FROM log WHERE handle = ?1 ORDER BY at";
const COLUMNS: usize = 13;
/// 256 MiB of page cache for loading and sorting. Searches use SQLite's default of 2 MiB.
const CACHE: &str = "PRAGMA cache_size = -262144;";

fn path(folder: &Path) -> PathBuf {
    folder.join("log.sqlite")
}

/// Loads the rows, then builds the index.
pub(crate) fn load(amounts: &Amounts) -> anyhow::Result<Loaded> {
    let idle = Memory::now()?;
    let folder = amounts.folder.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let watch = Watch::start(idle);
    let connection = Connection::open(path(&folder))?;
    connection.execute_batch(TABLE)?;
    connection.execute_batch(CACHE)?;
    let mut insert = connection.prepare(INSERT)?;
    let mut span = Duration::ZERO;
    let records = generator::rows(amounts, amounts.peer_records, |_, rows| {
        let start = Instant::now();
        connection.execute_batch("BEGIN")?;
        rows.iter().try_for_each(|row| insert_row(&mut insert, row))?;
        connection.execute_batch("COMMIT")?;
        span += start.elapsed();
        Ok(())
    })?;
    let start = Instant::now();
    connection.execute_batch("CREATE INDEX by_handle ON log (handle, at);")?;
    drop(insert);
    drop(connection);
    span += start.elapsed();
    let bytes = memory::folder_bytes(&folder)?;
    Ok(Loaded { records, span, bytes, peak: watch.peak_above_idle()? })
}

fn insert_row(insert: &mut Statement<'_>, row: &LogRow) -> rusqlite::Result<()> {
    let at = row.at.as_micros().cast_signed();
    match &row.record {
        Record::Lookup(lookup) => {
            let ip = match lookup.ip {
                Some(IpAddr::V4(ip)) => Some(ip.octets().to_vec()),
                Some(IpAddr::V6(ip)) => Some(ip.octets().to_vec()),
                None => None,
            };
            insert.execute(params![
                at,
                0,
                lookup.request.bits().cast_signed(),
                lookup.account.map(|account| account.bits().cast_signed()),
                lookup.device.map(|device| device.bits().cast_signed()),
                ip,
                lookup.handle.as_ref().map(|handle| handle.canonical()),
                lookup.route.map(dispatchd::vocabulary::Route::number),
                lookup.reason.number(),
                lookup.status,
                lookup.took_us,
                None::<u8>,
                None::<u8>,
            ])?;
        }
        Record::Refusals(_) => unreachable!("the generator makes none"),
        Record::Change(change) => {
            insert.execute(params![
                at,
                1,
                change.id.bits().cast_signed(),
                change.account.map(|account| account.bits().cast_signed()),
                change.device.map(|device| device.bits().cast_signed()),
                None::<Vec<u8>>,
                change.handle.as_ref().map(|handle| handle.canonical()),
                None::<u8>,
                None::<u8>,
                None::<u16>,
                None::<u32>,
                change.kind.number(),
                change.cause.number(),
            ])?;
        }
    }
    Ok(())
}

/// Searches for the same handles as in the log.
pub(crate) fn search(amounts: &Amounts) -> anyhow::Result<Searched> {
    let asked = Asked::choose(amounts);
    let folder = amounts.folder.join(FOLDER);
    let watch = Watch::start(Memory::now()?);
    let start = Instant::now();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path(&folder), flags)?;
    let mut select = connection.prepare(SELECT)?;
    let opening = start.elapsed();
    let handles = measure_handles(asked.all(), &folder, |handle| {
        let mut rows = select.query([handle.canonical()])?;
        let mut found = Found::default();
        while let Some(row) = rows.next()? {
            // Read all columns, because a caller who asks for rows wants all of them.
            for column in 0..COLUMNS {
                std::hint::black_box(row.get_ref(column)?);
            }
            found.rows += 1;
            found.at_sum = found.at_sum.wrapping_add(row.get::<_, i64>(0)?.cast_unsigned());
        }
        Ok(found)
    })?;
    let peak = watch.peak_above_idle()?;
    Ok(Searched { opening, handles, peak, everything: None, walked: None, flips: None })
}
