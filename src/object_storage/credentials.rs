//! The file with the key of a store, in the form that Amazon's tools write.

use std::path::Path;

use zeroize::Zeroizing;

use super::error::StoreError;
use crate::files;

/// An access key. It has no `Debug`, so that nothing prints it.
pub(super) struct Credentials {
    pub(super) id: Zeroizing<String>,
    pub(super) secret: Zeroizing<String>,
    pub(super) token: Option<Zeroizing<String>>,
}

impl Credentials {
    /// Reads the file. Its errors name it and quote nothing of it.
    pub(super) fn read(path: &Path) -> Result<Self, StoreError> {
        let failed = |why: String| StoreError::Failed(format!("{}: {why}", path.display()));
        let io = |error: std::io::Error| failed(error.to_string());
        let text = files::read_text(path).map(Zeroizing::new).map_err(io)?;
        if let Some(mode) = files::mode_if_open_to_others(path).map_err(io)? {
            let shown = path.display();
            return Err(failed(format!(
                "mode {mode:03o} lets others read it; run: chmod 600 {shown}"
            )));
        }
        Self::parse(&text).ok_or_else(|| {
            failed(
                "it must have the lines aws_access_key_id = … and aws_secret_access_key = …"
                    .to_owned(),
            )
        })
    }

    /// Takes the first profile of the file.
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
            let value = value.trim();
            (!value.is_empty()).then(|| Zeroizing::new(value.to_owned()))
        };
        Some(Self {
            id: value("aws_access_key_id")?,
            secret: value("aws_secret_access_key")?,
            token: value("aws_session_token"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_file_gives_its_key_and_errors_quote_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("[default]\naws_access_key_id = AKIA1\n aws_secret_access_key=s3cr=t\n", 0o600);
        let read = Credentials::read(&path).ok().unwrap();
        assert_eq!((read.id.as_str(), read.secret.as_str()), ("AKIA1", "s3cr=t"));
        assert!(read.token.is_none());
        for (text, mode, why) in [
            ("aws_access_key_id = AKIA1\naws_secret_access_key = s3cr=t\n", 0o640, "chmod 600"),
            ("aws_access_key_id = AKIA1\naws_secret_access_key =\n", 0o600, "must have the lines"),
            ("AKIA1:s3cr=t", 0o600, "must have the lines"),
        ] {
            write(text, mode);
            let error = Credentials::read(&path).err().unwrap().to_string();
            assert!(error.contains(why) && error.contains("store.key"), "{error}");
            assert!(!error.contains("AKIA1") && !error.contains("s3cr"), "{error}");
        }
    }
}
