//! One IPv4 address signs up as many accounts as it may, proves nothing, and asks with each of them.

use std::{net::IpAddr, time::Duration};

use dispatchd::ids::AccountId;

use crate::{
    core::{Account, Core},
    numbers,
    run::Run,
    table::Row,
};

const ATTACK: &str = "one address";
const HOUR: Duration = Duration::from_secs(3600);
const BAR: u64 = 20_000;
/// The scenario ends once this much was learned.
const ENOUGH: u64 = 10 * BAR;
const BATCH: usize = 50;

/// What the address learns in the worst 24 hours of two days.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    let (mut dice, ip) = (run.dice(2), numbers::ipv4(1));
    let mut core = Core::new();
    let (mut accounts, mut by_hour): (Vec<Account>, Vec<u64>) = (Vec::new(), Vec::new());
    for _ in 0..48 {
        sign_up_all(&core, ip, &mut accounts);
        let mut learned = 0;
        for account in &accounts {
            // Account by account, until one gets nothing.
            let before = learned;
            let mut ask = |size| {
                let number = || (numbers::handle(&numbers::anywhere(&mut dice)), false);
                let handles: Vec<_> = std::iter::repeat_with(number).take(size).collect();
                core.ask(*account, &handles).is_ok()
            };
            for size in [BATCH, 1] {
                while learned < ENOUGH && ask(size) {
                    learned += size as u64;
                }
            }
            if learned == before && accounts.len() > 1_000 {
                break;
            }
        }
        by_hour.push(learned);
        if learned >= ENOUGH {
            break;
        }
        core.pass(HOUR);
    }
    let worst = by_hour.windows(24.min(by_hour.len())).map(|day| day.iter().sum::<u64>()).max();
    let figure = "one IPv4 without proofs: handles learned a day (stops at 200,000)";
    Ok(vec![
        Row::at_most(ATTACK, figure, worst.unwrap_or(0), BAR),
        Row::shown(ATTACK, "accounts that it signed up", accounts.len().to_string()),
    ])
}

fn sign_up_all(core: &Core, ip: IpAddr, accounts: &mut Vec<Account>) {
    while core.quota.charge_sign_up(ip, false).is_ok() {
        let id = AccountId::from_bits(1 + accounts.len() as u64);
        accounts.push(Account { id, proven_since: None, ip });
    }
}
