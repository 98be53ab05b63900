//! `dispatchd operator add|list|revoke`: on the files, whether the server runs or not.

use std::{
    io::{Write as _, stdout},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{config::ConfigFile, output::print_rows};
use crate::{
    clock::{Clock as _, SystemClock},
    files,
    operators::{self, Operators, Role},
};

#[derive(Subcommand)]
pub(super) enum Operator {
    /// Add an operator and print its token, alone, on standard output; it is shown once
    Add {
        /// Its name: letters, digits, '.', '_' and '-'
        name: String,
        /// What it may do
        #[arg(long, value_enum)]
        role: Role,
        #[command(flatten)]
        data: DataDirectory,
    },
    /// List the operators
    List {
        #[command(flatten)]
        data: DataDirectory,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Take an operator's token back; it is refused from the next call on
    Revoke {
        /// Its name
        name: String,
        #[command(flatten)]
        data: DataDirectory,
    },
}

#[derive(Args)]
pub(super) struct DataDirectory {
    /// The server's data directory; without it, the one that the configuration names
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl DataDirectory {
    fn path(&self) -> anyhow::Result<PathBuf> {
        Ok(match &self.data {
            Some(data) => data.clone(),
            None => self.config.load()?.server.data,
        })
    }

    /// The operators of a directory that is created if it is missing: the first operator can be added before the first
    /// start.
    fn prepared(&self) -> anyhow::Result<Operators> {
        let data = self.path()?;
        files::DataDirectory::prepare(&data)?;
        Ok(Operators::of(&data))
    }

    /// The operators of a directory that exists: a mistyped name must not look like an empty list.
    fn existing(&self) -> anyhow::Result<Operators> {
        let data = self.path()?;
        files::DataDirectory::check(&data)?;
        Ok(Operators::of(&data))
    }
}

impl Operator {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add { name, role, data } => {
                let token = data.prepared()?.add(&name, role, SystemClock.now())?;
                writeln!(stdout(), "{}", token.reveal())?;
            }
            Self::List { data, json } => {
                let operators = data.existing()?.list()?;
                let row = |it: &operators::Operator| {
                    let role = it.role.name();
                    json!({"name": it.name, "role": role, "added_at": it.added_at})
                };
                let rows: Vec<_> = operators.iter().map(row).collect();
                print_rows(json, "name role added_at", &rows)?;
            }
            Self::Revoke { name, data } => data.existing()?.revoke(&name)?,
        }
        Ok(())
    }
}
