//! Whose records a call is about, on a node of a cluster.

use crate::vocabulary::codes;

codes! {
    /// Whose part of an answer is given. A server that is in no cluster has its own part only.
    #[derive(Default)]
    Scope {
        /// That of every node.
        #[default]
        Cluster = 1 "cluster",
        /// That of the node which is asked.
        Node = 2 "node",
    }
}
