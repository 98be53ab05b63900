//! The world stops: at every change of the directory, and within the lines.

use super::*;
use crate::files::tests::sim_disk::{SimDisk, Survives};

/// From which change on a call's first entry was promised, and which it was.
struct Ack {
    ops: usize,
    records: u64,
    at: Timestamp,
}

/// Calls of a server and of command lines over 40 days, of which the first expire; one append that fails.
fn story(sim: &SimDisk, bench: &Bench) -> Vec<Ack> {
    let mut acks = Vec::new();
    let server = bench.open();
    for n in 0..10 {
        let line = bench.open();
        for audit in [&server, &line, &server] {
            let records = acks.len() as u64;
            let limit = Filters::none().plain("limit", Some(records));
            let audited = audit.begin("ann", Call::Search, &limit).unwrap();
            acks.push(Ack { ops: sim.ops(), records, at: bench.clock.now() });
            audited.finish();
        }
        if n == 5 {
            sim.fail_appends.store(true, std::sync::atomic::Ordering::SeqCst);
            assert!(server.begin("ann", Call::Search, &Filters::none()).is_err());
            sim.fail_appends.store(false, std::sync::atomic::Ordering::SeqCst);
        }
        bench.clock.advance(4 * DAY);
        server.expire().unwrap();
    }
    acks
}

fn check(bench: &Bench, acks: &[Ack], sim: &SimDisk, crash: (usize, usize, Survives)) {
    let (count, torn, survives) = crash;
    let crashed = TempDir::new().unwrap();
    sim.crash_at(count, torn, survives, crashed.path());
    let context = format!("{count} changes, {torn} bytes, {survives:?}");
    for round in 0..2 {
        let audit = bench.open_in(crashed.path(), &(Arc::new(UnsyncedDisk) as _));
        let report = audit.verify().unwrap();
        assert!(report.sound && report.torn <= 1, "{context}, round {round}: {report:?}");
        let found = listed(&audit, Wanted::default());
        let limit = |records: u64| super::super::Noted::Plain(records.to_string());
        for ack in acks.iter().filter(|ack| ack.ops <= count) {
            let is_there =
                found.iter().any(|call| call.filters.get("limit") == Some(&limit(ack.records)));
            let may_be_gone = ack.at < bench.clock.now().minus(RETENTION);
            assert!(is_there || may_be_gone, "{context}: call {} is lost", ack.records);
        }
        call(&audit, "ben", 1);
        let after = audit.verify().unwrap();
        assert!(after.sound, "{context}, round {round}: {after:?}");
        assert_eq!(after.entries, report.entries + 2, "{context}");
        assert_eq!(listed(&audit, Wanted::default()).last().unwrap().records, Some(1), "{context}");
    }
}

#[test]
fn a_crash_at_any_change_loses_no_promised_entry_and_looks_like_no_forgery() {
    let dir = TempDir::new().unwrap();
    let sim = SimDisk::new(dir.path());
    let bench = Bench::with_disk(dir, Arc::new(sim.clone()));
    let acks = story(&sim, &bench);
    assert_eq!(bench.files().len(), 7, "the first days have expired");
    for count in 0..=sim.ops() {
        for survives in Survives::ALL {
            check(&bench, &acks, &sim, (count, 0, survives));
        }
        let bytes = sim.appended(count);
        for torn in [1, bytes / 2, bytes.saturating_sub(1)] {
            if torn > 0 && torn < bytes {
                check(&bench, &acks, &sim, (count, torn, Survives::Everything));
            }
        }
    }
}
