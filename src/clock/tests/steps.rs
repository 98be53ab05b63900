//! Steps of the wall clock while the machine runs.

use proptest::prelude::*;

use super::*;

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
