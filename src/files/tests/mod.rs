//! Tests of the reserve; what tests of other modules use instead of the machine's disk.

pub(crate) mod faults;
mod reserve;
pub(crate) mod sim_disk;
