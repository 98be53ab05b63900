//! What each fuzz target does with its input, and the inputs that it begins with.
//!
//! The targets in `fuzz_targets/` and the tests of the service include this module. A target panics if a parser panics, or if it breaks
//! what it promises: what was read is written again as it was read, refusals quote nothing personal, readers change no file.

mod copies;
mod log_files;
mod small_files;
mod tables;
mod texts;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// One target.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]),
    /// Inputs to begin with: good ones, so that changed ones come far.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// Inputs of a short run, so that it takes about a second without optimization.
    pub(crate) inputs: u32,
}

/// Every target. `fuzz_targets/` has a file for each name.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "handle", run: texts::handle, seeds: texts::handles, inputs: 4_500 },
    Target { name: "texts", run: texts::texts, seeds: texts::text_seeds, inputs: 24_000 },
    Target {
        name: "codes",
        run: dispatchd::verification::fuzz::texts_and_rows,
        seeds: texts::code_seeds,
        inputs: 24_000,
    },
    Target {
        name: "replies",
        run: dispatchd::verification::fuzz::replies,
        seeds: texts::reply_seeds,
        inputs: 24_000,
    },
    Target {
        name: "retry_after",
        run: dispatchd::verification::fuzz::retry_after,
        seeds: texts::retry_seeds,
        inputs: 24_000,
    },
    Target { name: "bodies", run: texts::bodies, seeds: texts::body_seeds, inputs: 12_000 },
    Target {
        name: "queries",
        run: dispatchd::http::fuzz::queries,
        seeds: texts::query_seeds,
        inputs: 6_000,
    },
    Target {
        name: "headers",
        run: dispatchd::http::fuzz::headers,
        seeds: texts::header_seeds,
        inputs: 24_000,
    },
    Target {
        name: "proxy_header",
        run: dispatchd::http::fuzz::announcements,
        seeds: texts::announcement_seeds,
        inputs: 24_000,
    },
    Target { name: "config", run: texts::config, seeds: texts::config_seeds, inputs: 1_500 },
    Target {
        name: "registry_rows",
        run: dispatchd::registry::fuzz_rows,
        seeds: texts::registry_seeds,
        inputs: 24_000,
    },
    Target {
        name: "entries",
        run: dispatchd::registry::fuzz_entries,
        seeds: texts::entry_seeds,
        inputs: 24_000,
    },
    Target { name: "places", run: texts::places, seeds: texts::place_seeds, inputs: 24_000 },
    Target {
        name: "hour_keys",
        run: dispatchd::cluster::fuzz::hour_keys,
        seeds: texts::hour_key_seeds,
        inputs: 3_000,
    },
    Target {
        name: "answer_lines",
        run: texts::answer_lines,
        seeds: texts::answer_line_seeds,
        inputs: 24_000,
    },
    Target {
        name: "quota_rows",
        run: dispatchd::quota::fuzz_rows,
        seeds: texts::quota_seeds,
        inputs: 24_000,
    },
    Target {
        name: "audit_lines",
        run: dispatchd::audit::fuzz::lines,
        seeds: texts::audit_seeds,
        inputs: 12_000,
    },
    Target {
        name: "engine_answers",
        run: dispatchd::shared_log::etcd::fuzz::answers,
        seeds: dispatchd::shared_log::etcd::fuzz::seeds,
        inputs: 24_000,
    },
    Target {
        name: "log_records",
        run: dispatchd::query_log::fuzz::records,
        seeds: texts::record_seeds,
        inputs: 24_000,
    },
    Target { name: "small_files", run: small_files::run, seeds: small_files::seeds, inputs: 4_500 },
    Target { name: "accounts", run: tables::accounts, seeds: tables::account_seeds, inputs: 450 },
    Target { name: "staged", run: tables::staged, seeds: tables::staged_seeds, inputs: 9_000 },
    Target { name: "log_files", run: log_files::run, seeds: log_files::seeds, inputs: 75 },
    Target { name: "copies", run: copies::run, seeds: copies::seeds, inputs: 75 },
];

/// Runs the target of this name.
pub(crate) fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target has its name");
    (target.run)(input);
}

/// A folder of this process, in memory where that is possible: millions of inputs go through it.
fn folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let memory = Path::new("/dev/shm");
        let below = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = below.join(format!("dispatchd-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        folder
    });
    &FOLDER
}

/// Removes what the targets wrote. A fuzzer that is stopped leaves it.
pub(crate) fn clean_up() {
    let _ = fs::remove_dir_all(folder());
}
