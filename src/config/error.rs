//! Why a configuration cannot be used.

use std::fmt;

/// Why a configuration cannot be used, and where the fault is.
#[derive(Debug)]
pub struct ConfigError {
    place: String,
    why: String,
}

impl ConfigError {
    /// A fault at `place`: a file, a line of it, or a variable.
    pub(super) fn new(place: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { place: place.into(), why: why.to_string() }
    }

    pub(super) fn of_variable(name: &str, why: impl fmt::Display) -> Self {
        Self::new(format!("environment variable {name}"), why)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why.trim_end())
    }
}

impl std::error::Error for ConfigError {}
