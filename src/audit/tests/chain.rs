//! The chain: what is written can be listed, and whoever touches it is found out.

use super::*;
use crate::audit::{AuditFault, VerifyReport};

/// Three days with two calls each; a day without any in between.
fn three_days(bench: &Bench) -> Audit {
    let audit = bench.open();
    for day in 0..3 {
        call(&audit, "ann", day);
        call(&audit, "ben", 10 + day);
        bench.clock.advance(2 * DAY);
    }
    audit
}

fn faults(report: &VerifyReport) -> (u64, u64, u64) {
    (report.changed, report.gaps, report.torn)
}

#[test]
fn calls_are_listed_with_their_ends_over_days_and_processes() {
    let bench = Bench::new();
    let audit = three_days(&bench);
    call(&bench.open(), "local:0", 5);
    call(&audit, "ann", 6);
    let under_way = audit.begin("ben", Call::Tail, &Filters::none()).unwrap();
    let all = listed(&audit, Wanted::default());
    let told: Vec<_> = all.iter().map(|call| (call.operator.as_str(), call.records)).collect();
    let days = [0, 10, 1, 11, 2, 12].map(Some);
    let who = ["ann", "ben", "ann", "ben", "ann", "ben"];
    let wanted: Vec<_> = who.into_iter().zip(days).collect();
    assert_eq!(told[..6], wanted);
    assert_eq!(told[6..], [("local:0", Some(5)), ("ann", Some(6)), ("ben", None)]);
    drop(under_way);
    let last = listed(&audit, Wanted::default()).pop().unwrap();
    assert_eq!((last.records, last.whole), (Some(0), Some(false)));

    let of = |wanted: Wanted| listed(&audit, wanted).len();
    assert_eq!(of(Wanted { operator: Some("ann".into()), ..Wanted::default() }), 4);
    let (since, until) = (Some(START.plus(2 * DAY)), Some(START.plus(4 * DAY)));
    assert_eq!(of(Wanted { since, until, ..Wanted::default() }), 2);
    assert_eq!(bench.files().len(), 4);
    let report = audit.verify().unwrap();
    assert_eq!((report.sound, report.entries, report.files), (true, 18, 4));
    assert_eq!((report.from, report.until), (Some(START), Some(START.plus(6 * DAY))));
}

#[test]
fn every_line_that_is_changed_removed_or_moved_is_found() {
    let bench = Bench::new();
    let audit = three_days(&bench);
    let head = audit.verify().unwrap().head;
    let files = bench.files();
    for file in &files {
        let whole = bench.read(file);
        let text = String::from_utf8(whole.clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        for at in 0..lines.len() {
            let is_head = file == files.last().unwrap() && at + 1 == lines.len();
            let changed =
                text.replacen(lines[at], &lines[at].replace("\"at\":\"2026", "\"at\":\"2025"), 1);
            assert_ne!(changed, text);
            let mut removed = lines.clone();
            removed.remove(at);
            let garbled = text.replacen(lines[at], &"x".repeat(lines[at].len()), 1);
            for (what, tampered) in
                [("changed", changed), ("removed", removed.join("\n") + "\n"), ("garbled", garbled)]
            {
                bench.write(file, tampered);
                let report = audit.verify().unwrap();
                // The first entry's predecessor is taken as given, and the last has nothing after it.
                let is_first = what == "removed" && file == &files[0] && at == 0;
                let found = report.changed > 0
                    && !report.sound
                    && report.places.iter().any(|p| p.fault == AuditFault::Changed);
                assert_eq!(found, !is_head && !is_first, "{what} {file} {at}: {report:?}");
                assert!(found || report.head != head || is_first, "{what} {file} {at}");
            }
        }
        let mut moved = lines.clone();
        moved.swap(0, 1);
        bench.write(file, moved.join("\n") + "\n");
        assert!(!audit.verify().unwrap().sound, "{file}");
        bench.write(file, whole);
        assert!(audit.verify().unwrap().sound);
    }
    fs::remove_file(bench.dir.path().join("audit").join(&files[1])).unwrap();
    let report = audit.verify().unwrap();
    assert_eq!((report.sound, faults(&report)), (false, (0, 1, 0)));
}

#[test]
fn who_cuts_the_end_while_a_server_runs_is_found_by_its_next_entry() {
    for what in ["a line", "the file"] {
        let bench = Bench::new();
        let server = three_days(&bench);
        let newest = bench.files().pop().unwrap();
        if what == "a line" {
            let whole = bench.read(&newest);
            let cut = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
            bench.write(&newest, &whole[..=cut]);
        } else {
            fs::remove_file(bench.dir.path().join("audit").join(&newest)).unwrap();
        }
        assert!(server.verify().unwrap().sound, "nobody can know yet");
        call(&server, "ann", 1);
        assert!(!server.verify().unwrap().sound, "{what}");
    }
}

#[test]
fn expired_days_go_from_the_oldest_on_and_the_rest_stays_sound() {
    let bench = Bench::new();
    let audit = three_days(&bench);
    let end_of_first_day = START.plus(16 * 3600 * Duration::from_secs(1));
    bench.clock.set_wall(end_of_first_day.plus(RETENTION).minus(Duration::from_micros(1)));
    assert_eq!(audit.expire().unwrap(), 0);
    bench.clock.advance(Duration::from_micros(1));
    assert_eq!(audit.expire().unwrap(), 1);
    let report = audit.verify().unwrap();
    assert_eq!((report.sound, report.entries, faults(&report)), (true, 8, (0, 0, 0)));
    call(&audit, "ann", 1);
    assert!(audit.verify().unwrap().sound);
    bench.clock.advance(3 * RETENTION);
    assert_eq!(audit.expire().unwrap(), 3);
    assert!(bench.files().is_empty());
    call(&audit, "ann", 7);
    let report = bench.open().verify().unwrap();
    assert_eq!((report.sound, report.entries), (true, 2));
}

#[test]
fn a_line_torn_at_any_byte_is_told_from_a_forged_one() {
    let bench = Bench::new();
    call(&bench.open(), "ann", 1);
    let file = bench.files().remove(0);
    let whole = bench.read(&file);
    let begin = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for len in begin..whole.len() {
        for next_day in [false, true] {
            for file in bench.files() {
                fs::remove_file(bench.dir.path().join("audit").join(file)).unwrap();
            }
            bench.clock.set_wall(START);
            bench.write(&file, &whole[..len]);
            let torn = u64::from(len > begin && len < whole.len() - 1);
            let report = bench.open().verify().unwrap();
            assert_eq!((report.sound, faults(&report)), (true, (0, 0, torn)), "{len}");
            if next_day {
                bench.clock.advance(DAY);
            }
            // The server goes on twice, a command line once in between.
            let audit = bench.open();
            call(&audit, "ann", 2);
            call(&bench.open(), "local:0", 3);
            call(&audit, "ann", 4);
            let report = audit.verify().unwrap();
            assert_eq!((report.sound, faults(&report)), (true, (0, 0, torn)), "{len} {next_day}");
            let kept = bench.read(&file);
            assert!(kept.starts_with(&whole[..len]), "nothing that was there is removed");
            if torn == 1 {
                let mut tampered = kept.clone();
                tampered[begin] ^= 1;
                bench.write(&file, tampered);
                assert!(!audit.verify().unwrap().sound, "a torn line can not be changed either");
            }
        }
    }
}

#[test]
fn a_clock_that_was_far_ahead_keeps_no_day_for_ever() {
    let bench = Bench::new();
    let audit = bench.open();
    call(&audit, "ann", 1);
    bench.clock.set_wall(START.plus(9_000 * DAY));
    call(&audit, "ann", 2);
    bench.clock.set_wall(START.plus(DAY));
    call(&audit, "ann", 3);
    assert_eq!(bench.files().len(), 3);
    assert!(audit.verify().unwrap().sound);
    bench.clock.set_wall(START.plus(3 * DAY + RETENTION));
    assert_eq!(audit.expire().unwrap(), 3);
}

#[test]
fn an_entry_that_cannot_be_made_durable_is_refused_and_leaves_no_trace() {
    let dir = TempDir::new().unwrap();
    let sim = crate::files::tests::sim_disk::SimDisk::new(dir.path());
    let bench = Bench::with_disk(dir, Arc::new(sim.clone()));
    let audit = bench.open();
    call(&audit, "ann", 1);
    for flag in [&sim.fail_appends, &sim.fail_syncs] {
        flag.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(audit.begin("ann", Call::Search, &Filters::none()).is_err());
        assert!(bench.open().begin("ann", Call::Search, &Filters::none()).is_err());
        flag.store(false, std::sync::atomic::Ordering::SeqCst);
        let report = audit.verify().unwrap();
        assert_eq!((report.sound, report.entries, faults(&report)), (true, 2, (0, 0, 0)));
    }
    call(&audit, "ann", 2);
    let report = audit.verify().unwrap();
    assert_eq!((report.sound, report.entries), (true, 4));
}

#[test]
fn many_at_once_make_one_chain() {
    let bench = Bench::new();
    let server = bench.open();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (server, bench) = (&server, &bench);
            scope.spawn(move || {
                let own = bench.open();
                (0..10).for_each(|_| call(if n % 2 == 0 { server } else { &own }, "ann", n));
            });
        }
    });
    let report = server.verify().unwrap();
    assert_eq!((report.sound, report.entries), (true, 80));
    assert!(listed(&server, Wanted::default()).iter().all(|call| call.records.is_some()));
}

#[tokio::test]
async fn a_call_dropped_on_a_runtime_is_counted_before_the_log_closes() {
    let bench = Bench::new();
    let audit = bench.open();
    let mut audited = audit.begin("ann", Call::Tail, &Filters::none()).unwrap();
    audited.add(3);
    drop(audited);
    let closing = audit.clone();
    tokio::task::spawn_blocking(move || closing.close()).await.unwrap();
    let call = listed(&audit, Wanted::default()).pop().unwrap();
    assert_eq!((call.records, call.whole), (Some(3), Some(false)));
}
