//! The index alone against a plain map: thousands of accounts with several devices and handles, in the four shards that
//! tables have in tests, so that shards grow and nearly every record has several keys in one shard.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    accounts::device,
    maker::{Maker, phone},
    *,
};
use crate::{
    registry::{
        HandleState,
        account::{Account, Claim, Device},
        arena::Arena,
        handle_state::Tombstone,
        index::Index,
        packed::{Packed, pack},
        state::RegistryState,
        store::{Mutation, RedbStore, Store},
        totals::Totals,
    },
    vocabulary::HandleLoss,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const STEPS: u64 = 12_000;
/// Of 1,200 that [`STEPS`] leave on average, with a standard deviation of 85.
const ACCOUNTS_LEAST: usize = 600;
const FEW_STEPS: u64 = 20_000;
const FEW_ACCOUNTS: usize = 12;
/// Between two comparisons of everything with everything.
const WHOLE_EVERY: u64 = 3_000;

type Model = BTreeMap<AccountId, Account>;

fn probe(account: &Account, handle: &Handle) -> HandleState {
    let claim = account.claim(handle).expect("it is held");
    let leases = claim.devices.iter().filter_map(|id| account.device(*id));
    let leases = leases.map(|device| (device.last_check_in_at.plus(LEASE), device.id));
    let (live_until, device) = leases.max().expect("it is backed");
    let (account, discoverable) = (account.id, claim.discoverable);
    HandleState::Claimed { account, device, live_until, discoverable }
}

/// That every key of `account` finds it.
fn check(index: &Index, account: &Account) {
    for claim in &account.claims {
        assert_eq!(index.holder(&claim.handle), Some(account.id));
        assert_eq!(
            index.probe(&claim.handle, NOW, |last| last.plus(LEASE)),
            probe(account, &claim.handle)
        );
    }
    for device in &account.devices {
        let (packed, found) = index.device(device.id).expect("it is there");
        assert_eq!((packed.account(), found.id()), (account.id, device.id));
        assert_eq!(packed.bytes(), pack(account));
    }
}

/// That no key which `before` had and `after` has not finds anything.
fn check_gone(index: &Index, before: &Account, after: Option<&Account>) {
    for claim in &before.claims {
        if after.is_none_or(|after| after.claim(&claim.handle).is_none()) {
            assert_eq!(index.holder(&claim.handle), None);
        }
    }
    for device in &before.devices {
        if after.is_none_or(|after| after.device(device.id).is_none()) {
            assert_eq!(index.account_of(device.id), None);
        }
    }
}

fn check_whole(index: &Index, model: &Model) {
    model.values().for_each(|account| check(index, account));
    let all = (0..index.pages()).flat_map(|page| index.page(page));
    let all: Vec<_> = all.map(|packed| packed.account()).collect();
    assert_eq!(all.len(), model.len(), "nothing is left behind");
    let handles = model.values().map(|account| account.claims.len()).sum();
    let devices = model.values().map(|account| account.devices.len()).sum();
    assert_eq!(index.found(), (handles, devices), "nothing is left behind");
    let bytes: usize = model.values().map(|account| pack(account).len()).sum();
    assert_eq!(index.bytes().accounts, bytes as u64);
}

fn step(index: &mut Index, model: &mut Model, maker: &mut Maker, is_growing: bool) {
    let known = |maker: &mut Maker, model: &Model| {
        let from = AccountId::from_bits((maker.below(1 << 16) as u64) << 48);
        model.range(from..).chain(model.range(..from)).next().map(|(id, _)| *id)
    };
    let (add, change) = if is_growing { (5, 8) } else { (2, 5) };
    let (before, after) = match (maker.below(10), known(maker, model)) {
        (chance, Some(id)) if chance >= add => {
            let before = model[&id].clone();
            let mut after = before.clone();
            maker.change(&mut after);
            (Some(before), (chance < change).then_some(after))
        }
        _ => {
            let id = AccountId::from_bits((maker.below(1 << 30) as u64) << 34 | maker.next());
            (None, Some(maker.account(id)))
        }
    };
    match (before, after) {
        (None, Some(account)) => {
            model.insert(account.id, account.clone());
            index.apply(Mutation::PutAccount { account: account.clone(), known_by: None });
            check(index, &account);
        }
        (Some(before), Some(account)) => {
            model.insert(account.id, account.clone());
            if let Some(step) = Mutation::of(&before, account.clone()) {
                index.apply(step);
            }
            check(index, &account);
            check_gone(index, &before, Some(&account));
        }
        (Some(before), None) => {
            model.remove(&before.id);
            let known_by = before.devices[0].id;
            index.apply(Mutation::RemoveAccount { id: before.id, known_by });
            check_gone(index, &before, None);
        }
        (None, None) => unreachable!("what is new is there"),
    }
}

fn seed() -> u64 {
    let seed = std::env::var("DISPATCHD_TEST_SEED");
    let seed = seed.map_or(20_261_129, |text| text.parse().expect("a number"));
    println!("DISPATCHD_TEST_SEED={seed}");
    seed
}

/// Thousands of accounts, and the index that they were put into and changed in.
fn grown(steps: u64) -> (Index, Model) {
    let (mut index, mut model, mut maker) = (Index::new(), Model::new(), Maker::new(seed()));
    for number in 0..steps {
        // Grows, shrinks by half, and grows again.
        step(&mut index, &mut model, &mut maker, number % WHOLE_EVERY < WHOLE_EVERY * 2 / 3);
        if number % WHOLE_EVERY == WHOLE_EVERY - 1 {
            check_whole(&index, &model);
        }
    }
    (index, model)
}

#[test]
fn an_index_of_thousands_finds_what_was_put_in_by_every_key_and_nothing_else() {
    let (mut index, mut model) = grown(STEPS);
    let left = model.len();
    assert!(left > ACCOUNTS_LEAST, "{left} accounts are too few to say anything");
    check_whole(&index, &model);
    let mut totals = Totals::default();
    model.values().for_each(|account| totals.add(Packed::of(&pack(account))));
    assert_eq!(index.totals(), totals);
    while let Some((id, account)) = model.pop_first() {
        let known_by = account.devices.last().expect("it has one").id;
        index.apply(Mutation::RemoveAccount { id, known_by });
        check_gone(&index, &account, None);
    }
    check_whole(&index, &model);
}

/// In small tables two keys of one record often lie side by side.
#[test]
fn a_small_index_that_changes_for_long_keeps_nothing_that_is_gone() {
    let (mut index, mut model, mut maker) = (Index::new(), Model::new(), Maker::new(seed()));
    for _ in 0..FEW_STEPS {
        let is_growing = model.len() < FEW_ACCOUNTS;
        step(&mut index, &mut model, &mut maker, is_growing);
        let handles = model.values().map(|account| account.claims.len()).sum();
        let devices = model.values().map(|account| account.devices.len()).sum();
        assert_eq!(index.found(), (handles, devices));
    }
    check_whole(&index, &model);
}

#[test]
fn an_index_made_of_all_accounts_at_once_is_the_same_by_any_number_of_threads() {
    let (_, mut model) = grown(WHOLE_EVERY);
    for threads in [1, 2, 3, 8] {
        let mut arena = Arena::default();
        for account in model.values() {
            arena.insert(Packed::of(&pack(account)));
        }
        let mut index = Index::of(arena, threads).expect("nobody meets");
        check_whole(&index, &model);
        // What comes after goes on from there.
        let mut maker = Maker::after(u64::from(u32::MAX) + threads as u64 * 100_000, 7);
        let mut changed = model.clone();
        for _ in 0..500 {
            step(&mut index, &mut changed, &mut maker, true);
        }
        check_whole(&index, &changed);
    }
    // The last account gets a handle of the first: whichever thread meets it.
    let held =
        model.values().find_map(|account| account.claims.first()).expect("one holds").clone();
    let mut last = model.last_entry().expect("there are some");
    let backing = last.get().devices[0].id;
    last.get_mut().claims.push(Claim { devices: vec![backing], ..held });
    for threads in [1, 2, 3] {
        let mut arena = Arena::default();
        for account in model.values() {
            arena.insert(Packed::of(&pack(account)));
        }
        assert!(Index::of(arena, threads).is_err());
    }
}

/// The instants of check-ins that a probe of `handle` reads: those of one account.
fn read_by(index: &Index, handle: &Handle) -> Vec<Timestamp> {
    let read = RefCell::new(Vec::new());
    index.probe(handle, NOW, |last| {
        read.borrow_mut().push(last);
        last.plus(LEASE)
    });
    read.into_inner()
}

/// The time of an answer must not tell a handle that somebody hides from one that nobody holds.
#[test]
fn a_handle_that_nobody_holds_reads_one_account_as_a_hidden_one_does() {
    const HOLDERS: u64 = 1_000;
    let mut index = Index::new();
    assert!(read_by(&index, &phone(0)).is_empty(), "there is no account to read");
    for number in 0..HOLDERS {
        let mut account = Account::new(AccountId::from_bits(number + 1));
        let at = NOW.plus(Duration::from_secs(number));
        let devices = vec![DeviceId::from_bits(number + 1)];
        account.devices.push(Device { id: devices[0], last_check_in_at: at, ..device(0) });
        let (handle, discoverable) = (phone(number), false);
        account.claims.push(Claim { handle, proved_at: NOW, discoverable, devices });
        index.apply(Mutation::PutAccount { account, known_by: None });
        let strangers = HOLDERS + number * 10..HOLDERS + number * 10 + 10;
        for handle in strangers.map(phone) {
            assert_eq!(index.probe(&handle, NOW, |last| last.plus(LEASE)), HandleState::Unknown);
            assert_eq!(read_by(&index, &handle).len(), 1);
        }
    }
    for number in 0..HOLDERS {
        assert_eq!(read_by(&index, &phone(number)), [NOW.plus(Duration::from_secs(number))]);
    }
    // Not the same few accounts, which would stay in the cache: a share of 1 - 1/e if each is equally likely.
    let others: Vec<_> =
        (HOLDERS..2 * HOLDERS).flat_map(|number| read_by(&index, &phone(number))).collect();
    let distinct: BTreeSet<_> = others.iter().copied().collect();
    assert!(distinct.len() > HOLDERS as usize / 2, "{}", distinct.len());
    let again = (HOLDERS..2 * HOLDERS).flat_map(|number| read_by(&index, &phone(number)));
    assert!(again.eq(others), "a second probe of a handle reads what the first one read");
}

#[test]
fn how_handles_ended_is_kept_beside_them() {
    let mut index = Index::new();
    let mut model = BTreeMap::new();
    let mut maker = Maker::new(seed());
    let hows = [HandleLoss::Unbound, HandleLoss::Deregistered, HandleLoss::DeviceRemoved];
    for _ in 0..3_000 {
        let number = maker.below(500) as u64;
        let ended = Tombstone { how: hows[maker.below(3)], at: NOW };
        if maker.below(3) == 0 {
            index.apply(Mutation::RemoveTombstone(phone(number)));
            model.remove(&number);
        } else {
            index.apply(Mutation::PutTombstone(phone(number), ended));
            model.insert(number, ended);
        }
        let found = index.tombstone(&phone(number));
        assert_eq!(found, model.get(&number).copied());
    }
    assert_eq!(index.tombstones().count(), model.len());
}

/// Loads `store` by several threads and compares with what one thread loads, which is `model`.
fn check_loads(store: &mut dyn Store, model: &Model, ended: usize) {
    for threads in [1, 2, 3, 5, 16] {
        let state = RegistryState::new(config(), ManualClock::at(NOW), NOW);
        let rows = state.load_by(threads, store).expect("nobody meets");
        assert!(rows.is_empty());
        let index = state.read();
        check_whole(&index, model);
        assert_eq!(index.tombstones().count(), ended);
    }
}

#[test]
fn what_several_threads_load_is_what_one_loads() {
    let (_, mut model) = grown(1_000);
    let mut maker = Maker::after(u64::from(u32::MAX), 1);
    // Where one thread's part ends and the next one's begins.
    let share = |parts: u64| u64::MAX / parts;
    for id in
        [0, 1, u64::MAX, share(2) - 1, share(2), share(3), share(3) * 2, share(5) * 4, u64::MAX - 1]
    {
        let id = AccountId::from_bits(id);
        model.insert(id, maker.account(id));
    }
    let accounts = model.values().cloned();
    let mut steps: Vec<_> =
        accounts.map(|account| Mutation::PutAccount { account, known_by: None }).collect();
    let ended = Tombstone { how: HandleLoss::Unbound, at: NOW };
    steps.extend((0..100).map(|number| Mutation::PutTombstone(phone(9_000_000 + number), ended)));
    let dir = tempfile::tempdir().expect("a directory");
    let mut on_file = RedbStore::open(dir.path(), NOW).expect("a new store");
    let stores: [&mut dyn Store; 2] = [&mut MemoryStore::default(), &mut on_file];
    for store in stores {
        store.commit(1, &steps).expect("there is space");
        check_loads(store, &model, 100);
    }
}
