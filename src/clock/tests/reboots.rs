//! The wall clock after a reboot, and on another machine.

use super::*;

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
