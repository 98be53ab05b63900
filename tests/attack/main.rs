//! Plays attackers and an honest population against the service, and prints what each of them got.
//!
//! `cargo test --test attack` runs the short form in about a minute. `cargo test --release --test attack -- --long` runs as
//! many account-days as the bars speak of. Other words name the scenarios to run. `DISPATCHD_TEST_SEED` repeats a run.
//!
//! Two targets:
//! - `site`: the real server in this process, through HTTP, on a clock that the scenario moves. One scenario kills the real
//!   program instead, on the real clock;
//! - `core`: only the quota, for scenarios with millions of lookups.
//!
//! The exit code is 1 if a bar is missed.

mod api;
mod core;
mod dice;
mod numbers;
mod people;
mod program;
mod run;
mod scenarios;
mod site;
mod table;

use std::process::ExitCode;

use crate::{run::Run, scenarios::SCENARIOS, table::Row};

const USAGE: &str = "usage: attack [--long] [SCENARIO...]";

fn main() -> ExitCode {
    // The test runner's options have no meaning here.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let is_long = arguments.iter().any(|argument| argument == "--long");
    let named: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let run = Run::new(is_long);
    println!("{}", run.title());
    table::head();
    let mut is_met = true;
    for (name, scenario) in SCENARIOS {
        if !named.is_empty() && !named.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let rows = scenario(&run).unwrap_or_else(|error| vec![Row::failed(name, &error)]);
        for row in &rows {
            is_met &= row.is_met();
            println!("{row}");
        }
    }
    println!("{}", run.foot());
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
