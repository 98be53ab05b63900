//! Nodes of a cluster, by the real binary and with real members of etcd: they join, are one directory, and go.

mod clocks;
mod examined;
mod joining;
mod leaving;
mod quotas;
mod trio;
mod trust;

pub(crate) use trio::Trio;
