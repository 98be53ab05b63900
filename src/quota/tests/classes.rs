//! What accounts of each standing may ask for, alone and together.

use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{limits, quota::accounts::FlagMark, vocabulary::QuotaLimit};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn remaining(charged: &Charged) -> (u32, Option<u32>) {
    let Charged { allowance, .. } = charged;
    (allowance.daily.remaining, allowance.import.map(|import| import.remaining))
}

#[test]
fn a_repeat_is_free_for_thirty_days_and_all_spellings_are_one() {
    let clock = clock();
    let quota = Quota::new(config(), Arc::clone(&clock) as _);
    let call = call(1, Standing::Unproven);
    let three = [phone(1), phone(2), phone(1)];
    let first = ask(&quota, call, &three).unwrap();
    assert_eq!((remaining(&first), first.new), ((98, None), vec![0, 1]));
    let spellings =
        ["+541123456789", "+5491123456789"].map(|it| Handle::from_canonical(it).unwrap());
    assert_eq!(ask(&quota, call, &spellings).unwrap().new, [0]);
    assert_eq!(ask(&quota, call, &spellings[1..]).unwrap().new, [0; 0]);
    assert_eq!(new_to(&quota, 2, &three), 2);
    // An hour is forgotten as a whole, at its start.
    clock.advance(limits::LOG_RETENTION_MAX - Duration::from_secs(3600));
    quota.tick();
    assert_eq!(new_to(&quota, 1, &three), 0);
    clock.advance(Duration::from_secs(3600));
    assert_eq!(new_to(&quota, 1, &three), 2);
    quota.tick();
    assert_eq!(quota.figures().remembered_handles, 0);
}

#[test]
fn whoever_holds_a_handle_has_an_address_book_more() {
    let config = Config { import_handles: 400, import_span: 40 * DAY, ..config() };
    let clock = clock();
    let quota = Quota::new(config, Arc::clone(&clock) as _);
    let (unproven, young) = (call(1, Standing::Unproven), call(2, Standing::Young));
    assert_eq!(remaining(&ask(&quota, unproven, &phones(0..100)).unwrap()), (0, None));
    assert_eq!(remaining(&ask(&quota, young, &phones(0..300)).unwrap()), (0, Some(200)));
    let refused = ask(&quota, unproven, &phones(100..102)).unwrap_err();
    assert_eq!((refused.limit, refused.cost, refused.remaining), (QuotaLimit::NewHandles, 2, 0));
    let whole = Duration::from_secs(refused.retry_after.as_secs_f64().round() as u64);
    assert_eq!(whole, DAY / 50);
    let refused = ask(&quota, young, &phones(300..501)).unwrap_err();
    assert_eq!((refused.cost, refused.remaining), (201, 200));
    // The same call succeeds after the span that the refusal names, and not a second before.
    clock.advance(refused.retry_after - Duration::from_secs(1));
    ask(&quota, young, &phones(300..501)).unwrap_err();
    clock.advance(Duration::from_secs(1));
    assert_eq!(remaining(&ask(&quota, young, &phones(300..501)).unwrap()), (0, Some(0)));
    // 100 are regained in a day, and 10 of the address book.
    clock.advance(DAY);
    assert_eq!(remaining(&ask(&quota, young, &[]).unwrap()), (100, Some(10)));
    assert_eq!(remaining(&ask(&quota, unproven, &[]).unwrap()), (100, None));
}

#[test]
fn a_call_that_never_fits_says_how_much_would() {
    let quota = Quota::new(config(), clock());
    let refused = ask(&quota, call(1, Standing::Unproven), &phones(0..101)).unwrap_err();
    assert_eq!((refused.cost, refused.remaining), (101, 100));
    assert_eq!(ask(&quota, call(1, Standing::Unproven), &phones(0..100)).unwrap().new.len(), 100);
}

#[test]
fn accounts_without_a_handle_share_what_their_network_may_learn_in_a_day() {
    let clock = clock();
    let quota = Quota::new(config(), Arc::clone(&clock) as _);
    let mut learned = 0;
    // Each account asks for other numbers, as often as it can: 48 times in a day.
    for step in 0..48 {
        for account in 0..300 {
            let first = (step * 300 + account) * 50;
            let handles = phones(first..first + 50);
            let call = call(u64::from(account), Standing::Unproven);
            learned += ask(&quota, call, &handles).map_or(0, |charged| charged.new.len());
        }
        clock.advance(DAY / 48);
    }
    assert!((19_000..=20_000).contains(&learned), "{learned}");
    // 208 were regained in the last half hour.
    for account in [901, 902] {
        ask(&quota, call(account, Standing::Unproven), &phones(0..100)).unwrap();
    }
    let refused = ask(&quota, call(999, Standing::Unproven), &phones(0..100)).unwrap_err();
    assert_eq!(refused.limit, QuotaLimit::NetworkNewHandles);
    // Others are not affected, nor is a phone that proves its handle.
    ask(&quota, call(999, Standing::Young), &phones(0..100)).unwrap();
    let elsewhere = LookupCall { ip: network(2), ..call(998, Standing::Unproven) };
    ask(&quota, elsewhere, &phones(0..100)).unwrap();
}

#[test]
fn a_botnet_without_handles_has_one_budget_and_leaves_half_to_those_that_ask_for_little() {
    let config = Config { unproven_new_handles_per_day: 4_000, ..config() };
    let quota = Quota::new(config, clock());
    let ask = |account: u32, ip: IpAddr, handles: &[Handle]| {
        ask(&quota, LookupCall { ip, ..call(account.into(), Standing::Unproven) }, handles)
    };
    // One network asks for all it can, and then thousands ask for one number each.
    let greedy = (0..100).filter(|n| ask(*n, network(1), &phones(n * 100..n * 100 + 100)).is_ok());
    assert!((15..=20).contains(&greedy.count()));
    let v6 = |n: u32| IpAddr::from(std::net::Ipv6Addr::from_bits(u128::from(n) << 80));
    let learned = (0..3_000).filter(|n| ask(1_000 + n, v6(*n), &[phone(*n)]).is_ok()).count();
    assert!((100..=500).contains(&learned), "{learned}");
    let refused = ask(99_999, network(3), &phones(0..1)).unwrap_err();
    assert_eq!(refused.limit, QuotaLimit::UnprovenNewHandles);
}

#[test]
fn what_calls_ask_for_at_the_same_time_is_new_and_costs_once() {
    let config = Config { new_handles_per_day: 100, ..config() };
    let quota = Quota::new(config, clock());
    let (asker, handles) = (call(1, Standing::Young), phones(0..90));
    // All of them look before the first is charged.
    let found = [(); 3].map(|()| quota.find_new(asker.account, handles.iter()));
    let charged = found.map(|new| quota.charge_found(asker, handles.iter(), new).unwrap().unwrap());
    assert_eq!(charged.each_ref().map(|it| it.new.len()), [90, 0, 0]);
    let import = Some(Config::default().import_handles);
    assert_eq!(charged.each_ref().map(remaining), [(10, import); 3]);
    assert_eq!(remaining(&ask(&quota, asker, &[]).unwrap()), (10, import));
}

#[test]
fn a_refusal_names_what_a_smaller_call_may_ask_for() {
    let config = Config { unproven_new_handles_per_day: 300, ..config() };
    let quota = Quota::new(config, clock());
    let elsewhere = |n| LookupCall { ip: network(n), ..call(n.into(), Standing::Unproven) };
    let mut refused = None;
    for n in 0..5 {
        let first = u32::from(n) * 100;
        refused = ask(&quota, elsewhere(n), &phones(first..first + 90)).err();
    }
    let refused = refused.unwrap();
    assert_eq!(refused.limit, QuotaLimit::UnprovenNewHandles);
    assert!((1..refused.cost).contains(&refused.remaining), "{refused:?}");
    ask(&quota, elsewhere(9), &phones(900..900 + refused.remaining)).unwrap();
}

#[test]
fn a_refused_call_costs_nothing_anywhere() {
    let config = Config { network_new_handles_per_day: 150, ..config() };
    let quota = Quota::new(config, clock());
    ask(&quota, call(1, Standing::Older), &phones(0..100)).unwrap();
    let refused = ask(&quota, call(2, Standing::Older), &phones(0..100)).unwrap_err();
    assert_eq!((refused.limit, refused.remaining), (QuotaLimit::NetworkNewHandles, 50));
    assert_eq!(remaining(&ask(&quota, call(2, Standing::Older), &[]).unwrap()).0, 100);
    assert_eq!(new_to(&quota, 2, &phones(0..100)), 100);
    ask(&quota, call(2, Standing::Older), &phones(0..50)).unwrap();
}

#[test]
fn a_flagged_account_gets_repeats_only_until_the_flag_is_cleared() {
    let quota = Quota::new(config(), clock());
    let asker = call(1, Standing::Older);
    let flagged = LookupCall { is_flagged: true, ..asker };
    ask(&quota, asker, &phones(0..10)).unwrap();
    assert_eq!(ask(&quota, flagged, &phones(0..10)).unwrap().new, [0; 0]);
    let refused = ask(&quota, flagged, &phones(9..12)).unwrap_err();
    assert_eq!((refused.limit, refused.cost), (QuotaLimit::Flagged, 2));
    // The registry says that it is cleared.
    ask(&quota, asker, &phones(9..12)).unwrap();
}

#[test]
fn a_suspect_is_flagged_until_the_registry_has_the_flag_and_clears_it() {
    let quota = Quota::new(config(), clock());
    let (asker, id) = (call(1, Standing::Older), AccountId::from_bits(1));
    ask(&quota, asker, &phones(0..10)).unwrap();
    quota.new_handles.accounts.change(id, |state| state.flag = FlagMark::Suspected);
    assert_eq!(ask(&quota, asker, &phones(10..11)).unwrap_err().limit, QuotaLimit::Flagged);
    // Stored and cleared before the account asked again.
    quota.flag_is_stored(id);
    quota.learn_standing(id, Some(START.minus(9 * DAY)));
    ask(&quota, asker, &phones(10..11)).unwrap();
    // It was cleared by a new proof, if not by an operator.
    assert_eq!(quota.known_standing(id), None);
}

#[test]
fn an_answer_of_the_registry_that_a_new_flag_overtakes_clears_nothing() {
    let quota = Quota::new(config(), clock());
    let (asker, id) = (call(1, Standing::Older), AccountId::from_bits(1));
    ask(&quota, asker, &phones(0..10)).unwrap();
    // The registry knows no flag. Then another call of the account is flagged, and the flag is stored.
    let overtaken = quota.find_new(id, phones(10..20).iter());
    quota.new_handles.accounts.change(id, |state| state.flag = FlagMark::Suspected);
    quota.flag_is_stored(id);
    let handles = phones(10..20);
    let refused = quota.charge_found(asker, handles.iter(), overtaken).unwrap_err();
    assert_eq!(refused.limit, QuotaLimit::Flagged);
    // What the registry says from now on counts.
    ask(&quota, asker, &handles).unwrap();
}

#[test]
fn a_proof_is_read_again_each_hour_and_after_a_flag() {
    let clock = clock();
    let quota = Quota::new(config(), Arc::clone(&clock) as _);
    let (asker, id) = (call(1, Standing::Older), AccountId::from_bits(1));
    let old = Some(START.minus(30 * DAY));
    assert_eq!(quota.learn_standing(id, old), Standing::Older);
    ask(&quota, asker, &phones(0..1)).unwrap();
    assert_eq!(quota.known_standing(id), Some(Standing::Older));
    // It may have dropped its handle and proved another.
    clock.advance(Duration::from_secs(3600));
    assert_eq!(quota.known_standing(id), None);
    quota.learn_standing(id, old);
    // A proof clears the flag: it is read before the account is charged again, and is not what was known.
    ask(&quota, LookupCall { is_flagged: true, ..asker }, &phones(1..2)).unwrap_err();
    assert_eq!(quota.known_standing(id), None);
    ask(&quota, asker, &phones(1..2)).unwrap();
    assert_eq!(quota.known_standing(id), None);
}

#[test]
fn the_standing_of_an_account_is_asked_once_an_hour() {
    let clock = clock();
    let quota = Quota::new(config(), Arc::clone(&clock) as _);
    let id = AccountId::from_bits(1);
    assert_eq!(quota.known_standing(id), None);
    let since = START.minus(6 * DAY);
    assert_eq!(quota.learn_standing(id, Some(since)), Standing::Young);
    assert_eq!(quota.known_standing(id), Some(Standing::Young));
    clock.advance(DAY);
    assert_eq!(quota.learn_standing(id, Some(since)), Standing::Older);
    assert_eq!(quota.known_standing(id), Some(Standing::Older));
    // It lost its handle: the next one is another.
    ask(&quota, call(1, Standing::Unproven), &phones(0..1)).unwrap();
    assert_eq!(quota.known_standing(id), None);
}

proptest! {
    /// An account learns no more than the model of two buckets allows, and no less.
    #[test]
    fn an_account_has_two_buckets(
        steps in prop::collection::vec((0..3_u8, 0..60_u32, 0..40_u64), 1..60),
    ) {
        let limits = Config { new_handles_per_day: 24, import_handles: 60, import_span: 60 * DAY, ..config() };
        let clock = clock();
        let quota = Quota::new(limits, Arc::clone(&clock) as _);
        // In hours: a handle of the day each hour, and one of the address book each day.
        let (mut debts, mut next, mut hour) = (HashMap::<u8, (u64, u64)>::new(), 0, 0_u64);
        for (account, count, hours) in steps {
            let handles = phones(next..next + count);
            let standing = if account == 0 { Standing::Unproven } else { Standing::Young };
            let (daily_at, import_at) = debts.entry(account).or_default();
            let daily = 24 - daily_at.saturating_sub(hour).min(24);
            let import = 60 - import_at.saturating_sub(hour).div_ceil(24).min(60);
            let import = if account == 0 { 0 } else { import };
            let fits = u64::from(count) <= daily + import;
            let asked = ask(&quota, call(account.into(), standing), &handles);
            prop_assert_eq!(asked.is_ok(), fits, "{} of {} + {}", count, daily, import);
            if fits {
                let of_day = u64::from(count).min(daily);
                *daily_at = hour.max(*daily_at) + of_day;
                let of_book = u64::from(count) - of_day;
                if of_book > 0 {
                    *import_at = hour.max(*import_at) + 24 * of_book;
                }
                next += count;
            }
            hour += hours;
            clock.advance(Duration::from_secs(3600) * hours as u32);
        }
    }
}

/// A quota that knows that 30 of 100 numbers are hits. Returns its clock as well.
fn taught() -> (Quota, Arc<ManualClock>) {
    let clock = clock();
    let quota = Quota::new(config(), Arc::clone(&clock) as _);
    let handles = phones(0..100);
    for asked in [100, 1] {
        for n in 10_000..11_000 {
            let id = AccountId::from_bits(n);
            quota.learn_standing(id, Some(START.minus(30 * DAY)));
            let items = handles[..asked].iter().enumerate().map(|(at, it)| (it, at % 10 < 3));
            let _ = quota.observe(id, Standing::Older, items);
        }
        clock.advance(DAY);
    }
    (quota, clock)
}

#[test]
fn what_a_suspect_asked_is_not_remembered_so_that_it_cannot_ask_for_it_again() {
    let (quota, _) = taught();
    let (asker, handles) = (call(1, Standing::Young), phones(50_000..50_150));
    let charged = ask(&quota, asker, &handles).unwrap();
    assert_eq!((charged.new.len(), new_to(&quota, 1, &handles)), (150, 0));
    let misses = handles.iter().map(|handle| (handle, false));
    assert!(quota.observe(asker.account, asker.standing, misses).is_some());
    assert_eq!(new_to(&quota, 1, &handles), 150);
    assert_eq!(ask(&quota, asker, &handles).unwrap_err().limit, QuotaLimit::Flagged);
}

#[test]
fn an_address_book_with_some_numbers_of_a_swept_block_is_answered() {
    let (quota, _) = taught();
    // Many accounts ask for one number each. There are fewer than counters in a test.
    for n in 0..3_500 {
        let asker =
            LookupCall { ip: network((n % 200) as u8), ..call(20_000 + n, Standing::Young) };
        let number = [phone(70_000 + n as u32)];
        if ask(&quota, asker, &number).is_ok() {
            // In a block without hits nobody lives.
            let came = [(&number[0], n % 20 == 0)];
            let _ = quota.observe(asker.account, asker.standing, came.into_iter());
        }
    }
    let ask = |account, few: u32, others: u32| {
        let handles = [phones(79_000..79_000 + few), phones(0..others)].concat();
        ask(&quota, call(account, Standing::Young), &handles).map(|charged| charged.new.len())
    };
    assert_eq!(ask(1, 1, 0).unwrap_err().limit, QuotaLimit::SweptNumbers);
    assert_eq!(ask(2, 2, 30).unwrap_err().limit, QuotaLimit::SweptNumbers);
    assert_eq!(ask(3, 2, 40).unwrap(), 42);
}
