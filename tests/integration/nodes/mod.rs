//! Nodes of a cluster, by the real binary and with real etcd members: they join, are one directory, and go.

mod away;
mod clocks;
mod copies;
mod days;
mod encrypted;
mod examined;
mod flips_over_nodes;
mod forgetting;
mod gathered;
mod hour_keys;
mod interrupted;
mod joining;
mod leaving;
mod lists;
mod lost;
mod quotas;
mod stored;
mod thief;
mod trio;
mod trust;
mod why_over_nodes;

pub(crate) use trio::Trio;
