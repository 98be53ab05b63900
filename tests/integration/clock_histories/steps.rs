//! What may happen to a machine, its disk and its people, at random.

use std::time::Duration;

use crate::load::Dice;

const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3_600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
const STEPS: u64 = 30;

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Time passes. The server does its upkeep each day, or only afterwards: the machine slept.
    Advance { span: Duration, asleep: bool },
    /// A hypervisor stops the machine. Its wall clock goes on, or stands as well.
    Pause { span: Duration, wall_stands: bool },
    /// Somebody sets the wall clock forward or back by so many seconds.
    Set { by: i64 },
    /// A time service sets the wall clock right, and the kernel says so.
    Synchronise,
    /// The time service ends. The wall clock goes on.
    Desynchronise,
    /// An operator sets the wall clock right and says so.
    Trust,
    /// The server stops, or crashes, and starts after `off`. The machine runs on.
    Restart { off: Duration, crashes: bool },
    /// The machine is off. Afterwards its wall clock is wrong by so many seconds, unless it is synchronised.
    Reboot { off: Duration, crashes: bool, wrong_by: i64, is_synchronised: bool },
    /// Another program fills the disk.
    Fill,
    /// The disk has space again.
    Free,
    /// A phone signs up and proves a number.
    SignUp,
    /// A phone checks in.
    CheckIn { phone: u64 },
    /// A phone signs out.
    SignOut { phone: u64 },
}

/// How often a kind of step comes, and how to draw one.
type Kind = (u64, fn(&mut Dice) -> Step);

/// Steps after which trusted time is right, or moves by an hour at most.
const KINDS: &[Kind] = &[
    (8, |dice| Step::Advance { span: span(dice, MINUTE, 40 * DAY), asleep: dice.below(3) == 0 }),
    (4, |dice| Step::Set { by: seconds(dice) }),
    (4, |_| Step::Synchronise),
    (1, |_| Step::Desynchronise),
    (1, |_| Step::Trust),
    (1, |dice| pause(dice, MINUTE, HOUR)),
    (1, |dice| restart(dice, SECOND, HOUR)),
    (1, |dice| reboot(dice, SECOND, HOUR)),
    (1, |_| Step::Fill),
    (2, |_| Step::Free),
    (2, |_| Step::SignUp),
    (8, |dice| Step::CheckIn { phone: dice.roll() }),
    (1, |dice| Step::SignOut { phone: dice.roll() }),
];

/// Steps after which trusted time lags until somebody confirms the wall clock. Then it jumps.
const JUMPS: &[Kind] = &[
    (2, |dice| pause(dice, HOUR, 40 * DAY)),
    (2, |dice| restart(dice, HOUR, 60 * DAY)),
    (4, |dice| reboot(dice, HOUR, 60 * DAY)),
];

/// Whether histories hold [`JUMPS`] and first starts with a wrong clock.
const WITH_JUMPS: bool = true;

fn kinds() -> impl Iterator<Item = &'static Kind> + Clone {
    KINDS.iter().chain(if WITH_JUMPS { JUMPS } else { &[] })
}

/// One history: the server's configuration, its first clock, and what happens.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) seed: u64,
    pub(super) retention: Duration,
    pub(super) lease: Duration,
    pub(super) forget_after: Duration,
    /// How wrong the wall clock is at the first start, in seconds; none if it is synchronised.
    pub(super) wrong_by: Option<i64>,
    pub(super) steps: Vec<Step>,
}

impl History {
    pub(super) fn new(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let days = |dice: &mut Dice, all: [u32; 3]| DAY * all[dice.below(3) as usize];
        Self {
            seed,
            retention: days(dice, [30, 30, 5]),
            lease: days(dice, [14, 14, 3]),
            forget_after: days(dice, [180, 40, 20]),
            wrong_by: (WITH_JUMPS && dice.below(4) == 0).then(|| wrong_by(dice)),
            steps: (0..STEPS).map(|_| step(dice)).collect(),
        }
    }
}

fn step(dice: &mut Dice) -> Step {
    let mut drawn = dice.below(kinds().map(|(weight, _)| weight).sum());
    for (weight, kind) in kinds() {
        if drawn < *weight {
            return kind(dice);
        }
        drawn -= weight;
    }
    unreachable!("the weights add up to the range")
}

fn pause(dice: &mut Dice, least: Duration, most: Duration) -> Step {
    Step::Pause { span: span(dice, least, most), wall_stands: dice.below(3) == 0 }
}

fn restart(dice: &mut Dice, least: Duration, most: Duration) -> Step {
    Step::Restart { off: span(dice, least, most), crashes: dice.below(2) == 0 }
}

fn reboot(dice: &mut Dice, least: Duration, most: Duration) -> Step {
    Step::Reboot {
        off: span(dice, least, most),
        crashes: dice.below(2) == 0,
        wrong_by: wrong_by(dice),
        is_synchronised: dice.below(3) == 0,
    }
}

/// A span with a uniform logarithm.
fn span(dice: &mut Dice, least: Duration, most: Duration) -> Duration {
    let part = dice.below(1 << 20) as f64 / f64::from(1 << 20);
    least.mul_f64((most.as_secs_f64() / least.as_secs_f64()).powf(part))
}

/// One minute to ten years, forward or back.
fn seconds(dice: &mut Dice) -> i64 {
    let by = span(dice, MINUTE, 10 * YEAR).as_secs().cast_signed();
    if dice.below(2) == 0 { by } else { -by }
}

/// After a boot a wall clock is as often right as it is wrong. A probation that follows a wrong one is a jump.
fn wrong_by(dice: &mut Dice) -> i64 {
    if WITH_JUMPS && dice.below(2) == 0 { seconds(dice) } else { 0 }
}
