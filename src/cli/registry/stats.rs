//! `dispatchd registry stats`.

use std::io::{Write, stdout};

use clap::Args;
use reqwest::Method;

use super::stopped::Stopped;
use crate::{
    api::Counts,
    cli::{client::block_on, output::print_json, source::Source, terminal::stdout_columns},
    clock::Clock as _,
    operators::Role,
};

/// Columns of a name.
const NAME: usize = 14;
/// Columns of a number, where there is space for them.
const NUMBER: usize = 14;

#[derive(Args)]
pub(crate) struct Stats {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Stats {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let figures: Counts = match &self.source.data {
            Some(data) => {
                let mut stopped = Stopped::open(data, &self.source.running.config.load()?)?;
                stopped.registry.counts(stopped.clock.now())?
            }
            None => {
                let client = self.source.client(Role::Reader)?;
                block_on(client.json(client.request(Method::GET, "/v1/registry")))?
            }
        };
        match self.json {
            true => print_json(&figures),
            false => Ok(print(&figures, width_of_numbers(), &mut stdout().lock())?),
        }
    }
}

/// Columns of each of the two numbers beside a name: fewer on a narrow terminal.
fn width_of_numbers() -> usize {
    let left = stdout_columns().map_or(usize::MAX, |columns| columns - NAME - 2);
    (left / 2).min(NUMBER)
}

fn print(figures: &Counts, number: usize, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{:<NAME$} {:>number$} {:>number$}", "REGISTRY", "ALL", "LIVE")?;
    let row = |out: &mut dyn Write, name: &str, all: u64, live: Option<u64>| {
        let live = live.map_or_else(String::new, |live| live.to_string());
        writeln!(out, "{}", format!("{name:<NAME$} {all:>number$} {live:>number$}").trim_end())
    };
    row(out, "handles", figures.handles, Some(figures.live.handles))?;
    row(out, "  addresses", figures.addresses, None)?;
    row(out, "devices", figures.devices, Some(figures.live.devices))?;
    for (platform, devices) in &figures.devices_by_platform {
        row(out, &format!("  {platform}"), *devices, None)?;
    }
    row(out, "accounts", figures.accounts, None)?;
    let memory = &figures.bytes;
    writeln!(out, "\n{:<NAME$} {:>number$} {:>number$}", "MEMORY", "BYTES", "PER HANDLE")?;
    let parts = [
        ("accounts", memory.accounts),
        ("spare", memory.spare),
        ("handle table", memory.handle_table),
        ("device table", memory.device_table),
        ("tombstones", memory.tombstones),
    ];
    for (name, bytes) in parts {
        row(out, name, bytes, bytes.checked_div(figures.handles))?;
    }
    row(out, "total", parts.iter().map(|(_, bytes)| bytes).sum(), memory.per_handle)
}
