//! What is wrong with a deployment: `GET /v1/doctor`, `dispatchd doctor`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::call::Row;
use crate::vocabulary::codes;

codes! {
    /// What a finding is about.
    Check {
        /// Who may read or change the server's files and its secrets.
        FileModes = 1 "file-modes",
        /// Whether all files of the data directory belong to its owner.
        FileOwners = 2 "file-owners",
        /// Whether copies of the data directory hold its keys, and whether a key is missing.
        Keys = 3 "keys",
        /// Whether the clock is right, and who says so.
        Clock = 4 "clock",
        /// Whether the disks have space for what is to be kept.
        Space = 5 "space",
        /// Whether the limit of open files leaves enough connections.
        Descriptors = 6 "descriptors",
        /// Whether clients take the listeners' certificate.
        Certificates = 14 "certificates",
        /// Whether phones reach the server in the clear, and whose addresses it believes.
        Proxies = 7 "proxies",
        /// Who reaches the operators' listener.
        Hosts = 8 "hosts",
        /// Operators and their roles.
        Roles = 9 "roles",
        /// Who reads the metrics.
        Metrics = 10 "metrics",
        /// How codes are sent.
        Delivery = 11 "delivery",
        /// Whether quotas apply.
        Quotas = 12 "quotas",
        /// What a power cut destroys.
        Durability = 13 "durability",
        /// Whether etcd answers, has space, syncs its disk fast and reads what is newest.
        Engine = 15 "engine",
        /// Whether the nodes of the cluster answer, take changes and agree on the time.
        Nodes = 16 "nodes",
        /// Whether the log's copies in its object store are complete, and forgotten in time.
        Store = 17 "store",
    }
}

codes! {
    /// How bad a finding is.
    Severity {
        /// A risk that somebody may have accepted.
        Warning = 1 "warning",
        /// A fault: somebody who must not may read or change something, or the service stops or will stop.
        Error = 2 "error",
    }
}

/// One thing that is wrong with the deployment. Its texts name files, keys of the configuration, operators, nodes and etcd members. They
/// hold no handle, address of a client, token or code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What it is about.
    pub check: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    #[schema(
        example = "the root key lies in the data directory, so a copy of that directory can be read"
    )]
    pub what: String,
    /// What to do about it.
    #[schema(
        example = "set keys.root_key to a file that no backup reaches, and move the key there while the server is stopped"
    )]
    pub to_do: String,
}

impl Finding {
    /// A finding that is a fault.
    pub fn error(check: Check, what: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { check, severity: Severity::Error, what: what.into(), to_do: to_do.into() }
    }

    /// A finding that is a risk.
    pub fn warning(check: Check, what: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { check, severity: Severity::Warning, what: what.into(), to_do: to_do.into() }
    }
}

impl Row for Finding {}

/// Everything that is wrong with the deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorReport {
    /// The findings, in the order of the checks.
    pub findings: Vec<Finding>,
}
