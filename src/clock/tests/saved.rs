//! The saved form, and a start without it.

use std::fs;

use super::*;

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
