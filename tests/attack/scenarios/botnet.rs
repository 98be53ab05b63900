//! A botnet in which each account asks one number, from an address of its own, without a proof. Together they ask for all numbers
//! of a town, whose honest people ask for each other, too.

use std::time::Duration;

use dispatchd::ids::AccountId;

use super::town::Town;
use crate::{
    core::{Account, Core},
    numbers::{self, BLOCK},
    run::Run,
    table::{Row, grouped},
};

const ATTACK: &str = "botnet";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The share of the town's numbers that are on the service.
const HITS: f64 = 0.05;
/// Days of which the honest people tell afterwards.
const DAYS_AFTER: u64 = 3;

/// How much of the town the botnet learns in a day, and what its people notice.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    let mut dice = run.dice(3);
    let mut core = Core::new();
    let mut town = Town::new(&mut dice, run.of(1_500, 10_000), (0.3, 12.0), HITS);
    town.live(&mut core, &mut dice, 25);
    let blocks: Vec<_> = town.blocks().collect();
    let numbers = blocks.len() as u64 * BLOCK;
    let mut learned = vec![0_u64; blocks.len()];
    for at in 0..numbers {
        let (block, place) = (at as usize % blocks.len(), at / blocks.len() as u64);
        let id = AccountId::from_bits(1_000_000_000 + at);
        let account = Account { id, proven_since: None, ip: numbers::ipv4(100_000 + at) };
        let number = numbers::handle(&numbers::number(blocks[block], place));
        if core.ask(account, &[(number, dice.chance(HITS))]).is_ok() {
            learned[block] += 1;
        }
        // All numbers within a day.
        if at % (numbers / 1_000) == 0 {
            core.pass(DAY / 1_000);
        }
    }
    let before = town.noticed;
    town.live(&mut core, &mut dice, DAYS_AFTER);
    let (blocked, days) = (town.noticed.blocked_days - before.blocked_days, DAYS_AFTER);
    let account_days = grouped(town.noticed.account_days - before.account_days);
    let all: u64 = learned.iter().sum();
    let most = learned.iter().max().map_or(0, |most| 100 * most / BLOCK);
    let figure = format!("one new number an account: of {} numbers, learned", grouped(numbers));
    let honest = format!("honest of the town, {days} days: account-days blocked of {account_days}");
    Ok(vec![
        Row::shown(ATTACK, figure, grouped(all)),
        Row::shown(ATTACK, "the most that it learned of one block", format!("{most} %")),
        Row::shown(ATTACK, honest, grouped(blocked)),
    ])
}
