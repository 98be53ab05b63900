//! Outside-in tests: the real binary, driven over HTTP and by its command line.

mod harness;
mod rooms;
mod smoke;
