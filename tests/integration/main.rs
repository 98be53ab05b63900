//! Outside-in tests: the real binary, driven over HTTP and by its command line.

mod disk_full;
mod harness;
mod kill;
mod ledger;
mod load;
mod rooms;
mod smoke;
mod wire;
