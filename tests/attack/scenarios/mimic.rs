//! Accounts that prove a number, wait a week, and then ask like people: their whole import at once, then each day what they
//! may, of numbers of which as many are on the service as of anybody's contacts.

use std::time::Duration;

use dispatchd::ids::AccountId;

use crate::{
    core::{Account, Core},
    dice::Dice,
    numbers,
    run::Run,
    table::Row,
};

const ATTACK: &str = "mimic";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The share of all numbers that are on the service.
const HITS: f64 = 0.3;
/// What each of a thousand accounts has to learn for 50 million numbers.
const SHARE: u64 = 50_000;
const BATCH: usize = 250;
/// The scenario ends here.
const DAYS_MAX: u64 = 1_000;

/// Days until each of the accounts has learned its share. Each asks from a network of its own.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    let count = run.of(4, 1_000);
    let mut dice = run.dice(1);
    let mut core = Core::new();
    let proven_since = Some(core.now());
    let account =
        |at| Account { id: AccountId::from_bits(at), proven_since, ip: numbers::ipv4(at) };
    let accounts: Vec<_> = (1..=count).map(account).collect();
    core.pass(7 * DAY);
    let (mut days, mut learned, mut first) = (0, 0, 0);
    while learned < count * SHARE && days < DAYS_MAX {
        for account in &accounts {
            learned += ask_all_day(&mut core, *account, &mut dice);
        }
        core.pass(DAY);
        days += 1;
        first = if days == 1 { learned / count } else { first };
    }
    let figure = format!("1,000 accounts of seven days: days for 50 million ({count} played)");
    Ok(vec![
        Row::at_least(ATTACK, figure, days, 200),
        Row::shown(ATTACK, "learned by one account on its first day", first.to_string()),
    ])
}

/// Asks for new numbers until they are refused. Returns how many were answered.
fn ask_all_day(core: &mut Core, account: Account, dice: &mut Dice) -> u64 {
    let (mut learned, mut size) = (0, BATCH);
    while size > 0 {
        let number = |dice: &mut Dice| numbers::handle(&numbers::anywhere(dice));
        let handles: Vec<_> = (0..size).map(|_| (number(dice), dice.chance(HITS))).collect();
        match core.ask(account, &handles) {
            Ok(()) => learned += handles.len() as u64,
            Err(_) => size /= 2,
        }
    }
    learned
}
