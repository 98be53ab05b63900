//! The rows that the writer refuses, and the number of its passes.

use std::cell::Cell;

use super::support::*;
use crate::{
    clock::{Hour, Timestamp},
    handle::Handle,
    ids::RequestId,
    query_log::{
        Filter, LogRow, LookupRecord, Order, Record,
        record::EachRow,
        segment::{Scan, Sealed, SliceRequest, WriteOptions, time_slice::TimeSlice, write},
        segment_error::SealError,
    },
    vocabulary::{ProblemCode, Reason},
};

fn lookup(micros: u64, handle: String) -> LogRow {
    let at = Timestamp::from_micros(HOUR.start().as_micros() + micros);
    let record = Record::Lookup(LookupRecord {
        request: RequestId::from_count(micros),
        account: None,
        device: None,
        ip: None,
        handle: Some(Handle::from_canonical(&handle).unwrap()),
        route: None,
        reason: Reason::Refused(ProblemCode::RateLimited),
        status: 429,
        took_us: 3,
    });
    LogRow { at, record }
}

fn phone(micros: u64, number: u64) -> LogRow {
    lookup(micros, format!("+{}", 10_000_000 + number))
}

#[test]
fn rows_must_be_in_order_and_of_the_hour() {
    let twice = [phone(5, 1), phone(5, 2)];
    let refusal = |rows: &[LogRow]| match seal_within(rows, 9, 4) {
        Err(SealError::Damaged(why)) => why,
        other => panic!("{:?}", other.err()),
    };
    assert_eq!(refusal(&twice), "the rows are not in the order of time");
    let late = [phone(5, 1), phone(3_600_000_000, 2)];
    assert_eq!(refusal(&late), "a row belongs to another hour");
    let parts = seal(&[phone(5, 1)], 9);
    let other = Hour::from_number(HOUR.number() + 1);
    assert!(super::super::Sealed::open(std::sync::Arc::new(parts), other).is_err());
}

#[test]
fn it_stops_when_asked() {
    let rows: Vec<LogRow> = (0..20_000).map(|n| phone(n, n % 7)).collect();
    for patience in 0..4 {
        let asked = Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) >= patience;
        let options = WriteOptions::new(SEED, &stop);
        let mut given = Given { rows: &rows, passes: 0 };
        let mut source = |each: &mut EachRow<'_>| given.for_each_row(each);
        let written = write(&mut Parts::default(), &mut source, HOUR, 20_000, &options);
        assert!(matches!(written, Err(SealError::Stopped)), "after {patience}");
    }
}

#[test]
fn reading_stops_when_asked() {
    let rows: Vec<LogRow> = (0..500).map(|n| phone(n, n)).collect();
    let sealed: Sealed = seal(&rows, 1_000).open().unwrap();
    let filter = Filter::default();
    for patience in 0..70 {
        let asked = Cell::new(0);
        let stop = &|| asked.replace(asked.get() + 1) >= patience;
        let order = Order::Asc;
        let request = SliceRequest { filter: &filter, order, from: None, rows_max: 100, stop };
        let mut slice: TimeSlice = sealed.time_slice(&request, &mut None).unwrap();
        let rows = std::iter::from_fn(|| slice.rows.pop()).count();
        // The slice counts and then reads 32 pages; all their rows have nearly the same instant.
        assert_eq!((slice.stopped, rows), if patience < 64 { (true, 0) } else { (false, 500) });
    }
    let mut scan: Scan = sealed.scan(&filter).stop_when(|| true);
    assert!(scan.next().is_none());
    let digest = sealed.digest(SEED).unwrap();
    assert_eq!(digest.sum.records, 500);
}

#[test]
fn rows_that_change_between_passes_are_not_sealed() {
    let mut rows: Vec<LogRow> = (0..300).map(|n| phone(n, n)).collect();
    let options = WriteOptions { rows_max: 100, ..WriteOptions::new(SEED, &|| false) };
    // Each pass loses a row.
    let mut source = |each: &mut EachRow<'_>| {
        let _ = rows.iter().try_for_each(|row| each(&row.into()));
        rows.pop();
        Ok(())
    };
    let written = write(&mut Parts::default(), &mut source, HOUR, 300, &options);
    let changed = matches!(written, Err(SealError::Differs(why)) if why.contains("changed"));
    assert!(changed);
}

#[test]
fn passes_are_few_however_handles_are_spread() {
    let spreads: [fn(u64) -> u64; 4] =
        [|n| n, |n| 9_999 - n, |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50, |_| 1];
    for (number, spread) in spreads.into_iter().enumerate() {
        let rows: Vec<LogRow> = (0..10_000).map(|n| phone(n, spread(n))).collect();
        for guess in [0, 10_000, 1_000_000] {
            let mut parts = Parts::default();
            let mut given = Given { rows: &rows, passes: 0 };
            let options = WriteOptions { rows_max: 1_000, ..WriteOptions::new(SEED, &|| false) };
            let mut source = |each: &mut EachRow<'_>| given.for_each_row(each);
            let written = write(&mut parts, &mut source, HOUR, guess, &options).unwrap();
            assert!(given.passes <= 21, "{} passes for spread {number}", given.passes);
            assert_eq!(parts.open().unwrap().digest(SEED).unwrap().sum, written.sum);
        }
    }
}

#[test]
fn long_addresses_fill_the_budget_too() {
    let long = |n: u64| format!("{n:0>60}@{}.example", "a".repeat(180));
    let rows: Vec<LogRow> = (0..500).map(|n| lookup(n, long(n * 7 % 500))).collect();
    let (parts, written, passes) = seal_within(&rows, 200, 16).unwrap();
    assert!(passes >= 500 * 240 / (200 * 32), "{passes} passes");
    assert_eq!(parts.open().unwrap().digest(SEED).unwrap().sum, written.sum);
    assert!(seal_within(&rows, 2, 16).is_ok());
}
