//! The quota's files: restarts, crashes, damage, full disks, and what is forgotten.

use std::{fs, path::Path, time::Duration};

use proptest::prelude::*;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{
    clock::Hour,
    envelope::{KeyFiles, Keyring},
    files::{
        OsDisk, SharedDisk,
        tests::sim_disk::{SimDisk, Survives},
    },
    limits,
    quota::{NotRestored, QuotaFiles},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Bench {
    folder: TempDir,
    clock: Arc<ManualClock>,
    keyring: Arc<Keyring>,
    disk: SharedDisk,
    /// Of a node of a cluster.
    shared_key: Option<Zeroizing<[u8; 16]>>,
}

fn keyring(folder: &Path) -> Arc<Keyring> {
    let files = KeyFiles::new(&folder.join("keys"), None);
    Arc::new(Keyring::open(OsDisk::shared(), files, false).unwrap())
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = keyring(folder.path());
        Self { folder, clock: clock(), keyring, disk: OsDisk::shared(), shared_key: None }
    }

    fn dir(&self) -> std::path::PathBuf {
        self.folder.path().join("quota")
    }

    /// As a start does that fails before the files are read.
    fn unread_at(&self, dir: &Path) -> Quota {
        let files = QuotaFiles {
            dir: dir.to_owned(),
            disk: Arc::clone(&self.disk),
            keyring: Arc::clone(&self.keyring),
            retention: limits::LOG_RETENTION_MAX,
            shared_key: self.shared_key.clone(),
        };
        Quota::open(config(), Arc::clone(&self.clock) as _, files).unwrap()
    }

    fn open_at(&self, dir: &Path) -> Quota {
        let quota = self.unread_at(dir);
        quota.restore().unwrap();
        quota
    }

    fn open(&self) -> Quota {
        self.open_at(&self.dir())
    }

    /// The names of the files with this ending.
    fn names(&self, ending: &str) -> Vec<String> {
        let names = fs::read_dir(self.dir()).unwrap().map(|it| it.unwrap().file_name());
        let names = names.map(|it| it.into_string().unwrap());
        let mut names: Vec<_> = names.filter(|it| it.ends_with(ending)).collect();
        names.sort();
        names
    }

    /// The length of the only file of states.
    fn states_bytes(&self) -> u64 {
        let names = self.names(".states");
        let [name] = &names[..] else { panic!("{names:?}") };
        fs::metadata(self.dir().join(name)).unwrap().len()
    }

    /// Destroys the keys that are too old, as the log's retention does.
    fn prune(&self) {
        let is_due = |hour: &Hour| hour.start().plus(limits::LOG_RETENTION_MAX) <= self.clock.now();
        let due: Vec<_> = self.keyring.hours().into_iter().filter(is_due).collect();
        self.keyring.prune(&due).unwrap();
    }
}

#[test]
fn a_restart_forgives_nothing_that_was_written() {
    let bench = Bench::new();
    let (unproven, older) = (call(1, Standing::Unproven), call(2, Standing::Older));
    let quota = bench.open();
    ask(&quota, unproven, &phones(0..90)).unwrap();
    ask(&quota, older, &phones(0..400)).unwrap();
    quota.write();
    // This is not written, and forgiven.
    ask(&quota, unproven, &phones(90..95)).unwrap();
    let before = quota.state_of(older.account, Standing::Older);
    drop(quota);

    bench.clock.advance(Duration::from_secs(86_400 / 100));
    let quota = bench.open();
    assert_eq!((new_to(&quota, 1, &phones(0..95)), new_to(&quota, 2, &phones(0..400))), (5, 0));
    let left =
        |account, standing| quota.state_of(AccountId::from_bits(account), standing).allowance;
    assert_eq!(left(1, Standing::Unproven).daily.remaining, 11);
    assert_eq!(left(2, Standing::Older).daily.remaining, 1);
    let import = left(2, Standing::Older).import.unwrap();
    assert_eq!(import.remaining, before.allowance.import.unwrap().remaining);
    // The registry may know of another proof.
    assert_eq!(quota.known_standing(older.account), None);
    // The network has used up 90 of 10,000 and 490 of 100,000.
    assert_eq!(ask(&quota, unproven, &phones(100..111)).unwrap().new.len(), 11);
    let figures = quota.figures();
    assert_eq!((figures.remembered_handles, figures.accounts), (501, 2));
}

#[test]
fn a_flag_that_was_stored_is_known_after_a_restart_so_that_clearing_it_forgets_the_evidence() {
    let bench = Bench::new();
    let older = call(2, Standing::Older);
    let quota = bench.open();
    ask(&quota, older, &phones(0..400)).unwrap();
    let asked = phones(0..40);
    let _ = quota.observe(older.account, Standing::Older, asked.iter().map(|it| (it, false)));
    quota.write();
    quota.flag_is_stored(older.account);
    quota.write();
    let quota = bench.open();
    assert_eq!(quota.state_of(older.account, Standing::Older).asked, 40);
    ask(&quota, older, &phones(400..401)).unwrap();
    assert_eq!(quota.state_of(older.account, Standing::Older).asked, 0);
}

#[test]
fn states_that_cannot_be_read_stay_until_they_can() {
    let bench = Bench::new();
    let quota = bench.open();
    ask(&quota, call(1, Standing::Older), &phones(0..1_000)).unwrap();
    quota.write();
    let former = bench.names(".states");
    let path = bench.dir().join(&former[0]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, vec![b'?'; bytes.len()]).unwrap();
    let quota = bench.open();
    for day in 0..3 {
        ask(&quota, call(2, Standing::Older), &phones(day..day + 1)).unwrap();
        quota.write();
        bench.clock.advance(DAY);
    }
    let kept = bench.names(".states");
    assert!(kept.contains(&former[0]), "{former:?} {kept:?}");
    fs::write(&path, bytes).unwrap();
    let quota = bench.open();
    let left = quota.state_of(AccountId::from_bits(1), Standing::Older).allowance;
    assert_eq!(left.import.unwrap().remaining, 9_100 + 3 * 10_000 / 120);
    quota.write();
    assert_eq!(bench.names(".states").len(), 1);
}

#[test]
fn a_name_with_the_last_number_and_no_key_is_no_obstacle() {
    let bench = Bench::new();
    fs::create_dir(bench.dir()).unwrap();
    fs::write(bench.dir().join("0000000000-4294967295.states"), "").unwrap();
    let quota = bench.open();
    ask(&quota, call(1, Standing::Older), &phones(0..1)).unwrap();
    quota.write();
    assert_eq!(new_to(&bench.open(), 1, &phones(0..1)), 0);
}

#[test]
fn a_start_that_fails_before_the_files_are_read_replaces_none() {
    let bench = Bench::new();
    let quota = bench.open();
    ask(&quota, call(1, Standing::Older), &phones(0..1_000)).unwrap();
    quota.write();
    let names = bench.names("");
    let quota = bench.unread_at(&bench.dir());
    ask(&quota, call(2, Standing::Older), &phones(0..1)).unwrap();
    quota.write();
    assert_eq!(bench.names(""), names);
}

#[test]
fn a_file_of_states_grows_by_what_changed_and_is_replaced_once_it_is_long() {
    let bench = Bench::new();
    let quota = bench.open();
    let write = |handle: u32| {
        ask(&quota, call(1, Standing::Older), &phones(handle..handle + 1)).unwrap();
        quota.write();
        bench.states_bytes()
    };
    let first = write(0);
    assert!(write(1) - first < 200, "the state of the detector was written again");
    let all = 400;
    let mut longest = 0;
    for step in 0..100 {
        for account in 0..all {
            let ip = network((account % 4) as u8);
            let asker = LookupCall { ip, ..call(100 + account, Standing::Older) };
            ask(&quota, asker, &phones(step..step + 1)).unwrap();
        }
        quota.write();
        longest = longest.max(bench.states_bytes());
    }
    // Each write adds 20,000 bytes: two million without a new file.
    assert!(
        (limits::QUOTA_STATES_BYTES_MIN..limits::QUOTA_STATES_BYTES_MIN + 150_000)
            .contains(&longest),
        "{longest}"
    );
    assert_eq!(bench.open().figures().accounts, all + 1);
}

#[test]
fn a_network_and_all_unproven_accounts_together_are_not_forgiven_either() {
    let bench = Bench::new();
    let quota = bench.open();
    for account in 0..100 {
        let first = account as u32 * 100;
        ask(&quota, call(account, Standing::Unproven), &phones(first..first + 100)).unwrap();
    }
    quota.write();
    let quota = bench.open();
    assert!(ask(&quota, call(200, Standing::Unproven), &phones(0..100)).is_err());
    ask(&quota, LookupCall { ip: network(2), ..call(200, Standing::Unproven) }, &phones(0..100))
        .unwrap();
}

#[test]
fn what_was_asked_dies_with_the_key_of_its_hour_also_in_a_backup() {
    let bench = Bench::new();
    let quota = bench.open();
    ask(&quota, call(1, Standing::Older), &phones(0..100)).unwrap();
    quota.write();
    let backup = bench.folder.path().join("backup");
    fs::create_dir(&backup).unwrap();
    for name in bench.names("") {
        fs::copy(bench.dir().join(&name), backup.join(&name)).unwrap();
    }
    // Within the hour in which they are forgotten, but before.
    bench.clock.advance(limits::LOG_RETENTION_MAX - HOUR);
    ask(&quota, call(1, Standing::Older), &phones(100..101)).unwrap();
    quota.write();
    bench.prune();
    assert_eq!(new_to(&bench.open(), 1, &phones(0..101)), 0);
    bench.clock.advance(HOUR);
    bench.prune();
    quota.tick();
    assert_eq!(bench.names(".handles").len(), 1);
    for dir in [bench.dir(), backup] {
        let quota = bench.open_at(&dir);
        assert_eq!(new_to(&quota, 1, &phones(0..100)), 100);
    }
}

#[test]
fn states_outlive_the_keys_of_their_first_hour_and_leave_one_file() {
    let bench = Bench::new();
    let mut quota = bench.open();
    ask(&quota, call(1, Standing::Older), &phones(0..1_000)).unwrap();
    for day in 0..45 {
        quota.write();
        bench.clock.advance(DAY);
        bench.prune();
        quota.tick();
        quota.write();
        assert_eq!(bench.names(".states").len(), 1, "day {day}");
        if day % 10 == 0 {
            quota = bench.open();
        }
    }
    let left = quota.state_of(AccountId::from_bits(1), Standing::Older).allowance;
    // Of 900 beyond the first day, 45 days regained all; what is checked is that neither was forgiven at once.
    assert_eq!(left.import.unwrap().remaining, 10_000);
    let quota = bench.open();
    assert_eq!(new_to(&quota, 1, &phones(0..1_000)), 1_000);
}

#[test]
fn a_debt_of_an_address_book_is_kept_for_longer_than_any_key() {
    let bench = Bench::new();
    let quota = bench.open();
    for ten in 0..10 {
        ask(&quota, call(1, Standing::Older), &phones(ten * 1_000..ten * 1_000 + 1_000)).unwrap();
    }
    for _ in 0..40 {
        bench.clock.advance(DAY);
        quota.write();
        bench.prune();
        quota.tick();
    }
    let left = |quota: &Quota| {
        let state = quota.state_of(AccountId::from_bits(1), Standing::Older);
        state.allowance.import.unwrap().remaining
    };
    assert_eq!(left(&quota), 100 + 40 * 10_000 / 120);
    assert_eq!(left(&bench.open()), left(&quota));
}

#[test]
fn on_a_full_disk_quotas_go_on_and_everything_is_written_later() {
    let mut bench = Bench::new();
    let sim = SimDisk::new(bench.folder.path());
    bench.disk = Arc::new(sim.clone());
    let quota = bench.open();
    ask(&quota, call(1, Standing::Older), &phones(0..10)).unwrap();
    quota.write();
    for (from, fault) in [(10, &sim.fail_appends), (20, &sim.fail_syncs)] {
        fault.store(true, std::sync::atomic::Ordering::SeqCst);
        ask(&quota, call(1, Standing::Older), &phones(from..from + 10)).unwrap();
        for _ in 0..20 {
            quota.write();
            bench.clock.advance(Duration::from_secs(6));
        }
        assert_eq!(new_to(&quota, 1, &phones(0..from + 10)), 0);
        assert_eq!(new_to(&bench.open(), 1, &phones(0..from)), 0);
        // Attempts leave no files behind.
        assert!(bench.names("").len() <= 6, "{:?}", bench.names(""));
        fault.store(false, std::sync::atomic::Ordering::SeqCst);
        quota.write();
        assert_eq!(new_to(&bench.open(), 1, &phones(0..from + 10)), 0);
    }
    assert_eq!(sim.writes_after_failed_sync(), 0);
}

#[test]
fn a_crash_at_any_change_forgives_no_more_than_the_last_write() {
    let mut bench = Bench::new();
    let sim = SimDisk::new(bench.folder.path());
    bench.disk = Arc::new(sim.clone());
    // What was written after how many changes of the disk.
    let (mut written, mut next) = (vec![(0, 0)], 0);
    for _ in 0..2 {
        let quota = bench.open();
        for step in 0..6 {
            ask(&quota, call(1, Standing::Older), &phones(next..next + 20)).unwrap();
            next += 20;
            quota.write();
            written.push((sim.ops(), next));
            bench.clock.advance(if step % 3 == 2 { DAY } else { HOUR / 2 });
        }
    }
    bench.disk = OsDisk::shared();
    for count in 0..=sim.ops() {
        let durable = written.iter().rev().find(|(ops, _)| *ops <= count).unwrap().1;
        let torn = if count < sim.ops() { [0, sim.appended(count) / 2] } else { [0, 0] };
        for survives in Survives::ALL {
            for torn in torn {
                let target = tempfile::tempdir().unwrap();
                sim.crash_at(count, torn, survives, target.path());
                let quota = bench.open_at(&target.path().join("quota"));
                let new = new_to(&quota, 1, &phones(0..durable));
                assert_eq!(new, 0, "{count} of {}, {survives:?}, torn {torn}", sim.ops());
                // It can go on.
                ask(&quota, call(2, Standing::Older), &phones(0..1)).unwrap();
                quota.write();
                let again = bench.open_at(&target.path().join("quota"));
                assert_eq!(new_to(&again, 2, &phones(0..1)), 0);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any damage costs what it hits and nothing else, and never the start.
    #[test]
    fn damage_is_passed_over(place: prop::sample::Index, file: prop::sample::Index, byte: u8, is_cut: bool) {
        let bench = Bench::new();
        let quota = bench.open();
        for step in 0..20_u32 {
            ask(&quota, call(1, Standing::Older), &phones(step * 10..step * 10 + 10)).unwrap();
            quota.write();
            bench.clock.advance(HOUR / 5);
        }
        let names = bench.names("");
        let path = bench.dir().join(file.get(&names));
        let mut bytes = fs::read(&path).unwrap();
        let at = place.index(bytes.len());
        if is_cut { bytes.truncate(at) } else { bytes[at] ^= byte }
        fs::write(&path, bytes).unwrap();
        let new = new_to(&bench.open(), 1, &phones(0..200));
        // One file has at most five writes.
        prop_assert!(new <= 50, "{}", new);
        prop_assert_eq!(new % 10, 0);
    }
}

#[test]
fn files_say_nothing_without_their_keys() {
    let bench = Bench::new();
    let quota = bench.open();
    ask(&quota, call(0x1122_3344_5566_7788, Standing::Unproven), &phones(0..100)).unwrap();
    quota.write();
    let needles = [0x1122_3344_5566_7788_u64.to_le_bytes().to_vec(), vec![1, 2, 0, 192]];
    for name in bench.names("") {
        let bytes = fs::read(bench.dir().join(name)).unwrap();
        for needle in &needles {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle));
        }
    }
}

#[test]
fn a_machine_that_becomes_a_node_forgives_what_was_asked_before_and_goes_on_alone_with_the_shared_key()
 {
    let mut bench = Bench::new();
    let (call, handles) = (call(1, Standing::Unproven), phones(0..90));
    let quota = bench.open();
    ask(&quota, call, &handles).unwrap();
    quota.write();
    drop(quota);

    bench.shared_key = Some([7; 16].into());
    let quota = bench.open();
    let left =
        |quota: &Quota| quota.state_of(call.account, call.standing).allowance.daily.remaining;
    assert_eq!((new_to(&quota, 1, &handles), left(&quota)), (90, 100));
    ask(&quota, call, &handles[..50]).unwrap();
    quota.write();
    drop(quota);
    for shared_key in [bench.shared_key.clone(), None] {
        bench.shared_key = shared_key;
        let quota = bench.open();
        assert_eq!((new_to(&quota, 1, &handles), left(&quota)), (40, 50));
    }
}

#[test]
fn what_other_nodes_tell_before_the_files_are_read_is_refused_since_reading_would_lose_it() {
    let mut bench = Bench::new();
    bench.shared_key = Some([7; 16].into());
    let (call, handles) = (call(1, Standing::Unproven), phones(0..60));
    let quota = bench.open();
    ask(&quota, call, &handles[..20]).unwrap();
    quota.write();
    drop(quota);
    let elsewhere = bench.open_at(&bench.folder.path().join("elsewhere"));
    ask(&elsewhere, call, &handles).unwrap();
    let owed = elsewhere.owed();

    let quota = bench.unread_at(&bench.dir());
    let tell = || owed.iter().try_for_each(|news| quota.receive(news));
    assert_eq!(tell(), Err(NotRestored));
    quota.restore().unwrap();
    assert_eq!(tell(), Ok(()));
    let left = quota.state_of(call.account, call.standing).allowance.daily.remaining;
    assert_eq!(left, 40);
}

#[test]
fn what_other_nodes_told_survives_a_restart() {
    let mut bench = Bench::new();
    bench.shared_key = Some([7; 16].into());
    let (call, handles) = (call(1, Standing::Unproven), phones(0..60));
    let elsewhere = bench.open_at(&bench.folder.path().join("elsewhere"));
    ask(&elsewhere, call, &handles).unwrap();
    let answered = handles.iter().map(|handle| (handle, false));
    assert_eq!(elsewhere.observe(call.account, call.standing, answered), None);
    let asked = elsewhere.sharing().unwrap().begin(1).news;
    let quota = bench.open();
    quota.receive(&asked).unwrap();
    quota.write();
    elsewhere.owed().iter().for_each(|news| quota.receive(news).unwrap());
    quota.write();
    drop(quota);
    let quota = bench.open();
    let left = quota.state_of(call.account, call.standing).allowance.daily.remaining;
    assert_eq!((new_to(&quota, 1, &handles), left), (0, 40));
}
