//! A sealed segment: the rows of one finished file of the log, by handle instead of by time, as Parquet.
//!
//! This room turns rows into bytes and back. Where the bytes lie, and what encrypts them, is its caller's: bytes go into a
//! [`PartSink`] and come out of a [`PartSource`], in three parts, each begun on its own so that damage to one is not damage
//! to another:
//!
//! ```text
//! part 0    for each row group: its clients, then its columns, page by page
//! part 1    what ends a Parquet file: page indexes and footer. Parts 0 and 1 in a row are one Parquet file
//! part 2    part 1 once more, read if part 1 cannot be
//! ```
//!
//! Rows are sorted by (handle, at): first those without a handle, then phone numbers by their digits as a number, then
//! e-mail addresses by their text. Row groups have ascending ranges, so the whole file is sorted. There is one row group
//! for each pass of the writer over its source, in a usual hour just one.
//!
//! | column | type | says |
//! | --- | --- | --- |
//! | `phone` | INT64, optional | [`PhoneKey::bits`](crate::handle::PhoneKey::bits); page bounds |
//! | `email` | UTF8, optional | the canonical address; page bounds, not truncated |
//! | `at` | UINT32 | microseconds since the hour began; page bounds |
//! | `request` | INT64, optional | [`RequestId::count`](crate::ids::RequestId::count) of a lookup |
//! | `change` | INT64, optional | the id of a change |
//! | `client` | UINT32 | the place in the row group's table of clients |
//! | `took_us` | UINT32 | as in the record; 0 for a change |
//! | `outcome` | UINT32 | kind, route, reason and status, or change and cause: see `outcome.rs` |
//!
//! - Pages of all columns begin at the same rows, so a page number names the same rows in each.
//! - There are no dictionaries: a page is read without any other, and damage to one costs no other. The one thing that is
//!   interned is the *client* (account, device, address), in a table of fixed stride (see `client.rs`): as a Parquet
//!   dictionary the whole of it had to be decoded before the first row.
//! - What cannot be read costs the rows it holds, which are counted; a row is given as it was written or not at all.

mod by_handle;
mod client;
mod client_table;
mod clients;
mod column;
mod digest;
mod error;
mod footer;
mod group;
mod merge_pass;
mod order;
mod outcome;
mod page;
mod part;
mod predicate;
mod read_back;
mod reader;
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
pub(super) use error::{SealedError, WriteError};
pub(super) use outcome::Outcome;
pub(super) use part::{PartError, PartSink, PartSource};
pub(super) use read_back::Digest;
pub(super) use reader::Sealed;
pub(super) use row_batch::RowBatch;
pub(super) use scan::Scan;
pub(super) use time_histogram::TimeHistogram;
pub(super) use time_slice::Wanted;
pub(super) use writer::{RowSource, WriteOptions, write};
