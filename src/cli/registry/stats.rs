//! `dispatchd registry stats`.

use std::io::{Write, stdout};

use clap::Args;
use reqwest::Method;

use super::stopped::Stopped;
use crate::{
    api::Counts,
    cli::{client::block_on, output::print_json, source::Source},
    clock::Clock as _,
    operators::Role,
};

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
            false => Ok(print(&figures, &mut stdout().lock())?),
        }
    }
}

fn print(figures: &Counts, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{:<14} {:>14} {:>14}", "REGISTRY", "ALL", "LIVE")?;
    let row = |out: &mut dyn Write, name: &str, all: u64, live: Option<u64>| {
        let live = live.map_or_else(String::new, |live| live.to_string());
        writeln!(out, "{}", format!("{name:<14} {all:>14} {live:>14}").trim_end())
    };
    row(out, "handles", figures.handles, Some(figures.live.handles))?;
    row(out, "  addresses", figures.addresses, None)?;
    row(out, "devices", figures.devices, Some(figures.live.devices))?;
    for (platform, devices) in &figures.devices_by_platform {
        row(out, &format!("  {platform}"), *devices, None)?;
    }
    row(out, "accounts", figures.accounts, None)?;
    let memory = &figures.bytes;
    writeln!(out, "\n{:<14} {:>14} {:>14}", "MEMORY", "BYTES", "PER HANDLE")?;
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
