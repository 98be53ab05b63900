//! A service of which 30 % of all contacts are reached, with honest phones that have asked for their address books.

use std::time::Duration;

use crate::{
    api::Phone,
    dice::{Dice, mixed},
    numbers::{self, BLOCK},
    people::Person,
    site::Site,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The share of all contacts that are on the service, in percent.
const HITS_PERCENT: u64 = 30;
/// The same in the blocks that are swept.
const SWEPT_HITS_PERCENT: u64 = 5;
/// The numbers that honest phones ask for.
const KNOWN: u64 = 40_000;
/// The blocks that are swept. Honest phones do not ask for them.
const SWEPT_FROM: u64 = 88_000;
/// The blocks of the phones' own numbers.
const OWN_FROM: u64 = 99_000;
/// Handles of an address book that these phones ask for: enough for a sample of the detector, and not too many for a short run.
const BOOK: (u64, u64) = (80, 400);
const BATCH: usize = 250;

pub(super) struct Service {
    pub(super) site: Site,
    /// Blocks that may be swept.
    pub(super) blocks: u64,
    honest: Vec<Phone>,
    phones: u64,
}

/// A known number.
fn known(at: u64) -> (String, bool) {
    let at = at % KNOWN;
    (numbers::known(at), mixed(at ^ 0x5EED) % 100 < HITS_PERCENT)
}

/// A number of a block that may be swept.
pub(super) fn swept(block: u64, place: u64) -> String {
    numbers::number(SWEPT_FROM + block, place)
}

/// Known numbers, of which half are on the service, beginning at the given one.
pub(super) fn leaked(from: u64, dice: &mut Dice) -> impl Iterator<Item = String> {
    let of_kind = move |is_live| {
        let all = (from..from + KNOWN).map(known);
        all.filter(move |(_, live)| *live == is_live).map(|(number, _)| number)
    };
    let (mut live, mut dead) = (of_kind(true), of_kind(false));
    let mut dice = dice.fork(from);
    std::iter::from_fn(move || if dice.chance(0.5) { live.next() } else { dead.next() })
}

impl Service {
    /// Starts the service. `phones` honest phones have asked; `blocks` may be swept.
    pub(super) async fn start(dice: &mut Dice, phones: u64, blocks: u64) -> anyhow::Result<Self> {
        let mut live: Vec<String> = (0..KNOWN)
            .map(known)
            .filter(|(_, is_live)| *is_live)
            .map(|(number, _)| number)
            .collect();
        let of_blocks = (0..blocks * BLOCK).filter(|at| mixed(*at) % 100 < SWEPT_HITS_PERCENT);
        live.extend(of_blocks.map(|at| swept(at / BLOCK, at % BLOCK)));
        live.sort();
        live.dedup();
        let site = Site::start(&live, |_| {}).await?;
        let mut service = Self { site, blocks, honest: Vec::new(), phones: 0 };
        service.honest = service.older_phones(phones).await?;
        for at in 0..service.honest.len() {
            let book = Person::new(dice, 0.3, 12.0).book.clamp(BOOK.0, BOOK.1);
            service.ask_honestly(dice, at, book).await?;
        }
        service.site.pass(DAY);
        // What was asked on former days counts from now on.
        service.refused(dice).await?;
        Ok(service)
    }

    /// Phones that have proved a number more than a week ago.
    pub(super) async fn older_phones(&mut self, count: u64) -> anyhow::Result<Vec<Phone>> {
        let phones = self.young_phones(count).await?;
        self.site.pass(8 * DAY);
        Ok(phones)
    }

    /// Phones that have proved a number and then asked for one known number on each of so many days.
    pub(super) async fn regular_phones(
        &mut self,
        count: u64,
        days: u64,
    ) -> anyhow::Result<Vec<Phone>> {
        let phones = self.young_phones(count).await?;
        for day in 0..days {
            for phone in &phones {
                self.site.api.lookup(phone, &[known(day).0]).await?;
            }
            self.site.pass(DAY);
        }
        Ok(phones)
    }

    /// Phones that have just proved a number.
    pub(super) async fn young_phones(&mut self, count: u64) -> anyhow::Result<Vec<Phone>> {
        let mut phones = Vec::new();
        for _ in 0..count {
            self.phones += 1;
            let phone = self.site.api.sign_up(numbers::ipv4(self.phones)).await?;
            let own = numbers::number(OWN_FROM + self.phones, self.phones);
            self.site.api.prove(&phone, &own).await?;
            phones.push(phone);
        }
        Ok(phones)
    }

    /// Lets an honest phone ask for known numbers. Returns whether all were answered.
    async fn ask_honestly(&self, dice: &mut Dice, at: usize, count: u64) -> anyhow::Result<bool> {
        let asked: Vec<_> = (0..count).map(|_| known(dice.below(KNOWN)).0).collect();
        for batch in asked.chunks(BATCH) {
            let reply = self.site.api.lookup(&self.honest[at], batch).await?;
            if reply.status != 200 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets all honest phones ask for some new numbers. Returns how many were refused.
    pub(super) async fn refused(&self, dice: &mut Dice) -> anyhow::Result<u64> {
        let mut refused = 0;
        for at in 0..self.honest.len() {
            refused += u64::from(!self.ask_honestly(dice, at, 10).await?);
        }
        Ok(refused)
    }

    /// Asks for numbers, some at a time, until a refusal or up to `most`. Returns how many were answered, and how many of them are on
    /// the service.
    pub(super) async fn ask_until_refused(
        &self,
        phone: &Phone,
        numbers: impl Iterator<Item = String>,
        at_once: usize,
        most: u64,
    ) -> anyhow::Result<(u64, u64)> {
        let (mut answered, mut hits) = (0, 0);
        let mut numbers = numbers.peekable();
        while answered < most && numbers.peek().is_some() {
            let batch: Vec<_> = numbers.by_ref().take(at_once).collect();
            let reply = self.site.api.lookup(phone, &batch).await?;
            if reply.status != 200 {
                break;
            }
            answered += batch.len() as u64;
            hits += reply.hits() as u64;
        }
        Ok((answered, hits))
    }
}
