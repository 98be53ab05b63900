//! The real server in this process, on a clock that scenarios move.

use std::{
    fmt::Write as _,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::ensure;
use dispatchd::{
    clock::{Clock as _, ManualClock, SystemClock},
    config::Config,
    query_log::Durability,
    server::Server,
};
use tempfile::TempDir;

use crate::{api::Api, program};

/// How long an imported or silent device counts as live: longer than any scenario.
const LEASE: Duration = Duration::from_secs(364 * 24 * 3600);

/// A server that believes every `X-Forwarded-For`.
pub(crate) struct Site {
    pub(crate) api: Api,
    pub(crate) clock: Arc<ManualClock>,
    server: Server,
    _folder: TempDir,
}

impl Site {
    /// Starts a server with the default configuration and what `set` changes in it. `registered` are numbers that others hold.
    pub(crate) async fn start(
        registered: &[String],
        set: impl FnOnce(&mut Config),
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        if !registered.is_empty() {
            import(folder.path(), &data, registered)?;
        }
        let mut config = Config::default();
        config.server.data = data.clone();
        config.server.threads = 1;
        config.server.phones.set_port(0);
        config.server.operators.set_port(0);
        config.server.trusted_proxies = vec![IpAddr::from(Ipv4Addr::LOCALHOST).into()];
        config.server.disk_reserve = 0;
        // On a busy machine a debug build is late.
        config.server.shed_after = Duration::ZERO;
        config.log.durability = Durability::Os;
        config.registry.lease = LEASE;
        set(&mut config);
        let clock = ManualClock::at(SystemClock.now());
        let server = Server::start(&config, Arc::clone(&clock) as _).await?;
        let api = Api::new(format!("http://{}", server.addresses().phones), &data)?;
        Ok(Self { api, clock, server, _folder: folder })
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        ensure!(self.server.stop().await, "the server did not stop cleanly");
        Ok(())
    }
}

/// Lets the program import the numbers, each with an account and a device of its own.
fn import(folder: &Path, data: &Path, registered: &[String]) -> anyhow::Result<()> {
    let now = SystemClock.now().to_string();
    let mut rows = "handle,account,device,platform,last_check_in_at,proved_at\n".to_owned();
    for (at, number) in registered.iter().enumerate() {
        writeln!(rows, "{number},account-{at},device-{at},ios,{now},{now}")?;
    }
    let file = folder.join("registered.csv");
    fs::write(&file, rows)?;
    let mut command = program::command();
    let output =
        command.args(["registry", "import"]).arg(&file).arg("--data").arg(data).output()?;
    ensure!(output.status.success(), "import: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
