//! Tables in files: accounts in and out ([`accounts`]), rows of the log out ([`records`]).

mod cell;
mod csv_table;
mod output;
mod parquet_table;
mod table_file;

pub mod accounts;
pub mod records;

pub use output::Target;
pub use table_file::ExportError;
