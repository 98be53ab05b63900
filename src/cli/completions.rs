//! `dispatchd completions SHELL`.

use std::io::{Write as _, stdout};

use clap::{Args, Command};
use clap_complete::{Shell, generate};

#[derive(Args)]
pub(super) struct Completions {
    /// The shell to complete for
    shell: Shell,
}

impl Completions {
    /// Prints the script for `command`.
    pub(super) fn run(&self, mut command: Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        let name = command.get_name().to_owned();
        generate(self.shell, &mut command, name, &mut script);
        let mut out = stdout().lock();
        out.write_all(&script)?;
        Ok(out.flush()?)
    }
}
