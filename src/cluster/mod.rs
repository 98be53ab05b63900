//! A node of a cluster: its configuration, its identity, the keys of entries and of other nodes' hours, the rows about members, and what
//! the members ask each other.
//!
//! A cluster is several nodes that serve one directory. Their registries apply one shared log, which lies in etcd. Each node keeps
//! the whole registry. So a node's data directory without [`Identity`] and [`ClusterKeys`] is that of a single machine.
//!
//! etcd keeps deleted values in its files. So each entry is encrypted under a key that only the members have. [`ClusterKeys`] holds
//! this node's copy of the keys in a keyring of its own, and [`KeyRotation`] changes and destroys them. A node that joins gets the keys
//! and a copy of the store from another one.
//!
//! Each node also holds the keys of the hours of all other nodes' logs: see [`HourKeys`].

mod answer_lines;
mod client_error;
mod clocks;
mod config;
mod entry_keys;
mod forgetting;
mod founding;
mod hour_keys;
mod identity;
mod joining;
mod key_rows;
mod leaving;
mod lost_nodes;
mod member;
mod member_client;
mod others;
mod peers;
mod quota_exchange;
mod report;
mod returning;
mod rotation;
mod sealing;
mod shared_keys;
mod trimming;

#[cfg(feature = "testing")]
pub mod fuzz;

pub use answer_lines::{AnswerLines, LinesError};
pub use client_error::ClientError;
pub use config::{Config, Fence, is_member_address};
pub use entry_keys::ClusterKeys;
pub use forgetting::{ForgottenAnswer, NodeForgotten, forgotten_by_others};
pub use founding::{Founder, FoundingError};
pub use hour_keys::{
    Giver, HourKeyExchange, HourKeys, HourKeysAnswer, HourKeysError, HourKeysRequest, HourRanges,
    MemberKeyFiles, MemberKeyrings, SealedHourKey, UnsharedHour, WantedKeys,
};
pub use identity::{IDENTITY_FILE_NAME, Identity, IdentityError};
pub use joining::{Candidate, JoinError};
pub use key_rows::KeyRows;
pub use leaving::{LeavingError, leave};
pub use lost_nodes::{LostNodes, RemovedNode};
pub use member::{Callee, Member};
pub use member_client::{Asking, HIDDEN_UNTIL, MemberClient, ON_BEHALF};
pub use others::{Others, PartLines};
pub use peers::Peers;
pub use quota_exchange::QuotaExchange;
pub use report::{ClusterReport, EngineMember, MemberReport, MemberState, shown};
pub use returning::{is_left_behind, other_members, take_over_from_any};
pub use rotation::{KeyRotation, RotationError};
pub use shared_keys::{JoinAnswer, JoinRequest, SharedKey, SharedKeys};

#[cfg(test)]
pub(crate) use peers::tests as peers_tests;
