//! `FILE.subject-key`, beside an export: the key that makes the subjects which askers see. Its holder can tell which
//! subjects belong to one account.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use crate::{files::AtomicFile, registry::StoppedRegistry};

/// The name of the key's file beside `file`.
pub(super) fn path(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".subject-key");
    name.into()
}

/// Writes the registry's key beside `file`.
pub(super) fn write(file: &Path, registry: &StoppedRegistry) -> anyhow::Result<()> {
    let path = path(file);
    let text = Zeroizing::new(HEXLOWER.encode(registry.subject_key().as_ref()) + "\n");
    let write = || -> io::Result<()> {
        let mut fresh = AtomicFile::create(&path)?;
        fresh.file.write_all(text.as_bytes())?;
        fresh.keep()
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// The key beside `file`, if there is one.
pub(super) fn read(file: &Path) -> anyhow::Result<Option<Zeroizing<[u8; 32]>>> {
    let path = path(file);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => Zeroizing::new(text.with_context(|| format!("reading {}", path.display()))?),
    };
    let mut key = Zeroizing::new([0; 32]);
    let digits = text.trim_end().as_bytes();
    let is_key = digits.len() == 64 && HEXLOWER_PERMISSIVE.decode_mut(digits, &mut *key).is_ok();
    if !is_key {
        bail!("{} is no subject key: it has not 64 hex digits", path.display());
    }
    Ok(Some(key))
}
