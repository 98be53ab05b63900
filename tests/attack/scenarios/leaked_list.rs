//! Accounts of a week that check a leaked list: half of its numbers are on the service, where people reach 30 % of their contacts.

use super::service::{self, Service};
use crate::{
    dice::Dice,
    run::Run,
    table::{Row, grouped, median},
};

const ATTACK: &str = "leaked list";
/// No account asks for more.
const ENOUGH: u64 = 12_000;
const AT_ONCE: usize = 100;

/// How much each account learns at once.
pub(super) async fn play(
    run: &Run,
    dice: &mut Dice,
    service: &mut Service,
) -> anyhow::Result<Vec<Row>> {
    let (mut learned, mut hits) = (Vec::new(), Vec::new());
    for phone in service.older_phones(run.of(3, 21)).await? {
        let list = service::leaked(dice.below(1_000_000), dice);
        let asked = service.ask_until_refused(&phone, list, AT_ONCE, ENOUGH).await?;
        learned.push(asked.0);
        hits.push(asked.1);
    }
    let figure = "50 % live (service at 30 %): new handles until refused, median";
    let confirmed = "numbers of it that were confirmed, median";
    Ok(vec![
        Row::shown(ATTACK, figure, grouped(median(&mut learned))),
        Row::shown(ATTACK, confirmed, grouped(median(&mut hits))),
    ])
}
