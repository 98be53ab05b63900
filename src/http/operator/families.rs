//! Families of metrics as plain data, and their text in both formats.
//!
//! `prometheus-client` writes OpenMetrics. The older text format of Prometheus has the same samples; only some of the lines
//! before them differ.

use std::{borrow::Cow, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, MetricEncoder, NoLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::MetricType,
    registry::{Registry, Unit},
};

use crate::metrics::{BUCKETS, HistogramValues};

/// The labels of a sample, from closed sets of values.
pub(super) type Labels<'a> = Vec<(&'static str, Cow<'a, str>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

/// The value of a sample.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a counter of seconds.
    Seconds(f64),
    /// Of a gauge.
    Gauge(f64),
    Histogram(HistogramValues),
    /// The labels are the information.
    Info,
}

#[derive(Debug)]
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: Value,
}

/// Metrics of one name.
#[derive(Debug)]
pub(super) struct Family {
    /// Without the unit, and without `_total` or `_info`.
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    unit: Option<Unit>,
    samples: Vec<Sample>,
}

impl Family {
    /// A counter. The help is one line without a full stop.
    pub(super) fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::Counter)
    }

    /// A gauge.
    pub(super) fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::Gauge)
    }

    /// A histogram of durations.
    pub(super) fn durations(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::Histogram).in_unit(Unit::Seconds)
    }

    /// Labels with the value 1.
    pub(super) fn info(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::Info)
    }

    fn new(name: &'static str, help: &'static str, kind: MetricType) -> Self {
        Self { name, help, kind, unit: None, samples: Vec::new() }
    }

    /// The same in seconds: the name then ends with `_seconds`.
    pub(super) fn in_seconds(self) -> Self {
        self.in_unit(Unit::Seconds)
    }

    /// The same in bytes: the name then ends with `_bytes`.
    pub(super) fn in_bytes(self) -> Self {
        self.in_unit(Unit::Bytes)
    }

    fn in_unit(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// Adds a sample.
    pub(super) fn with(mut self, labels: Labels<'_>, value: Value) -> Self {
        let labels = labels.into_iter().map(|(name, value)| (name, value.into_owned())).collect();
        self.samples.push(Sample { labels, value });
        self
    }

    /// Adds a sample without labels.
    pub(super) fn value(self, value: Value) -> Self {
        self.with(Vec::new(), value)
    }

    /// Adds samples.
    pub(super) fn with_all<'a>(self, all: impl IntoIterator<Item = (Labels<'a>, Value)>) -> Self {
        all.into_iter().fold(self, |family, (labels, value)| family.with(labels, value))
    }
}

/// The families of one prefix, in their order.
#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, kind, unit, samples } in &self.0 {
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), *kind)?;
            for Sample { labels, value } in samples {
                match (value, labels.is_empty()) {
                    (Value::Info, _) => family.encode_info(labels)?,
                    (value, true) => write(&mut family, value)?,
                    (value, false) => write(&mut family.encode_family(labels)?, value)?,
                }
            }
        }
        Ok(())
    }
}

fn write(encoder: &mut MetricEncoder<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Count(count) => encoder.encode_counter::<NoLabelSet, u64, u64>(count, None),
        Value::Seconds(sum) => encoder.encode_counter::<NoLabelSet, f64, u64>(sum, None),
        Value::Gauge(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
            encoder.encode_gauge(&(*value as i64))
        }
        Value::Gauge(value) => encoder.encode_gauge(value),
        Value::Histogram(values) => {
            let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(values.counts).collect();
            encoder.encode_histogram::<NoLabelSet>(
                values.sum_seconds,
                values.count(),
                &buckets,
                None,
            )
        }
        Value::Info => Ok(()),
    }
}

/// The text of the families: `own` with the prefix `dispatchd_`, `standard` without one.
pub(super) fn text(
    own: Vec<Family>,
    standard: Vec<Family>,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(64 * 1024);
    let prefixed = Registry::with_prefix(env!("CARGO_CRATE_NAME"));
    for (mut registry, families) in [(prefixed, own), (Registry::default(), standard)] {
        registry.register_collector(Box::new(Families(families)));
        encode_registry(&mut text, &registry)?;
    }
    encode_eof(&mut text)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Prometheus => prometheus_text(&text),
    })
}

/// OpenMetrics as the older format. There the lines before the samples of a counter or an info have the name of its samples, an
/// info is a gauge, no line names the unit, and nothing marks the end.
fn prometheus_text(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), _, _) => continue,
            // The line with the type follows that with the help.
            (Some("#"), Some("HELP"), Some(name), Some(help)) => {
                let of_type = lines.peek().and_then(|line| line.rsplit(' ').next());
                text.push_str(&format!("# HELP {name}{} {help}", suffix(of_type)));
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let named = if kind == "info" { "gauge" } else { kind };
                text.push_str(&format!("# TYPE {name}{} {named}", suffix(Some(kind))));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// What the samples of this type add to the name of their family.
fn suffix(kind: Option<&str>) -> &'static str {
    match kind {
        Some("counter") => "_total",
        Some("info") => "_info",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Histogram;

    fn families() -> Vec<Family> {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(3));
        vec![
            Family::info("build", "The running program")
                .with(vec![("version", "1.2.3".into())], Value::Info),
            Family::counter("asked", "Handles asked for")
                .with(vec![("reason", "x".into())], Value::Count(7)),
            Family::gauge("disk_free", "Free space").in_bytes().value(Value::Gauge(12.0)),
            Family::durations("commit_duration", "A commit")
                .value(Value::Histogram(histogram.values())),
        ]
    }

    fn standard() -> Vec<Family> {
        let help = "Processor time of the process";
        vec![Family::counter("process_cpu", help).in_seconds().value(Value::Seconds(0.5))]
    }

    #[test]
    fn openmetrics_names_the_family_its_unit_and_the_end() {
        let text = text(families(), standard(), Format::OpenMetrics).unwrap();
        for line in [
            "# TYPE dispatchd_build info",
            "dispatchd_build_info{version=\"1.2.3\"} 1",
            "# HELP dispatchd_asked Handles asked for",
            "dispatchd_asked_total{reason=\"x\"} 7",
            "# UNIT dispatchd_disk_free_bytes bytes",
            "dispatchd_disk_free_bytes 12",
            "# TYPE dispatchd_commit_duration_seconds histogram",
            "# TYPE process_cpu_seconds counter",
            "process_cpu_seconds_total 0.5",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_older_format_names_the_samples() {
        let text = text(families(), standard(), Format::Prometheus).unwrap();
        let buckets = |text: &str| text.lines().filter(|line| line.contains("_bucket")).count();
        assert_eq!(buckets(&text), BUCKETS.len() + 1);
        let others: Vec<_> = text.lines().filter(|line| !line.contains("_bucket")).collect();
        assert_eq!(
            others,
            [
                "# HELP dispatchd_build_info The running program",
                "# TYPE dispatchd_build_info gauge",
                "dispatchd_build_info{version=\"1.2.3\"} 1",
                "# HELP dispatchd_asked_total Handles asked for",
                "# TYPE dispatchd_asked_total counter",
                "dispatchd_asked_total{reason=\"x\"} 7",
                "# HELP dispatchd_disk_free_bytes Free space",
                "# TYPE dispatchd_disk_free_bytes gauge",
                "dispatchd_disk_free_bytes 12",
                "# HELP dispatchd_commit_duration_seconds A commit",
                "# TYPE dispatchd_commit_duration_seconds histogram",
                "dispatchd_commit_duration_seconds_sum 0.003",
                "dispatchd_commit_duration_seconds_count 1",
                "# HELP process_cpu_seconds_total Processor time of the process",
                "# TYPE process_cpu_seconds_total counter",
                "process_cpu_seconds_total 0.5",
            ]
        );
        for (bound, count) in [("0.0025", 0), ("0.005", 1), ("10.0", 1), ("+Inf", 1)] {
            let line =
                format!("dispatchd_commit_duration_seconds_bucket{{le=\"{bound}\"}} {count}");
            assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
        }
    }
}
