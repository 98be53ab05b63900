//! Outside-in tests: the real binary, driven over HTTP and by its command line.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod cli;
mod devices;
mod handles;
mod harness;
mod log_api;
mod log_records;
mod lookups;
mod operators_api;
mod privacy;
mod quotas;
mod retention;
mod rooms;
mod smoke;
mod tour;
mod verifications;
mod wire;
