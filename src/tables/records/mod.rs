//! Rows of the log, to a file that outlives the log: Parquet, CSV or NDJSON, plain or encrypted.
//!
//! ```text
//! LogRow -> cell by cell (columns) -> Parquet | CSV | NDJSON -> [age] -> FILE.new -> synced -> FILE
//! ```
//!
//! Memory holds one row group of Parquet, or one buffer, whatever the number of rows. Plaintext of an encrypted export never
//! reaches the disk. A crash leaves at most `FILE.new`, which the next export to FILE replaces.
//!
//! # Columns
//!
//! Every file has all columns, in this order; where a record has no such field, the cell is null (empty in CSV).
//!
//! | column | Parquet | CSV |
//! | --- | --- | --- |
//! | `at` | timestamp in microseconds, UTC; never null | RFC 3339 |
//! | `kind` | text; never null | text |
//! | `request`, `account`, `device`, `ip` | text | text |
//! | `handle` | text | text, *guarded* |
//! | `route`, `reason` | text | text |
//! | `status` | 32-bit integer | number |
//! | `took_us` | 64-bit integer | number |
//! | `change`, `cause` | text | text |
//! | `count` | 64-bit integer | number |
//!
//! NDJSON has the very rows that the operators' API gives, in which a field that a record does not have may be absent.
//!
//! # CSV in spreadsheets
//!
//! A cell that begins with `+`, `=`, `-` or `@` is taken for a formula or a number, however it is quoted (OWASP, *CSV
//! Injection*): `+14155550123` loses its plus sign, and the local part of an e-mail address, which strangers choose, may
//! begin with `=`. So a handle whose first character is neither a letter nor a digit gets an apostrophe before it, as
//! OWASP advises; one that begins with an apostrophe of its own gets a second. To get the handle back, remove one leading
//! apostrophe if there is one. No other cell holds characters that a stranger chose.

mod columns;
mod file;
#[cfg(test)]
mod tests;

pub use super::output::{RecipientError, Recipients};
pub use file::{ExportFile, Format};
