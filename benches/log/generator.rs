//! Traffic: requests at random instants of an hour, and the records that the server would make of them.
//!
//! Assumed: 92 of 100 requests are look-ups of one handle, nearly 8 are groups of 2 to 12, one in a thousand is an
//! address book of 200. In an hour of ten million records the busiest device asks some hundred times and the median one
//! once; of twenty million handles more than half are not asked for at all, most of the others once, two thousand more
//! than a hundred times. Six requests in a thousand are refused for their rate, two for their token; three handles in a
//! thousand are none. One record in 2,500 is a registry change, mostly of handles that go back and forth. Request ids
//! are counted as [`RequestId::next`] does, from where the seed says; three in a hundred go to requests that leave no
//! record.

use std::time::Duration;

use dispatchd::{
    clock::{Hour, Timestamp},
    handle::Handle,
    ids::{ChangeId, RequestId},
    query_log::{Cause, ChangeKind, ChangeRecord, LogRow, LookupRecord, Reason, Record, Route},
};

use crate::{
    Amounts, HOURS,
    population::{Asker, Population, Random, scramble},
};

/// Records of one request on average, by the shares above.
const RECORDS_PER_REQUEST: f64 = 1.67;
const RECORDS_PER_CHANGE: u64 = 2_500;
const ADDRESS_BOOK: u64 = 200;
/// So long after its hour a segment may be sealed: the next hour begins then, so that each is sealed before.
pub(crate) const PAUSE: Duration = Duration::from_secs(61);

/// One hour of requests.
pub(crate) struct Traffic<'a> {
    population: &'a Population,
    random: Random,
    end: Timestamp,
    at: f64,
    gap_us: f64,
    left: u64,
    until_change: u64,
    count: u64,
    took_us: Vec<u32>,
    /// Of each record of the last request, the rank of its handle, if it has one.
    pub(crate) ranks: Vec<Option<u64>>,
}

impl<'a> Traffic<'a> {
    /// The hour with a number: `records` of them.
    pub(crate) fn new(
        population: &'a Population,
        (seed, number): (u64, u32),
        hour: Hour,
        records: u64,
    ) -> Self {
        let mut random = Random(scramble(seed.wrapping_add(u64::from(number))));
        let start = hour.start().plus(PAUSE);
        let span_us = hour.end().since(start).as_micros() as f64;
        let requests = records as f64 / RECORDS_PER_REQUEST;
        let took_us = took(&mut random);
        // Each hour goes on where the one before may have ended at the latest.
        let count = scramble(seed).wrapping_add(u64::from(number) * records * 2);
        Self {
            population,
            random,
            end: hour.end().minus(Duration::from_millis(1)),
            at: start.as_micros() as f64,
            // A little denser than the hour, since it must not overflow.
            gap_us: span_us / requests * 0.96,
            left: records,
            until_change: RECORDS_PER_CHANGE,
            count,
            took_us,
            ranks: Vec::new(),
        }
    }

    /// The records of the next request, and when it arrives. None when the hour is over.
    pub(crate) fn next_request(&mut self, records: &mut Vec<Record>) -> Option<Timestamp> {
        records.clear();
        self.ranks.clear();
        if self.left == 0 {
            return None;
        }
        self.at -= self.gap_us * (1.0 - self.random.unit()).ln();
        let at = Timestamp::from_micros(self.at as u64).min(self.end);
        if self.until_change == 0 {
            self.until_change = RECORDS_PER_CHANGE;
            records.push(Record::Change(self.change(at)));
        } else {
            self.lookups(at, records);
        }
        records.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= records.len() as u64;
        self.until_change = self.until_change.saturating_sub(records.len() as u64);
        Some(at)
    }

    fn lookups(&mut self, at: Timestamp, records: &mut Vec<Record>) {
        let random = &mut self.random;
        let count = match random.below(1_000) {
            0 => ADDRESS_BOOK,
            1..80 => 2 + random.below(11),
            _ => 1,
        };
        self.count = self.count.wrapping_add(1 + u64::from(random.below(100) < 3));
        let request = RequestId::from_count(self.count);
        let asker = self.population.draw_asker(random);
        let refused = match random.below(1_000) {
            0..6 => Some((Reason::RateLimited, 429)),
            6..8 => Some((Reason::TokenInvalid, 401)),
            _ => None,
        };
        let took_us = self.took_us[random.below(self.took_us.len() as u64) as usize];
        let minute = at.as_secs() / 60;
        for place in 0..count {
            let rank = self.population.draw_handle(&mut self.random);
            let invalid = self.random.below(1_000) < 3;
            // A handle takes a third of a microsecond.
            let took_us = took_us + (place / 3) as u32;
            let (route, reason, status) = match refused {
                Some((reason, status)) => (None, reason, status),
                None if invalid => (None, Reason::HandleInvalid, 400),
                None => {
                    let (route, reason) = self.population.verdict(rank, minute);
                    (Some(route), reason, 200)
                }
            };
            let rank = (reason != Reason::HandleInvalid).then_some(rank);
            let handle = rank.map(|rank| self.population.handle(rank));
            self.ranks.push(rank);
            let of = lookup(request, asker, handle, (route, reason, status), took_us);
            records.push(Record::Lookup(of));
        }
    }

    fn change(&mut self, at: Timestamp) -> ChangeRecord {
        let id = ChangeId::from_bits(self.random.next());
        let rank = self.population.draw_flipping(&mut self.random);
        let owner = self.population.owner(rank);
        let (device, account) = (Some(owner.device), Some(owner.account));
        if self.random.below(10) < 3 {
            self.ranks.push(None);
            let (change, cause) = (ChangeKind::DeviceRegistered, Cause::SignUp);
            return ChangeRecord { id, change, handle: None, device, account, cause };
        }
        self.ranks.push(Some(rank));
        let handle = Some(self.population.handle(rank));
        let (change, cause) = match self.population.verdict(rank, at.as_secs() / 60).0 {
            Route::Imessage => (ChangeKind::HandleBound, Cause::Proof),
            Route::Sms | Route::None => (ChangeKind::LeaseExpired, Cause::Silence),
        };
        ChangeRecord { id, change, handle, device, account, cause }
    }
}

fn lookup(
    request: RequestId,
    asker: Asker,
    handle: Option<Handle>,
    (route, reason, status): (Option<Route>, Reason, u16),
    took_us: u32,
) -> LookupRecord {
    let known = reason != Reason::TokenInvalid;
    LookupRecord {
        request,
        account: known.then_some(asker.account),
        device: known.then_some(asker.device),
        ip: Some(asker.ip),
        handle,
        route,
        reason,
        status,
        took_us,
    }
}

/// Microseconds by a log-normal law with median 40 and sigma 0.5, drawn once (Box and Muller).
fn took(random: &mut Random) -> Vec<u32> {
    let mut draw = || {
        let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * random.unit()).cos();
        (40.0 * (0.5 * normal).exp()) as u32
    };
    (0..4_096).map(|_| draw()).collect()
}

/// Rows handed over at once.
const CHUNK: usize = 10_000;

/// Hands over the first `most` rows of all hours as the log has them, each later than the one before; never those of two
/// hours at once. Says how many there were.
pub(crate) fn rows(
    amounts: &Amounts,
    most: u64,
    mut each: impl FnMut(u32, &[LogRow]) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let population = Population::new(amounts.seed, amounts.per_hour());
    let (mut records, mut chunk, mut given) = (Vec::new(), Vec::new(), 0);
    for number in 0..HOURS {
        let (hour, of) = (amounts.hour(number), (amounts.seed, number));
        let wanted = amounts.per_hour().min(most - given);
        let mut traffic = Traffic::new(&population, of, hour, amounts.per_hour());
        let (mut last, mut left) = (Timestamp::EPOCH, wanted);
        while left > 0
            && let Some(at) = traffic.next_request(&mut records)
        {
            let mut at = at.max(last.plus(Duration::from_micros(1)));
            for record in records.drain(..).take(usize::try_from(left)?) {
                chunk.push(LogRow { at, record });
                left -= 1;
                last = at;
                at = at.plus(Duration::from_micros(1));
            }
            if chunk.len() >= CHUNK || left == 0 {
                each(number, &chunk)?;
                chunk.clear();
            }
        }
        given += wanted;
    }
    Ok(given)
}
