//! Parts in memory, random rows, and a plain list as the model.

use std::{io, net::IpAddr, ops::Range, sync::Arc};

use bytes::Bytes;
use proptest::{option, prelude::*, sample::select};

use crate::{
    clock::{Hour, Timestamp},
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    query_log::{
        Filter, Kind, LogRow, LookupRecord, Order, Record, RefusalCount,
        record::{Client, EachRow},
        segment::{
            PartError, PartSink, PartSource, Sealed, SliceRequest, WriteOptions,
            time_slice::TimeSlice, write, writer::Written,
        },
        segment_error::{SealError, SegmentError},
    },
    vocabulary::{Cause, Change, ChangeKind, ProblemCode, Reason, Route},
};

pub(super) const HOUR: Hour = Hour::from_number(498_728);
pub(super) const SEED: u64 = 7;

#[derive(Clone)]
pub(super) struct Parts {
    pub(super) parts: Vec<Vec<u8>>,
    /// The unreadable bytes of a part.
    pub(super) damaged: Option<(usize, Range<u64>)>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { parts: vec![Vec::new()], damaged: None }
    }
}

impl io::Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Short writes, as a sink may make them.
        let written = bytes.len().min(1_000);
        self.parts.last_mut().unwrap().extend_from_slice(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PartSink for Parts {
    fn begin_part(&mut self) -> io::Result<()> {
        self.parts.push(Vec::new());
        Ok(())
    }
}

impl PartSource for Parts {
    fn part_bytes(&self, part: usize) -> u64 {
        self.parts.get(part).map_or(0, |part| part.len() as u64)
    }

    fn read(&self, part: usize, range: Range<u64>) -> Result<Bytes, PartError> {
        if let Some((damaged, place)) = &self.damaged
            && *damaged == part
            && range.start < place.end
            && place.start < range.end
        {
            return Err(PartError::Damaged);
        }
        let range = range.start as usize..range.end as usize;
        let part = self.parts.get(part).ok_or(PartError::Damaged)?;
        part.get(range).map(Bytes::copy_from_slice).ok_or(PartError::Damaged)
    }
}

impl Parts {
    pub(super) fn open(&self) -> Result<Sealed, SegmentError> {
        Sealed::open(Arc::new(self.clone()), HOUR)
    }
}

/// A source of rows in memory; it counts passes.
pub(super) struct Given<'a> {
    pub(super) rows: &'a [LogRow],
    pub(super) passes: usize,
}

impl Given<'_> {
    pub(super) fn for_each_row(&mut self, each: &mut EachRow<'_>) -> Result<(), SealError> {
        self.passes += 1;
        let _ = self.rows.iter().try_for_each(|row| each(&row.into()));
        Ok(())
    }
}

pub(super) fn seal_within(
    rows: &[LogRow],
    rows_max: usize,
    page_rows: usize,
) -> Result<(Parts, Written, usize), SealError> {
    let mut parts = Parts::default();
    let mut given = Given { rows, passes: 0 };
    let options = WriteOptions { rows_max, page_rows, ..WriteOptions::new(SEED, &|| false) };
    let mut source = |each: &mut EachRow<'_>| given.for_each_row(each);
    let written = write(&mut parts, &mut source, HOUR, rows.len() as u64, &options)?;
    Ok((parts, written, given.passes))
}

pub(super) fn seal(rows: &[LogRow], rows_max: usize) -> Parts {
    seal_within(rows, rows_max, 16).unwrap().0
}

pub(super) fn handle(row: &LogRow) -> Option<&Handle> {
    match &row.record {
        Record::Lookup(lookup) => lookup.handle.as_ref(),
        Record::Change(change) => change.handle.as_ref(),
        Record::Refusals(_) => None,
    }
}

/// All slices from one end to the other: their rows, and the damage that they count.
pub(super) fn page_through(
    sealed: &Sealed,
    filter: &Filter,
    order: Order,
    from: Option<Timestamp>,
    rows_max: usize,
) -> (Vec<LogRow>, u64) {
    let (mut all, mut damaged) = (Vec::new(), 0);
    for_each_slice(sealed, filter, order, from, rows_max, |slice| {
        damaged = slice.damaged_rows.max(damaged);
        let before = all.len();
        all.extend(std::iter::from_fn(|| slice.rows.pop()));
        assert!(all.len() > before || !slice.more || damaged > 0, "an empty slice before the end");
    });
    (all, damaged)
}

/// Reads slice after slice to the end, and checks that each one makes progress.
pub(super) fn for_each_slice(
    sealed: &Sealed,
    filter: &Filter,
    order: Order,
    mut from: Option<Timestamp>,
    rows_max: usize,
    mut each: impl FnMut(&mut TimeSlice),
) {
    let mut histogram = None;
    loop {
        let request = SliceRequest { filter, order, from, rows_max, stop: &|| false };
        let mut slice = sealed.time_slice(&request, &mut histogram).unwrap();
        assert!(!slice.stopped);
        each(&mut slice);
        if !slice.more {
            return;
        }
        let is_progress = match order {
            Order::Asc => slice.read_to > from,
            Order::Desc => from.is_none() || slice.read_to < from,
        };
        assert!(is_progress, "a slice without progress");
        from = slice.read_to;
    }
}

/// Whether a row matches, without the code that the reader and [`Filter::matches`] share.
fn is_wanted(filter: &Filter, row: &LogRow) -> bool {
    fn is<T: PartialEq>(wanted: &Option<T>, found: Option<&T>) -> bool {
        wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
    }
    let in_time = filter.since.is_none_or(|since| row.at >= since)
        && filter.until.is_none_or(|until| row.at < until);
    let of_record = match &row.record {
        Record::Lookup(lookup) => {
            filter.kind.is_none_or(|kind| kind == Kind::Lookup)
                && is(&filter.device, lookup.device.as_ref())
                && is(&filter.account, lookup.account.as_ref())
                && is(&filter.route, lookup.route.as_ref())
                && is(&filter.reason, Some(&lookup.reason))
                && filter.ip.is_none_or(|net| lookup.ip.is_some_and(|ip| net.contains(ip)))
        }
        Record::Change(change) => {
            filter.kind.is_none_or(|kind| kind == Kind::Change)
                && (filter.ip.is_none() && filter.route.is_none() && filter.reason.is_none())
                && is(&filter.device, change.device.as_ref())
                && is(&filter.account, change.account.as_ref())
        }
        Record::Refusals(refusals) => {
            filter.kind.is_none_or(|kind| kind == Kind::Refusals)
                && (filter.ip.is_none() && filter.route.is_none())
                && (filter.device.is_none() && filter.account.is_none())
                && is(&filter.reason, Some(&Reason::Refused(refusals.code)))
        }
    };
    let is_wanted = in_time
        && of_record
        && is(&filter.handle, handle(row))
        && !(filter.without_handle && handle(row).is_some());
    assert_eq!(filter.matches(row), is_wanted);
    is_wanted
}

/// The rows that the slices should hold.
pub(super) fn expected(
    rows: &[LogRow],
    filter: &Filter,
    order: Order,
    from: Option<Timestamp>,
) -> Vec<LogRow> {
    let behind = |row: &&LogRow| {
        from.is_none_or(|from| match order {
            Order::Asc => row.at > from,
            Order::Desc => row.at < from,
        })
    };
    let mut found: Vec<_> =
        rows.iter().filter(behind).filter(|row| is_wanted(filter, row)).cloned().collect();
    if order == Order::Desc {
        found.reverse();
    }
    found
}

fn few_handles() -> impl Strategy<Value = Option<Handle>> {
    let text = select(vec![
        "+15550000001",
        "+15550000002",
        "+4915112345678",
        "+999999999999999",
        "+1000000",
        "a@example.com",
        "b@example.com",
        "zoe@example.org",
        "+x@example.org",
    ]);
    // Most rows have one common handle.
    let hot = Just(Some(Handle::from_canonical("+15550000003").unwrap()));
    prop_oneof![
        3 => hot,
        4 => text.prop_map(|text| Handle::from_canonical(text).map(Some).unwrap()),
        2 => (1_000_000u64..1_000_000_000_000_000)
            .prop_map(|number| Handle::from_canonical(&format!("+{number}"))),
        1 => "[a-zé]{1,60}@[a-z]{1,100}\\.example".prop_map(|text| Handle::from_canonical(&text)),
        1 => Just(None),
    ]
}

fn few_ips() -> impl Strategy<Value = Option<IpAddr>> {
    let few =
        select(vec!["192.0.2.1", "192.0.2.200", "198.51.100.7", "2001:db8::1", "2001:db8:9::2"]);
    prop_oneof![4 => few.prop_map(|ip| ip.parse().ok()), 1 => any::<IpAddr>().prop_map(Some), 1 => Just(None)]
}

fn accounts() -> impl Strategy<Value = Option<AccountId>> {
    option::of(prop_oneof![4 => 0..3u64, 1 => any::<u64>()].prop_map(AccountId::from_bits))
}

fn devices() -> impl Strategy<Value = Option<DeviceId>> {
    option::of(prop_oneof![4 => 0..3u64, 1 => any::<u64>()].prop_map(DeviceId::from_bits))
}

prop_compose! {
    fn lookups()(
        request in prop_oneof![(0..500u64).prop_map(|count| RequestId::from_count(count.wrapping_sub(9))),
            any::<u64>().prop_map(RequestId::from_bits)],
        account in accounts(), device in devices(), ip in few_ips(), handle in few_handles(),
        route in option::of(select(Route::ALL)), reason in select(Reason::ALL),
        status in prop_oneof![Just(200u16), any::<u16>()], took_us in prop_oneof![0..900u32, any::<u32>()],
    ) -> Record {
        Record::Lookup(LookupRecord { request, account, device, ip, handle, route, reason, status, took_us })
    }
}

prop_compose! {
    fn changes()(
        id: u64, account in accounts(), device in devices(), handle in few_handles(),
        change in select(ChangeKind::ALL), cause in select(Cause::ALL),
    ) -> Record {
        Record::Change(Change { id: ChangeId::from_bits(id), kind: change, handle, device, account, cause })
    }
}

prop_compose! {
    fn refusals()(code in select(ProblemCode::ALL), count: u64) -> Record {
        Record::Refusals(RefusalCount::new(code, count))
    }
}

/// Rows of [`HOUR`], each later than its predecessor.
pub(super) fn rows(most: usize) -> impl Strategy<Value = Vec<LogRow>> {
    let delta = prop_oneof![5 => 1..3u64, 3 => 1..3_000_000u64];
    let record = prop_oneof![5 => lookups(), 1 => changes(), 1 => refusals()];
    (prop_oneof![Just(0u64), 0..900_000_000u64], prop::collection::vec((delta, record), 0..most))
        .prop_map(|(first, rows)| {
            let mut at = HOUR.start().as_micros() + first;
            let mut placed: Vec<LogRow> = Vec::new();
            for (delta, record) in rows {
                placed.push(LogRow { at: Timestamp::from_micros(at), record });
                at += delta;
            }
            placed.retain(|row| row.at < HOUR.end());
            placed
        })
}

prop_compose! {
    /// Filters with mostly one or two conditions.
    pub(super) fn filters()(
        handle in few_handles(), device in devices(), account in accounts(),
        ip in select(vec!["192.0.2.1", "192.0.2.0/24", "2001:db8::/32", "::/0", "0.0.0.0/0"]),
        route in select(Route::ALL), reason in select(Reason::ALL), kind in select(Kind::ALL),
        since in 0..3_700_000_000u64, until in 0..3_700_000_000u64, wanted in prop::collection::vec(0..10u8, 0..3),
    ) -> Filter {
        let start = HOUR.start().as_micros() - 1_000_000;
        let has = |number: u8| wanted.contains(&number);
        Filter {
            handle: handle.filter(|_| has(0)),
            without_handle: has(9),
            device: device.filter(|_| has(1)),
            account: account.filter(|_| has(2)),
            ip: has(3).then(|| ip.parse().unwrap()),
            route: has(4).then_some(route),
            reason: has(5).then_some(reason),
            kind: has(6).then_some(kind),
            since: has(7).then(|| Timestamp::from_micros(start + since)),
            until: has(8).then(|| Timestamp::from_micros(start + until)),
        }
    }
}

pub(in crate::query_log::segment) fn client() -> impl Strategy<Value = Client> {
    let ip = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(std::net::Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(std::net::Ipv6Addr::from_bits(bits))),
    ];
    let parts = (any::<Option<u64>>(), any::<Option<u64>>(), prop::option::of(ip));
    parts.prop_map(|(account, device, ip)| Client {
        account: account.map(AccountId::from_bits),
        device: device.map(DeviceId::from_bits),
        ip,
    })
}
