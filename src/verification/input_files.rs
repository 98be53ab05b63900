//! Reads the files that the configuration names: secrets, templates, certificates.

use std::{io, path::Path};

use zeroize::Zeroizing;

use crate::files;

/// Reads UTF-8 text of at most `bytes_max` bytes. The error never quotes the text.
pub(super) fn read_text(path: &Path, bytes_max: usize) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    files::read_text_up_to(path, bytes_max, &mut text).map_err(|error| unreadable(path, &error))?;
    if text.len() > bytes_max {
        return Err(format!("{} is longer than {bytes_max} bytes", path.display()));
    }
    Ok(text)
}

/// Reads a PEM bundle, which `parse` turns into certificates of the library that will use them.
pub(super) fn read_certificates<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, String> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

    let pem = files::read(path).map_err(|error| unreadable(path, &error))?;
    let has_certificate = pem.windows(BEGIN.len()).any(|part| part == BEGIN);
    let certificates = has_certificate.then(|| parse(&pem)).flatten();
    certificates.ok_or_else(|| format!("{} contains no PEM certificate", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}
