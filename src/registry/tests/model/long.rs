//! One history for as long as it is told, the same for the same seed but for ids that the registry makes.
//!
//! `DISPATCHD_TEST_STEPS` says how many steps on the store in memory (8,000), and a hundredth of that on the real one;
//! `DISPATCHD_TEST_SEED` repeats a run. After every step: every handle, every device that is or lately was, its token,
//! the counts, and what was recorded. After every [`DURABLE_EVERY`] steps, and after those in which something failed: a
//! registry opened from what is durable. After every [`PAST_EVERY`] steps: the tokens of long ago.

use proptest::{
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use super::{command::Wish, memory::Pair, on_file::OnFile, op::Op, truth::Truth, *};

const DURABLE_EVERY: u64 = 16;
const PAST_EVERY: u64 = 256;
/// Devices at once, imported ones left out: so that a step costs the same after a million others.
const DEVICES_MAX: usize = 24;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Steps from a seed.
struct Source {
    runner: TestRunner,
    steps: BoxedStrategy<Op>,
}

impl Source {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
        Self { runner, steps: op::long().boxed() }
    }

    fn next(&mut self, truth: &Truth) -> Op {
        let tree = self.steps.new_tree(&mut self.runner).expect("nothing is filtered");
        match tree.current() {
            Op::Do(Wish::SignUp | Wish::Join(_)) if truth.devices.len() >= DEVICES_MAX => {
                let good = |(id, token): &(DeviceId, _)| truth.is_good(*id, token);
                let known = truth.known.iter().position(good);
                Op::Do(known.map_or(Wish::Deregister(0), Wish::SignOut))
            }
            op => op,
        }
    }
}

fn seed() -> u64 {
    let seed = from_env("DISPATCHD_TEST_SEED", 20_261_129);
    println!("DISPATCHD_TEST_SEED={seed}");
    seed
}

#[test]
fn a_long_history_agrees_with_the_model() {
    let (steps, mut source) = (from_env("DISPATCHD_TEST_STEPS", 8_000), Source::new(seed()));
    let (mut recorded, mut reopened) = (0, 0);
    block_on(async {
        let mut pair = Pair::new();
        for number in 0..steps {
            let op = source.next(&pair.truth);
            let has_failed = matches!(op, Op::Crash | Op::Fail(..) | Op::CrashBeforeLog(_));
            pair = pair.step(&op).await;
            recorded += pair.truth.told.len();
            pair.check();
            if has_failed || number % DURABLE_EVERY == 0 {
                pair.check_durable();
                reopened += 1;
            }
            if number % PAST_EVERY == 0 {
                pair.truth.check_past(&pair.bench.registry);
            }
        }
    });
    println!("opened anew after every {DURABLE_EVERY} steps, past tokens after every {PAST_EVERY}");
    println!("{steps} steps, {recorded} commands recorded, opened anew {reopened} times");
    assert!(recorded as u64 * 4 > steps, "hardly anything happened");
}

#[test]
fn a_long_history_on_the_real_store_agrees_with_the_model() {
    let steps = from_env("DISPATCHD_TEST_STEPS", 8_000) / 100;
    let mut source = Source::new(seed());
    block_on(async {
        let mut on_file = OnFile::new();
        for _ in 0..steps {
            let op = source.next(&on_file.truth);
            on_file = on_file.step(&op).await;
            on_file.check();
        }
    });
}
