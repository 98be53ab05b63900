//! Accounts that ask for numbers of which 5 % are on the service, where people reach 30 % of their contacts: each one the numbers of a
//! block in order, or any numbers of some blocks. After them come those with a leaked list, at the same service.

use super::{
    leaked_list,
    service::{self, Service},
};
use crate::{
    api::Phone,
    dice::Dice,
    numbers::BLOCK,
    run::Run,
    table::{Row, grouped, median},
};

/// The bar: new handles until an account is flagged, the median.
const BAR: u64 = 150;
/// Days on which an account in regular use has asked for one handle.
const REGULAR_DAYS: u64 = 15;
/// No account asks for more.
const ENOUGH: u64 = 2_000;
/// Numbers in one request of a sweep that is careful, and of one that is not.
const AT_ONCE: usize = 5;
const AT_ONCE_MAX: usize = 1_000;

/// How a sweeper walks through the numbers.
#[derive(Clone, Copy)]
enum Walk {
    InOrder,
    AtRandom,
}

/// Plays all of them on one service.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    let mut dice = run.dice(4);
    let count = run.of(31, 101);
    run.block_on(async {
        // Each sweep in order has a block of its own.
        let mut service = Service::start(&mut dice, run.of(240, 500), 2 * count).await?;
        let mut rows = Vec::new();
        for (attack, walk) in [("sequential", Walk::InOrder), ("random", Walk::AtRandom)] {
            let young = service.young_phones(count).await?;
            let learned = sweep(&service, &mut dice, &young, walk, 0, AT_ONCE).await?;
            rows.push(row(attack, "just proved", count, learned, BAR));
            let older = service.older_phones(count).await?;
            let learned = sweep(&service, &mut dice, &older, walk, count, AT_ONCE).await?;
            rows.push(row(attack, "of a week", count, learned, BAR));
        }
        let regular = service.regular_phones(count, REGULAR_DAYS).await?;
        let learned = sweep(&service, &mut dice, &regular, Walk::AtRandom, 0, AT_ONCE).await?;
        let figure = format!("the same of {count} accounts that asked daily for two weeks before");
        rows.push(Row::shown("random", figure, grouped(learned)));
        let young = service.young_phones(count).await?;
        let learned = sweep(&service, &mut dice, &young, Walk::AtRandom, 0, AT_ONCE_MAX).await?;
        rows.push(row("in batches", "just proved, 1,000 numbers a request,", count, learned, BAR));
        let refused = service.refused(&mut dice).await?;
        let figure = "honest phones refused afterwards (10 new handles each)";
        rows.push(Row::at_most("sweeps", figure, refused, 0));
        rows.extend(leaked_list::play(run, &mut dice, &mut service).await?);
        service.site.stop().await?;
        Ok(rows)
    })
}

fn row(attack: &'static str, accounts: &str, count: u64, learned: u64, bar: u64) -> Row {
    let figure = format!(
        "5 % density (service at 30 %): median of {count} accounts {accounts} until flagged"
    );
    Row::at_most(attack, figure, learned, bar)
}

/// What the account in the middle learns. Those that ask in order begin with the block number `first`.
async fn sweep(
    service: &Service,
    dice: &mut Dice,
    phones: &[Phone],
    walk: Walk,
    first: u64,
    at_once: usize,
) -> anyhow::Result<u64> {
    let mut learned = Vec::new();
    for (own_block, phone) in (first..).zip(phones) {
        let numbers = (0..BLOCK).map(|place| match walk {
            Walk::InOrder => service::swept(own_block, place),
            Walk::AtRandom => service::swept(dice.below(service.blocks), dice.below(BLOCK)),
        });
        let asked = service.ask_until_refused(phone, numbers, at_once, ENOUGH).await?;
        learned.push(asked.0);
    }
    Ok(median(&mut learned))
}
