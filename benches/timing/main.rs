//! Whether response times reveal what the answers hide.
//!
//! # What is measured
//!
//! The server makes two promises about strangers:
//!
//! - `POST /v1/deregistrations` gives the same answer whether or not an account holds the handle.
//! - A lookup of a hidden handle gives the same answer as a lookup of a handle that no account ever held.
//!
//! A test compares the bytes of the answers. This bench compares how long they take. The real `dispatchd` runs in a
//! process of its own, and one connection sends one request after the other. One request in three asks for a
//! registered (or hidden) handle, the others for unregistered handles. The order is random, and each handle occurs
//! once. The bench draws all handles from the same numbers, so that only the server's state distinguishes them.
//!
//! Quotas are off, because they limit how many codes a network may request. `log.durability` is `"os"`, because a
//! synced write takes a hundred times as long as any expected difference.
//!
//! # How to read it
//!
//! Each table compares two pairs of groups. The second pair is the control: two groups of unregistered handles, which
//! nothing distinguishes. Its line shows the noise of this run.
//!
//! - AUC is the probability that a request of the first group took longer than one of the second. Guessing gives 0.5.
//!   The standard error is that of the rank test if the groups do not differ.
//! - The table gives the differences of the medians and of the tenth percentiles, with 95 % intervals from
//!   resampling. Other load on the machine disturbs the tenth percentiles less.
//! - "told apart" is the part of pairs, one time of each group, that a classifier assigns correctly. It learns the distribution of
//!   both groups from the first half of the pairs, and judges the second half. Guessing gives 50 %. The bar for hidden handles is
//!   52 %.
//! - The last table compares lookups whose answers differ. It shows what a measurable difference looks like.
//!
//! The bench never fails; a reader judges the figures.
//!
//! # How to run
//!
//! `cargo bench --bench timing` takes less than a minute. `BENCH_SAMPLES` sets the requests for each group (15,000). Of
//! deregistrations there are 600 at most, because a country whose codes nobody answers is paused.
//! `BENCH_SEED` repeats the order of a run. `BENCH_DIR` sets the directory for the data.
//!
//! # What it does not show
//!
//! - A stranger who sends many more requests. A difference of a few nanoseconds takes millions of requests to detect,
//!   even here without a network.
//! - An attacker who shares the machine and its caches.

mod asking;
mod population;
mod statistics;

use std::{env, path::PathBuf, process::ExitCode, str::FromStr};

use anyhow::Context as _;

use asking::{Question, Server};
use population::{Population, Random};

/// The title, the kind of request, and the name of the group that the server knows.
const QUESTIONS: [(&str, Question, &str); 4] = [
    ("POST /v1/deregistrations", Question::Deregistration, "registered"),
    ("GET /v1/lookup/{handle}", Question::Lookup, "hidden"),
    ("POST /v1/lookup of one handle", Question::Batch, "hidden"),
    ("GET /v1/lookup/{handle}, told apart by its answer", Question::Lookup, "registered"),
];

/// Deregistrations for each group. Each sends a code that nobody answers, and after 2,000 of these the server pauses the country. Half of
/// the sessions of the server are for them, and all stay open.
const DEREGISTRATIONS_MAX: usize = 600;
const SESSIONS: usize = DEREGISTRATIONS_MAX * 8;

fn main() -> anyhow::Result<ExitCode> {
    if env::args().any(|argument| argument == "--bench") {
        run()?;
    } else {
        println!("nothing to test here: run it with `cargo bench --bench timing`");
    }
    Ok(ExitCode::SUCCESS)
}

fn run() -> anyhow::Result<()> {
    let samples = number("BENCH_SAMPLES", 15_000)?;
    let seed = number("BENCH_SEED", u64::from(std::process::id()))?;
    let dir =
        env::var_os("BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    println!("BENCH_SEED={seed}, {samples} of each group");
    let folder = tempfile::tempdir_in(dir)?;
    let data = folder.path().join("data");
    let mut random = Random(seed);
    let population = Population::register(&data, samples, &mut random)?;
    let server = Server::start(&data, SESSIONS)?;
    let all = samples;
    for (title, question, first) in QUESTIONS {
        let is_limited = matches!(question, Question::Deregistration);
        let samples = if is_limited { all.min(DEREGISTRATIONS_MAX) } else { all };
        let known = if first == "hidden" { &population.hidden } else { &population.registered };
        let strangers = population.unregistered(samples * 2, &mut random);
        let (one, other) = strangers.split_at(samples);
        let warm_up = population.unregistered(samples / 10, &mut random);
        server.time(question, &population.token, [&warm_up, &[], &[]], &mut random)?;
        let groups = [&known[..samples], one, other];
        let times = server.time(question, &population.token, groups, &mut random)?;
        println!("\n{title}\n");
        statistics::print(first, &times, &mut random);
    }
    server.stop()
}

fn number<N: FromStr>(name: &str, default: N) -> anyhow::Result<N>
where
    N::Err: std::error::Error + Send + Sync + 'static,
{
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number")),
        Err(_) => Ok(default),
    }
}
