//! A server whose log and registry are known.

use std::{path::Path, time::Duration};

use dispatchd::{
    clock::{Clock as _, ManualClock, SystemClock, Timestamp},
    envelope::KeyFiles,
    files::DataDirectory,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    query_log::{self, LogOptions, LookupRecord, QueryLog, Record, RefusalCount},
    shutdown::Shutdown,
    vocabulary::{Cause, Change, ChangeKind, FlagReason, HandleLoss, ProblemCode, Reason, Route},
};
use reqwest::Method;

use crate::{
    flagged,
    harness::{Server, avoid_end_of_hour, wait_until},
    wire::call,
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY_HOURS: u64 = 24;
/// The handle that the timeline is about.
pub(super) const NUMBER: &str = "+14155550123";

/// How long ago the planted log begins: on another day, so that sentences about it have dates.
const BEGAN: Duration = HOUR.saturating_mul(75);

/// A server with a flagged account on a planted log of three hours. Ann proved a number, Ben and Cat looked it up, and Ann
/// signed out.
pub(super) struct World {
    pub(super) server: Server,
    /// When the first hour of the log begins.
    pub(super) began: Timestamp,
    /// The flagged account.
    pub(super) flagged: String,
}

pub(super) async fn world(data: &Path) -> World {
    avoid_end_of_hour();
    // A sentence has a date if its time is of another day, such as the end of an answer's minute.
    let of_day = || SystemClock.now().as_secs() % (DAY_HOURS * 3_600);
    wait_until("the next day has begun", || of_day() < DAY_HOURS * 3_600 - 100);
    let began = plant(data);
    let flagged = flagged::plant(data, &[FlagReason::TooFewHits]).await.remove(0).account;
    let server =
        Server::on(data, &[("CLOCK__TRUST", "always"), ("DISPATCH__REUSE_LIVE", "1m")]).await;
    let [ann, ben, cat] = [server.sign_up().await, server.sign_up().await, server.sign_up().await];
    server.prove(&ann, NUMBER).await;
    server.route(&ben, NUMBER).await;
    server.route(&cat, NUMBER).await;
    call(&server, Method::DELETE, "/v1/devices/me", Some(&ann.token), None).await.is(204, &[]);
    server.route(&ben, NUMBER).await;
    server.prove(&cat, "用户@例子.example").await;
    World { server, began, flagged }
}

fn plant(data: &Path) -> Timestamp {
    let began = SystemClock.now().hour(Default::default()).start().minus(BEGAN);
    let clock = ManualClock::at(began);
    DataDirectory::prepare(data).unwrap();
    let keys = KeyFiles::new(&data.join("keys"), None);
    let config = query_log::Config::default();
    let options = LogOptions::new(data.join("log"), keys, config, clock.clone());
    let (log, _) = QueryLog::open(options, &Shutdown::new()).unwrap();
    for hour in [changes(), lookups(), flips()] {
        for record in hour {
            log.append_all(&[record]).unwrap().wait_blocking().unwrap();
            clock.advance(Duration::from_secs(61));
        }
        clock.advance(clock.now().hour(Default::default()).end().since(clock.now()));
    }
    log.tick();
    clock.advance(HOUR);
    assert_eq!(log.seal(&|| false).segments, 3);
    log.close();
    began
}

/// One change of each kind, each for one of its causes.
fn changes() -> Vec<Record> {
    use {Cause as C, ChangeKind as K};
    let number = Some("+447700900123");
    [
        (K::DeviceRegistered, None, C::SignUp),
        (K::HandleBound, number, C::Proof),
        (K::HandleBound, Some("alexandra.hamilton@mail.example.com"), C::ProofHeld),
        (K::HandleMoved, number, C::NewerProof),
        (K::LeaseExpired, number, C::Silence),
        (K::DeviceRevived, number, C::CheckIn),
        (K::HandleHidden, number, C::OwnerRequest),
        (K::HandleShown, number, C::OwnerRequest),
        (K::HandleUnbound, number, C::SignOut),
        (K::HandleImported, number, C::Import),
        (K::HandleDeregistered, number, C::Deregistration),
        (K::DeviceRemoved, None, C::SignOut),
    ]
    .into_iter()
    .map(|(kind, named, cause)| {
        Record::Change(Change {
            id: ChangeId::from_bits(1),
            kind,
            handle: named.map(handle),
            device: Some(DeviceId::from_bits(7)),
            account: Some(AccountId::from_bits(1)),
            cause,
        })
    })
    .collect()
}

fn lookups() -> Vec<Record> {
    use ProblemCode::{HandleInvalid, LookupQuota, TokenInvalid};
    use Reason::{LeaseExpired, LiveDevice, NeverRegistered, Refused, Undiscoverable};
    let (blue, green, nothing) = (Some(Route::Imessage), Some(Route::Sms), Some(Route::None));
    let long = "nobody.in.particular.with.a.long.name@department.university.example";
    vec![
        lookup(Some("+447700900123"), blue, LiveDevice, 200),
        lookup(Some("+33639981234"), green, NeverRegistered, 200),
        lookup(Some("+33639981234"), green, Reason::Lost(HandleLoss::DeviceRemoved), 200),
        lookup(Some("alexandra.hamilton@mail.example.com"), blue, LiveDevice, 200),
        lookup(Some("用户名很长的一个地址@例子.example"), nothing, Undiscoverable, 200),
        lookup(Some(long), nothing, NeverRegistered, 200),
        lookup(Some(long), nothing, LeaseExpired, 200),
        lookup(Some("+14155550177"), None, Refused(LookupQuota), 429),
        lookup(None, None, Refused(HandleInvalid), 400),
        Record::Refusals(RefusalCount::new(TokenInvalid, 170_000)),
    ]
}

/// Two handles whose route goes back and forth.
fn flips() -> Vec<Record> {
    let gone = Reason::Lost(HandleLoss::DeviceRemoved);
    let of = |named: &'static str, turns: usize| {
        (0..turns).map(move |turn| match turn % 2 {
            0 => lookup(Some(named), Some(Route::Imessage), Reason::LiveDevice, 200),
            _ => lookup(Some(named), Some(Route::Sms), gone, 200),
        })
    };
    of("+14155550142", 5).chain(of("+447700900123", 3)).collect()
}

fn lookup(named: Option<&str>, route: Option<Route>, reason: Reason, status: u16) -> Record {
    Record::Lookup(LookupRecord {
        request: RequestId::from_bits(7),
        account: Some(AccountId::from_bits(2)),
        device: Some(DeviceId::from_bits(2)),
        ip: Some("2001:db8::7".parse().unwrap()),
        handle: named.map(handle),
        route,
        reason,
        status,
        took_us: 1_234,
    })
}

fn handle(text: &str) -> Handle {
    Handle::parse(text, None).unwrap()
}
