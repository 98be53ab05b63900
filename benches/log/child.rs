//! Runs one subject in a process of its own.
//!
//! The bench starts its own executable again. The child prints its figures as one line of JSON.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::ensure;
use serde::{Serialize, de::DeserializeOwned};

use crate::Amounts;

/// This argument makes the program run one subject. The next argument is the subject's name.
pub(crate) const ARGUMENT: &str = "--subject";

/// Measures `subject` in a new process.
pub(crate) fn run<F: DeserializeOwned>(subject: &str, amounts: &Amounts) -> anyhow::Result<F> {
    let output = Command::new(env::current_exe()?)
        .args([ARGUMENT, subject])
        // The hour may change between two children, so the parent fixes it.
        .env("DISPATCHD_BENCH_FIRST_HOUR", amounts.first_hour.to_string())
        // SQLite writes the temporary files of its sort to this directory.
        .env("SQLITE_TMPDIR", &amounts.folder)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{subject} ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Prints the figures as JSON for the parent.
pub(crate) fn report(figures: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}
