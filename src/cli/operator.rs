//! `dispatchd operator add|list|revoke`: on a running server by its socket, on a stopped one in its files.

use std::{
    fs,
    io::{Write as _, stdout},
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::PathBuf,
};

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};

use super::{
    config::ConfigFile,
    output::{Column, Form, TableRow, print_rows},
};
use crate::{
    api::OperatorSummary,
    cli::note::note,
    files,
    operators::{NewOperator, OperatorToken, OperatorsError, Reached, Role},
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
    pub(super) fn path(&self) -> anyhow::Result<PathBuf> {
        self.config.check_named()?;
        Ok(match &self.data {
            Some(data) => data.clone(),
            None => self.config.load()?.server.data,
        })
    }

    /// The directory to add an operator to. It may be empty: the first operator can be added before the first start. But it
    /// must exist, or a command in the wrong working directory would print a token that no server takes.
    fn to_add_to(&self) -> anyhow::Result<PathBuf> {
        let data = self.path()?;
        if !data.is_dir() {
            files::DataDirectory::check(&data)?;
        }
        Ok(data)
    }

    /// The operators of a directory that exists: a mistyped name must not look like an empty list.
    pub(super) fn existing(&self) -> anyhow::Result<Reached> {
        let data = self.path()?;
        files::DataDirectory::check(&data)?;
        Ok(Reached::find(&data)?)
    }
}

impl TableRow for OperatorSummary {
    const COLUMNS: &'static [Column] = &[("NAME", 0), ("ROLE", 0), ("ADDED_AT", 0)];

    fn cells(&self, _: bool) -> Vec<String> {
        vec![self.name.clone(), self.role.name().to_owned(), self.added_at.to_string()]
    }
}

impl Operator {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add { name, role, data } => {
                let new = NewOperator::new(&name, role)?;
                let data = data.to_add_to()?;
                let mut operators = Reached::find(&data)?;
                operators.check(&new)?;
                // Shown before it is valid: a kill or a full disk leaves no operator whose token nobody saw.
                show(new.token(), "no operator was added")?;
                operators.add(&new).map_err(|error| match error {
                    OperatorsError::Registry(_) | OperatorsError::Unanswered(_) => undecided(error),
                    error => anyhow!(error)
                        .context("the token that was printed is not valid: no operator was added"),
                })?;
                let (role, data) = (role.name(), fs::canonicalize(&data)?);
                note!(
                    "dispatchd: the token of {name}, role {role}, for the server of {}",
                    data.display()
                );
            }
            Self::List { data, json } => {
                let operators = data.existing()?.list()?;
                let rows: Vec<_> = operators.iter().map(OperatorSummary::from).collect();
                print_rows(Form { json, wide: false }, &rows)?;
            }
            Self::Revoke { name, data } => {
                data.existing()?.revoke(&name).map_err(|error| match error {
                    OperatorsError::Registry(_) | OperatorsError::Unanswered(_) => undecided(error),
                    error => error.into(),
                })?;
            }
        }
        Ok(())
    }
}

/// An error after which the change may have been made, or may become durable later.
fn undecided(error: OperatorsError) -> anyhow::Error {
    anyhow!(error).context(
        "the list may have changed, or may change soon: `dispatchd operator list` shows it",
    )
}

/// Prints the token, alone, on standard output. `otherwise` says what was not done if that fails.
///
/// # Errors
/// If nobody can see it. Rust opens `/dev/null` in the place of a closed standard output, and that takes everything.
pub(super) fn show(token: &OperatorToken, otherwise: &str) -> anyhow::Result<()> {
    let output = fs::File::from(stdout().as_fd().try_clone_to_owned()?).metadata()?;
    let nowhere = fs::metadata("/dev/null")?;
    if output.file_type().is_char_device() && output.rdev() == nowhere.rdev() {
        bail!(
            "{otherwise}: the token is shown once, and standard output is closed or /dev/null; connect it"
        );
    }
    let mut out = stdout().lock();
    let shown = writeln!(out, "{}", token.reveal()).and_then(|()| out.flush());
    // As text: a closed pipe is no success here.
    shown.map_err(|error| anyhow!("{otherwise}: the token cannot be printed: {error}"))
}
