//! The answer as JSON, in the one form that the API and the command line share.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{
    likely::Likely,
    report::{Flip, FlipReport, FlipSummary, RegistryCount, RouteChange},
};
use crate::clock::Timestamp;

/// Counts by name, in the order given.
struct Counted<T>(Vec<(&'static str, T)>);

impl<T: Serialize> Serialize for Counted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, count) in &self.0 {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct FlipJson<'a> {
    handle: &'a str,
    changes: u32,
    first_at: Timestamp,
    last_at: Timestamp,
    lookups: u64,
    routes: Counted<u32>,
    reasons: Counted<u32>,
    registry: Vec<RegistryJson>,
    latest: Vec<ChangeJson>,
    likely: &'static str,
    because: &'static str,
}

#[derive(Serialize)]
struct RegistryJson {
    change: &'static str,
    cause: &'static str,
    count: u32,
}

#[derive(Serialize)]
struct ChangeJson {
    at: Timestamp,
    from: &'static str,
    to: &'static str,
    reason: &'static str,
}

#[derive(Serialize)]
struct SummaryJson {
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    handles: u64,
    changes: u64,
    likely: Vec<LikelyJson>,
    damaged: u64,
    unreadable_segments: u64,
}

#[derive(Serialize)]
struct LikelyJson {
    likely: &'static str,
    because: &'static str,
    handles: u64,
}

impl Serialize for Flip {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let registry = |it: &RegistryCount| RegistryJson {
            change: it.change.code(),
            cause: it.cause.code(),
            count: it.count,
        };
        let change = |it: &RouteChange| ChangeJson {
            at: it.at,
            from: it.from.code(),
            to: it.to.code(),
            reason: it.reason.code(),
        };
        FlipJson {
            handle: &self.handle.canonical(),
            changes: self.changes,
            first_at: self.first_at,
            last_at: self.last_at,
            lookups: self.lookups(),
            routes: Counted(self.routes.iter().map(|it| (it.0.code(), it.1)).collect()),
            reasons: Counted(self.reasons.iter().map(|it| (it.0.code(), it.1)).collect()),
            registry: self.registry.iter().map(registry).collect(),
            latest: self.latest.iter().map(change).collect(),
            likely: self.likely.code(),
            because: self.likely.sentence(),
        }
        .serialize(serializer)
    }
}

impl Serialize for FlipSummary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let likely = |(likely, handles): &(Likely, u64)| LikelyJson {
            likely: likely.code(),
            because: likely.sentence(),
            handles: *handles,
        };
        SummaryJson {
            since: self.since,
            until: self.until,
            handles: self.handles,
            changes: self.changes,
            likely: self.likely.iter().map(likely).collect(),
            damaged: self.damaged,
            unreadable_segments: self.unreadable_segments,
        }
        .serialize(serializer)
    }
}

/// Without `stopped`: whoever asked to stop reads no answer.
impl Serialize for FlipReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("flips", &self.flips)?;
        map.serialize_entry("summary", &self.summary)?;
        map.end()
    }
}
