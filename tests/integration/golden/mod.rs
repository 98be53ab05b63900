//! What every command prints, on a terminal of 80 columns and on a wide one, compared with kept files.
//!
//! `UPDATE_GOLDEN=1 cargo test --test integration golden::` renews the files. What differs from run to run stands in them as
//! text of the same width ([`stable`]).

mod help;
mod messages;
mod stable;
mod tables;
mod terminal;
mod world;

use std::{fs, path::PathBuf, process::Command};

use crate::{harness::dispatchd, repository::file};

const NARROW: u16 = 80;
const WIDE: u16 = 200;
/// Files with commands to paste and with TOML, whose lines stay whole.
const WHOLE: [&str; 2] = ["demo.80.txt", "config-show.80.txt"];

fn folder() -> PathBuf {
    file("tests/integration/golden")
}

/// Compares what was printed with the kept file.
#[track_caller]
fn is_kept(name: &str, printed: &str) {
    let printed = &without_blank_ends(printed);
    let file = folder().join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, printed).unwrap();
        return;
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let renew = "UPDATE_GOLDEN=1 cargo test --test integration golden:: renews it";
    // The first line that differs comes last, where a long output is cut last.
    let lines = kept.lines().zip(printed.lines()).enumerate();
    let first = lines.into_iter().find(|(_, (kept, printed))| kept != printed);
    assert!(
        kept == *printed,
        "printed\n{printed}\n{} differs ({} and {} bytes); {renew}. First: {first:?}",
        file.display(),
        kept.len(),
        printed.len()
    );
}

/// The text without blanks at the ends of lines and of the text, which some tools remove from files.
fn without_blank_ends(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_end())
}

/// A command line from its words, without colours.
fn command(words: &str) -> Command {
    let mut command = dispatchd();
    // What the shell of the tests sets must not matter.
    for name in ["CI", "CLICOLOR", "CLICOLOR_FORCE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.args(words.split(' ')).env("NO_COLOR", "1").env("TERM", "xterm-256color");
    command
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut narrow = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".80.txt") || WHOLE.contains(&name) {
            continue;
        }
        narrow += 1;
        let text = fs::read_to_string(&path).unwrap();
        tables::fits(&text, NARROW);
    }
    assert!(narrow > 12, "{narrow} files");
}
