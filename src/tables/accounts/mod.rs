//! Import and export of accounts as CSV and Parquet files.
//!
//! # Columns
//!
//! One row is one device that backs one handle. A device that backs no handle has a row with an empty `handle`, so that an
//! export is complete. Columns may have any order. A cell of an optional column may be empty or null.
//!
//! | column | | content |
//! | --- | --- | --- |
//! | `handle` | required | any spelling, which the import makes canonical; empty for a device that backs no handle |
//! | `account`, `device` | required | an id of this service (`a_…`, `d_…`), or any other text of 1 to 128 bytes |
//! | `platform` | required | `ios`, `ipados`, `macos`, `watchos`, `visionos`, `other`, in any case |
//! | `last_check_in_at` | required | RFC 3339 |
//! | `proved_at`, `registered_at` | optional | RFC 3339 |
//! | `discoverable` | optional | `true` (the default) or `false` |
//! | `name` | optional | the owner's name for the device, up to 128 bytes |
//! | `token_hash` | optional | 32 hex digits |
//!
//! Columns may also have other forms, which `docs/operators/import.md` lists. In CSV, a handle or a name may have an apostrophe as a
//! guard before it, see [`crate::tables::records`].
//!
//! # Steps of an import
//!
//! 1. [`Source`] opens a file and computes its digest.
//! 2. [`stage()`] reads and checks every row, sorts the rows, groups them by account and writes a *staged file*.
//! 3. [`StagedReader`] returns the accounts in ascending order of their ids.
//!
//! Only step 3 is repeated after an interruption: [`find`] finds the staged file of the same source and options.
//!
//! # Bad rows
//!
//! The checks run in this order. A row that fails one is excluded from those after it.
//!
//! 1. the cells of the row by itself;
//! 2. a device in two accounts: the first line decides which account has it;
//! 3. a handle in two accounts: the newest proof decides;
//! 4. within an account, in the order of the file: rows that contradict or repeat an earlier row, and limits.
//!
//! Without `skip_bad`, one bad row prevents the staged file. Errors and reports name only the line and the reason, never
//! the content of a row.

mod account;
mod bad_rows;
mod cells;
mod columns;
mod conflicts;
mod csv_source;
mod export;
mod file_kind;
mod foreign;
mod identity;
mod parquet_source;
mod parquet_types;
mod pieces;
mod pipeline;
mod progress;
mod rows;
mod source;
mod stage;
mod staged;

#[cfg(test)]
mod tests;

pub use bad_rows::{BadRow, BadRows, Reason};
pub use columns::ColumnError;
pub use export::ExportWriter;
pub use file_kind::{FileKind, KindError};
pub use foreign::ForeignFile;
pub use progress::{Phase, Progress, Unit};
pub use source::{ImportDigest, Source, StageError, StageOptions};
pub use stage::{Note, Staged, stage};
pub use staged::{StagedError, StagedReader, StagedTotals, find, verify};
