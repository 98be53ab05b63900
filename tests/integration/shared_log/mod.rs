//! The log that several nodes append to: what every engine must do, in memory and with real members.

mod broken;
mod contract;
mod memory;
mod workload;

use std::sync::Arc;

use dispatchd::shared_log::SharedLog;

/// One node's handle.
type Log = Arc<dyn SharedLog>;
