//! `dispatchd cluster status`: the nodes, as the server that is asked knows them.

use anyhow::bail;
use clap::Args;
use reqwest::Method;

use crate::{
    api::{ClusterReport, MemberState},
    cli::{
        client::block_on,
        note::note,
        output::{Column, Form, TableRow, print_json, print_rows},
        source::RunningServer,
    },
    operators::Role,
};

#[derive(Args)]
pub(in crate::cli) struct Status {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: RunningServer,
}

impl TableRow for MemberState {
    const COLUMNS: &'static [Column] = &[
        ("NAME", 0),
        ("STATE", 0),
        ("PLACE", 0),
        ("LAG", 0),
        ("CLOCK", 0),
        ("VERSION", 0),
        ("ADDRESS", 0),
    ];

    fn cells(&self, _: bool) -> Vec<String> {
        let number =
            |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
        let state = match (self.reachable, self.ready) {
            (false, _) => "no answer",
            (true, Some(true)) => "ready",
            (true, _) => "not ready",
        };
        let clock = self.clock_ahead_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:+} ms"));
        let version = self.version.clone().unwrap_or_else(|| "-".to_owned());
        let (place, lag) = (number(self.applied), number(self.lag));
        vec![self.name.clone(), state.to_owned(), place, lag, clock, version, self.address.clone()]
    }
}

impl Status {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let client = self.server.client(Role::Admin)?;
        let call = client.request(Method::GET, "/v1/cluster");
        let report: ClusterReport = block_on(client.json(call))?;
        if self.json {
            print_json(&report)?;
        } else {
            print_rows(Form::default(), &report.members)?;
            for member in &report.members {
                if let Some(error) = &member.error {
                    note!("dispatchd: {} does not answer {}: {error}", member.name, report.node);
                }
            }
            for member in &report.engine {
                let Some(error) = &member.error else { continue };
                note!("dispatchd: etcd at {} does not answer {}: {error}", member.url, report.node);
            }
            if let Some(held) = &report.held {
                note!("dispatchd: {} takes no changes: {held}", report.node);
            }
        }
        let missing = report.missing();
        if !missing.is_empty() {
            bail!("not every member is reachable and ready: {}", missing.join(", "));
        }
        Ok(())
    }
}
