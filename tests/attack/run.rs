//! What all scenarios of one run share.

use std::time::Instant;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use crate::dice::Dice;

/// The seed of a run that names none: each run of the tests plays the same attacks.
const SEED: u64 = 20_261_129;

/// The form of the run, and where its random numbers come from.
pub(crate) struct Run {
    seed: u64,
    is_long: bool,
    started: Instant,
}

impl Run {
    pub(crate) fn new(is_long: bool) -> Self {
        let seed = std::env::var("DISPATCHD_TEST_SEED").ok();
        let seed = seed.map_or(SEED, |text| text.parse().expect("DISPATCHD_TEST_SEED: a number"));
        Self { seed, is_long, started: Instant::now() }
    }

    /// `short` in the short form, `long` in the long one.
    pub(crate) fn of<T>(&self, short: T, long: T) -> T {
        if self.is_long { long } else { short }
    }

    /// Random numbers for one scenario.
    pub(crate) fn dice(&self, scenario: u64) -> Dice {
        Dice::new(self.seed).fork(scenario)
    }

    /// Runs a scenario that needs a runtime.
    pub(crate) fn block_on<T>(
        &self,
        scenario: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let runtime = Runtime::new().context("no runtime")?;
        let outcome = runtime.block_on(scenario);
        runtime.shutdown_background();
        outcome
    }

    pub(crate) fn title(&self) -> String {
        let form = self.of("short form", "long form");
        format!("attacks, {form}, DISPATCHD_TEST_SEED={}", self.seed)
    }

    pub(crate) fn foot(&self) -> String {
        let took = self.started.elapsed().as_secs();
        format!(
            "{took} s. The other two bars are measured by benches:\n\
             lookups with quotas on / off: cargo bench --bench lookup\n\
             bytes a remembered handle, 100 million handles: cargo bench --bench quota"
        )
    }
}
