//! The trusted clock: `GET /v1/clock`, `POST /v1/clock/trust`.

use std::fmt;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::call::Invalid;
use crate::clock::ClockStatus;

/// What the clocks show, and what trust in the wall clock would destroy.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ClockReport {
    /// What the clocks show.
    #[serde(flatten)]
    pub status: ClockStatus,
    /// What would expire at once if trusted time followed the wall clock now. Null while it does.
    #[schema(required)]
    pub if_trusted: Option<Expiring>,
}

/// What would expire at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Expiring {
    /// Hours of the query log whose keys would be destroyed.
    pub log_hours: usize,
    /// Hours of the query log that there are.
    pub log_hours_total: usize,
}

/// An operator says that the wall clock is right.
#[derive(Clone, Copy, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct TrustRequest {
    /// Confirm that what expires by the wall clock is destroyed
    #[arg(long)]
    pub yes: bool,
}

impl ClockReport {
    /// Has `expiring` count only while trusted time does not follow the wall clock.
    pub fn of<E>(
        status: ClockStatus,
        expiring: impl FnOnce(&ClockStatus) -> Result<Expiring, E>,
    ) -> Result<Self, E> {
        let if_trusted = if status.is_followed { None } else { Some(expiring(&status)?) };
        Ok(Self { status, if_trusted })
    }
}

impl Expiring {
    const fn is_nothing(&self) -> bool {
        self.log_hours == 0
    }
}

impl TrustRequest {
    /// Checks that trust in the wall clock destroys nothing or is confirmed.
    ///
    /// # Errors
    /// What it would destroy, and how to confirm it.
    pub fn check(self, report: &ClockReport) -> Result<(), Invalid> {
        match report.if_trusted.as_ref().filter(|expiring| !self.yes && !expiring.is_nothing()) {
            None => Ok(()),
            Some(expiring) => Err(Invalid::new(format!(
                "nothing was changed. {expiring}. If the wall clock, {}, is right, confirm it: `--yes` on the command \
                 line, `yes=true` in the API",
                report.status.wall
            ))),
        }
    }
}

impl fmt::Display for Expiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() {
            return f.write_str("Trust in the wall clock would destroy nothing");
        }
        let Self { log_hours, log_hours_total } = self;
        write!(
            f,
            "Trust in the wall clock would at once destroy {log_hours} of {log_hours_total} hours of the query log"
        )
    }
}

impl fmt::Display for ClockReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        match &self.if_trusted {
            Some(expiring) => writeln!(f, "{expiring}."),
            None => Ok(()),
        }
    }
}
