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
//! Every file has every field of a record as a column, in the order of `columns.rs`; where a record has no such field, the cell
//! is null (empty in CSV). Parquet has the types that `docs/reference/records.md` lists. In CSV an instant is RFC 3339, and a
//! handle is *guarded*. A test lists every field and compares all forms of a record with it (`tests/fields.rs`).
//!
//! In a cluster the node whose log has the record is one more column, the last.
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
pub use columns::{names, texts};
pub use file::{ExportFile, Format};
