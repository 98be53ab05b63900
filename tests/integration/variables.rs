//! Variables of the environment that change what tests do.

use std::env;

/// The seed of a run that names none. A check of a change must give the same result twice.
const SEED: u64 = 20_261_129;

/// The number in the variable, or `default`.
pub(crate) fn from_env(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Where a test's random numbers begin: `DISPATCHD_TEST_SEED`, or the same in each run.
pub(crate) fn seed() -> u64 {
    from_env("DISPATCHD_TEST_SEED", SEED)
}
