//! Trusted time against clocks that are set wrong, machines that start anew, and files that are damaged.

use std::{fs, sync::Arc, time::Duration};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    Clock as _, ClockFileError, Config, Machine as _, ManualClock, SystemClock, Timestamp, Trust,
    TrustedClock,
};
use crate::files::{OsDisk, tests::sim_disk::UnsyncedDisk};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// 2026-03-01T12:00:00Z.
const START: Timestamp = Timestamp::from_secs(1_772_366_400);

/// A data directory and its machine, whose kernel knows of no time service.
struct World {
    machine: Arc<ManualClock>,
    folder: TempDir,
    config: Config,
    clock: TrustedClock,
}

impl World {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let (machine, folder) = (ManualClock::at(START), tempfile::tempdir().unwrap());
        machine.set_synchronised(false);
        let clock = open(&machine, &folder, &config).unwrap();
        Self { machine, folder, config, clock }
    }

    /// Starts the process anew; the last one had saved its time if `was_saved`.
    fn restart(&mut self, was_saved: bool) {
        if was_saved {
            self.clock.save().unwrap();
        }
        self.clock = open(&self.machine, &self.folder, &self.config).unwrap();
    }

    /// Saves, takes the power away for `off`, reboots and starts the process.
    fn power_cycle(&mut self, off: Duration) {
        self.clock.save().unwrap();
        self.machine.advance(off);
        self.machine.reboot();
        self.restart(false);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn is_followed(&self) -> bool {
        self.clock.status().is_followed
    }
}

fn open(
    machine: &Arc<ManualClock>,
    folder: &TempDir,
    config: &Config,
) -> Result<TrustedClock, ClockFileError> {
    TrustedClock::open(Arc::clone(machine) as _, Arc::new(UnsyncedDisk), folder.path(), config)
}

/// Steps of the wall clock that trusted time must not follow: an hour and more, in both directions.
fn wrong() -> Vec<Timestamp> {
    let spans = [HOUR + MINUTE, 2 * HOUR, DAY, 31 * DAY, 40 * DAY, 181 * DAY, 3650 * DAY];
    let both = |span| [START.plus(span), START.minus(span)];
    spans.into_iter().flat_map(both).chain([Timestamp::EPOCH]).collect()
}

#[test]
fn a_small_step_is_followed_in_both_directions() {
    let world = World::new();
    for step in [Duration::from_secs(1), MINUTE, 50 * MINUTE] {
        for wall in [START.plus(step), START, START.minus(step), START] {
            world.machine.set_wall(wall);
            assert_eq!((world.now(), world.is_followed()), (wall, true));
        }
    }
}

#[test]
fn a_large_step_is_not_followed_and_time_passes_all_the_same() {
    for wall in wrong() {
        let mut world = World::new();
        world.machine.set_wall(wall);
        assert_eq!(world.now(), START, "{wall}");
        world.machine.advance(65 * MINUTE);
        assert_eq!(world.now(), START.plus(65 * MINUTE));
        assert_eq!(world.clock.latest(), world.now().max(wall.plus(65 * MINUTE)));
        for was_saved in [true, false] {
            // Without the last minutes saved, the boot clock still says how much time has passed.
            world.restart(was_saved);
            assert_eq!((world.now(), world.is_followed()), (START.plus(65 * MINUTE), false));
        }
        world.machine.set_wall(START.plus(70 * MINUTE));
        assert_eq!((world.now(), world.is_followed()), (START.plus(70 * MINUTE), true));
    }
}

#[test]
fn the_kernel_or_an_operator_confirms_a_large_step() {
    for wall in wrong() {
        let world = World::new();
        world.machine.set_wall(wall);
        assert!(!world.is_followed());
        world.machine.set_synchronised(true);
        assert_eq!((world.now(), world.is_followed()), (wall, true));

        let mut world = World::new();
        world.machine.set_wall(wall);
        assert!(world.clock.status().advice().unwrap().contains("dispatchd clock trust"));
        let status = world.clock.trust().unwrap();
        assert_eq!((status.trusted, status.advice()), (wall, None));
        world.restart(false);
        assert_eq!((world.now(), world.is_followed()), (wall, true), "it was not saved");
    }
}

#[test]
fn after_a_reboot_an_hour_ahead_is_followed_at_once() {
    for off in [Duration::ZERO, MINUTE, 59 * MINUTE] {
        let mut world = World::new();
        world.power_cycle(off);
        assert_eq!((world.now(), world.is_followed()), (START.plus(off), true));
    }
}

#[test]
fn after_a_reboot_up_to_seven_days_ahead_is_on_probation() {
    for off in [61 * MINUTE, DAY, 7 * DAY - 10 * MINUTE] {
        let mut world = World::new();
        world.power_cycle(off);
        assert_eq!((world.now(), world.is_followed()), (START, false));
        world.machine.advance(50 * MINUTE);
        assert_eq!(world.clock.status().probation_seconds, Some(600));
        assert!(world.clock.status().advice().unwrap().contains("or wait 10m"));
        // A restart of the process does not begin it anew; a jump of the clock does.
        world.restart(true);
        world.machine.set_wall(START.plus(off).plus(53 * MINUTE));
        assert_eq!(world.clock.status().probation_seconds, Some(3600));
        world.machine.advance(59 * MINUTE);
        assert_eq!((world.now(), world.is_followed()), (START.plus(109 * MINUTE), false));
        world.machine.advance(MINUTE);
        assert_eq!((world.now(), world.is_followed()), (START.plus(off).plus(113 * MINUTE), true));
    }
}

#[test]
fn after_a_reboot_a_clock_that_drifted_is_followed_and_one_up_to_an_hour_behind_is_on_probation() {
    let rebooted = |behind| {
        let mut world = World::new();
        world.clock.save().unwrap();
        world.machine.set_wall(START.minus(behind));
        world.machine.reboot();
        world.restart(false);
        world
    };
    let drifted = Duration::from_secs(20);
    let world = rebooted(drifted);
    assert_eq!((world.now(), world.is_followed()), (START.minus(drifted), true));
    for behind in [2 * MINUTE, 59 * MINUTE] {
        let world = rebooted(behind);
        assert_eq!((world.now(), world.is_followed()), (START, false));
        world.machine.advance(HOUR);
        let followed = START.plus(HOUR).minus(behind);
        assert_eq!((world.now(), world.is_followed()), (followed, true));
    }
}

/// The uptime of the new machine says nothing about the time since the directory was saved.
#[test]
fn on_another_machine_a_right_clock_is_followed_whatever_its_uptime() {
    for uptime in [Duration::ZERO, HOUR, 40 * DAY] {
        let mut world = World::new();
        world.clock.save().unwrap();
        world.machine.reboot();
        world.machine.advance(uptime);
        world.machine.set_wall(START.plus(MINUTE));
        world.restart(false);
        assert_eq!((world.now(), world.is_followed()), (START.plus(MINUTE), true), "{uptime:?}");
    }
}

/// Most of the time is certain: the machine has been up for longer than the clock is ahead.
#[test]
fn after_a_reboot_time_passes_at_most_as_far_as_the_boot_clock_accounts_for() {
    let mut world = World::new();
    world.clock.save().unwrap();
    world.machine.reboot();
    world.machine.advance(2 * DAY);
    world.machine.set_wall(START.plus(10 * DAY));
    world.restart(false);
    assert_eq!((world.now(), world.is_followed()), (START.plus(2 * DAY), false));
}

#[test]
fn after_a_reboot_other_clocks_wait_for_a_confirmation() {
    let spans = [2 * HOUR, 40 * DAY, 3650 * DAY];
    let behind = spans.into_iter().map(|span| START.minus(span));
    for wall in behind.chain([START.plus(8 * DAY), START.plus(3650 * DAY), Timestamp::EPOCH]) {
        let mut world = World::new();
        world.clock.save().unwrap();
        world.machine.set_wall(wall);
        world.machine.reboot();
        world.restart(false);
        world.machine.advance(2 * DAY);
        // Corrected at last, within what a probation allows.
        assert_eq!((world.now(), world.is_followed()), (START.plus(2 * DAY), false), "{wall}");
        assert_eq!(world.clock.status().probation_seconds, None);
        world.restart(true);
        world.machine.set_wall(START.plus(3 * DAY));
        assert_eq!(world.now(), START.plus(2 * DAY));
        world.machine.advance(HOUR);
        assert_eq!((world.now(), world.is_followed()), (START.plus(3 * DAY).plus(HOUR), true));
    }
}

/// A hypervisor stops both clocks. If nobody sets the wall clock afterwards, both go on together.
#[test]
fn a_paused_machine_goes_on() {
    let world = World::new();
    world.machine.advance(MINUTE);
    assert_eq!((world.now(), world.is_followed()), (START.plus(MINUTE), true));
    world.machine.set_wall(START.plus(3 * HOUR));
    assert_eq!((world.now(), world.is_followed()), (START.plus(MINUTE), false));
    world.machine.set_synchronised(true);
    assert_eq!((world.now(), world.is_followed()), (START.plus(3 * HOUR), true));
}

#[test]
fn the_ends_of_time_are_no_panic() {
    for wall in [Timestamp::EPOCH, Timestamp::from_micros(1), Timestamp::MAX] {
        for trust in [Trust::Check, Trust::Always] {
            let mut world = World::with(Config { trust, ..Config::default() });
            world.machine.set_wall(wall);
            world.clock.latest();
            world.clock.status();
            world.power_cycle(Duration::ZERO);
            world.machine.set_wall(START);
            world.restart(true);
            world.clock.status();
            world.clock.trust().unwrap();
            assert_eq!(world.now(), START);
        }
    }
}

/// A comparison holds for a while on a real machine.
#[test]
fn the_system_clock_is_read_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let machine = Arc::new(SystemClock);
        TrustedClock::open(machine, OsDisk::shared(), folder.path(), &Config::default()).unwrap()
    };
    let clock = open();
    clock.save().unwrap();
    let (first, again) = (clock.now(), open());
    assert!(clock.status().is_followed && again.status().is_followed);
    assert!(first <= again.now() && again.now().since(first) < HOUR);
    assert!(again.latest() >= first);
}

#[test]
fn the_saved_form_is_frozen() {
    let world = World::new();
    world.clock.save().unwrap();
    let saved = fs::read_to_string(world.folder.path().join("clock")).unwrap();
    let followed = "{\"trusted\":\"2026-03-01T12:00:00.000000Z\",\"boot_id\":\"1\",\"boot_us\":0,\"standing\":\"followed\",\"steps_from\":[0,1772366400000000],\"eras\":{\"current\":0,\"is_confirmed\":false,\"past\":[],\"jumps\":[]}}\n";
    assert!(saved.starts_with(followed) && saved.len() == followed.len() + 9, "{saved}");
}

#[test]
fn with_trust_always_each_step_is_followed() {
    for wall in wrong() {
        let mut world = World::with(Config { trust: Trust::Always, ..Config::default() });
        world.machine.set_wall(wall);
        assert_eq!((world.now(), world.is_followed()), (wall, true));
        world.clock.save().unwrap();
        world.machine.reboot();
        world.machine.set_wall(START);
        world.restart(false);
        assert_eq!((world.now(), world.is_followed()), (START, true));
    }
}

#[test]
fn a_damaged_file_is_refused_and_names_the_way_out() {
    let world = World::new();
    world.clock.save().unwrap();
    let file = world.folder.path().join("clock");
    let saved = fs::read(&file).unwrap();
    for bytes in [&b""[..], b"{}", &saved[..saved.len() / 2], b"\xff", b"[]"] {
        fs::write(&file, bytes).unwrap();
        let error = open(&world.machine, &world.folder, &world.config).unwrap_err();
        assert!(matches!(error, ClockFileError::Damaged(_)));
        assert!(error.to_string().contains("clock trust --yes"));
    }
}

#[test]
fn small_steps_do_not_add_up_to_more_than_an_hour_a_day() {
    let world = World::new();
    let mut wall = START;
    for _ in 0..700 {
        wall = wall.plus(50 * MINUTE);
        world.machine.set_wall(wall);
        world.now();
    }
    assert_eq!((world.now(), world.is_followed()), (START.plus(50 * MINUTE), false));
    // A day later another hour may have become wrong.
    let mut world = World::new();
    world.machine.set_wall(START.plus(50 * MINUTE));
    assert_eq!(world.now(), START.plus(50 * MINUTE));
    world.machine.advance(DAY);
    world.machine.set_wall(START.plus(100 * MINUTE).plus(DAY));
    assert_eq!((world.now(), world.is_followed()), (START.plus(100 * MINUTE).plus(DAY), true));
    world.restart(true);
    assert!(world.is_followed());
}

#[test]
fn without_the_file_time_continues_from_the_newest_hour_of_the_log() {
    let hour = START.hour(Default::default());
    let files = |folder: &TempDir| {
        let log = folder.path().join("log");
        fs::create_dir(&log).unwrap();
        for (name, hour) in [("frames", hour.number()), ("sealed", hour.number() - 500)] {
            fs::write(log.join(format!("{hour:010}-000001.{name}")), "").unwrap();
        }
        fs::write(log.join("lock"), "").unwrap();
    };
    for (ahead, expected) in [(10 * MINUTE, START.plus(10 * MINUTE)), (60 * DAY, hour.start())] {
        let mut world = World::new();
        files(&world.folder);
        world.machine.set_wall(START.plus(ahead));
        world.restart(false);
        assert_eq!((world.now(), world.is_followed()), (expected, ahead < HOUR));
    }
}

/// What happens to a machine whose kernel knows of no time service.
#[derive(Clone, Debug)]
enum Happens {
    /// Time passes.
    Passes(u64),
    /// Somebody sets the wall clock, by so many seconds.
    Set(i64),
    /// The process is killed, or stopped and started.
    Restart(bool),
    /// The machine is off for so long, and its wall clock runs on.
    PowerCycle(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    let span = || prop_oneof![1..120u64, 60..7200u64, 3600..400_000u64];
    let step = prop_oneof![1..3600i64, 3600..90_000i64, 86_400..300_000_000i64];
    prop_oneof![
        3 => span().prop_map(Happens::Passes),
        3 => (step, any::<bool>()).prop_map(|(by, back)| Happens::Set(if back { -by } else { by })),
        1 => any::<bool>().prop_map(Happens::Restart),
        1 => span().prop_map(Happens::PowerCycle),
    ]
}

proptest! {
    /// However the wall clock is set, trusted time within one boot is off by an hour a day at most. A reboot adds the time for
    /// which the machine may have been off: seven days at most.
    #[test]
    fn a_wall_clock_without_confirmation_moves_trusted_time_by_little(
        history in prop::collection::vec(happens(), 1..40),
    ) {
        let mut world = World::new();
        world.clock.save().unwrap();
        let (mut passed, mut certain, mut starts, mut reboots) = (Duration::ZERO, Duration::ZERO, 0, 0);
        for what in history {
            match what {
                Happens::Passes(seconds) => {
                    world.machine.advance(Duration::from_secs(seconds));
                    passed += Duration::from_secs(seconds);
                    certain += Duration::from_secs(seconds);
                    // As a server does each minute, and at its start.
                    if seconds >= 60 {
                        world.clock.save().unwrap();
                    }
                }
                Happens::Set(by) => {
                    let (wall, span) = (world.machine.wall(), Duration::from_secs(by.unsigned_abs()));
                    world.machine.set_wall(if by < 0 { wall.minus(span) } else { wall.plus(span) });
                }
                Happens::Restart(was_saved) => {
                    world.restart(was_saved);
                    world.clock.save().unwrap();
                    starts += 1;
                }
                Happens::PowerCycle(seconds) => {
                    world.power_cycle(Duration::from_secs(seconds));
                    world.clock.save().unwrap();
                    passed += Duration::from_secs(seconds);
                    reboots += 1;
                }
            }
            let now = world.now();
            let days = u32::try_from(certain.as_secs() / 86_400).unwrap();
            // Each day, each restart and each reboot may begin another hour of small steps.
            let slack = HOUR * (1 + days + starts + reboots);
            let (least, most) = (START.plus(certain), START.plus(passed).plus(7 * DAY * reboots));
            prop_assert!(now.plus(slack) >= least, "{now} is before {least}");
            prop_assert!(now <= most.plus(slack), "{now} is after {most}");
        }
    }
}

/// A correction is no age: what the clock stamped while it was wrong was really made later, or earlier.
#[test]
fn what_was_stamped_before_a_first_confirmation_is_shifted() {
    for (wall, by_us) in [(START.plus(20 * DAY), 20), (START.minus(20 * DAY), -20)] {
        let world = World::new();
        let (first, era) = world.clock.stamp();
        world.machine.advance(5 * HOUR);
        world.machine.set_wall(wall.plus(5 * HOUR));
        assert_eq!(
            world.clock.stamp(),
            (START.plus(5 * HOUR), era),
            "not confirmed, so the era goes on"
        );
        world.machine.set_synchronised(true);
        let (now, next) = world.clock.stamp();
        assert_eq!(now, wall.plus(5 * HOUR));
        assert!(next > era);
        assert_eq!(first.moved(world.clock.shift_us(era)), wall);
        assert_eq!(world.clock.shift_us(era), by_us * 86_400_000_000);
        assert_eq!(world.clock.shift_us(next), 0);
        assert!(world.clock.has_unsaved_era());
        world.clock.save().unwrap();
        assert!(!world.clock.has_unsaved_era());
        let again = open(&world.machine, &world.folder, &world.config).unwrap();
        assert_eq!((again.stamp(), again.shift_us(era)), ((now, next), by_us * 86_400_000_000));
    }
}

/// The machine was off, or a guest was paused: what was stamped before is as old as it looks, what was stamped since is not.
#[test]
fn after_a_confirmation_only_the_eras_since_then_are_shifted() {
    for is_reboot in [true, false] {
        let mut world = World::new();
        world.machine.set_synchronised(true);
        let confirmed = world.clock.stamp().1;
        world.machine.set_synchronised(false);
        if is_reboot {
            world.power_cycle(40 * DAY);
        } else {
            world.machine.set_wall(START.plus(40 * DAY));
        }
        let (stamped, lagging) = world.clock.stamp();
        assert_eq!(stamped, START);
        assert!(lagging > confirmed);
        world.restart(true);
        assert_eq!(world.clock.stamp(), (stamped, lagging), "the same boot");
        world.machine.set_synchronised(true);
        let (now, next) = world.clock.stamp();
        assert_eq!(now, START.plus(40 * DAY));
        assert!(next > lagging);
        let shifts = [confirmed, lagging, next].map(|era| world.clock.shift_us(era));
        assert_eq!(shifts, [0, 40 * 86_400_000_000, 0]);
    }
}

/// Nobody confirms the end of a probation, so a later confirmation corrects both eras.
#[test]
fn a_correction_reaches_back_to_the_last_confirmation() {
    let mut world = World::new();
    let first = world.clock.stamp().1;
    world.power_cycle(2 * HOUR);
    let second = world.clock.stamp().1;
    world.machine.advance(HOUR);
    let third = world.clock.stamp().1;
    assert_eq!((world.now(), world.is_followed()), (START.plus(3 * HOUR), true));
    let shifts =
        |world: &World| [first, second, third].map(|era| world.clock.shift_us(era) / 3_600_000_000);
    assert_eq!(shifts(&world), [0, 2, 0]);
    world.machine.set_wall(START.plus(3 * HOUR).plus(10 * DAY));
    world.machine.set_synchronised(true);
    assert_eq!(world.now(), START.plus(3 * HOUR).plus(10 * DAY));
    assert_eq!(shifts(&world), [240, 242, 240]);
}

/// A machine without a time service was off. Its operator says that the wall clock is right now, not that it was wrong before.
#[test]
fn an_operator_corrects_what_was_stamped_since_the_reboot() {
    let mut world = World::new();
    let first = world.clock.stamp().1;
    world.machine.advance(HOUR);
    world.power_cycle(40 * DAY);
    let second = world.clock.stamp().1;
    assert!(second > first);
    // Not followed, so another reboot changes nothing.
    world.power_cycle(MINUTE);
    assert_eq!(world.clock.stamp().1, second);
    world.clock.trust().unwrap();
    let shifts =
        |world: &World| [first, second].map(|era| world.clock.shift_us(era) / 86_400_000_000);
    assert_eq!(shifts(&world), [0, 40]);
    world.machine.set_wall(START.plus(90 * DAY));
    world.machine.set_synchronised(true);
    world.now();
    assert_eq!(shifts(&world), [0, 40]);
}

/// Within one boot nobody can tell a pause from a clock that was wrong from the beginning.
#[test]
fn an_operator_corrects_all_that_was_never_confirmed_in_one_boot() {
    let world = World::new();
    let era = world.clock.stamp().1;
    world.machine.advance(5 * HOUR);
    world.machine.set_wall(START.plus(40 * DAY).plus(5 * HOUR));
    assert_eq!(world.clock.stamp(), (START.plus(5 * HOUR), era));
    world.clock.trust().unwrap();
    assert_eq!(world.clock.shift_us(era) / 86_400_000_000, 40);
}

/// A crash before the jump was saved: the jump is made again, and corrects what it corrected before.
#[test]
fn a_jump_that_was_not_saved_is_made_again() {
    let mut world = World::new();
    world.clock.save().unwrap();
    let era = world.clock.stamp().1;
    world.machine.set_wall(START.plus(40 * DAY));
    world.machine.set_synchronised(true);
    let (now, next) = world.clock.stamp();
    let log = world.folder.path().join("log");
    fs::create_dir(&log).unwrap();
    fs::write(log.join(format!("{:010}-000001.frames", now.hour(next).number())), "").unwrap();
    world.restart(false);
    assert!(world.clock.stamp().1 > next);
    let shifts = [era, next].map(|era| world.clock.shift_us(era) / 86_400_000_000);
    assert_eq!(shifts, [40, 0]);
}

/// Each loss of the time service begins an era.
#[test]
fn many_doubts_displace_no_correction() {
    let world = World::new();
    let era = world.clock.stamp().1;
    world.machine.set_wall(START.plus(40 * DAY));
    for is_synchronised in [true, false].repeat(100) {
        world.machine.set_synchronised(is_synchronised);
        world.now();
    }
    assert_eq!(world.clock.shift_us(era) / 86_400_000_000, 40);
}

#[test]
fn a_restart_begins_no_other_hour_of_small_steps() {
    let mut world = World::new();
    for steps in 1..5 {
        world.machine.set_wall(START.plus(50 * MINUTE * steps));
        world.restart(true);
    }
    assert_eq!((world.now(), world.is_followed()), (START.plus(50 * MINUTE), false));
}

#[test]
fn a_span_counts_neither_corrections_nor_time_without_power() {
    let mut world = World::new();
    world.machine.set_synchronised(true);
    let old = world.now();
    world.machine.set_synchronised(false);
    world.machine.advance(DAY);
    world.power_cycle(40 * DAY);
    let lagging = world.now();
    assert_eq!(world.clock.rebase(old, lagging), old);
    world.machine.set_synchronised(true);
    let now = world.now();
    assert_eq!((lagging, now), (START.plus(DAY), START.plus(41 * DAY)));
    assert_eq!(now.since(world.clock.rebase(old, now)), DAY);
    assert_eq!(world.clock.rebase(lagging, now), now);
    assert_eq!(world.clock.rebase(now, now), now);
    // Back again: what was stamped ahead of now is told apart from what is stamped now.
    world.machine.set_wall(START.plus(2 * DAY));
    let back = world.now();
    assert_eq!(back, START.plus(2 * DAY));
    assert_eq!(world.clock.rebase(now, back), back);
    assert_eq!(world.clock.rebase(back, back), back);
    // A small step back makes nothing of it old, and neither does a stop.
    world.machine.set_wall(back.minus(MINUTE));
    assert_eq!(world.clock.rebase(back, world.now()), back);
    world.clock.save().unwrap();
    world.machine.advance(2 * HOUR);
    world.restart(false);
    assert_eq!(world.clock.rebase(now, world.now()), back.plus(2 * HOUR));
}

#[test]
fn a_log_of_a_later_era_than_the_file_begins_another() {
    let mut world = World::new();
    world.clock.save().unwrap();
    let log = world.folder.path().join("log");
    fs::create_dir(&log).unwrap();
    for name in ["0003492324-000001.frames", "4294967295-000001.frames", "9-notes", "0004000000-x"]
    {
        fs::write(log.join(name), "").unwrap();
    }
    world.restart(false);
    let (now, era) = world.clock.stamp();
    assert_eq!(now.hour(era).number(), 4_492_324);
}
