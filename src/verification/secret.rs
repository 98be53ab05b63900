//! Secrets, read from a file or a variable of the environment.

use std::{env, fmt, path::Path};

use zeroize::Zeroizing;

use crate::{files, limits};

use super::delivery_router::OpenError;

/// A password or key. Wiped from memory when dropped, never printed.
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    /// Reads the secret from `file` or from `variable`, of which `key` names the one that is set. White space at its
    /// ends is not part of it, since files end with a new line.
    pub(super) fn read(
        key: &'static str,
        file: Option<&Path>,
        variable: Option<&str>,
    ) -> Result<Self, OpenError> {
        let failed = |why: String| OpenError::new(key, why);
        let text = match (file, variable) {
            (Some(path), _) => {
                let why = |error| failed(format!("{} cannot be read: {error}", path.display()));
                let mut text = Zeroizing::new(String::new());
                files::read_text_up_to(path, limits::SECRET_BYTES_MAX, &mut text).map_err(why)?;
                text
            }
            (None, Some(name)) => match env::var(name) {
                Ok(text) => Zeroizing::new(text),
                // The error of a variable that is not text quotes it.
                Err(_) => {
                    return Err(failed(format!("there is no variable {name}, or it is no text")));
                }
            },
            (None, None) => return Err(failed("is not set".into())),
        };
        if text.len() > limits::SECRET_BYTES_MAX {
            return Err(failed(format!("is longer than {} bytes", limits::SECRET_BYTES_MAX)));
        }
        let secret = Zeroizing::new(text.trim().to_owned());
        if secret.is_empty() {
            return Err(failed("is empty".into()));
        }
        Ok(Self(secret))
    }

    /// The secret itself, for the one that proves it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_file_s_text_without_its_new_line() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("secret");
        let read = || Secret::read("some.key_file", Some(&path), None);
        std::fs::write(&path, "open sesame\n").expect("written");
        let secret = read().expect("it is there");
        assert_eq!(secret.expose(), "open sesame");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for (text, part) in
            [(String::new(), "empty"), (" \n".into(), "empty"), ("x".repeat(4097), "longer")]
        {
            std::fs::write(&path, &text).expect("written");
            let error = read().expect_err("refused").to_string();
            assert!(error.contains("some.key_file") && error.contains(part), "{error}");
        }
        std::fs::write(&path, b"\xFF\xFEopen").expect("written");
        assert!(read().is_err());
        std::fs::remove_file(&path).expect("removed");
        let error = read().expect_err("refused").to_string();
        assert!(error.contains("some.key_file") && error.contains("cannot be read"), "{error}");
        let error = Secret::read("k", None, Some("NO_SUCH_VARIABLE")).expect_err("refused");
        assert!(error.to_string().contains("NO_SUCH_VARIABLE"));
    }
}
