//! What a confirmation says about what was stamped before it.

use std::fs;

use super::*;

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
