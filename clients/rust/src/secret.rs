//! Texts that nobody else may see: they never appear in `Debug`, errors or logs.

use std::{error, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// No token is longer.
const TOKEN_BYTES_MAX: usize = 256;

/// The token of a device. Keep it in the key store of the device: the server shows it once.
///
/// It has no serialized form, so that it cannot slip into a file with other values.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

/// The text is no token. The error does not contain it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken;

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a token has 1 to {TOKEN_BYTES_MAX} letters, digits and signs of ASCII, and no space"
        )
    }
}

impl error::Error for InvalidToken {}

impl Token {
    /// Takes a token that was stored.
    ///
    /// # Errors
    /// If the text is empty, longer than 256 bytes, or has bytes that are not visible ASCII.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        match text.len() {
            1..=TOKEN_BYTES_MAX if is_visible => Ok(Self(text.into())),
            _ => Err(InvalidToken),
        }
    }

    /// The text, to be stored. Never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A code with which another device of the same person signs up, as the server made it or as the person typed it.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkCode(Box<str>);

impl LinkCode {
    /// The text, to be shown. Send it over no channel that others read.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for LinkCode {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkCode(…)")
    }
}

impl<'de> Deserialize<'de> for LinkCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&*String::deserialize(deserializer)?))
    }
}

impl Serialize for LinkCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
