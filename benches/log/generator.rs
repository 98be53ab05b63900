//! Generates traffic: requests at random instants of an hour, and the records that the server would make of them.
//!
//! Assumptions:
//!
//! - Of 100 requests, 92 look up one handle and nearly 8 look up a group of 2 to 12. One request in 1,000 is an
//!   address book of 200.
//! - In an hour of ten million records, the busiest device asks about a hundred times and the median device once.
//! - Of twenty million handles, more than half get no lookup. Most of the others get one, and two thousand get more than
//!   a hundred.
//! - Of 1,000 requests, the rate limit refuses six, and two have an invalid token. Of 1,000 handles, three are
//!   invalid.
//! - One record in 2,500 is a registry change, mostly of handles whose route changes often.
//! - Request ids follow the time as [`RequestId::next`] makes them, from a start that the seed gives.

use std::time::Duration;

use dispatchd::{
    clock::{Hour, Timestamp},
    handle::Handle,
    ids::{ChangeId, RequestId},
    query_log::{LogRow, LookupRecord, Record},
    vocabulary::{Cause, Change, ChangeKind, ProblemCode, Reason, Route},
};

use crate::{
    Amounts, HOURS,
    population::{Asker, Population, Random, scramble},
};

/// The average number of records of one request, from the shares above.
const RECORDS_PER_REQUEST: f64 = 1.67;
const RECORDS_PER_CHANGE: u64 = 2_500;
const ADDRESS_BOOK: u64 = 200;
/// The server may seal a segment this long after its hour. The next hour's traffic begins then, so the earlier hour
/// is sealed first.
pub(crate) const PAUSE: Duration = Duration::from_secs(61);

/// The requests of one hour.
pub(crate) struct Traffic<'a> {
    population: &'a Population,
    random: Random,
    end: Timestamp,
    at: f64,
    gap_us: f64,
    left: u64,
    until_change: u64,
    /// The place of the ids' start.
    first: u64,
    /// The microsecond of the last id.
    last: u64,
    took_us: Vec<u32>,
    /// The ranks of the handles in the last request, one for each record. `None` if the record has no handle.
    pub(crate) ranks: Vec<Option<u64>>,
}

impl<'a> Traffic<'a> {
    /// The hour with index `number`, which gets `records` records.
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
        Self {
            population,
            random,
            end: hour.end().minus(Duration::from_millis(1)),
            at: start.as_micros() as f64,
            // The requests come 4 % closer together than the hour allows, so that they do not reach its end.
            gap_us: span_us / requests * 0.96,
            left: records,
            until_change: RECORDS_PER_CHANGE,
            first: scramble(seed),
            last: 0,
            took_us,
            ranks: Vec::new(),
        }
    }

    /// Gives the records of the next request and its arrival time. `None` when the hour has no more requests.
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
        self.last = at.as_micros().max(self.last + 1);
        let request = RequestId::from_count(self.first.wrapping_add(self.last));
        let asker = self.population.draw_asker(random);
        let refused = match random.below(1_000) {
            0..6 => Some((Reason::Refused(ProblemCode::RateLimited), 429)),
            6..8 => Some((Reason::Refused(ProblemCode::TokenInvalid), 401)),
            _ => None,
        };
        let took_us = self.took_us[random.below(self.took_us.len() as u64) as usize];
        let minute = at.as_secs() / 60;
        for place in 0..count {
            let rank = self.population.draw_handle(&mut self.random);
            let invalid = self.random.below(1_000) < 3;
            // The server needs a third of a microsecond for each handle.
            let took_us = took_us + (place / 3) as u32;
            let (route, reason, status) = match refused {
                Some((reason, status)) => (None, reason, status),
                None if invalid => (None, Reason::Refused(ProblemCode::HandleInvalid), 400),
                None => {
                    let (route, reason) = self.population.verdict(rank, minute);
                    (Some(route), reason, 200)
                }
            };
            let rank = (reason != Reason::Refused(ProblemCode::HandleInvalid)).then_some(rank);
            let handle = rank.map(|rank| self.population.handle(rank));
            self.ranks.push(rank);
            let of = lookup(request, asker, handle, (route, reason, status), took_us);
            records.push(Record::Lookup(of));
        }
    }

    fn change(&mut self, at: Timestamp) -> Change {
        let id = ChangeId::from_bits(self.random.next());
        let rank = self.population.draw_flipping(&mut self.random);
        let owner = self.population.owner(rank);
        let (device, account) = (Some(owner.device), Some(owner.account));
        if self.random.below(10) < 3 {
            self.ranks.push(None);
            let (change, cause) = (ChangeKind::DeviceRegistered, Cause::SignUp);
            return Change { id, kind: change, handle: None, device, account, cause };
        }
        self.ranks.push(Some(rank));
        let handle = Some(self.population.handle(rank));
        let (change, cause) = match self.population.verdict(rank, at.as_secs() / 60).0 {
            Route::Imessage => (ChangeKind::HandleBound, Cause::Proof),
            Route::Sms | Route::None => (ChangeKind::LeaseExpired, Cause::Silence),
        };
        Change { id, kind: change, handle, device, account, cause }
    }
}

fn lookup(
    request: RequestId,
    asker: Asker,
    handle: Option<Handle>,
    (route, reason, status): (Option<Route>, Reason, u16),
    took_us: u32,
) -> LookupRecord {
    let known = reason != Reason::Refused(ProblemCode::TokenInvalid);
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

/// 4,096 response times in microseconds from a log-normal distribution with median 40 and sigma 0.5 (Box-Muller).
/// Requests pick from them.
fn took(random: &mut Random) -> Vec<u32> {
    let mut draw = || {
        let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * random.unit()).cos();
        (40.0 * (0.5 * normal).exp()) as u32
    };
    (0..4_096).map(|_| draw()).collect()
}

/// Rows in one call of `each`.
const CHUNK: usize = 10_000;

/// Calls `each` with the first `most` rows of all hours, in chunks. Timestamps increase strictly, as in the log.
///
/// A chunk has rows of one hour only. Returns how many rows there were.
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
