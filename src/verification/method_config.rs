//! What the sections `[ownership.delivery.mail]` and `[ownership.delivery.text]` have in common: secrets, templates,
//! certificates, retries.

use std::{
    env, io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use zeroize::Zeroizing;

use crate::{files, limits, redacted::redacted_debug};

use super::{retry::RetryPolicy, template::ByPurpose};

/// A key of the section, and what is wrong with its value.
pub(super) type InvalidKey = (&'static str, String);

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
            (Some(path), _) => (file_key, read_text(path, bytes_max)),
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

/// Reads both templates: the files, or the built-in text where the section names none. `parse` takes a text and the
/// service's name.
pub(super) fn load_templates<T>(
    service: &str,
    [bind, deregister]: [&Option<PathBuf>; 2],
    built_in: &ByPurpose<&str>,
    parse: impl Fn(&str, &str) -> Result<T, String>,
) -> Result<ByPurpose<T>, InvalidKey> {
    // Such a name would break a mail's subject line, or look like a placeholder.
    if service.trim().is_empty() || service.chars().any(|c| c.is_control() || "{}".contains(c)) {
        return Err(("service", "must be a name on one line, without braces".into()));
    }
    let load = |key, file: &Option<PathBuf>, built_in| {
        let parsed = match file {
            Some(path) => read_text(path, limits::TEMPLATE_BYTES_MAX)
                .and_then(|text| parse(&text.replace("\r\n", "\n"), service)),
            None => parse(built_in, service),
        };
        parsed.map_err(|why| (key, why))
    };
    Ok(ByPurpose {
        bind: load("bind_template", bind, built_in.bind)?,
        deregister: load("deregister_template", deregister, built_in.deregister)?,
    })
}

/// The retries that the section configures, if they are within [`limits`].
pub(super) fn retries(
    attempts: u32,
    attempt_timeout: Duration,
    timeout: Duration,
) -> Result<RetryPolicy, InvalidKey> {
    let (attempts_max, max) = (limits::DELIVERY_ATTEMPTS_MAX, limits::DELIVERY_TIMEOUT_MAX);
    if !(1..=attempts_max).contains(&attempts) {
        return Err(("attempts", format!("must be from 1 to {attempts_max}")));
    }
    if timeout.is_zero() || timeout > max {
        let why = format!("must be above 0s and at most {}s: a client waits", max.as_secs());
        return Err(("timeout", why));
    }
    if attempt_timeout.is_zero() || attempt_timeout > timeout {
        let why = "must be above 0s and at most `timeout`, the limit of all attempts together";
        return Err(("attempt_timeout", why.into()));
    }
    Ok(RetryPolicy { attempts, attempt_timeout, timeout })
}

/// Whether unencrypted connections to `host`, a name or an address, stay on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Reads UTF-8 text of at most `bytes_max` bytes. The error never quotes the text.
fn read_text(path: &Path, bytes_max: usize) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    files::read_text_up_to(path, bytes_max, &mut text).map_err(|error| unreadable(path, &error))?;
    if text.len() > bytes_max {
        return Err(format!("{} is longer than {bytes_max} bytes", path.display()));
    }
    if text.starts_with('\u{FEFF}') {
        // A byte order mark, which editors write before the text.
        text.remove(0);
    }
    Ok(text)
}

/// Reads a PEM bundle, which `parse` turns into certificates of the library that will use them.
pub(super) fn read_certificates<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, String> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

    let pem = files::read_small(path).map_err(|error| unreadable(path, &error))?;
    let has_certificate = pem.windows(BEGIN.len()).any(|part| part == BEGIN);
    let certificates = has_certificate.then(|| parse(&pem)).flatten();
    certificates.ok_or_else(|| format!("{} contains no PEM certificate", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

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

    #[test]
    fn a_template_may_begin_with_a_byte_order_mark_and_have_windows_line_ends() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("template");
        std::fs::write(&path, "\u{FEFF}Subject: a\r\n\r\nb\r\n").expect("written");
        let built_in = ByPurpose { bind: "", deregister: "" };
        let keep = |text: &str, _: &str| Ok(text.to_owned());
        let texts = load_templates("Blue", [&Some(path), &None], &built_in, keep).expect("read");
        assert_eq!(texts.bind, "Subject: a\n\nb\n");
    }

    #[test]
    fn a_service_has_a_name_on_one_line_without_braces() {
        let built_in = ByPurpose { bind: "", deregister: "" };
        let load =
            |service| load_templates(service, [&None, &None], &built_in, |text, _| Ok(text.len()));
        load("Blue").expect("a good name");
        for service in ["", " ", "a\nb", "{code}"] {
            assert_eq!(load(service).expect_err(service).0, "service");
        }
    }
}
