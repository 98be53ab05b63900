//! The arguments of a command that reads: its request, how to print, and where to read.

use clap::Args;

use super::source::Source;
use crate::query_log::SearchOutcome;

#[derive(Args)]
pub(super) struct Reading<R: Args> {
    #[command(flatten)]
    pub(super) request: R,
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) source: Source,
}

/// Says what a search could not read.
pub(super) fn print_passed_over(outcome: SearchOutcome) {
    let SearchOutcome { damaged, unreadable_segments } = outcome;
    if damaged > 0 || unreadable_segments > 0 {
        eprintln!(
            "dispatchd: {damaged} damaged places and {unreadable_segments} unreadable segments were \
             passed over; `dispatchd log verify` says which"
        );
    }
}
