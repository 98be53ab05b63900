//! Prints each subject when it is done, and at the end a table of all figures with their bars.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use crate::{
    Peers,
    lookups::{Lookups, Phase},
    memory::Memory,
    nodes::Pages,
    searching::{Handles, Loaded, Searched},
    writing::Written,
};

const MIB: f64 = 1_048_576.0;

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

impl Display for Memory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB, {:.1} of it allocated", mib(self.resident), mib(self.anonymous))
    }
}

/// The span at this percentile.
fn quantile(spans: &[Duration], percent: usize) -> Duration {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    let place = (spans.len() * percent / 100).min(spans.len().saturating_sub(1));
    spans.get(place).copied().unwrap_or_default()
}

/// The most that a page of all nodes takes, as a multiple of one of one node.
const BAR_NODES: f64 = 1.5;
/// The most memory that a search over all nodes takes at the node that is asked.
const BAR_NODES_MEMORY: u64 = 64 << 20;

/// Prints how long a page took, the rows that one client read in `seconds`, and the memory of the asked node above idle.
pub(crate) fn print_nodes(kinds: &[Pages], (rows, streaming): (u64, Memory), seconds: u64) {
    println!(
        "\n| page of | one node ms, p50 | p99 | each alone, p50 | p99 | all nodes, p50 | p99 | all to one node | to each alone | memory above idle |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for Pages { of, one, apart, all, memory } in kinds {
        let of_times = |spans| [50, 99].map(|at| ms(quantile(spans, at)));
        let [one50, one99] = of_times(one);
        let [apart50, apart99] = of_times(apart);
        let [all50, all99] = of_times(all);
        let verdict = if all50 / one50 <= BAR_NODES { "met" } else { "NOT MET" };
        println!(
            "| {of} | {one50:.2} | {one99:.2} | {apart50:.2} | {apart99:.2} | {all50:.2} | {all99:.2} | {:.2}, bar {BAR_NODES}: {verdict} | {:.2} | {memory} |",
            all50 / one50,
            all50 / apart50,
        );
    }
    println!(
        "\n{rows} rows of all nodes in {seconds} s, to one client; memory above idle {streaming}"
    );
    let peak = kinds.iter().fold(streaming, |peak, kind| peak.max(kind.memory));
    let verdict = if peak.resident <= BAR_NODES_MEMORY { "met" } else { "NOT MET" };
    println!(
        "memory of the asked node above idle: {peak}; bar {:.0} MiB: {verdict}",
        mib(BAR_NODES_MEMORY)
    );
}

impl Written {
    fn per_record(&self, bytes: u64) -> f64 {
        bytes as f64 / self.records as f64
    }

    fn sealed_per_core(&self) -> f64 {
        self.records as f64 / self.sealing_cpu.as_secs_f64()
    }
}

pub(crate) fn print_written(written: &Written) {
    let rate = |span: Duration| written.records as f64 / span.as_secs_f64() / 1e6;
    let of = |bytes| written.per_record(bytes);
    println!("the log");
    println!(
        "  generated: {:.2} M records/s (not part of any other figure)",
        rate(written.generation)
    );
    println!(
        "  written: {:.2} M records/s, {:.1} bytes each",
        rate(written.writing),
        of(written.active_bytes)
    );
    println!(
        "  sealed: {:.2} M records/s ({:.2} for each second of a processor), {:.2} bytes each; memory up to {}",
        rate(written.sealing),
        written.sealed_per_core() / 1e6,
        of(written.sealed_bytes),
        written.sealing_peak,
    );
}

pub(crate) fn print_searched(searched: &Searched) {
    println!("  opened for reading: {:.1} ms", ms(searched.opening));
    print_handles(&searched.handles);
    println!("  memory of these searches: up to {}", searched.peak);
    if let Some(everything) = &searched.everything {
        println!(
            "  everything: {} rows in {:.1} s ({:.2} M rows/s), memory up to {}",
            everything.rows,
            everything.span.as_secs_f64(),
            everything.rows as f64 / everything.span.as_secs_f64() / 1e6,
            everything.peak,
        );
    }
}

pub(crate) fn print_peer(name: &str, loaded: &Loaded, searched: &Searched) {
    println!("{name}");
    println!(
        "  loaded: {:.2} M records/s, {:.1} bytes each, memory up to {}",
        loaded.records as f64 / loaded.span.as_secs_f64() / 1e6,
        loaded.bytes as f64 / loaded.records as f64,
        loaded.peak,
    );
    print_handles(&searched.handles);
    println!("  memory of these searches: up to {}", searched.peak);
}

fn print_handles(handles: &Handles) {
    let rows: u64 = handles.found.iter().map(|found| found.rows).sum();
    let most = handles.found.iter().map(|found| found.rows).max().unwrap_or(0);
    println!("  {} handles: {rows} rows, {most} at most of one", handles.found.len());
    // The order in which `asked.rs` lists them: half are frequent, a quarter rare, a quarter absent.
    let (all, half) = (handles.warm.len(), handles.warm.len() / 2);
    let sorts = [
        ("all", 0..all),
        ("frequent", 0..half),
        ("rare", half..half + half / 2),
        ("absent", half + half / 2..all),
    ];
    for (name, range) in sorts.into_iter().take(if all < 8 { 1 } else { 4 }) {
        let [warm, cold] = [&handles.warm[range.clone()], &handles.cold[range]];
        println!(
            "  {name:>8}: warm p50 {:.2} ms, p99 {:.2} ms; cold p50 {:.2} ms, p99 {:.2} ms",
            ms(quantile(warm, 50)),
            ms(quantile(warm, 99)),
            ms(quantile(cold, 50)),
            ms(quantile(cold, 99)),
        );
    }
    let each = handles.cold_bytes as f64 / all.max(1) as f64 / 1024.0;
    println!("  a cold search read {each:.0} KiB from the disk");
}

fn print_phases(lookups: &Lookups) {
    let ([before, after], [samples, met]) = (lookups.unsealed, lookups.samples);
    println!("  segments that waited to be sealed: {before}, and {after} at the end of that phase");
    println!("  {met} of {samples} samples during that phase saw a segment being sealed");
    let [first, second] = &lookups.beside_sealing;
    print_phase("alone", first);
    print_phase("sealing and searches", &lookups.sealing);
    print_phase("alone", second);
    for [alone, searching] in &lookups.turns {
        print_phase("alone", alone);
        print_phase("searches", searching);
    }
}

fn print_phase(name: &str, phase: &Phase) {
    let micros = |percent| quantile(&phase.latencies, percent).as_secs_f64() * 1e6;
    print!(
        "  {name:>20}: {} answers in {:.1} s, p50 {:.0} µs, p99 {:.0} µs",
        phase.latencies.len(),
        phase.span.as_secs_f64(),
        micros(50),
        micros(99),
    );
    if phase.rows + phase.searches > 0 {
        print!("; {} rows, {} searches ended", phase.rows, phase.searches);
    }
    println!();
}

fn row(figure: &str, value: f64, unit: &str, bar: &str, is_met: bool) {
    let verdict = if is_met { "met" } else { "NOT MET" };
    println!("| {figure:<48} | {value:>9.2} {unit:<10} | {bar:<22} | {verdict:<7} |");
}

/// Prints a figure that has no bar.
fn plain(figure: &str, value: f64, unit: &str) {
    println!("| {figure:<48} | {value:>9.2} {unit:<10} | {:<22} | {:<7} |", "none", "");
}

fn missing(figure: &str, bar: &str, why: impl Display) {
    println!("| {figure:<48} | {why:<20} | {bar:<22} | {:<7} |", "");
}

/// Prints the table of all figures.
pub(crate) fn print(
    written: &Written,
    searched: &Searched,
    peers: Option<&Peers>,
    lookups: Option<&Lookups>,
) {
    if let Some(lookups) = lookups {
        print_phases(lookups);
    }
    println!();
    println!("| {:<48} | {:<20} | {:<22} | {:<7} |", "figure", "measured", "bar (stretch)", "");
    println!("| {:-<48} | {:-<20} | {:-<22} | {:-<7} |", "", "", "", "");
    print_ours(written, searched);
    if let Some(flips) = &searched.flips {
        plain("flips over one day", ms(flips.span), "ms");
        plain("handles that flipped", flips.rows as f64, "");
    }
    let readings =
        [("in order of time", &searched.everything), ("in order of storage", &searched.walked)];
    for (order, reading) in readings {
        if let Some(reading) = reading {
            let rate = reading.rows as f64 / reading.span.as_secs_f64() / 1e6;
            plain(&format!("{} rows {order}", reading.rows), rate, "M rows/s");
        }
    }
    print_lookups(lookups);
    if let Some(peers) = peers {
        println!();
        print_compared(written, searched, peers);
    }
}

fn print_ours(written: &Written, searched: &Searched) {
    let bytes = written.per_record(written.sealed_bytes);
    row("bytes a record, sealed", bytes, "B", "at most 18 (12)", bytes <= 18.0);
    let rate = written.sealed_per_core() / 1e6;
    row("sealing, for each second of a processor", rate, "M rec/s", "at least 3", rate >= 3.0);
    let Handles { warm, cold, .. } = &searched.handles;
    let spans = [("cold", cold, "at most 60 (30)", 60.0), ("warm", warm, "at most 10 (5)", 10.0)];
    for (name, spans, bar, most) in spans {
        for percent in [50, 99] {
            let span = ms(quantile(spans, percent));
            row(&format!("one handle, {name}, p{percent}"), span, "ms", bar, span <= most);
        }
    }
    let everything = searched.everything.as_ref().map(|everything| everything.peak);
    let flips = searched.flips.as_ref().map(|flips| flips.peak);
    let walked = searched.walked.as_ref().map(|walked| walked.peak);
    let peaks = [
        ("one handle", Some(searched.peak)),
        ("in order of time", everything),
        ("in order of storage", walked),
        ("flips", flips),
    ];
    for (name, peak) in peaks.into_iter().filter_map(|(name, peak)| Some((name, peak?))) {
        let (figure, peak) = (format!("memory of a search for {name}"), mib(peak.resident));
        row(&figure, peak, "MiB", "at most 64", peak <= 64.0);
    }
    plain("memory of sealing", mib(written.sealing_peak.resident), "MiB");
}

fn print_lookups(lookups: Option<&Lookups>) {
    let bar = "at most 1.3";
    let names =
        ["lookups' p50, searches and sealing, over alone", "lookups' p50, searches, over alone"];
    let Some(lookups) = lookups else {
        names.into_iter().for_each(|name| missing(name, bar, "not measured"));
        return;
    };
    let p50 = |phases: &[&Phase]| {
        let spans: Vec<_> = phases.iter().flat_map(|phase| &phase.latencies).copied().collect();
        quantile(&spans, 50).as_secs_f64()
    };
    let [first, second] = &lookups.beside_sealing;
    let sealing = p50(&[&lookups.sealing]) / p50(&[first, second]);
    let mut turns: Vec<_> = lookups.turns.iter().map(|[a, s]| p50(&[s]) / p50(&[a])).collect();
    turns.sort_unstable_by(f64::total_cmp);
    let searching = turns.get(turns.len() / 2).copied().unwrap_or(f64::NAN);
    for (name, ratio) in names.into_iter().zip([sealing, searching]) {
        row(name, ratio, "times", bar, ratio <= 1.3);
    }
    if lookups.unsealed[0] == 0 {
        println!(
            "no segment was unsealed when the lookups began: no sealing was measured; raise DISPATCHD_BENCH_SEAL_RECORDS"
        );
    }
}

fn print_compared(written: &Written, searched: &Searched, peers: &Peers) {
    println!(
        "| {:<18} | {:>8} | {:>10} | {:>12} | {:>12} | {:>10} |",
        "", "B/record", "M rec/s", "warm p50, ms", "cold p50, ms", "memory MiB"
    );
    println!(
        "| {:-<18} | {:->8} | {:->10} | {:->12} | {:->12} | {:->10} |",
        "", "", "", "", "", ""
    );
    let line = |name: &str, bytes: f64, rate: f64, searched: &Searched| {
        let Handles { warm, cold, .. } = &searched.handles;
        println!(
            "| {name:<18} | {bytes:>8.1} | {rate:>10.2} | {:>12.2} | {:>12.2} | {:>10.1} |",
            ms(quantile(warm, 50)),
            ms(quantile(cold, 50)),
            mib(searched.peak.resident),
        );
    };
    let span = (written.writing + written.sealing).as_secs_f64();
    let ours = written.per_record(written.sealed_bytes);
    line("the log", ours, written.records as f64 / span / 1e6, searched);
    let (json, sqlite) = (&peers.json, &peers.sqlite);
    for (name, (loaded, found)) in [("JSON, zstd, grep", json), ("SQLite", sqlite)] {
        let records = loaded.records as f64;
        let rate = records / loaded.span.as_secs_f64() / 1e6;
        line(name, loaded.bytes as f64 / records, rate, found);
    }
    println!("the log's M rec/s: written and sealed, both encrypted; the others: not encrypted");
}
