//! Outside-in tests: the real binary, driven over HTTP and by its command line.

mod cli;
mod devices;
mod handles;
mod harness;
mod log_api;
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
