//! `/metrics` says what clients counted themselves: requests by call and problem, lookups by route and reason, codes, refusals by
//! limit. The states are those of the server, and the text is what Prometheus takes.

mod counted;
mod formats;
mod full_disk;
mod states;

use std::collections::BTreeMap;

use crate::{harness::Server, wire::Reply};

/// A scrape: each sample, such as `dispatchd_lookups_total{route="sms",reason="unbound"}`, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    pub(crate) async fn of(server: &Server) -> Self {
        let reply = Reply::to(server.scrape()).await;
        assert_eq!(reply.status, 200);
        let samples = reply.text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        let all: BTreeMap<_, _> = samples.collect();
        Self(all)
    }

    /// The value of a sample without the prefix `dispatchd_`.
    #[track_caller]
    pub(crate) fn value(&self, sample: &str) -> f64 {
        let found = self.0.get(&format!("dispatchd_{sample}"));
        *found.unwrap_or_else(|| panic!("no {sample} in {:#?}", self.0))
    }

    /// The samples of a family that are not zero, by their labels.
    pub(crate) fn family(&self, name: &str) -> BTreeMap<String, f64> {
        let prefix = format!("dispatchd_{name}{{");
        let samples = self.0.iter().filter(|(_, value)| **value != 0.0);
        let labels =
            |sample: &str| sample.strip_prefix(&prefix)?.strip_suffix('}').map(str::to_owned);
        samples.filter_map(|(sample, value)| Some((labels(sample)?, *value))).collect()
    }

    /// The scrape without requests to the operators' listener, most of which are scrapes.
    pub(crate) fn of_phones(&self) -> Self {
        let is_kept = |sample: &str| !sample.contains(r#"listener="operators""#);
        let kept = self.0.iter().filter(|(sample, _)| is_kept(sample));
        Self(kept.map(|(sample, value)| (sample.clone(), *value)).collect())
    }

    /// The sum of the samples of a family whose labels hold `part`.
    pub(crate) fn sum(&self, name: &str, part: &str) -> f64 {
        let family = self.family(name);
        family.iter().filter(|(labels, _)| labels.contains(part)).map(|(_, value)| value).sum()
    }
}

/// What clients counted, in the form of a family of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, f64>);

impl Tally {
    pub(crate) fn add(&mut self, labels: impl Into<String>, count: usize) {
        if count > 0 {
            *self.0.entry(labels.into()).or_default() += count as f64;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (labels, count) in other.0 {
            *self.0.entry(labels).or_default() += count;
        }
    }

    #[track_caller]
    pub(crate) fn is(&self, scrape: &Scrape, family: &str) {
        assert_eq!(scrape.family(family), self.0, "{family}");
    }
}

/// The labels of an answered request to the phones' listener.
pub(crate) fn request(call: &str, status: u16, problem: Option<&str>) -> String {
    let problem = problem.unwrap_or("none");
    format!(r#"listener="phones",call="{call}",status="{status}",problem="{problem}""#)
}

/// The labels of a handle that was asked for.
pub(crate) fn lookup(route: &str, reason: &str) -> String {
    format!(r#"route="{route}",reason="{reason}""#)
}
