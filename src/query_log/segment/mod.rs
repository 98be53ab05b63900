//! The format of a sealed segment: the rows of one finished file of frames, sorted by handle, as Parquet.
//!
//! This module turns rows into bytes and back. The caller stores and encrypts the bytes. The writer writes them into a
//! [`PartSink`], the reader reads them from a [`PartSource`]. There are three parts, and damage to one does not affect
//! another:
//!
//! ```text
//! part 0    for each row group: its client table, then its columns, page by page
//! part 1    the end of a Parquet file: page indexes and footer. Part 0 followed by part 1 is one Parquet file
//! part 2    a copy of part 1, which the reader uses if part 1 is damaged
//! ```
//!
//! Rows are sorted by (handle, at): first rows without a handle, then phone numbers by their digits as a number, then
//! e-mail addresses by their text. Row groups have ascending ranges, so the whole file is sorted. The writer makes one row
//! group for each pass over its source; a usual hour needs one pass.
//!
//! `column.rs` lists the columns.
//!
//! - Pages of all columns begin at the same rows, so a page number names the same rows in each column.
//! - There are no dictionaries: a reader reads a page without any other, and damage to one page affects no other. Only the
//!   *client* (account, device, address) is interned, in a table of fixed stride (see `client.rs`). A Parquet dictionary was
//!   rejected: a reader would have to decode all of it before the first row.
//! - Damage costs the rows that it hits, and the reader counts them. The reader gives a row as it was written or not at all.

mod by_handle;
mod client;
mod client_table;
mod clients;
mod column;
mod column_writer;
mod digest;
mod footer;
mod group;
mod merge_pass;
mod order;
mod outcome;
mod page;
mod part;
mod predicate;
mod read_back;
mod row;
mod row_batch;
mod scan;
mod sort_buffer;
#[cfg(test)]
pub(super) mod tests;
mod time_histogram;
mod time_slice;
mod writer;

pub(super) use by_handle::{HandleEvent, HandlePage, HandleRange, HandleRun};
pub(super) use footer::Sealed;
pub(super) use part::{PartError, PartSink, PartSource};
pub(super) use row_batch::RowBatch;
pub(super) use scan::Scan;
pub(super) use time_histogram::TimeHistogram;
pub(super) use time_slice::SliceRequest;
pub(super) use writer::{WriteOptions, write};
