//! `dispatchd doctor`.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use reqwest::Method;

use super::{
    client::block_on,
    output::{print_json, print_text},
    source::{Source, clock_of},
    text::counted,
};
use crate::{
    api::{Check, DoctorReport, Finding},
    cli::note::note,
    clock::SharedClock,
    doctor::Deployment,
    files::DataDirectory,
    operators::Role,
    server::certificate_in_files,
};

/// What the command checks, for its help.
pub(super) fn checks() -> String {
    let width = Check::ALL.iter().map(|check| check.code().len()).max().unwrap_or(0);
    let line = |check: &Check| format!("  {:width$}  {}\n", check.code(), check.meaning());
    format!("Checks:\n{}", Check::ALL.iter().map(line).collect::<String>())
}

#[derive(Args)]
pub(super) struct Doctor {
    /// Print one JSON object a line, one for each finding
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let findings = self.report()?.findings;
        let printed = match self.json {
            true => findings.iter().try_for_each(print_json),
            false => print_text(&describe(&findings), 0).map_err(Into::into),
        };
        // First, so that a closed pipe does not turn the verdict into success.
        if !findings.is_empty() {
            bail!("{}", counted(findings.len() as u64, "finding"));
        }
        printed?;
        note!("dispatchd: no findings");
        Ok(())
    }

    fn report(&self) -> anyhow::Result<DoctorReport> {
        let Some(data) = &self.source.data else {
            let client = self.source.client(Role::Reader)?;
            return block_on(client.json(client.request(Method::GET, "/v1/doctor")));
        };
        DataDirectory::check(data)?;
        let mut config = self.source.running.config.load()?;
        config.server.data.clone_from(data);
        let clock = Arc::new(clock_of(data, &config)?);
        let shared: SharedClock = Arc::clone(&clock) as _;
        let certificate = certificate_in_files(&config.tls, shared);
        let deployment = Deployment::of_files(config, clock, certificate);
        for check in deployment.unchecked() {
            note!(
                "dispatchd: {check} cannot be checked with --data: leave it out to ask the running server"
            );
        }
        // Whether a proxy was seen, only the running server knows.
        Ok(deployment.check(0, None, None))
    }
}

/// A paragraph for each finding.
fn describe(findings: &[Finding]) -> String {
    let paragraph = |Finding { check, severity, what, to_do }: &Finding| {
        format!("{check}: {severity}\n  {what}\n  To do: {to_do}\n")
    };
    findings.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}
