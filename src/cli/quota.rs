//! `dispatchd quota show|clear`: flagged accounts, and what an account has left of its new handles.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::{
    client::block_on,
    errors::UsageError,
    output::{Column, Form, TableRow, print_json, print_rows, print_text},
    source::RunningServer,
    text::{counted, seconds},
};
use crate::{
    api::{AccountQuota, Call as _, FlaggedAccount, NewHandlesLeft, QuotaReport, QuotaRequest},
    cli::note::note,
    clock::{Clock as _, SystemClock},
    operators::Role,
};

#[derive(Subcommand)]
pub(super) enum Quota {
    /// List the flagged accounts, newest first; with ACCOUNT, show its flag and what it has left of its new handles
    Show(Show),
    /// Clear the flag of an account, so that it may ask for new handles again
    Clear(Clear),
}

#[derive(Args)]
pub(super) struct Show {
    /// Account id, such as a_1p3k8t5w7y2d4
    account: Option<String>,
    /// The case that the call belongs to, kept in the audit log as it is: 1 to 64 characters that name no person
    #[arg(long)]
    case: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: RunningServer,
}

#[derive(Args)]
pub(super) struct Clear {
    /// Account id, such as a_1p3k8t5w7y2d4
    account: String,
    #[command(flatten)]
    server: RunningServer,
}

impl Quota {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Show(show) => show.run(),
            Self::Clear(clear) => clear.run(),
        }
    }
}

/// The request about `account`, if it is an id: a wrong one needs no server.
fn request(account: Option<String>, case: Option<String>) -> Result<QuotaRequest, UsageError> {
    let request = QuotaRequest { account, case: None };
    let wrong = |_| UsageError("ACCOUNT takes an account id, such as a_1p3k8t5w7y2d4".into());
    request.resolve(SystemClock.now()).map_err(wrong)?;
    let request = QuotaRequest { case, ..request };
    request.resolve(SystemClock.now()).map_err(|error| UsageError(error.to_string()))?;
    Ok(request)
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let request = request(self.account, self.case)?;
        let client = self.server.client(QuotaRequest::ROLE)?;
        let call = client.request(Method::GET, QuotaRequest::PATH).query(&request);
        let report: QuotaReport = block_on(client.json(call))?;
        if self.json {
            return print_json(&report);
        }
        if let Some(quota) = &report.account {
            return Ok(print_text(&describe(quota, report.flags.first()), HANGING)?);
        }
        if !report.flags.is_empty() {
            print_rows(Form::default(), &report.flags)?;
        }
        let (flagged, shown) = (report.flagged, report.flags.len());
        let flagged_accounts = counted(flagged as u64, "flagged account");
        match flagged > shown {
            true => note!("dispatchd: {flagged_accounts}, of which the newest {shown} are shown"),
            false => note!("dispatchd: {flagged_accounts}"),
        }
        Ok(())
    }
}

impl Clear {
    fn run(self) -> anyhow::Result<()> {
        let Self { account, server } = self;
        request(Some(account.clone()), None)?;
        let client = server.client(Role::Admin)?;
        let call = client.request(Method::DELETE, &format!("/v1/quota/flags/{account}"));
        block_on(client.send(call))?;
        note!("dispatchd: the flag of {account} is cleared");
        Ok(())
    }
}

impl TableRow for FlaggedAccount {
    const COLUMNS: &'static [Column] = &[("ACCOUNT", 0), ("REASON", 0), ("SINCE", 0)];

    fn cells(&self, _: bool) -> Vec<String> {
        vec![self.account.to_string(), self.reason.code().to_owned(), seconds(self.since)]
    }
}

/// What is left of one limit.
fn left(left: &NewHandlesLeft) -> String {
    let NewHandlesLeft { limit, window_seconds, remaining, reset_seconds } = *left;
    let whole = match reset_seconds {
        0 => String::new(),
        _ => format!(", all of them in {}", span(reset_seconds)),
    };
    format!("{remaining} left of {limit} in {}{whole}", span(window_seconds))
}

/// A span in hours, or in days if it is longer than two, rounded up.
fn span(seconds: u64) -> String {
    match seconds.div_ceil(3_600) {
        hours @ 0..=48 => counted(hours, "hour"),
        hours => counted(hours.div_ceil(24), "day"),
    }
}

/// Columns of the names in a report: a line that is too long goes on behind them.
const HANGING: usize = 14;

/// What an account has left, a line each.
fn describe(quota: &AccountQuota, flag: Option<&FlaggedAccount>) -> String {
    let flag = flag.map_or_else(
        || "none".to_owned(),
        |flag| format!("{} since {}: no new handles", flag.reason.code(), seconds(flag.since)),
    );
    let import = quota.import.as_ref().map_or_else(|| "none".to_owned(), left);
    let more = if quota.asked < AccountQuota::ASKED_MAX { "" } else { " or more" };
    let lines = [
        ("account", quota.account.to_string()),
        ("flag", flag),
        ("class", quota.standing.code().to_owned()),
        ("new handles", left(&quota.daily)),
        ("address book", import),
        ("evidence", format!("{}{more} asked, {} on the service", quota.asked, quota.hits)),
    ];
    lines.map(|(name, value)| format!("{name:<HANGING$}{value}\n")).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_in_whole_hours_or_days() {
        let of = |window_seconds, reset_seconds| {
            left(&NewHandlesLeft { limit: 100, window_seconds, remaining: 12, reset_seconds })
        };
        assert_eq!(of(86_400, 0), "12 left of 100 in 24 hours");
        assert_eq!(of(86_400, 1), "12 left of 100 in 24 hours, all of them in 1 hour");
        assert_eq!(
            of(120 * 86_400, 72 * 3_600 - 1),
            "12 left of 100 in 120 days, all of them in 3 days"
        );
    }

    #[test]
    fn a_full_count_of_asked_handles_is_told_as_that_or_more() {
        let evidence = |asked| {
            let report = serde_json::json!({
                "account": "a_1p3k8t5w7y2d4", "standing": "older", "import": null, "asked": asked, "hits": 9,
                "daily": {"limit": 100, "window_seconds": 86_400, "remaining": 0, "reset_seconds": 0},
            });
            let quota: AccountQuota = serde_json::from_value(report).expect("a report");
            describe(&quota, None).lines().last().map(str::to_owned).expect("a line")
        };
        assert_eq!(evidence(8_190), "evidence      8190 asked, 9 on the service");
        assert_eq!(evidence(8_191), "evidence      8191 or more asked, 9 on the service");
    }
}
