//! Nodes of a cluster count together: what they grant, what they refuse, and what they tell each other.

use std::{mem, sync::Mutex, time::Duration};

use proptest::prelude::*;
use tokio::{
    join,
    runtime::{Builder, Handle as RuntimeHandle},
    time::{Instant, sleep},
};

use super::*;
use crate::{
    limits,
    lock::lock,
    quota::{
        counter::Counter,
        fingerprint::FingerprintKey,
        keyed::network_key,
        sharing::{Owed, QuotaNews, Spent},
    },
    vocabulary::QuotaLimit,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const STEP: Duration = Duration::from_millis(10);

/// Nodes with one clock, which remember under one key.
fn nodes(config: &Config, clock: &Arc<ManualClock>, count: usize) -> Vec<Arc<Quota>> {
    let node = |_| {
        let mut quota = Quota::new(config.clone(), Arc::clone(clock) as _).shared();
        quota.new_handles.key = FingerprintKey::of([7; 16].into());
        Arc::new(quota)
    };
    (0..count).map(node).collect()
}

/// One round of a node, which all others hear at once.
fn round(nodes: &[Arc<Quota>], from: usize) -> QuotaNews {
    let sharing = nodes[from].sharing().unwrap();
    let round = sharing.begin(nodes.len() - 1);
    let news = round.news.clone();
    let others = nodes.iter().enumerate().filter(|(node, _)| *node != from);
    others.for_each(|(_, other)| other.receive(&news).unwrap());
    sharing.end(round);
    news
}

/// Asks for all of them at once, as a phone of the node does. The limit, if it is refused.
async fn spend(quota: &Quota, call: LookupCall, handles: &[Handle]) -> Result<usize, QuotaLimit> {
    let new = quota.find_new(call.account, handles.iter());
    let spent = quota.spend_lookups(call, handles.iter(), new).await;
    spent.map(|charged| charged.unwrap().new.len()).map_err(|exceeded| exceeded.limit)
}

/// Two nodes are asked at once, and both have charged when the first round begins.
async fn spend_both(
    nodes: &[Arc<Quota>],
    call: LookupCall,
    of_a: &[Handle],
    of_b: &[Handle],
) -> (Result<usize, QuotaLimit>, Result<usize, QuotaLimit>) {
    let told = async {
        sleep(STEP).await;
        round(nodes, 0);
        round(nodes, 1);
        std::future::pending().await
    };
    let both = async { join!(spend(&nodes[0], call, of_a), spend(&nodes[1], call, of_b)) };
    tokio::select! { spent = both => spent, () = told => unreachable!() }
}

/// Numbers from a seed: splitmix64.
struct Dice(u64);

impl Dice {
    /// Below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.roll(most))
    }
}

/// A call of the model.
#[derive(Clone, Copy, Debug)]
struct Asked {
    account: u64,
    units: u32,
    from: Duration,
    to: Duration,
    refused: Option<QuotaLimit>,
}

/// What the model grants to one account in a day, and to all together.
const OF_ACCOUNT: u32 = 100;
const OF_ALL: u32 = 600;
const ACCOUNTS: u64 = 8;
const NODES: usize = 3;
/// The longest time that a message takes.
const DELAY_MS: u64 = 400;

/// After that time all nodes know that a charge was taken back: the round under way and the next one.
const TAKEN_BACK: Duration = Duration::from_millis(4 * DELAY_MS);

/// Runs rounds of a node. A message to each other node takes some time. If `is_deaf`, none arrives.
async fn share(nodes: Vec<Arc<Quota>>, from: usize, is_deaf: bool, mut dice: Dice) {
    let sharing = nodes[from].sharing().unwrap();
    loop {
        sharing.until_due(limits::CLUSTER_PEER_PAUSE).await;
        let round = sharing.begin(NODES - 1);
        let mut hear = |to: usize| {
            let (there, back, to) = (dice.millis(DELAY_MS), dice.millis(DELAY_MS), &nodes[to]);
            let news = &round.news;
            async move {
                sleep(there).await;
                if !is_deaf {
                    to.receive(news).unwrap();
                }
                sleep(back).await;
            }
        };
        join!(hear((from + 1) % NODES), hear((from + 2) % NODES));
        sharing.end(round);
    }
}

/// What accounts without a handle are granted that ask three nodes for new handles at any time.
fn history(seed: u64, is_deaf: bool) -> Vec<Asked> {
    let config = Config {
        new_handles_per_day: OF_ACCOUNT,
        unproven_new_handles_per_day: 2 * OF_ALL,
        network_new_handles_per_day: 1_000_000,
        network_unproven_handles_per_day: 1_000_000,
        ..config()
    };
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (spawn, begun, mut dice) = (RuntimeHandle::current(), Instant::now(), Dice(seed));
        let clock = clock();
        let nodes = nodes(&config, &clock, NODES);
        for node in 0..NODES {
            spawn.spawn(share(nodes.clone(), node, is_deaf, Dice(dice.roll(u64::MAX))));
        }
        spawn.spawn(async move {
            loop {
                sleep(STEP).await;
                clock.advance(STEP);
            }
        });
        let asked = Arc::new(Mutex::new(Vec::new()));
        let phones = (0..24_u32).map(|number| {
            let (nodes, asked) = (nodes.clone(), Arc::clone(&asked));
            let mut dice = Dice(dice.roll(u64::MAX));
            spawn.spawn(async move {
                for turn in 0..30_u32 {
                    sleep(dice.millis(20_000)).await;
                    let account = dice.roll(ACCOUNTS);
                    let units = 1 + dice.roll(40) as u32;
                    let node = &nodes[dice.roll(NODES as u64) as usize];
                    let first = (number * 30 + turn) * 100;
                    let handles = phones(first..first + units);
                    let from = begun.elapsed();
                    let call = call(account, Standing::Unproven);
                    let refused = spend(node, call, &handles).await.err();
                    let to = begun.elapsed();
                    lock(&asked).push(Asked { account, units, from, to, refused });
                }
            })
        });
        for phone in phones.collect::<Vec<_>>() {
            phone.await.unwrap();
        }
        mem::take(&mut *lock(&asked))
    })
}

/// The units that a bucket of so many in a day has used at `at`, if it grants these.
fn used(burst: u32, granted: impl Iterator<Item = (Duration, u32)>, at: Duration) -> f64 {
    let a_second = f64::from(burst) / DAY.as_secs_f64();
    let mut all: Vec<_> = granted.filter(|(granted_at, _)| *granted_at <= at).collect();
    all.sort_unstable();
    let (mut used, mut last) = (0.0_f64, Duration::ZERO);
    for (granted_at, units) in all.into_iter().chain([(at, 0)]) {
        used = (used - (granted_at - last).as_secs_f64() * a_second).max(0.0) + f64::from(units);
        last = granted_at;
    }
    used
}

/// Checks an allowance of `burst` units in a day: what is granted at most, and whether a refusal was due.
fn check(burst: u32, asked: &[Asked], limit: QuotaLimit) -> Result<(), String> {
    let part = f64::from(burst) / f64::from(limits::QUOTA_OVERSPEND_PART);
    for end in asked.iter().filter(|it| it.refused.is_none()) {
        let granted = asked.iter().filter(|it| it.refused.is_none()).map(|it| (it.to, it.units));
        let used = used(burst, granted, end.to);
        // What is regained within the run, and a message that takes long, are less than a unit.
        if used > f64::from(burst) + part + 1.0 {
            return Err(format!("{used} of {burst} units are granted at {end:?}"));
        }
    }
    for refused in asked.iter().filter(|it| it.refused == Some(limit)) {
        // What was asked for at the same time may have been granted for a moment, until the others know that it was taken back.
        let is_granted = |it: &&Asked| {
            let meanwhile = it.from <= refused.to && refused.from <= it.to + TAKEN_BACK;
            let itself = it.from == refused.from && it.units == refused.units;
            !itself && (it.refused.is_none() || meanwhile)
        };
        let granted = asked.iter().filter(is_granted).map(|it| (it.from, it.units));
        let used = used(burst, granted, refused.to) + f64::from(refused.units);
        if used < f64::from(burst) - part {
            return Err(format!("{refused:?} with {used} of {burst} units"));
        }
    }
    Ok(())
}

fn check_all(asked: &[Asked]) -> Result<(), String> {
    for account in 0..ACCOUNTS {
        let of_it: Vec<_> = asked.iter().filter(|it| it.account == account).copied().collect();
        check(OF_ACCOUNT, &of_it, QuotaLimit::NewHandles)?;
    }
    check(OF_ALL, asked, QuotaLimit::UnprovenNewHandles)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn three_nodes_grant_at_most_a_fifth_more_and_refuse_nothing_that_is_left(seed: u64) {
        let asked = history(seed, false);
        let refused: Vec<_> = asked.iter().filter_map(|it| it.refused).collect();
        prop_assert!(refused.len() < asked.len() && !refused.is_empty());
        prop_assert_eq!(check_all(&asked), Ok(()));
    }
}

#[test]
fn nodes_that_hear_nothing_of_each_other_grant_more() {
    let too_much = check_all(&history(1, true)).unwrap_err();
    assert!(too_much.contains("are granted"), "{too_much}");
}

#[test]
fn a_small_charge_is_told_to_nobody_and_what_adds_up_is_told_once() {
    let clock = clock();
    let nodes = nodes(&config(), &clock, 3);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |first: u32, count: u32| {
        let call = call(1, Standing::Unproven);
        runtime.block_on(spend(&nodes[0], call, &phones(first..first + count))).unwrap()
    };
    let left = |node: usize| {
        let state = nodes[node].state_of(AccountId::from_bits(1), Standing::Unproven);
        state.allowance.daily.remaining
    };
    round(&nodes, 0);
    // Ten may be untold, and up to five of them for long.
    ask(0, 5);
    assert!(round(&nodes, 0).spent.is_empty());
    ask(5, 2);
    let told = round(&nodes, 0).spent;
    let of_account: Vec<_> = told.iter().map(|it| (it.counter, it.key, it.units)).collect();
    assert_eq!(of_account, [(Counter::NewHandles, 1, 7)]);
    assert_eq!((left(0), left(1), left(2)), (93, 93, 93));
    assert!(round(&nodes, 0).spent.is_empty());
    // It may spend untold again, and regains that at a tenth of the rate.
    ask(10, 5);
    clock.advance(DAY / 2);
    ask(20, 5);
    assert!(round(&nodes, 0).spent.is_empty());
    assert_eq!(nodes[0].sharing().unwrap().figures().waits, 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_large_charges_at_once_that_exceed_an_allowance_both_are_taken_back_everywhere() {
    let nodes = nodes(&config(), &clock(), 2);
    let call = call(1, Standing::Unproven);
    let (of_a, of_b) = (phones(0..60), phones(100..160));
    let spent = spend_both(&nodes, call, &of_a, &of_b).await;
    // Both knew of both.
    assert_eq!(spent, (Err(QuotaLimit::NewHandles), Err(QuotaLimit::NewHandles)));
    round(&nodes, 0);
    round(&nodes, 1);
    for node in &nodes {
        let left = node.state_of(call.account, Standing::Unproven).allowance.daily.remaining;
        assert_eq!((left, new_to(node, 1, &of_a), new_to(node, 1, &of_b)), (100, 60, 60));
        let network = network_key(call.ip);
        for counter in Counter::ALL {
            let used =
                |key| node.counting(*counter).map_or(0, |it| it.used(key, node.clock.boot()));
            assert_eq!((used(1), used(network), used(0)), (0, 0, 0), "{counter}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_sent_again_while_it_waits_is_no_repeat() {
    let nodes = nodes(&config(), &clock(), 2);
    let (call, handles) = (call(1, Standing::Unproven), phones(0..40));
    let told = async {
        sleep(STEP).await;
        assert_eq!(
            new_to(&nodes[0], 1, &handles),
            40,
            "nothing is remembered that is not answered"
        );
        round(&nodes, 0);
        std::future::pending().await
    };
    let both = async { join!(spend(&nodes[0], call, &handles), spend(&nodes[0], call, &handles)) };
    let spent = tokio::select! { spent = both => spent, () = told => unreachable!() };
    // Either may go on first.
    let mut new = [spent.0.unwrap(), spent.1.unwrap()];
    new.sort_unstable();
    assert_eq!(new, [0, 40], "one is a repeat once the other is answered");
    round(&nodes, 0);
    for node in &nodes {
        let left = node.state_of(call.account, Standing::Unproven).allowance.daily.remaining;
        assert_eq!(left, 60, "it is paid for once");
    }
}

#[tokio::test(start_paused = true)]
async fn two_nodes_that_charge_one_day_at_once_use_the_address_book_for_the_rest() {
    let config = Config { import_handles: 50, ..config() };
    let nodes = nodes(&config, &clock(), 2);
    let call = call(1, Standing::Older);
    let (of_a, of_b) = (phones(0..80), phones(100..160));
    let spent = spend_both(&nodes, call, &of_a, &of_b).await;
    assert_eq!(spent, (Ok(80), Ok(60)));
    for node in &nodes {
        let left = node.state_of(call.account, Standing::Older).allowance;
        assert_eq!((left.daily.remaining, left.remaining()), (0, 10));
        assert_eq!(ask(node, call, &phones(200..211)).unwrap_err().remaining, 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_no_round_reaches_goes_on_after_a_while() {
    let nodes = nodes(&config(), &clock(), 2);
    let begun = Instant::now();
    let asked = spend(&nodes[0], call(1, Standing::Unproven), &phones(0..100)).await;
    assert_eq!((asked, begun.elapsed()), (Ok(100), limits::QUOTA_ROUND_PATIENCE));
}

#[tokio::test(start_paused = true)]
async fn handles_of_an_asker_that_leaves_while_it_waits_are_new_again_and_charged() {
    let nodes = nodes(&config(), &clock(), 2);
    let (call, handles) = (call(1, Standing::Unproven), phones(0..60));
    let asked = tokio::time::timeout(STEP, spend(&nodes[0], call, &handles)).await;
    assert!(asked.is_err());
    let left = nodes[0].state_of(call.account, call.standing).allowance.daily.remaining;
    assert_eq!((new_to(&nodes[0], 1, &handles), left), (60, 40));
}

#[test]
fn a_node_that_lies_empties_no_allowance_for_ever() {
    let clock = clock();
    let nodes = nodes(&config(), &clock, 1);
    for (counter, key) in [
        (Counter::NewHandles, 1),
        (Counter::AddressBook, 1),
        (Counter::Requests, 1),
        (Counter::UnprovenNewHandles, 0),
    ] {
        let spent = vec![Spent::new(counter, key, i32::MAX as u32)];
        let owed = vec![Owed { counter, key, debt_us: u64::MAX }];
        nodes[0].receive(&QuotaNews { spent, owed, ..QuotaNews::default() }).unwrap();
    }
    ask(&nodes[0], call(1, Standing::Unproven), &phones(0..1)).unwrap_err();
    clock.advance(2 * DAY);
    nodes[0].charge_request(AccountId::from_bits(1)).unwrap();
    ask(&nodes[0], call(1, Standing::Unproven), &phones(0..1)).unwrap();
}

#[test]
fn a_repeat_is_free_on_every_node_unless_it_was_not_answered() {
    let nodes = nodes(&config(), &clock(), 3);
    let call = call(1, Standing::Older);
    let handles = phones(0..100);
    ask(&nodes[0], call, &handles).unwrap();
    round(&nodes, 0);
    assert_eq!(new_to(&nodes[1], 1, &handles), 100, "they are not answered yet");
    let answered = handles.iter().map(|handle| (handle, true));
    assert_eq!(nodes[0].observe(call.account, call.standing, answered), None);
    // One round tells as much as one call takes.
    assert_eq!(round(&nodes, 0).asked.len(), limits::QUOTA_NEWS_HANDLES_MAX);
    round(&nodes, 0);
    for node in &nodes {
        assert_eq!((new_to(node, 1, &handles), new_to(node, 2, &handles)), (0, 100));
    }
}

#[test]
fn a_node_that_begins_anew_is_told_what_is_owed() {
    let clock = clock();
    let config = Config { import_handles: 1_000, network_new_handles_per_day: 1_000, ..config() };
    let mut nodes = nodes(&config, &clock, 2);
    let call = LookupCall { units: 20_000, ..call(1, Standing::Older) };
    ask(&nodes[0], call, &phones(0..3_000)).unwrap_err();
    ask(&nodes[0], call, &phones(0..900)).unwrap();
    // Little: a tenth of two nodes may be untold anyway.
    ask(
        &nodes[0],
        LookupCall { account: AccountId::from_bits(2), units: 1, ..call },
        &phones(0..9),
    )
    .unwrap();
    nodes[1] = self::nodes(&config, &clock, 1).remove(0);
    round(&nodes, 0);
    for news in nodes[0].owed() {
        assert!(news.owed.len() <= limits::QUOTA_NEWS_ROWS_MAX);
        let rows = news.owed.iter();
        assert!(rows.clone().all(|it| it.key != 2) && rows.len() > 0);
        nodes[1].receive(&news).unwrap();
    }
    let both = [&nodes[0], &nodes[1]];
    let left = both.map(|node| node.state_of(call.account, Standing::Older).allowance);
    assert_eq!(left[0], left[1]);
    let refused = ask(&nodes[1], LookupCall { units: 1, ..call }, &phones(3_000..3_200));
    assert_eq!(refused.unwrap_err().limit, QuotaLimit::NetworkNewHandles);
    let used = both.map(|node| node.lookups.used(1, clock.boot()));
    assert_eq!(used, [20_000; 2]);
    // It has no effect twice.
    nodes[0].owed().iter().for_each(|news| nodes[1].receive(news).unwrap());
    assert_eq!(nodes[1].lookups.used(1, clock.boot()), 20_000);
}

#[tokio::test(start_paused = true)]
async fn what_no_round_can_take_is_counted_alone_and_shown() {
    let nodes = nodes(&config(), &clock(), 3);
    let begun = Instant::now();
    // Two rows each: the day, and the lookups.
    let mut calls = (0..).map(|account| call(account, Standing::Unproven));
    let asks = calls.by_ref().take(limits::QUOTA_NEWS_ROWS_MAX).map(async |call| {
        spend(&nodes[0], call, &phones(0..11)).await.unwrap();
        begun.elapsed()
    });
    let waited = futures_util::future::join_all(asks).await;
    let at_once = waited.iter().filter(|it| it.is_zero()).count() as u64;
    let figures = nodes[0].sharing().unwrap().figures();
    assert!(figures.waits > 0 && figures.lost > 0, "{figures:?}");
    assert_eq!((figures.lost, figures.waits), (at_once, waited.len() as u64 - at_once));
    assert!(round(&nodes, 0).spent.len() <= limits::QUOTA_NEWS_ROWS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_machine_alone_waits_for_nobody() {
    let quota = Quota::new(config(), clock());
    let call = call(1, Standing::Unproven);
    assert_eq!(spend(&quota, call, &phones(0..100)).await, Ok(100));
    assert_eq!(spend(&quota, call, &phones(100..101)).await, Err(QuotaLimit::NewHandles));
    assert!(quota.sharing().is_none() && quota.owed().is_empty());
}
