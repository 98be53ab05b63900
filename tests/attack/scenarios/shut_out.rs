//! Strangers with 100 networks and 100 fresh accounts use up the codes of one number, so that its owner gets none.

use std::time::Duration;

use crate::{api::Phone, numbers, run::Run, site::Site, table::Row};

const ATTACK: &str = "shut out";
const HOUR: Duration = Duration::from_secs(3600);
const STRANGERS: u64 = 100;
/// Networks and accounts of the strangers that ask in an hour.
const EACH_HOUR: u64 = 4;
const NUMBER: &str = "+14155550123";

/// Who needs a code while the strangers ask for them, and how often one was refused.
struct Owner {
    who: &'static str,
    /// Whether the bar speaks of this owner.
    counts: bool,
    tries: u64,
    refused: u64,
    limits: Vec<String>,
}

impl Owner {
    const fn new(who: &'static str, counts: bool) -> Self {
        Self { who, counts, tries: 0, refused: 0, limits: Vec::new() }
    }

    fn note(&mut self, status: u16, limit: &str) {
        self.tries += 1;
        if status != 202 {
            self.refused += 1;
            self.limits.push(limit.to_owned());
            self.limits.dedup();
        }
    }

    fn row(&self) -> Row {
        let figure = format!("100 networks and 100 accounts keep out {}", self.who);
        let got = format!("{} of {} {}", self.refused, self.tries, self.limits.join(","));
        let got = got.trim_end().to_owned();
        match self.counts {
            true => Row::holds(ATTACK, figure, got, "never", self.refused == 0),
            false => Row::shown(ATTACK, figure, got),
        }
    }
}

/// Lets each owner ask once a day.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    run.block_on(async {
        let site = Site::start(&[], |_| {}).await?;
        let mut strangers = Vec::new();
        for at in 0..STRANGERS {
            strangers.push(site.api.sign_up(numbers::ipv4(at)).await?);
        }
        let holder = site.api.sign_up(numbers::ipv4(500)).await?;
        site.api.prove(&holder, NUMBER).await?;
        let other = site.api.sign_up(numbers::ipv4(501)).await?;
        site.api.prove(&other, "owner@example.com").await?;
        let mut owners = [
            Owner::new("a device that held it", true),
            Owner::new("an account with another proof", true),
            Owner::new("a fresh phone without a proof", false),
            Owner::new("the owner without a token", false),
        ];
        site.api.release(&holder, NUMBER).await?;
        for day in 0..run.of(4, 25) {
            for hour in 0..24 {
                ask_all_strangers(&site, &strangers, day * 24 + hour, EACH_HOUR).await?;
                site.pass(HOUR);
            }
            ask_all_strangers(&site, &strangers, day, STRANGERS).await?;
            ask_owners(&site, [&holder, &other], day, &mut owners).await?;
        }
        site.stop().await?;
        Ok(owners.iter().map(Owner::row).collect())
    })
}

/// Some strangers ask for codes to the number, of both kinds.
async fn ask_all_strangers(
    site: &Site,
    strangers: &[Phone],
    turn: u64,
    count: u64,
) -> anyhow::Result<()> {
    for at in 0..count {
        let at = (turn * count + at) % STRANGERS;
        site.api.deregister(NUMBER, numbers::ipv4(1_000 + at)).await?;
        site.api.claim(&strangers[at as usize], NUMBER).await?;
    }
    Ok(())
}

async fn ask_owners(
    site: &Site,
    [holder, other]: [&Phone; 2],
    day: u64,
    owners: &mut [Owner; 4],
) -> anyhow::Result<()> {
    let claimed = site.api.claim(holder, NUMBER).await?;
    owners[0].note(claimed.status, claimed.limit());
    let claimed = site.api.claim(other, NUMBER).await?;
    owners[1].note(claimed.status, claimed.limit());
    let fresh = site.api.sign_up(numbers::ipv4(600 + day)).await?;
    let claimed = site.api.claim(&fresh, NUMBER).await?;
    owners[2].note(claimed.status, claimed.limit());
    let asked = site.api.messages()?.len();
    let reply = site.api.deregister(NUMBER, numbers::ipv4(700 + day)).await?;
    // It may be answered alike whether or not a message goes out.
    let is_sent = site.api.messages()?.len() > asked;
    owners[3].note(if is_sent { reply.status } else { 0 }, reply.limit());
    Ok(())
}
