//! Outside-in tests: the real binary, driven over HTTP and by its command line.

mod devices;
mod handles;
mod harness;
mod lookups;
mod quotas;
mod rooms;
mod smoke;
mod verifications;
mod wire;
