//! A node of a cluster: its configuration, its identity, the keys of the log's entries, and the rows about members.
//!
//! A cluster is several nodes that serve one directory. Their registries apply one shared log, which lies in etcd. Each node keeps
//! the whole registry. So a node's data directory without [`Identity`] and [`ClusterKeys`] is that of a single machine.
//!
//! etcd keeps deleted values in its files. So each entry is encrypted under a key that only the members have. [`ClusterKeys`] holds
//! this node's copy of the keys in a keyring of its own.

mod config;
mod entry_keys;
mod founding;
mod identity;
mod leaving;
mod member;

pub use config::{Config, Fence, is_member_address};
pub use entry_keys::ClusterKeys;
pub use founding::{Founder, FoundingError};
pub use identity::{IDENTITY_FILE_NAME, Identity, IdentityError};
pub use leaving::{LeavingError, leave};
pub use member::Member;
