//! Configuration: the sum of each module's own `Config`, read from one TOML file, overridden from the environment.
//!
//! # Variables
//!
//! `DISPATCHD_<SECTION>__<KEY>` overrides a key of the file; a section within a section has its name between two more
//! underscores. Names are upper case. A value is read as TOML (`true`, `8`, `["10.0.0.0/8"]`) and, if the key does not take
//! that, as text. An empty variable counts as unset. Every other variable that begins with `DISPATCHD_` is an error.
//! Exempt are those that the command line reads, and those that a `*_env` key of the file names. So are those that Kubernetes
//! sets for a service of the name `dispatchd` (`DISPATCHD_SERVICE_…`, `DISPATCHD_PORT…`).
//!
//! # Errors
//!
//! Unknown keys and impossible values are errors that name the key and where it was set: the file's line, or the variable.
//! One error holds all of them.
//! No secret is ever read from the file.

mod environment;
mod load;
mod sections;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod tree;

pub use load::{check_variables, load_partly};
pub use sections::{Config, ConfigError};
pub use server::ServerConfig;
pub use tls::{TlsConfig, TlsListeners};
