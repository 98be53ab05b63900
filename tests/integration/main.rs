//! Black-box tests: they run the real binary and use its HTTP API and its command line.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod audit;
mod cli;
mod clock_histories;
mod connection;
mod crash_rounds;
mod delivery;
mod descriptors;
mod devices;
mod disk_faults;
mod disk_full;
mod enumeration;
mod export;
mod flips;
mod floods;
mod handles;
mod harness;
mod histories;
mod imports;
mod kill;
mod ledger;
mod lifecycle;
mod load;
mod log_api;
mod log_records;
mod lookups;
mod operators_api;
mod phone_inputs;
mod privacy;
mod python;
mod quotas;
mod registry_files;
mod retention;
mod scenarios;
mod seal_kills;
mod slow_clients;
mod smoke;
mod startup;
mod strangers;
mod timed;
mod timeline;
mod tour;
mod verifications;
mod wire;
mod wrong_clocks;
