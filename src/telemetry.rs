//! The service's own messages: structured, to standard error, and without a personal value at any level.
//!
//! Two rules make that hold. Our own events carry counts, hours, file names, codes and opaque ids of requests, never a
//! handle, an address, a token or a code. And the libraries below us, which know nothing of the first rule, are heard
//! at `warn` at most, whatever level is configured: at `trace` some of them print whole headers.
//!
//! A panic's message may quote a value, so the panic hook reports the place and drops the message.

use std::io;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, prelude::*};

/// Section `[telemetry]` of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The least important of our messages to print.
    pub level: Level,
    /// How a message is written.
    pub format: Format,
    /// Whether `GET /metrics` needs no token.
    pub metrics_open: bool,
}

/// How important a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may fail soon.
    Warn,
    /// The service's life: start, stop, expiry.
    #[default]
    Info,
    /// Each background tick.
    Debug,
    /// Each request: its id, status and time.
    Trace,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Starts printing, with colours if standard error takes them. Called once; a second call changes nothing.
pub fn start(config: &Config, is_coloured: bool) {
    let ours = LevelFilter::from(config.level);
    let filter = Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        // It warns of what clients do, so strangers could fill the disk.
        .with_target("h2", LevelFilter::OFF)
        .with_target(env!("CARGO_CRATE_NAME"), ours);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = match config.format {
        Format::Text => layer.with_ansi(is_coloured).boxed(),
        Format::Json => layer.json().boxed(),
    };
    if tracing_subscriber::registry().with(filter).with(layer).try_init().is_err() {
        tracing::debug!("messages are already being printed");
    }
}

/// From here on a panic says where it happened, not what it said. Where no messages are printed yet, to standard error.
pub fn silence_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(
                place,
                "panic (its message is not printed: it may quote a personal value)"
            );
        } else {
            eprintln!("dispatchd: internal error at {place}");
        }
    }));
}
