//! What tests of other modules use instead of the machine's disk.

pub(crate) mod sim_disk;
