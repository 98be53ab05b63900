//! Reads the few metrics of the etcd members that say what their state does not: how long a sync of the disk takes.

use std::time::Duration;

use reqwest::{Certificate, Client, Identity, redirect::Policy};

use super::config::{Config, Tls};

/// etcd has some hundred kilobytes of metrics.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// A member that made fewer syncs does not show how fast its disk is.
const SYNCS_MIN: f64 = 100.0;
const SYNCS: &str = "etcd_disk_wal_fsync_duration_seconds";
const QUOTA: &str = "etcd_server_quota_backend_bytes";

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Metrics {
    /// The greatest size of the database's file.
    pub(super) quota_bytes: Option<u64>,
    /// How long 99 of 100 syncs of the log took at most since the start, if there were some.
    pub(super) sync_p99: Option<Duration>,
}

/// Asks members over their client URLs.
pub(super) struct MetricsClient(Client);

impl MetricsClient {
    /// Asks with the same files of TLS as for the log.
    ///
    /// # Errors
    /// If these cannot be used.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let told = |error: reqwest::Error| super::members::chain(&error);
        let mut client = Client::builder().no_proxy().redirect(Policy::none()).http1_only();
        if let Some(Tls { authority, identity }) = &config.tls {
            let authorities = Certificate::from_pem_bundle(authority).map_err(told)?;
            client = client.tls_certs_only(authorities);
            if let Some((certificate, key)) = identity {
                let both = [key.as_slice(), b"\n", certificate].concat();
                client = client.identity(Identity::from_pem(&both).map_err(told)?);
            }
        }
        client.timeout(config.try_timeout).build().map(Self).map_err(told)
    }

    /// The metrics of the member at `url`.
    ///
    /// # Errors
    /// If it does not give them.
    pub(super) async fn read(&self, url: &str) -> Result<Metrics, String> {
        let told = |error: reqwest::Error| super::members::chain(&error.without_url());
        let asked = self.0.get(format!("{}/metrics", url.trim_end_matches('/')));
        let answer = asked.send().await.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(told)?;
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(told)? {
            text.extend_from_slice(&piece);
            if ANSWER_BYTES_MAX < text.len() {
                return Err("they are too long".to_owned());
            }
        }
        Ok(Metrics::of(&String::from_utf8_lossy(&text)))
    }
}

impl Metrics {
    /// What a text of Prometheus' format says.
    fn of(text: &str) -> Self {
        let quota = text.lines().find_map(|line| line.strip_prefix(QUOTA)?.trim().parse().ok());
        let quota_bytes = quota.map(|bytes: f64| bytes as u64);
        Self { quota_bytes, sync_p99: p99(text, SYNCS) }
    }
}

/// The 99th percentile of a histogram in seconds, within its bucket as if the values were spread evenly.
fn p99(text: &str, name: &str) -> Option<Duration> {
    let buckets: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| {
            let bucket = line.strip_prefix(name)?.strip_prefix("_bucket{le=\"")?;
            let (bound, count) = bucket.split_once("\"}")?;
            Some((bound.parse().ok()?, count.trim().parse().ok()?))
        })
        .collect();
    let (_, all) = *buckets.last()?;
    let rank = all * 0.99;
    let at = buckets.iter().position(|(_, count)| *count >= rank)?;
    let (from, before) = at.checked_sub(1).map_or((0.0, 0.0), |at| buckets[at]);
    let (to, count) = buckets[at];
    // The last bucket has no end.
    let within =
        if to.is_finite() { (to - from) * (rank - before) / (count - before) } else { 0.0 };
    (all >= SYNCS_MIN).then(|| Duration::try_from_secs_f64(from + within).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A histogram with so many syncs up to each bound.
    fn text(counts: [u64; 4]) -> String {
        let bounds = ["0.001", "0.008", "0.016", "+Inf"];
        let line = |(bound, count)| format!("{SYNCS}_bucket{{le=\"{bound}\"}} {count}\n");
        let buckets: String = bounds.into_iter().zip(counts).map(line).collect();
        format!("# TYPE {SYNCS} histogram\n{buckets}{SYNCS}_sum 1\n{QUOTA} 2.147483648e+09\n")
    }

    #[test]
    fn the_time_of_syncs_and_the_quota_are_read() {
        let of = |counts| Metrics::of(&text(counts)).sync_p99.map(|it| it.as_micros());
        assert_eq!(of([1_000, 1_000, 1_000, 1_000]), Some(990));
        assert_eq!(of([0, 1_000, 1_000, 1_000]), Some(7_930));
        assert_eq!(of([0, 980, 1_000, 1_000]), Some(12_000));
        assert_eq!(of([0, 0, 900, 1_000]), Some(16_000), "no bucket says how much longer");
        assert_eq!(of([99, 99, 99, 99]), None, "too few");
        assert_eq!(Metrics::of(&text([0; 4])).quota_bytes, Some(2 << 30));
        let nothing = Metrics { quota_bytes: None, sync_p99: None };
        assert_eq!(Metrics::of("etcd_server_quota 1\nx{le=\"1\"} 3"), nothing);
    }
}
