//! A disk that hangs: a call gets nothing within a bound, and the chain is whole afterwards.

use std::{sync::Arc, thread, time::Instant};

use tempfile::TempDir;

use super::*;
use crate::{
    audit::AuditError,
    files::tests::{
        faults::{DiskCall, Failure, Fault},
        sim_disk::SimDisk,
    },
    limits,
};

#[test]
fn a_call_whose_entry_hangs_is_refused_and_the_entry_may_come_later() {
    let dir = TempDir::new().unwrap();
    let sim = SimDisk::new(dir.path());
    let bench = Bench::with_disk(dir, Arc::new(sim.clone()));
    let audit = bench.open();
    call(&audit, "ann", 1);
    let (kind, call_made) = ("ndjson".to_owned(), DiskCall::Sync);
    let first = sim.faults.calls()[&(kind.clone(), call_made)];
    sim.faults.plan(Fault { kind, call: call_made, first, times: 1, failure: Failure::Hang });
    let started = Instant::now();
    for operator in ["bob", "eve", "joe"] {
        let begun = audit.begin(operator, Call::Search, &Filters::none());
        assert!(matches!(begun, Err(AuditError::Hangs)), "{operator}: {begun:?}");
    }
    assert!(started.elapsed() >= 3 * limits::AUDIT_ENTRY_PATIENCE);
    assert_eq!(sim.faults.failed(), 1, "more than one thread waits for the disk");
    sim.faults.mend();
    let noted = || audit.list(Wanted::default()).unwrap().map(|call| call.unwrap().operator);
    while noted().count() < 2 {
        assert!(started.elapsed().as_secs() < 120, "the entry never comes");
        thread::sleep(Duration::from_millis(5));
    }
    call(&audit, "sue", 1);
    assert_eq!(noted().collect::<Vec<_>>(), ["ann", "bob", "sue"]);
    assert!(audit.verify().unwrap().sound);
}
