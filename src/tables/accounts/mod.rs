//! Files of accounts, in and out: CSV and Parquet.
//!
//! # Columns
//!
//! One row is one device that backs one handle. A row with an empty `handle` is a device that backs nothing, so that an
//! export is complete. Columns may come in any order; a cell of an optional column may be empty (or null).
//!
//! | column | | content |
//! | --- | --- | --- |
//! | `handle` | required | as people write it; kept in canonical form; empty for a device that backs nothing |
//! | `account`, `device` | required | an id of ours (`a_…`, `d_…`), or any other text of 1 to 128 bytes |
//! | `platform` | required | `ios`, `ipados`, `macos`, `watchos`, `visionos`, `other` |
//! | `last_check_in_at` | required | RFC 3339 |
//! | `proved_at`, `registered_at` | optional | RFC 3339 |
//! | `discoverable` | optional | `true` (the default) or `false` |
//! | `name` | optional | what the owner calls the device, up to 128 bytes |
//! | `token_hash` | optional | 32 hex digits |
//!
//! Parquet has the same columns as strings, timestamps as such (milli-, micro- or nanoseconds, UTC) or as strings,
//! `discoverable` as a boolean or a string. Opened in a spreadsheet, a cell that begins with `+` or `=` may be taken for
//! a formula: handles do begin with `+`, and are written as they are; import such a file as text.
//!
//! # Path of an import
//!
//! [`Source`] (which file, its digest) → [`stage()`] (read, check every row, sort, group by account) → a *staged file* →
//! [`StagedReader`] (accounts in ascending order of their ids). Only the last step is repeated when an import is
//! interrupted: [`find`] recognises the staged file of the same source and options, and a reader can begin after the
//! last account that was applied.
//!
//! # Which row is bad
//!
//! Rows are judged in this order, each once, and a bad row takes no part in what follows: by itself (cells); a device in
//! two accounts (the first line decides whose it is); a handle in two accounts (the newest proof decides); then, within
//! an account and in the order of the file, devices and claims that contradict an earlier row, repetitions, and limits.
//! Without `skip_bad` one bad row means that nothing is staged.
//!
//! No error and no report holds anything of a row's content: line and reason only.

mod account;
mod bad_rows;
mod cells;
mod columns;
mod conflicts;
mod csv_source;
mod error;
mod export;
mod export_csv;
mod export_parquet;
mod grouping;
mod identity;
mod kind;
mod parquet_source;
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
pub use error::{ExportError, StageError};
pub use export::ExportWriter;
pub use kind::{FileKind, KindError};
pub use progress::{Phase, Progress, Unit};
pub use source::{ImportDigest, Source};
pub use stage::{StageOptions, Staged, stage};
pub use staged::{StagedError, StagedReader, StagedTotals, find, verify};
