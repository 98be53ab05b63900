//! Where a command writes what its user asked for: a file, or standard output.

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::Path,
};

use anyhow::bail;
use clap::builder::{PathBufValueParser, TypedValueParser};

use super::errors::UsageError;
use crate::{files::parent, tables::Target};

/// What names standard output.
const STDOUT: &str = "-";

/// Takes an argument that is a path, or `-` for standard output.
pub(super) fn target() -> impl TypedValueParser<Value = Target> {
    PathBufValueParser::new().map(|path| match path {
        path if path == Path::new(STDOUT) => Target::Stdout,
        path => Target::File(path),
    })
}

/// Refuses a target that cannot be written to; see [`may_write`]. `binary` names what is no text, if that is to be written.
pub(super) fn may_export(target: &Target, binary: Option<&str>, force: bool) -> anyhow::Result<()> {
    match target {
        Target::File(path) => may_write(path, force),
        Target::Stdout => Ok(binary.map_or(Ok(()), must_not_be_terminal)?),
    }
}

/// Refuses to replace a file unless that was asked for. Refuses a path that holds something other than a file, such as
/// /dev/null or a link, also if that was asked for, because a rename would replace it. Refuses a directory that does not
/// exist.
pub(super) fn may_write(path: &Path, force: bool) -> anyhow::Result<()> {
    let shown = path.display();
    let fault = match fs::symlink_metadata(path) {
        _ if path == Path::new(STDOUT) => "standard output is not taken here",
        Ok(found) if found.is_symlink() => "this is a link, which is never replaced",
        Ok(found) if found.is_dir() => "this is a directory",
        Ok(found) if !found.is_file() => "this is not a regular file, and is never replaced",
        Ok(_) if !force => bail!("{shown} is there already; --force replaces it"),
        Err(_) if !parent(path).is_dir() => bail!("{shown}: the directory does not exist"),
        _ => return Ok(()),
    };
    Err(UsageError(format!("{shown}: {fault}; name the file to write")).into())
}

/// Refuses to write bytes that are no text to somebody's screen.
fn must_not_be_terminal(what: &str) -> Result<(), UsageError> {
    if io::stdout().is_terminal() {
        let remedy = "name a file, or send it through a pipe";
        return Err(UsageError(format!(
            "standard output is a terminal, and {what} is no text; {remedy}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::{fs::symlink, net::UnixListener},
        path::PathBuf,
    };

    use super::*;

    #[test]
    fn only_a_regular_file_is_ever_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| -> PathBuf { folder.path().join(name) };
        fs::write(named("file"), "mine").unwrap();
        symlink(named("file"), named("link")).unwrap();
        symlink(named("nowhere"), named("dangling")).unwrap();
        let _socket = UnixListener::bind(named("socket")).unwrap();
        let said = |name: &str, force| match may_write(&named(name), force) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!((said("fresh", false), said("file", true)), (String::new(), String::new()));
        assert!(said("file", false).contains("--force replaces it"));
        for force in [false, true] {
            for (name, fault) in [
                ("link", "a link"),
                ("dangling", "a link"),
                ("socket", "not a regular file"),
                (".", "a directory"),
                ("no/such", "the directory does not exist"),
            ] {
                assert!(said(name, force).contains(fault), "{name}: {}", said(name, force));
            }
            let device = may_write(Path::new("/dev/null"), force).unwrap_err();
            assert!(device.is::<UsageError>() && device.to_string().contains("not a regular file"));
        }
    }
}
