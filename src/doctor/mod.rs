//! What is wrong with a deployment: `GET /v1/doctor` and `dispatchd doctor`.
//!
//! Each file gathers the facts of one subject and judges them. The judgement is a function of the facts alone, so that tests give it
//! good and bad ones. Facts are the configuration, the files, and what only a running server knows ([`Connections`], [`ClusterFacts`]). The certificate is read
//! by whoever serves it ([`Certificate`]). Nothing is changed. A fact that cannot be read is a finding, too: silence means that everything was checked.

mod certificate;
mod clock;
mod copies;
mod deployment;
mod engine;
mod files;
mod keys;
mod network;
mod nodes;
mod roles;
mod service;
mod space;
mod unreadable;

pub use certificate::Certificate;
pub use deployment::{ClusterFacts, Deployment};
pub use service::Connections;
