//! The real program in a process of its own, on the real clock.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use dispatchd::server::Addresses;

use crate::api::Api;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills it with `kill -9`, as [`Program::kill`] does.
pub(crate) struct Program {
    pub(crate) api: Api,
    child: Child,
}

/// The program without the environment's own configuration.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatchd"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DISPATCHD_")) {
        command.env_remove(name);
    }
    command
}

impl Program {
    /// Starts the server on `data` and waits until it answers.
    pub(crate) fn start(data: &Path) -> anyhow::Result<Self> {
        let addresses = data.join("addresses.json");
        let _ = fs::remove_file(&addresses);
        let output = fs::File::options().create(true).append(true).open(output_file(data))?;
        let mut child = command()
            .arg("serve")
            .env("DISPATCHD_SERVER__DATA", data)
            .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting the server")?;
        let started = Instant::now();
        let text = loop {
            if let Ok(text) = fs::read_to_string(&addresses) {
                break text;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status}: {}", fs::read_to_string(output_file(data))?);
            }
            ensure!(started.elapsed() < PATIENCE, "the server does not start");
            thread::sleep(Duration::from_millis(5));
        };
        let addresses: Addresses = serde_json::from_str(&text)?;
        let api = Api::new(format!("http://{}", addresses.phones), data)?;
        Ok(Self { api, child })
    }

    /// Kills the server. It cannot clean up.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both do nothing after `kill`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn output_file(data: &Path) -> PathBuf {
    data.with_extension("out")
}
