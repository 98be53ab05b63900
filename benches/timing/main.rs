//! Whether time tells what an answer does not.
//!
//! # What is measured
//!
//! Two promises are about strangers: `POST /v1/deregistrations` answers the same whether or not anybody holds the handle,
//! and a look-up of a hidden handle answers the same as of one that nobody ever held. Their bytes are compared by a test;
//! here it is how long they take. The real `dispatchd` runs in a process of its own, and one connection asks one question
//! after the other: one in three of a handle that is registered (or hidden), two in three of handles that are not, in
//! random order, each handle once. All handles are drawn from the same numbers, so that only the server's memory of them
//! differs. Quotas are off, since a network may not ask for so many codes; `log.durability = "os"`, since a synced write
//! takes a hundred times as long as what could differ.
//!
//! # How to read it
//!
//! The unregistered handles are two groups that nothing tells apart: the second line of each table compares them, and is
//! what noise looks like in this run. AUC is the probability that a request of the first group took longer than one of
//! the second: 0.5 is what guessing gets, and its standard error is that of the rank test if nothing differs. The
//! differences of the medians, and of the tenth percentiles, which other work on the machine disturbs less, have 95 %
//! intervals from resampling. The last table is of look-ups whose answers differ anyway: what it looks like when time
//! does tell. Nothing here fails: a reader judges.
//!
//! # How to run
//!
//! `cargo bench --bench timing`, less than a minute. `BENCH_SAMPLES` is how often each group is asked (15,000),
//! `BENCH_SEED` repeats a run's order, `BENCH_DIR` is where data lies.
//!
//! # What it does not show
//!
//! A stranger with more patience: a difference of a few nanoseconds takes millions of questions to see even here, where
//! no network is in between. Nor what somebody sees who shares the machine and its caches.

mod asking;
mod population;
mod statistics;

use std::{env, path::PathBuf, process::ExitCode, str::FromStr};

use anyhow::{Context as _, ensure};
use dispatchd::limits;

use asking::{Question, Server};
use population::{Population, Random};

/// The questions, with the name of the group that is not unregistered.
const QUESTIONS: [(&str, Question, &str); 4] = [
    ("POST /v1/deregistrations", Question::Deregistration, "registered"),
    ("GET /v1/lookup/{handle}", Question::Lookup, "hidden"),
    ("POST /v1/lookup of one handle", Question::Batch, "hidden"),
    ("GET /v1/lookup/{handle}, told apart by its answer", Question::Lookup, "registered"),
];

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
    let samples_max = limits::VERIFICATIONS_MAX / 4;
    ensure!(samples <= samples_max, "BENCH_SAMPLES is at most {samples_max}: codes stay open");
    println!("BENCH_SEED={seed}, {samples} of each group");
    let folder = tempfile::tempdir_in(dir)?;
    let data = folder.path().join("data");
    let mut random = Random(seed);
    let population = Population::register(&data, samples, &mut random)?;
    let server = Server::start(&data)?;
    for (title, question, first) in QUESTIONS {
        let known = if first == "hidden" { &population.hidden } else { &population.registered };
        let strangers = population.unregistered(samples * 2, &mut random);
        let (one, other) = strangers.split_at(samples);
        let warm_up = population.unregistered(samples / 10, &mut random);
        server.time(question, &population.token, [&warm_up, &[], &[]], &mut random)?;
        let groups = [known.as_slice(), one, other];
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
