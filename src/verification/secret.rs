//! Secrets, read from a file or from an environment variable.

use std::{env, path::Path};

use zeroize::Zeroizing;

use crate::{limits, redacted::redacted_debug};

use super::{input_files, method_config::InvalidKey};

/// A password or key. Dropping it wipes the memory; `Debug` does not print it.
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    /// Reads the secret from the file or from the environment variable, each given with the configuration key that names
    /// it. White space at either end does not belong to the secret, since text files end with a line feed.
    pub(super) fn read(
        (file_key, file): (&'static str, Option<&Path>),
        (variable_key, variable): (&'static str, Option<&str>),
    ) -> Result<Self, InvalidKey> {
        let bytes_max = limits::SECRET_BYTES_MAX;
        let (key, text) = match (file, variable) {
            (Some(path), _) => (file_key, input_files::read_text(path, bytes_max)),
            // The error of a variable that is not UTF-8 quotes its value.
            (None, Some(name)) => (
                variable_key,
                env::var(name)
                    .map(Zeroizing::new)
                    .map_err(|_| format!("the variable {name} is not set, or is not UTF-8")),
            ),
            (None, None) => (file_key, Err("is not set".into())),
        };
        let check = |text: Zeroizing<String>| match text.trim() {
            "" => Err("is empty".into()),
            secret if secret.len() > bytes_max => Err(format!("is longer than {bytes_max} bytes")),
            secret => Ok(Self(Zeroizing::new(secret.to_owned()))),
        };
        text.and_then(check).map_err(|why| (key, why))
    }

    /// The secret itself. It must not be logged or stored.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

redacted_debug!(Secret);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_text_of_a_file_without_its_line_feed() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("secret");
        let read = || Secret::read(("some.key_file", Some(&path)), ("some.key_env", None));
        std::fs::write(&path, "open sesame\n").expect("written");
        let secret = read().expect("it is there");
        assert_eq!(secret.expose(), "open sesame");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for (text, part) in
            [(String::new(), "empty"), (" \n".into(), "empty"), ("x".repeat(4097), "longer")]
        {
            std::fs::write(&path, &text).expect("written");
            let (key, error) = read().expect_err("refused");
            assert!(key == "some.key_file" && error.contains(part), "{error}");
        }
        std::fs::write(&path, b"\xFF\xFEopen").expect("written");
        assert!(read().is_err());
        std::fs::remove_file(&path).expect("removed");
        let (key, error) = read().expect_err("refused");
        assert!(key == "some.key_file" && error.contains("cannot be read"), "{error}");
        let variable = ("some.key_env", Some("NO_SUCH_VARIABLE"));
        let (key, error) = Secret::read(("some.key_file", None), variable).expect_err("refused");
        assert!(key == "some.key_env" && error.contains("NO_SUCH_VARIABLE"), "{error}");
    }
}
