//! Histories of one handle, written down row by row.

mod folding;
mod interleaving;
mod model;
mod moments;
mod sentences;
mod stale_askers;

use std::{ops::Range, time::Duration};

use super::*;
use crate::{
    clock::Timestamp,
    dispatch::{self, Decision, Preview},
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    query_log::{LogRow, LookupRecord, Record},
    vocabulary::{Cause, Change, ChangeKind, HandleLoss, MissingNode, ProblemCode, Reason, Route},
};

/// 2026-11-23T00:00:00Z.
const DAY: Timestamp = Timestamp::from_secs(1_795_392_000);
const REUSE: dispatch::Config = dispatch::Config {
    reuse_live: Duration::from_secs(3600),
    reuse_other: Duration::from_secs(300),
};
const HANDLE: &str = "+14155550123";
/// The device and the account that hold the handle where one does.
const PHONE: u64 = 1;
const ANN: u64 = 100;

/// A time of the day, `hh:mm:ss`.
fn at(time: &str) -> Timestamp {
    let mut parts = time.split(':').map(|part| part.parse::<u64>().unwrap());
    let secs = (0..3).fold(0, |sum, _| sum * 60 + parts.next().unwrap());
    DAY.plus(Duration::from_secs(secs))
}

fn handle(text: &str) -> Handle {
    Handle::from_canonical(text).unwrap()
}

/// A change of `named` by a device of an account.
fn change_of(named: &str, time: Timestamp, what: (ChangeKind, Cause), who: (u64, u64)) -> LogRow {
    let record = Change {
        id: ChangeId::from_bits(1),
        kind: what.0,
        handle: Some(handle(named)),
        device: Some(DeviceId::from_bits(who.0)),
        account: Some(AccountId::from_bits(who.1)),
        cause: what.1,
    };
    LogRow { at: time, record: Record::Change(record) }
}

fn change(time: &str, kind: ChangeKind, cause: Cause) -> LogRow {
    change_of(HANDLE, at(time), (kind, cause), (PHONE, ANN))
}

/// A lookup of `named` by a device, which is its own account's.
fn asked_for(named: &str, time: Timestamp, device: u64, reason: Reason) -> LogRow {
    let is_answer = !matches!(reason, Reason::Refused(_));
    let route = match (is_answer, reason) {
        (false, _) => None,
        (true, Reason::LiveDevice) => Some(Route::Imessage),
        (true, _) if named.contains('@') => Some(Route::None),
        (true, _) => Some(Route::Sms),
    };
    let record = LookupRecord {
        request: RequestId::from_bits(7),
        account: Some(AccountId::from_bits(device)),
        device: Some(DeviceId::from_bits(device)),
        ip: None,
        handle: Some(handle(named)),
        route,
        reason,
        status: if is_answer { 200 } else { 429 },
        took_us: 12,
    };
    LogRow { at: time, record: Record::Lookup(record) }
}

fn asked(time: &str, device: u64, reason: Reason) -> LogRow {
    asked_for(HANDLE, at(time), device, reason)
}

/// A lookup by each of `devices`, a microsecond apart.
fn crowd(time: &str, devices: Range<u64>, reason: Reason) -> Vec<LogRow> {
    let nth = |micros| at(time).plus(Duration::from_micros(micros));
    let of = |(micros, device)| asked_for(HANDLE, nth(micros), device, reason);
    (0..).zip(devices).map(of).collect()
}

fn question(named: &str) -> Question {
    Question {
        handle: handle(named),
        at: None,
        since: None,
        until: None,
        detail: Detail::Folded,
        limit: None,
    }
}

/// What a question that is asked at `now` gets from rows alone.
fn explained(question: &Question, now: &str, rows: &[LogRow]) -> (Vec<String>, Summary) {
    let (entries, summary) = entries(question, now, rows);
    (entries.iter().map(|entry| entry.sentence().to_owned()).collect(), summary)
}

fn entries(question: &Question, now: &str, rows: &[LogRow]) -> (Vec<Entry>, Summary) {
    assert!(rows.is_sorted_by_key(|row| row.at));
    let mut timeline = Timeline::new(question, REUSE, at(now));
    let mut out = Vec::new();
    rows.iter().for_each(|row| timeline.row(row, &mut out));
    let summary = timeline.finish(None, Default::default(), &mut out);
    (out, summary)
}

/// The story of the README: bound, asked, signed out, asked.
fn signed_out() -> Vec<LogRow> {
    vec![
        change("09:12:03", ChangeKind::HandleBound, Cause::Proof),
        asked("13:30:00", 20, Reason::LiveDevice),
        asked("13:40:00", 21, Reason::LiveDevice),
        change("13:58:40", ChangeKind::HandleUnbound, Cause::SignOut),
        asked("14:02:11", 20, Reason::Lost(HandleLoss::DeviceRemoved)),
    ]
}
