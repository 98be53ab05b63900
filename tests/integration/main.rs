//! Outside-in tests: the real binary, driven over HTTP and by its command line.

mod harness;
mod kill;
mod ledger;
mod load;
mod rooms;
mod smoke;
mod wire;
