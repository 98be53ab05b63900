//! `dispatchd man DIR`: a page for the program, and one for each command.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{errors::UsageError, examples, target::may_write};
use crate::cli::note::note;

/// What every page ends with: what holds for all commands.
const COMMON: &[(&str, &[&str])] = &[
    (
        "ENVIRONMENT",
        &[
            "DISPATCHD_CONFIG names the configuration file. DISPATCHD_SERVER is the operators' address of the server to ask. \
             DISPATCHD_TOKEN is the operator's token, DISPATCHD_DEVICE_TOKEN the device's token of dispatchd ask.",
            "DISPATCHD_<SECTION>__<KEY> overrides a key of the configuration, such as DISPATCHD_LOG__RETENTION=7d.",
            "An empty variable counts as unset. NO_COLOR turns colours off.",
        ],
    ),
    (
        "EXIT STATUS",
        &["0: success. 1: failed. 2: wrong arguments. 64: wrong configuration. 130: interrupted."],
    ),
];

#[derive(Args)]
pub(super) struct ManPages {
    /// The directory to write the pages to: dispatchd.1, and one for each command, such as dispatchd-log-search.1
    dir: PathBuf,
}

impl ManPages {
    /// Writes the pages of `command`.
    pub(super) fn run(&self, command: Command) -> anyhow::Result<()> {
        if !self.dir.is_dir() {
            let fault = format!("{}: no such directory; make it first", self.dir.display());
            return Err(UsageError(fault).into());
        }
        let mut command = command.disable_help_subcommand(true);
        command.build();
        let mut pages = Vec::new();
        add_pages(&command, "", &mut pages)?;
        for (name, page) in &pages {
            let path = self.dir.join(name);
            may_write(&path, true)?;
            fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
        }
        note!("dispatchd: {} pages are in {}", pages.len(), self.dir.display());
        Ok(())
    }
}

/// The pages of a command and of those below it, with the names of their files.
fn add_pages(
    command: &Command,
    words: &str,
    pages: &mut Vec<(String, Vec<u8>)>,
) -> anyhow::Result<()> {
    let man = Man::new(command.clone())
        .source(concat!("dispatchd ", env!("CARGO_PKG_VERSION")))
        .manual("dispatchd");
    pages.push((man.get_filename(), page(command, words, &man)?));
    for below in command.get_subcommands() {
        add_pages(below, &examples::below(words, below.get_name()), pages)?;
    }
    Ok(())
}

fn page(command: &Command, words: &str, man: &Man) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let Some(after) = command.get_after_help() {
        rest.control("SH", ["NOTES"]);
        rest.text([roman(after.to_string())]);
    }
    rest.control("SH", ["EXAMPLES"]);
    for (what, line) in examples::of(words) {
        rest.text([roman(format!("{what}:"))]);
        rest.control("PP", []).control("nf", []).control("RS", ["4"]);
        rest.text([roman(*line)]);
        rest.control("RE", []).control("fi", []).control("PP", []);
    }
    for (title, paragraphs) in COMMON {
        rest.control("SH", [*title]);
        for paragraph in *paragraphs {
            rest.text([roman(*paragraph)]).control("PP", []);
        }
    }
    rest.to_writer(&mut page)?;
    Ok(page)
}
