//! Tables in files: accounts in and out ([`accounts`]), rows of the log out ([`records`]).

pub mod accounts;
pub mod records;
