//! Strangers make the service send codes to one person: in every spelling of the number or address, for both purposes, from many
//! networks, with and without accounts.

use std::time::Duration;

use crate::{
    api::{Phone, Sent},
    numbers,
    run::Run,
    site::Site,
    table::Row,
};

const ATTACK: &str = "bombing";
const HOUR: Duration = Duration::from_secs(3600);
const BAR: u64 = 10;
/// Both spellings of a subscriber number.
const NUMBER: [&str; 2] = ["+5491123456789", "+541123456789"];
/// Addresses whose mail one person reads.
const ADDRESSES: [&str; 4] =
    ["victim@gmail.com", "v.ictim@gmail.com", "victim+1@gmail.com", "v.i.c.t.i.m+2@googlemail.com"];

/// The most messages that reach the person in 24 hours.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    run.block_on(async {
        let site = Site::start(&[], |_| {}).await?;
        let mut phones = Vec::new();
        for at in 0..run.of(20, 100) {
            let phone = site.api.sign_up(numbers::ipv4(at)).await?;
            // Half of them have a proof.
            if at % 2 == 0 {
                site.api.prove(&phone, &numbers::number(1_000 + at, at)).await?;
            }
            phones.push(phone);
        }
        let before = site.api.messages()?.len();
        let hours = run.of(30, 24 * 7);
        for hour in 0..hours {
            flood(&site, &phones, hour).await?;
            site.pass(HOUR);
        }
        let sent = site.api.messages()?.split_off(before);
        site.stop().await?;
        let row = |what, handles: &[&str]| {
            let figure = format!("messages to one person in 24 hours, by {what}");
            Row::at_most(ATTACK, figure, most_in_a_day(&sent, handles), BAR)
        };
        Ok(vec![row("text", &NUMBER), row("mail", &ADDRESSES)])
    })
}

/// Every phone and as many networks try each hour. In the first hour they try several times.
async fn flood(site: &Site, phones: &[Phone], hour: u64) -> anyhow::Result<()> {
    let spellings = NUMBER.iter().chain(&ADDRESSES);
    for _ in 0..if hour == 0 { 3 } else { 1 } {
        for (at, handle) in spellings.clone().enumerate() {
            for turn in 0..if hour == 0 { phones.len() } else { 2 } {
                let turn = turn + at + 2 * hour as usize;
                site.api.claim(&phones[turn % phones.len()], handle).await?;
                site.api.deregister(handle, numbers::ipv4(10_000 + turn as u64 % 100)).await?;
            }
        }
        site.pass(Duration::from_secs(61));
    }
    Ok(())
}

/// The most messages to any of the handles within 24 hours.
fn most_in_a_day(sent: &[Sent], handles: &[&str]) -> u64 {
    let to_them = sent.iter().filter(|message| handles.contains(&message.to.as_str()));
    let seconds: Vec<_> = to_them.map(Sent::second).collect();
    let within = |from: u64| {
        let day = from..from + 24 * 3600;
        seconds.iter().filter(|at| day.contains(at)).count() as u64
    };
    seconds.iter().map(|from| within(*from)).max().unwrap_or(0)
}
