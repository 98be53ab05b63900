//! Somebody earns money with each text message to some numbers, and makes the service send them.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    api::Sent,
    numbers,
    run::Run,
    site::Site,
    table::{Row, grouped},
};

const ATTACK: &str = "toll fraud";
const HOUR: Duration = Duration::from_secs(3600);
/// Numbers of premium, satellite and international networks.
const DENIED: [&str; 10] = [
    "+19005550123",
    "+870773123456",
    "+87812345678901",
    "+881612345678",
    "+882161234567",
    "+883510012345",
    "+88821612345678",
    "+979123456789",
    "+449098790123",
    "+499001234567",
];
/// The bar for one /48.
const SITE_BAR: u64 = 2_000;
/// Requests under way at once.
const AT_ONCE: usize = 16;

/// Plays the fraud with denied numbers, and with allowed ones from one /48.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    run.block_on(async {
        let site = Site::start(&[], |_| {}).await?;
        let denied = denied(&site).await?;
        let [burst, day] = one_site(&site, run.of(2_300, 4_000), run.of(8, 24)).await?;
        let sent = grouped(burst);
        site.stop().await?;
        Ok(vec![
            Row::at_most(ATTACK, "messages to denied countries and premium numbers", denied, 0),
            Row::at_most(ATTACK, "messages by one /48 in 24 hours", day, SITE_BAR),
            Row::shown(ATTACK, "of these, without a pause", sent),
        ])
    })
}

/// How many messages go to denied numbers, from networks and accounts that have asked for nothing else.
async fn denied(site: &Site) -> anyhow::Result<u64> {
    for (at, number) in DENIED.iter().enumerate() {
        let at = at as u64;
        let phone = site.api.sign_up(numbers::ipv4(at)).await?;
        site.api.claim(&phone, number).await?;
        site.api.prove(&phone, &numbers::number(2_000 + at, at)).await?;
        site.api.claim(&phone, number).await?;
        site.api.deregister(number, numbers::ipv4(100 + at)).await?;
    }
    let is_denied = |message: &&Sent| DENIED.contains(&message.to.as_str());
    Ok(site.api.messages()?.iter().filter(is_denied).count() as u64)
}

/// How many messages one /48 causes in a burst, and in a day: with 200 of its /64s, each time to another person.
async fn one_site(site: &Site, requests: u64, hours: u64) -> anyhow::Result<[u64; 2]> {
    let before = site.api.messages()?.len() as u64;
    let mut phones = Vec::new();
    for at in 0..40 {
        phones.push(site.api.sign_up(numbers::ipv6(7, at)).await?);
    }
    let phones = &phones;
    let ask = |at: u64| async move {
        // Persons in two countries, so that no limit of a country hides that of the network.
        let number = match at % 2 {
            0 => numbers::number(300_000 + at, at),
            _ => format!("+44770090{:04}", at / 2),
        };
        match at % 4 {
            0 => site.api.claim(&phones[(at / 4) as usize % phones.len()], &number).await,
            _ => site.api.deregister(&number, numbers::ipv6(7, at % 200)).await,
        }
    };
    let flood = |from: u64, to: u64| async move {
        let asked = stream::iter(from..to).map(ask).buffer_unordered(AT_ONCE);
        asked.try_for_each(|_| async { Ok(()) }).await
    };
    flood(0, requests).await?;
    let burst = site.api.messages()?.len() as u64 - before;
    for hour in 0..hours {
        site.pass(24 * HOUR / u32::try_from(hours + 1)?);
        let from = requests + hour * 200;
        flood(from, from + 200).await?;
    }
    Ok([burst, site.api.messages()?.len() as u64 - before])
}
