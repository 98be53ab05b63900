//! The output of an export: the file, or age encryption into the file.
//!
//! The format is age-encryption.org/v1 with X25519 recipients: chunks of 64 KiB, each authenticated, the last one marked,
//! so that a file that was cut does not decrypt to its end. Nothing but ciphertext is given to the operating system.

use std::{
    io::{self, BufWriter, Write},
    str::FromStr,
};

use age::{Encryptor, stream::StreamWriter, x25519::Recipient};

use crate::files::AtomicFile;

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

pub(super) enum Output {
    Plain(BufWriter<AtomicFile>),
    Encrypted(Box<StreamWriter<BufWriter<AtomicFile>>>),
}

impl Output {
    pub(super) fn new(file: AtomicFile, recipients: Option<&Recipients>) -> io::Result<Self> {
        let file = BufWriter::new(file);
        let Some(Recipients(recipients)) = recipients else {
            return Ok(Self::Plain(file));
        };
        let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Self::Encrypted(Box::new(encryptor.wrap_output(file)?)))
    }

    /// Writes what is left, makes the file durable and gives it its name.
    pub(super) fn finish(self) -> io::Result<()> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Encrypted(stream) => stream.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.keep()
    }
}

impl Write for Output {
    #[expect(clippy::disallowed_methods, reason = "this hands the caller's own call on")]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}
