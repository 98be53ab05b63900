//! Prints the table of results.

use crate::{
    Amounts,
    population::BATCH,
    rounds::{Measured, Measurements, Series},
};

/// The least ratio of lookups to hello requests.
const BAR_OS: f64 = 0.80;
const BAR_DISK: f64 = 0.45;
/// The least ratio of repeated lookups with quotas to lookups without.
const BAR_QUOTAS: f64 = 0.95;

/// The least ratio of lookups over TLS to requests that nginx answers from its configuration.
const BAR_TLS: f64 = 0.85;

/// The most processor time of a lookup at a node of a cluster, as a multiple of that at a server alone.
const BAR_CLUSTER: f64 = 1.10;

/// The most processor time of a lookup at a server that copies its log, as a multiple of that at one that does not.
const BAR_COPIES: f64 = 1.03;

/// Prints the table of a server that copies its log and of one that does not, and the bar. `of_lookup` is the processor time of a
/// lookup in microseconds, with all that the servers did meanwhile.
pub(crate) fn print_copies(amounts: &Amounts, [without, with]: &[Series; 2], of_lookup: [f64; 2]) {
    print_head(amounts, "alone");
    print_series("no store", without, without);
    print_series("with store", with, without);
    let ratio = of_lookup[1] / of_lookup[0];
    let verdict = if ratio <= BAR_COPIES { "met" } else { "NOT MET" };
    println!(
        "\nCPU µs/lookup over the whole run: {:.2} and {:.2}\nbar: with a store <= {BAR_COPIES:.2} of without: {ratio:.3}, {verdict}",
        of_lookup[0], of_lookup[1]
    );
}

/// Prints the table of a server alone and a node of a cluster, and the bar, if there is one for these requests.
pub(crate) fn print_cluster(
    amounts: &Amounts,
    requests: &str,
    [alone, node]: &[Series; 2],
    has_bar: bool,
) {
    println!("\n{requests}");
    print_head(amounts, "alone");
    print_series("alone", alone, alone);
    print_series("in cluster", node, alone);
    let ratio = node.median(cpu_us) / alone.median(cpu_us);
    let verdict = match (has_bar, ratio <= BAR_CLUSTER) {
        (false, _) => String::new(),
        (true, true) => format!(", bar {BAR_CLUSTER:.2}: met"),
        (true, false) => format!(", bar {BAR_CLUSTER:.2}: NOT MET"),
    };
    println!("\nprocessor time in a cluster / alone: {ratio:.3}{verdict}");
}

/// Prints the table of lookups over TLS and its bar.
pub(crate) fn print_tls(amounts: &Amounts, nginx: &Series, dispatchd: &Series) {
    print_head(amounts, "nginx");
    print_series("nginx, TLS", nginx, nginx);
    print_series("log = os", dispatchd, nginx);
    let ratio = dispatchd.ratio_to(nginx);
    let verdict = if ratio >= BAR_TLS { "met" } else { "NOT MET" };
    println!("\nbar: TLS 1.3 lookups >= {BAR_TLS:.2} of nginx: {ratio:.3}, {verdict}");
}

/// Prints what was measured, and the head of the table, which compares with `peer`.
fn print_head(amounts: &Amounts, peer: &str) {
    let place = if amounts.pin {
        "all servers on one processor, the load on another"
    } else {
        "processors shared by servers and load"
    };
    let slices = amounts.blocks * amounts.rounds;
    println!(
        "\n{} connections, {slices} slices of {:?} each, {place}\n",
        amounts.connections, amounts.slice
    );
    println!(
        "| subject    | requests/s | CPU µs/request | server CPU | waited | p50 µs | p99 µs | of {peer} |"
    );
    println!(
        "| ---------- | ---------: | -------------: | ---------: | -----: | -----: | -----: | -------: |"
    );
}

/// Prints the table, the bars and the batches.
pub(crate) fn print(amounts: &Amounts, measured: &Measurements) {
    print_head(amounts, "hello");
    let Measurements { hello, os, disk, quotas, .. } = measured;
    for (name, series) in
        [("hello", hello), ("log = os", os), ("log = disk", disk), ("quotas, os", quotas)]
    {
        print_series(name, series, hello);
    }
    println!();
    for (name, series, bar) in [("os", os, BAR_OS), ("disk", disk, BAR_DISK)] {
        let ratio = series.ratio_to(hello);
        let verdict = if ratio >= bar { "met" } else { "NOT MET" };
        println!("bar: {name} >= {bar:.2} of hello: {ratio:.3}, {verdict}");
    }
    let ratio = quotas.ratio_to(os);
    let verdict = if ratio >= BAR_QUOTAS { "met" } else { "NOT MET" };
    println!("bar: quotas on >= {BAR_QUOTAS:.2} of quotas off: {ratio:.3}, {verdict}");
    println!();
    for (name, series) in [("os", &measured.os_batch), ("disk", &measured.disk_batch)] {
        let handles = series.median(|measured| rate(measured) * BATCH as f64);
        let micros = series.median(cpu_us) / BATCH as f64;
        println!(
            "batches of {BATCH}, log = {name}: {handles:.0} handles/s, {micros:.3} CPU µs/handle"
        );
    }
    println!("\nevery one of {} answered lookups is in the log", measured.accounted_for);
}

fn print_series(name: &str, series: &Series, hello: &Series) {
    let busy = series.median(|measured| share(measured, measured.cpu.ran.as_secs_f64()));
    let waited = series.median(|measured| share(measured, measured.cpu.waited.as_secs_f64()));
    let mut latencies: Vec<_> =
        series.0.iter().flat_map(|measured| &measured.slice.latencies_us).collect();
    latencies.sort_unstable();
    let quantile = |percent: usize| {
        latencies.get(latencies.len() * percent / 100).map_or(0, |micros| **micros)
    };
    println!(
        "| {name:<10} | {:>10.0} | {:>14.2} | {:>8.0} % | {:>4.0} % | {:>6} | {:>6} | {:>8.3} |",
        series.median(rate),
        series.median(cpu_us),
        busy * 100.0,
        waited * 100.0,
        quantile(50),
        quantile(99),
        series.ratio_to(hello),
    );
}

fn rate(measured: &Measured) -> f64 {
    share(measured, measured.slice.answers as f64)
}

fn share(measured: &Measured, amount: f64) -> f64 {
    amount / measured.slice.elapsed.as_secs_f64()
}

fn cpu_us(measured: &Measured) -> f64 {
    measured.cpu.ran.as_secs_f64() * 1e6 / measured.slice.answers as f64
}

impl Series {
    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        median(self.0.iter().map(of).collect())
    }

    /// The median ratio between the rates of adjacent slices.
    fn ratio_to(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        median(pairs.map(|(one, other)| rate(one) / rate(other)).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
