//! Tables in files: accounts in and out ([`accounts`]), rows of the log out ([`records`]).

mod cell;
mod csv_table;
mod error;
mod output;
mod parquet_table;
mod table_file;

pub mod accounts;
pub mod records;

pub use error::ExportError;
