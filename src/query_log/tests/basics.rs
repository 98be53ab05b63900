//! Append, commit, read in both orders, tail, reopen.

use std::time::Duration;

use super::support::*;
use crate::{
    files::OsDisk,
    query_log::{
        AppendAck, AppendError, Config, Cursor, Durability, Filter, Kind, Order, SegmentState,
    },
    shutdown::Shutdown,
};

#[test]
fn what_was_appended_is_read_in_both_orders_and_after_a_restart() {
    for durability in [Durability::Os, Durability::Disk] {
        let mut bench = Bench::new();
        bench.config.durability = durability;
        bench.disk = OsDisk::shared();
        let log = bench.open();
        for n in 0..50 {
            put(&log, &if n % 5 == 0 { change(n) } else { lookup(n) });
            bench.clock.advance(Duration::from_secs(120));
        }
        let forward: Vec<u64> = (0..50).collect();
        assert_eq!(numbers(&log.reader()), forward);
        let backward = rows(&log.reader(), &Filter::default(), Order::Desc);
        assert_eq!(backward.iter().rev().map(number).collect::<Vec<_>>(), forward);
        log.close();
        assert_eq!(log.append(&lookup(1)).err(), Some(AppendError::Unwritable));
        drop(log);
        assert_eq!(numbers(&bench.read_only().unwrap()), forward);
        let (log, report) = bench.try_open().unwrap();
        assert_eq!((report.segments, report.finished, report.cut_bytes), (2, 0, 0));
        assert_eq!(numbers(&log.reader()), forward);
        assert!(log.reader().verify().sound);
    }
}

#[test]
fn a_crash_loses_nothing_that_was_acknowledged() {
    let bench = Bench::new();
    let log = bench.open();
    (0..10).for_each(|n| put(&log, &lookup(n)));
    log.abandon();
    assert_eq!(numbers(&bench.read_only().unwrap()), (0..10).collect::<Vec<_>>());
    let (log, report) = bench.try_open().unwrap();
    assert_eq!((report.finished, report.cut_bytes, report.damaged), (1, 0, 0));
    put(&log, &lookup(10));
    assert_eq!(numbers(&log.reader()), (0..11).collect::<Vec<_>>());
    let states: Vec<_> = log.reader().segments().iter().map(|it| (it.state, it.records)).collect();
    assert_eq!(states, [(SegmentState::Closed, 10), (SegmentState::Active, 1)]);
}

#[test]
fn filters_select_rows() {
    let bench = Bench::new();
    let log = bench.open();
    for n in 0..40 {
        put(&log, &if n % 4 == 0 { change(n) } else { lookup(n) });
        bench.clock.advance(Duration::from_secs(1));
    }
    let reader = log.reader();
    let count = |filter: &Filter| {
        let found = rows(&reader, filter, Order::Asc);
        assert!(found.iter().all(|row| filter.matches(row)));
        assert_eq!(rows(&reader, filter, Order::Desc).len(), found.len());
        found.len()
    };
    let all = Filter::default;
    assert_eq!(count(&Filter { kind: Some(Kind::Change), ..all() }), 10);
    assert_eq!(count(&Filter { handle: Some(phone(3)), ..all() }), 1);
    assert_eq!(count(&Filter { ip: Some("192.0.2.0/28".parse().unwrap()), ..all() }), 12);
    let since = Some(START.plus(Duration::from_secs(5)));
    let until = Some(START.plus(Duration::from_secs(8)));
    assert_eq!(count(&Filter { since, until, ..all() }), 3);
}

#[test]
fn pages_join_without_gap_or_overlap() {
    let bench = Bench::new();
    for run in 0..3 {
        let log = bench.open();
        for n in 0..20 {
            put(&log, &lookup(run * 20 + n));
            bench.clock.advance(Duration::from_secs(100));
        }
        if run == 1 { log.abandon() } else { log.close() }
    }
    let reader = bench.read_only().unwrap();
    for order in [Order::Asc, Order::Desc] {
        let mut paged = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let page: Vec<_> = reader
                .search(&Filter::default(), order, after)
                .take(7)
                .map(Result::unwrap)
                .collect();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.to_string().parse().unwrap());
            paged.extend(page.iter().map(|(_, row)| number(row)));
        }
        let mut wanted: Vec<u64> = (0..60).collect();
        if order == Order::Desc {
            wanted.reverse();
        }
        assert_eq!(paged, wanted);
    }
}

#[test]
fn reading_from_the_middle_finds_the_same_as_reading_through() {
    let bench = Bench::new();
    let log = bench.open();
    for n in 0..400 {
        put(&log, &lookup(n));
        bench.clock.advance(Duration::from_secs(n % 9));
    }
    let reader = log.reader();
    let all = rows(&reader, &Filter::default(), Order::Asc);
    for cut in all.iter().map(|row| row.at).step_by(23) {
        for nudge in 0..2 {
            let cut = cut.plus(Duration::from_micros(nudge));
            for order in [Order::Asc, Order::Desc] {
                let since = Filter { since: Some(cut), ..Filter::default() };
                let until = Filter { until: Some(cut), ..Filter::default() };
                assert_eq!(
                    rows(&reader, &since, order).len(),
                    all.iter().filter(|row| row.at >= cut).count()
                );
                assert_eq!(
                    rows(&reader, &until, order).len(),
                    all.iter().filter(|row| row.at < cut).count()
                );
            }
        }
    }
    let mut search = reader.search(&Filter::default(), Order::Asc, None);
    while let Some(Ok((cursor, row))) = search.nth(2) {
        let next = reader.search(&Filter::default(), Order::Asc, Some(cursor)).next();
        assert_eq!(
            next.map(|next| number(&next.unwrap().1)),
            (number(&row) < 399).then(|| number(&row) + 1)
        );
        let before = reader.search(&Filter::default(), Order::Desc, Some(cursor)).next();
        assert_eq!(before.map(|row| number(&row.unwrap().1)), number(&row).checked_sub(1));
    }
}

#[test]
fn a_tail_sees_each_row_once_across_hours() {
    let bench = Bench::new();
    let log = bench.open();
    put(&log, &lookup(1_000));
    let reader = log.reader();
    let mut tail = reader.tail(reader.position(), &Filter::default());
    let mut seen = Vec::new();
    for n in 0..100 {
        put(&log, &lookup(n));
        if n % 7 == 0 {
            seen.extend(tail.next_rows(2).unwrap().iter().map(|(_, row)| number(row)));
        }
        bench.clock.advance(Duration::from_secs(300));
        if n % 10 == 0 {
            log.tick();
        }
    }
    loop {
        let more = tail.next_rows(3).unwrap();
        if more.is_empty() {
            break;
        }
        seen.extend(more.iter().map(|(_, row)| number(row)));
    }
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[test]
fn the_queue_is_bounded_and_a_batch_goes_in_whole_or_not_at_all() {
    let bench = Bench::new();
    let log = bench.open();
    let many: Vec<_> = (0..crate::limits::LOG_QUEUE_RECORDS_MAX as u64 + 1).map(lookup).collect();
    assert_eq!(log.append_all(&many).err(), Some(AppendError::Overloaded));
    assert!(log.append_all::<&crate::query_log::Record>([]).unwrap().is_committed());
    log.append_all(&many[..40_000]).unwrap().wait_blocking().unwrap();
    assert_eq!(numbers(&log.reader()), (0..40_000).collect::<Vec<_>>());
}

#[test]
fn an_inline_flusher_commits_for_its_thread_and_stops() {
    let bench = Bench::new();
    let log = bench.open();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let shutdown = Shutdown::new();
    runtime.block_on(async {
        shutdown.spawn("flusher", log.clone().run_inline_flusher(shutdown.clone()));
        tokio::task::yield_now().await;
        for n in 0..50 {
            let acks: Vec<AppendAck> =
                (0..4).map(|m| log.append(&lookup(n * 4 + m)).unwrap()).collect();
            for ack in acks {
                ack.await.unwrap();
            }
        }
        shutdown.stop();
        assert!(shutdown.drained(Duration::from_secs(60)).await);
        log.append(&lookup(200)).unwrap().await.unwrap();
    });
    assert_eq!(numbers(&log.reader()), (0..201).collect::<Vec<_>>());
}

#[test]
fn a_second_writer_is_refused() {
    let bench = Bench::new();
    let log = bench.open();
    assert!(bench.try_open().is_err());
    drop(log);
    assert!(bench.try_open().is_ok());
}

#[test]
fn a_shorter_retention_hides_at_once() {
    let mut bench = Bench::new();
    bench.config = Config { retention: 3 * HOUR, durability: Durability::Os, ..Default::default() };
    let log = bench.open();
    put(&log, &lookup(1));
    bench.clock.advance(3 * HOUR - Duration::from_micros(1));
    assert_eq!(numbers(&log.reader()), [1]);
    bench.clock.advance(Duration::from_micros(1));
    assert_eq!(numbers(&log.reader()), [] as [u64; 0]);
}
