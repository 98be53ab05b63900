//! Tries a cluster with real engines and real faults, while clients note what they are told.
//!
//! `cargo test --test cluster` takes about four minutes: three of them with faults, or as many as `DISPATCHD_CLUSTER_MINUTES`
//! says. `DISPATCHD_TEST_SEED` repeats the choice of faults; what is struck when depends on the machine all the same.
//!
//! 1. The checks must find the fault in each of some histories made by hand.
//! 2. They must find each flaw of nodes that are wrong on purpose, and nothing in sound ones.
//! 3. Small sound nodes in this process follow a log in three real etcd members, which are killed, paused, cut off and so on.
//! 4. Three real servers do, set up by the program's own commands, and are struck, too. They copy their logs to an object store in this process,
//!    which is slow, refuses and loses calls. A disk is destroyed, and its node joins again with nothing: its log is then read from the store.
//!
//! Words choose stages (`broken`, `small`, `whole`) and kinds of faults, such as `Kill`.
//!
//! Everything runs in namespaces of its own, which need root or namespaces of users. Without them it runs on loopback: then no link is
//! cut and no disk is full. The exit code is 1 if a check finds something.

mod answered;
mod checks;
mod dice;
mod engine;
mod history;
mod http;
mod isolation;
mod model;
mod nemesis;
mod network;
mod node;
mod nodes;
mod process;
mod run;
mod service;
mod stage;
mod store;
mod traffic;

use std::process::ExitCode;

use crate::{isolation::Isolation, run::Run};

const USAGE: &str = "usage: cluster [--loopback] [broken] [small] [whole] [FAULT...]";

fn main() -> ExitCode {
    // The test runner's options have no meaning here.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let wants_loopback = arguments.iter().any(|argument| argument == "--loopback");
    let outcome = isolation::enter(wants_loopback).and_then(|isolation| {
        if isolation == Isolation::Loopback {
            println!("NO NAMESPACES: links are not cut, disks are not full. Root or namespaces of users have them.");
        }
        let words = arguments.into_iter().filter(|word| !word.starts_with('-')).collect();
        Run::new(isolation, words)?.run()
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
