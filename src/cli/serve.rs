//! `dispatchd serve`: runs the server until a stop signal.

use std::{io::stderr, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{config::ConfigFile, demo, terminal::is_coloured};
use crate::cli::note::note;
use crate::{
    clock::SystemClock,
    config::{Config, TlsConfig},
    server::{Server, ServiceManager},
    telemetry,
};

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigFile,
    /// Sign up sample devices, make a few lookups, show the log, print commands to paste; then serve
    #[arg(long)]
    demo: bool,
}

/// Waits for SIGTERM or SIGINT. At SIGHUP a running `server` looks at the files of its certificate. The configuration is read at start
/// only.
async fn stop(
    [terminate, interrupt, hang_up]: &mut [Signal; 3],
    server: Option<&Server>,
) -> &'static str {
    loop {
        tokio::select! {
            _ = terminate.recv() => return "SIGTERM",
            _ = interrupt.recv() => return "SIGINT",
            _ = hang_up.recv() => {
                tracing::info!("SIGHUP: the files of tls are looked at; the configuration is read at a start only");
                if let Some(server) = server {
                    server.tick_certificate().await;
                }
            }
        }
    }
}

/// Lets the process have as many connections as it is allowed to: the soft limit is 1,024 on many systems, for programs
/// that still use select(2).
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        // The configuration is read whole before anything is opened or bound.
        let mut config = self.config.load()?;
        if self.demo && config.tls.is_on() {
            note!(
                "dispatchd: the demo prints commands for http, so it serves without tls.certificate"
            );
            config.tls = TlsConfig::default();
        }
        telemetry::start(&config.telemetry, is_coloured(&stderr()));
        raise_open_files();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let code = runtime.block_on(self.serve(&config));
        // A blocking thread (a search whose client has disconnected) must not delay the exit.
        runtime.shutdown_background();
        code
    }

    async fn serve(&self, config: &Config) -> anyhow::Result<ExitCode> {
        // Watched from before the start, so that none is missed.
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [terminate, interrupt, hang_up] = kinds.map(signal);
        let mut signals = [terminate?, interrupt?, hang_up?];
        if self.demo {
            demo::mark_directory(&config.server.data)?;
        }
        let manager = ServiceManager::of_process();
        let starting = manager.starting();
        let server = tokio::select! {
            server = Server::start(config, Arc::new(SystemClock)) => server?,
            // Nothing was answered yet, and the files survive a kill at any moment.
            signal = stop(&mut signals, None) => {
                tracing::info!(signal, "stopped before it was ready");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let addresses = server.addresses();
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(version, phones = %addresses.phones, operators = %addresses.operators, "ready");
        drop(starting);
        let _responding = server.report_to(&manager);
        let shutdown = server.shutdown().clone();
        if self.demo {
            let (data, stop) = (config.server.data.clone(), shutdown.clone());
            shutdown.spawn("demo", async move {
                if let Err(error) = demo::run(&data, addresses).await {
                    note!("dispatchd: the demo failed: {error:#}");
                    stop.crashed("demo");
                }
            });
        }
        tokio::select! {
            signal = stop(&mut signals, Some(&server)) => tracing::info!(signal, "stopping"),
            () = shutdown.stopping() => tracing::info!("stopping"),
        }
        manager.stopping(config.server.grace);
        tokio::select! {
            ended_well = server.stop() => {
                tracing::info!(ended_well, "stopped");
                Ok(if ended_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            signal = stop(&mut signals, None) => {
                tracing::warn!(signal, "second signal: stopping at once");
                Ok(ExitCode::FAILURE)
            }
        }
    }
}
