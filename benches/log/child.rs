//! One subject in a process of its own: this program again, which prints what it measured as one line of JSON.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::ensure;
use serde::{Serialize, de::DeserializeOwned};

use crate::Amounts;

/// The argument by which this program becomes a subject; its name follows.
pub(crate) const ARGUMENT: &str = "--subject";

/// Measures `subject` in a new process.
pub(crate) fn run<F: DeserializeOwned>(subject: &str, amounts: &Amounts) -> anyhow::Result<F> {
    let output = Command::new(env::current_exe()?)
        .args([ARGUMENT, subject])
        // The hour may change while all this runs.
        .env("DISPATCHD_BENCH_FIRST_HOUR", amounts.first_hour.to_string())
        // Where SQLite sorts.
        .env("SQLITE_TMPDIR", &amounts.folder)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{subject} ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Says what was measured.
pub(crate) fn report(figures: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}
