//! The log that several nodes append to: what every engine must do, in memory and with real members.

mod broken;
pub(crate) mod cluster;
mod contract;
mod members;
mod memory;
mod probing;
mod relays;
mod workload;

use std::{sync::Arc, time::Duration};

use dispatchd::shared_log::SharedLog;

/// Pause before something is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// One node's handle.
type Log = Arc<dyn SharedLog>;
