//! A town: honest people behind one address who ask each day, among others for each other.

use std::time::Duration;

use dispatchd::{clock::Timestamp, handle::Handle, ids::AccountId, vocabulary::QuotaLimit};

use crate::{
    core::{Account, Core},
    dice::Dice,
    numbers,
    people::Person,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Numbers in a batch of an import.
const BATCH: usize = 250;
/// The share of accounts that are new, each day: 3 % a month.
const NEW_A_DAY: f64 = 0.03 / 30.0;
/// The share of accounts that get a new phone, which asks for the whole address book again: every other year.
const NEW_PHONES_A_DAY: f64 = 1.0 / 730.0;
/// The share of accounts that never prove a handle.
const UNPROVEN: f64 = 0.02;
/// The share of new people who ask for some handles before they prove theirs.
const ASK_FIRST: f64 = 0.5;
/// The share of contacts who live in the town.
const LOCAL: f64 = 0.5;
/// Somebody who is blocked again within so many days is the same case.
const SAME_CASE_DAYS: u64 = 7;
/// When the people of the first day proved a handle: long ago.
const SETTLED: Timestamp = Timestamp::from_secs(1_700_000_000);

/// What the people of a town noticed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noticed {
    pub(super) account_days: u64,
    /// Account-days on which something was refused.
    pub(super) blocked_days: u64,
    /// Accounts that were blocked, each counted once in some days.
    pub(super) accounts: u64,
    /// Of these, those that asked for an address book, or for more than they may.
    pub(super) importing: u64,
    /// Of these, those without a proof.
    pub(super) unproven: u64,
    /// Of these, those that were flagged.
    pub(super) flagged: u64,
    /// Of these, those that asked for a number in a block that was swept.
    pub(super) swept: u64,
    /// Of these, those that a limit of the network or of all accounts without a proof refused.
    pub(super) shared: u64,
    /// New handles that were answered.
    pub(super) asked: u64,
}

struct Inhabitant {
    account: Account,
    person: Person,
    /// What the import still wants to ask.
    wanted: u64,
    /// The last day on which something was refused.
    blocked_on: Option<u64>,
}

pub(super) struct Town {
    /// The share of all contacts that are on the service, and how alike people are in this.
    hits: (f64, f64),
    inhabitants: Vec<Inhabitant>,
    accounts: u64,
    /// Days since the town was made.
    day: u64,
    /// The first of the town's blocks, and how many there are.
    blocks: (u64, u64),
    pub(super) noticed: Noticed,
}

impl Town {
    /// A town of people who imported their address books long ago. `hits` are the share of all contacts that are on the service, and
    /// the concentration of people's own shares around it; `density` is the share of the town's numbers that its people hold.
    pub(super) fn new(dice: &mut Dice, people: u64, hits: (f64, f64), density: f64) -> Self {
        let blocks = (people as f64 / (numbers::BLOCK as f64 * density)).ceil() as u64;
        let blocks = (dice.below(100_000), blocks);
        let mut town = Self {
            hits,
            inhabitants: Vec::new(),
            accounts: 0,
            day: 0,
            blocks,
            noticed: Noticed::default(),
        };
        for _ in 0..people {
            let mut settled = town.arrival(dice);
            settled.account.proven_since = (!dice.chance(UNPROVEN)).then_some(SETTLED);
            town.inhabitants.push(settled);
        }
        town
    }

    /// The town's blocks of numbers.
    pub(super) fn blocks(&self) -> impl Iterator<Item = u64> {
        let (first, count) = self.blocks;
        first..first + count
    }

    fn arrival(&mut self, dice: &mut Dice) -> Inhabitant {
        self.accounts += 1;
        let id = AccountId::from_bits(self.accounts);
        let account = Account { id, proven_since: None, ip: numbers::ipv4(self.blocks.0) };
        Inhabitant {
            account,
            person: Person::new(dice, self.hits.0, self.hits.1),
            wanted: 0,
            blocked_on: None,
        }
    }

    /// Lets some days pass.
    pub(super) fn live(&mut self, core: &mut Core, dice: &mut Dice, days: u64) {
        for _ in 0..days {
            for at in 0..self.inhabitants.len() {
                self.live_a_day(core, dice, at);
            }
            core.pass(DAY);
            self.day += 1;
        }
    }

    fn live_a_day(&mut self, core: &mut Core, dice: &mut Dice, at: usize) {
        let (mut first, mut wanted) = (0, 0);
        if dice.chance(NEW_A_DAY) {
            self.inhabitants[at] = self.arrival(dice);
            wanted = self.inhabitants[at].person.book;
            first = if dice.chance(ASK_FIRST) { 8 } else { 0 };
        } else if dice.chance(NEW_PHONES_A_DAY) {
            wanted = self.inhabitants[at].person.book;
        }
        self.noticed.account_days += 1;
        let was_refused = self.ask(core, dice, at, first);
        let inhabitant = &mut self.inhabitants[at];
        if wanted > 0 && inhabitant.account.proven_since.is_none() && !dice.chance(UNPROVEN) {
            inhabitant.account.proven_since = Some(core.now());
        }
        // Without a proof there is no import.
        if inhabitant.account.proven_since.is_some() {
            inhabitant.wanted += wanted;
        }
        let today = inhabitant.person.asks_today(dice);
        let chats = self.ask(core, dice, at, today);
        let refused = was_refused.or(chats).or_else(|| self.import(core, dice, at));
        if let Some(limit) = refused {
            self.note(core, at, limit);
        }
    }

    fn note(&mut self, core: &mut Core, at: usize, limit: QuotaLimit) {
        let inhabitant = &mut self.inhabitants[at];
        let (account, noticed) = (&mut inhabitant.account, &mut self.noticed);
        noticed.blocked_days += 1;
        let before = inhabitant.blocked_on.replace(self.day);
        if before.is_none_or(|before| before + SAME_CASE_DAYS < self.day) {
            noticed.accounts += 1;
            *match limit {
                QuotaLimit::Flagged => &mut noticed.flagged,
                QuotaLimit::SweptNumbers => &mut noticed.swept,
                QuotaLimit::NewHandles if account.proven_since.is_none() => &mut noticed.unproven,
                QuotaLimit::NewHandles => &mut noticed.importing,
                _ => &mut noticed.shared,
            } += 1;
        }
        if limit == QuotaLimit::Flagged {
            // Whoever learns of the flag proves a handle in the evening. Within seven days of another flag that clears nothing.
            account.proven_since = account.proven_since.or(Some(core.now()));
            core.prove(*account);
        }
    }

    /// Goes on with the import. Returns the limit that stopped it.
    fn import(&mut self, core: &mut Core, dice: &mut Dice, at: usize) -> Option<QuotaLimit> {
        let mut size = BATCH as u64;
        let mut refused = None;
        while self.inhabitants[at].wanted > 0 && size > 0 {
            let now = self.inhabitants[at].wanted.min(size);
            match self.ask(core, dice, at, now) {
                None => self.inhabitants[at].wanted -= now,
                limit => {
                    refused = limit;
                    size = now / 2;
                }
            }
        }
        refused
    }

    /// Asks for this number of new handles in one request. Returns the limit that was exceeded.
    fn ask(
        &mut self,
        core: &mut Core,
        dice: &mut Dice,
        at: usize,
        count: u64,
    ) -> Option<QuotaLimit> {
        if count == 0 {
            return None;
        }
        let (first, blocks) = self.blocks;
        let inhabitant = &self.inhabitants[at];
        let contact = |dice: &mut Dice| -> (Handle, bool) {
            let number = if dice.chance(LOCAL) {
                numbers::number(first + dice.below(blocks), dice.below(numbers::BLOCK))
            } else {
                numbers::anywhere(dice)
            };
            (numbers::handle(&number), inhabitant.person.is_hit(dice))
        };
        let handles: Vec<_> = (0..count).map(|_| contact(dice)).collect();
        let asked = core.ask(inhabitant.account, &handles);
        self.noticed.asked += if asked.is_ok() { count } else { 0 };
        asked.err()
    }
}
