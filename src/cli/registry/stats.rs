//! `dispatchd registry stats`.

use std::{
    collections::BTreeMap,
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{runtime, stopped::Stopped};
use crate::{
    cli::source::Source,
    clock::{Clock as _, SystemClock},
    registry::Counts,
};

#[derive(Args)]
pub(in crate::cli) struct Stats {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

/// What `GET /v1/registry` says.
#[derive(Serialize, Deserialize)]
struct Figures {
    handles: u64,
    addresses: u64,
    devices: u64,
    accounts: u64,
    live: Live,
    by_platform: BTreeMap<String, u64>,
    memory: Memory,
}

#[derive(Serialize, Deserialize)]
struct Live {
    handles: u64,
    devices: u64,
}

/// Bytes.
#[derive(Serialize, Deserialize)]
struct Memory {
    accounts: u64,
    spare: u64,
    handle_table: u64,
    device_table: u64,
    tombstones: u64,
    per_handle: Option<u64>,
}

impl From<Counts> for Figures {
    fn from(counts: Counts) -> Self {
        let (handles, bytes) = (counts.handles, counts.bytes);
        let by_platform = counts.devices_by_platform.into_iter();
        Self {
            handles,
            addresses: counts.addresses,
            devices: counts.devices,
            accounts: counts.accounts,
            live: Live { handles: counts.handles_live, devices: counts.devices_live },
            by_platform: by_platform.map(|(platform, n)| (platform.to_string(), n)).collect(),
            memory: Memory {
                accounts: bytes.accounts,
                spare: bytes.spare,
                handle_table: bytes.handle_table,
                device_table: bytes.device_table,
                tombstones: bytes.tombstones,
                per_handle: bytes.total().checked_div(handles),
            },
        }
    }
}

impl Stats {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let figures: Figures = match &self.source.data {
            Some(data) => {
                let mut stopped = Stopped::open(data, &self.source.config()?)?;
                stopped.registry.counts(SystemClock.now())?.into()
            }
            None => {
                let api = self.source.api()?;
                runtime()?.block_on(async {
                    anyhow::Ok(api.get("/v1/registry", &[], "*/*").await?.json().await?)
                })?
            }
        };
        let mut out = stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&figures)?)?;
        } else {
            figures.table(&mut out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Figures {
    fn table(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{:<14} {:>14} {:>14}", "REGISTRY", "ALL", "LIVE")?;
        let row = |out: &mut dyn Write, name: &str, all: u64, live: Option<u64>| {
            let live = live.map_or_else(String::new, |live| live.to_string());
            writeln!(out, "{}", format!("{name:<14} {all:>14} {live:>14}").trim_end())
        };
        row(out, "handles", self.handles, Some(self.live.handles))?;
        row(out, "  addresses", self.addresses, None)?;
        row(out, "devices", self.devices, Some(self.live.devices))?;
        for (platform, devices) in &self.by_platform {
            row(out, &format!("  {platform}"), *devices, None)?;
        }
        row(out, "accounts", self.accounts, None)?;
        let memory = &self.memory;
        writeln!(out, "\n{:<14} {:>14} {:>14}", "MEMORY", "BYTES", "PER HANDLE")?;
        let parts = [
            ("accounts", memory.accounts),
            ("spare", memory.spare),
            ("handle table", memory.handle_table),
            ("device table", memory.device_table),
            ("tombstones", memory.tombstones),
        ];
        for (name, bytes) in parts {
            row(out, name, bytes, bytes.checked_div(self.handles))?;
        }
        row(out, "total", parts.iter().map(|(_, bytes)| bytes).sum(), memory.per_handle)
    }
}
