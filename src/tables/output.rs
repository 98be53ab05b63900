//! The output of an export: a file or a stream, or age encryption into it.
//!
//! The format is age-encryption.org/v1 with X25519 recipients: chunks of 64 KiB, each authenticated, the last one marked,
//! so that a file that was cut does not decrypt to its end. Nothing but ciphertext is given to the operating system.

use std::{
    fmt,
    io::{self, BufWriter, Write},
    path::PathBuf,
    str::FromStr,
};

use age::{Encryptor, stream::StreamWriter, x25519::Recipient};

use crate::files::AtomicFile;

/// Where an export goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The file at this path, which appears once it is complete.
    File(PathBuf),
    /// Standard output. Of an export that fails, a part is written.
    Stdout,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdout => f.write_str("standard output"),
        }
    }
}

/// Who can decrypt an export: each of them, alone. Never empty.
#[derive(Clone)]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Reads `age1…` keys; none if there are none.
    ///
    /// # Errors
    /// If one of them is no such key; the first wrong one, counted from 0.
    pub fn parse<'a>(
        keys: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Self>, (usize, RecipientError)> {
        let read = |(at, key)| parse_one(key).map_err(|error| (at, error));
        let recipients: Vec<_> =
            keys.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok((!recipients.is_empty()).then_some(Self(recipients)))
    }
}

fn parse_one(key: &str) -> Result<Recipient, RecipientError> {
    if key.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(RecipientError::Secret);
    }
    Recipient::from_str(key).map_err(RecipientError::Unreadable)
}

/// The text is no recipient. The message does not quote it: it may be the secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// Not an `age1…` key.
    #[error("not an age recipient (age1…): {0}")]
    Unreadable(&'static str),
    /// An identity, which decrypts.
    #[error(
        "this is a secret key, which decrypts files; give the age1… recipient that belongs to it"
    )]
    Secret,
}

/// What takes the bytes of an export.
pub(super) enum Sink {
    File(AtomicFile),
    Stdout(io::Stdout),
}

impl Sink {
    fn open(target: &Target) -> io::Result<Self> {
        match target {
            Target::File(path) => AtomicFile::create(path).map(Self::File),
            Target::Stdout => Ok(Self::Stdout(io::stdout())),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::File(file) => file.keep(),
            Self::Stdout(mut stdout) => stdout.flush(),
        }
    }
}

impl Write for Sink {
    #[expect(clippy::disallowed_methods, reason = "this hands the caller's own call on")]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

pub(super) enum Output {
    Plain(BufWriter<Sink>),
    Encrypted(Box<StreamWriter<BufWriter<Sink>>>),
}

impl Output {
    /// Begins an output to `target`; with recipients, it is encrypted to them.
    pub(super) fn create(target: &Target, recipients: Option<&Recipients>) -> io::Result<Self> {
        let sink = BufWriter::new(Sink::open(target)?);
        let Some(Recipients(recipients)) = recipients else {
            return Ok(Self::Plain(sink));
        };
        let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Self::Encrypted(Box::new(encryptor.wrap_output(sink)?)))
    }

    /// Writes what is left. Makes a file durable and gives it its name.
    pub(super) fn finish(self) -> io::Result<()> {
        let sink = match self {
            Self::Plain(sink) => sink,
            Self::Encrypted(stream) => stream.finish()?,
        };
        sink.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
    }
}

impl Write for Output {
    #[expect(clippy::disallowed_methods, reason = "this hands the caller's own call on")]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sink) => sink.write(bytes),
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.flush(),
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}
