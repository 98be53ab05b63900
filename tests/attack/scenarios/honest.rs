//! The honest population, at services of three ages: how many of its accounts are blocked.
//!
//! Counted is an account of which the quota refused a handle, whatever limit it was, once in seven days; and each account-day on which
//! that happened. An import that was refused goes on each day with what is left. Somebody who is flagged proves a handle in the
//! evening, which helps once in seven days.

use crate::{
    core::Core,
    run::Run,
    scenarios::town::{Noticed, Town},
    table::{Row, grouped},
};

const ATTACK: &str = "honest";
/// The bar, for a million account-days.
const BLOCKED_MAX: u64 = 50;
const MILLION: u64 = 1_000_000;
/// The concentration of people's own hit ratios around the service's for which the bar is: at 30 %, one in 270 has less than 5 %, as a
/// sweep has.
const ALIKE: f64 = 12.0;
/// The concentration of people who differ more, which is shown: at 30 %, one in 54 has less than 5 %.
const DIFFERENT: f64 = 8.0;
/// Services, by the share of all contacts that they reach, and their people.
const SERVICES: [(f64, f64); 4] = [(0.02, ALIKE), (0.3, ALIKE), (0.75, ALIKE), (0.3, DIFFERENT)];

/// Plays each service.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (at, hits) in SERVICES.into_iter().enumerate() {
        let mut dice = run.dice(10 + at as u64);
        let mut core = Core::new();
        let mut town = Town::new(&mut dice, run.of(1_000, 3_000), hits, hits.0);
        town.live(&mut core, &mut dice, run.of(40, 334));
        rows.extend(rows_of(hits, town.noticed));
    }
    Ok(rows)
}

fn rows_of((hits, alike): (f64, f64), noticed: Noticed) -> [Row; 2] {
    let Noticed { account_days, blocked_days, accounts, asked, .. } = noticed;
    let Noticed { importing, unproven, flagged, swept, shared, .. } = noticed;
    let percent = (hits * 100.0).round();
    let figure = format!("hit ratio {percent} %, concentration {alike}: accounts blocked");
    let (figure, counted, most) = if account_days >= MILLION {
        let counted = accounts * MILLION / account_days;
        (format!("{figure} per million account-days"), counted, BLOCKED_MAX)
    } else {
        // A short run shows only a gross error.
        (format!("{figure} in {account_days} account-days"), accounts, most_by_chance(account_days))
    };
    let row = match alike == ALIKE {
        true => Row::at_most(ATTACK, figure, counted, most),
        false => Row::shown(ATTACK, figure, grouped(counted)),
    };
    let causes = format!(
        "{importing} book, {unproven} unproven, {flagged} flagged, {swept} swept, {shared} shared"
    );
    let of = grouped(asked);
    let figure = format!("causes; blocked on {blocked_days} account-days; {of} handles asked");
    [row, Row::shown(ATTACK, figure, causes)]
}

/// The most blocked accounts in a short run of a service that just meets the bar, but in one run of a thousand.
fn most_by_chance(account_days: u64) -> u64 {
    let mean = (BLOCKED_MAX * account_days) as f64 / MILLION as f64;
    (mean + 3.1 * mean.sqrt() + 1.0).ceil() as u64
}
