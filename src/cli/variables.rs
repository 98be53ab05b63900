//! The environment variables that commands read.

use std::{
    env::{self, VarError},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::ArgMatches;

use super::{config::file_of_environment, errors::UsageError, note::note};
use crate::config::{ConfigError, check_variables};

/// No token is longer.
const BYTES_MAX: usize = 256;

/// Says which variables of the service are empty.
pub(super) fn name_empty() {
    for (name, value) in env::vars_os() {
        let name = name.to_string_lossy();
        // The one that names the configuration is said where that is read.
        if value.is_empty() && name.starts_with("DISPATCHD_") && name != "DISPATCHD_CONFIG" {
            note!("dispatchd: {name} is empty, which counts as unset");
        }
    }
}

/// Refuses variables that nothing reads, and values that their keys do not take. A command with `--config` reads that file, and
/// says so itself.
pub(super) fn refuse_wrong(arguments: &ArgMatches) -> Result<(), ConfigError> {
    let mut of_command = arguments;
    while let Some((_, below)) = of_command.subcommand() {
        of_command = below;
    }
    match of_command.try_get_one::<PathBuf>("config") {
        Ok(Some(_)) => Ok(()),
        _ => check_variables(file_of_environment().as_deref(), env::vars_os()),
    }
}

/// The token in `file`, or without a file that in the environment variable `name`; none if the variable is unset or empty. Other
/// users of the machine can read arguments, so no argument holds a token.
///
/// # Errors
/// If the file cannot be read, if the variable is not UTF-8, or if it holds no token.
pub(super) fn token(file: Option<&Path>, name: &str) -> anyhow::Result<Option<String>> {
    let (place, text) = match file {
        Some(file) => {
            let place = format!("token file {}", file.display());
            let text = fs::read_to_string(file).with_context(|| place.clone())?;
            (place, text)
        }
        None => match env::var(name) {
            Ok(token) if token.is_empty() => return Ok(None),
            Ok(token) => (name.to_owned(), token),
            Err(VarError::NotPresent) => return Ok(None),
            Err(VarError::NotUnicode(_)) => bail!("{name} is not UTF-8"),
        },
    };
    let token = alone(&text).map_err(|fault| UsageError(format!("{place} {fault}")))?;
    Ok(Some(token.to_owned()))
}

/// The token without what people and editors write around it, or what is wrong with it.
fn alone(text: &str) -> Result<&str, &'static str> {
    // Editors of some systems begin a file with a mark of its byte order.
    let text = text.trim_start_matches('\u{feff}').trim();
    match text.strip_prefix("Bearer ").unwrap_or(text).trim() {
        "" => Err("is empty"),
        token if token.contains(['\n', '\r']) => Err("holds more than one line"),
        token if token.len() > BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err("holds no token: it has a space, a letter outside ASCII, or more than 256 bytes")
        }
        token => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word() {
        for text in ["do_x", "do_x\n", "\u{feff}do_x \r\n", "Bearer do_x", " Bearer  do_x"] {
            assert_eq!(alone(text), Ok("do_x"), "{text:?}");
        }
        let long = "x".repeat(BYTES_MAX + 1);
        for (text, fault) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("do_x\ndo_y\n", "holds more than one line"),
            ("do x", "holds no token"),
            ("do_ü", "holds no token"),
            ("do_\u{1}x", "holds no token"),
            (&*long, "holds no token"),
        ] {
            assert!(alone(text).unwrap_err().starts_with(fault), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_holds_no_token_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("two.tok");
        fs::write(&file, "do_x\ndo_y\n").unwrap();
        let said = token(Some(&file), "UNUSED").unwrap_err().to_string();
        assert_eq!(said, format!("token file {} holds more than one line", file.display()));
    }
}
