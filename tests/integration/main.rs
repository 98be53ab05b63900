//! Outside-in tests: the real binary, driven over HTTP and by its command line.

mod disk_full;
mod harness;
mod kill;
mod ledger;
mod lifecycle;
mod load;
mod rooms;
mod slow_clients;
mod smoke;
mod startup;
mod connection;
