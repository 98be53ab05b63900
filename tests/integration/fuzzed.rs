//! Every fuzz target on seeds and changed seeds, in a second each. A fuzzer runs the same targets for hours: docs/CONTRIBUTING.md.
//!
//! `DISPATCHD_TEST_SEED=N` repeats a run. `FUZZ_CORPUS=DIR` writes the seeds of each target to a folder below DIR, for the fuzzer to begin with.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use crate::{repository::file, variables::seed};

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

use targets::{TARGETS, Target};

/// Bytes of the longest input.
const INPUT_BYTES_MAX: usize = 4_096;
/// Words that random bytes would take long to find.
const WORDS: &[&str] = &[
    "\0", "\n", "\r\n", "\"", "{", "}", "[", ",", ":", "=", "-", "+", "@", "%", "null", "0", "é",
    "\u{202e}",
];

/// SplitMix64 (Steele and others, 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    /// A changed copy of `input`, or of it and `other`.
    fn change(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut changed = input.to_vec();
        for _ in 0..=self.below(4) {
            let (at, len) = (self.below(changed.len() + 1), changed.len());
            match self.below(8) {
                0 if len > 0 => changed[at % len] ^= 1 << self.below(8),
                1 if len > 0 => changed[at % len] = self.next().to_le_bytes()[0],
                2 => changed.insert(at, self.next().to_le_bytes()[0]),
                3 => changed.truncate(at),
                4 if len > 0 => {
                    drop(changed.drain(at.min(len - 1)..(at + 1 + self.below(8)).min(len)))
                }
                5 => {
                    let word = WORDS[self.below(WORDS.len())].bytes();
                    drop(changed.splice(at..at, word));
                }
                6 => {
                    let from = self.below(other.len() + 1);
                    changed.truncate(at);
                    changed.extend(&other[from..]);
                }
                _ => {
                    let to = (at + self.below(32)).min(len);
                    let again = changed[at.min(to)..to].to_vec();
                    drop(changed.splice(at..at, again));
                }
            }
        }
        changed.truncate(INPUT_BYTES_MAX);
        changed
    }
}

/// Feeds the target its seeds and so many changed inputs, and says which one it cannot bear.
fn feed(target: &Target, seed: u64) {
    let mut dice = Dice(seed);
    let mut pool = (target.seeds)();
    assert!(!pool.is_empty(), "{} has seeds", target.name);
    let first = pool.clone();
    let changed = (0..target.inputs).map(|_| {
        let (input, other) = (dice.below(pool.len()), dice.below(pool.len()));
        let input = dice.change(&pool[input], &pool[other]);
        // Changes of changes come further than changes of seeds.
        let place = first.len() + dice.below(64);
        match pool.get_mut(place) {
            Some(old) => old.clone_from(&input),
            None => pool.push(input.clone()),
        }
        input
    });
    for input in first.iter().cloned().chain(changed) {
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        assert!(
            outcome.is_ok(),
            "{} panics on {:?} (DISPATCHD_TEST_SEED={seed}): make it a test of the module that owns the bytes",
            target.name,
            input.escape_ascii().to_string()
        );
    }
}

#[test]
fn no_target_panics_on_seeds_and_changed_seeds() {
    let seed = seed();
    println!("DISPATCHD_TEST_SEED={seed}");
    for target in TARGETS {
        feed(target, seed);
        targets::run(target.name, &[]);
    }
    if let Some(corpus) = std::env::var_os("FUZZ_CORPUS") {
        for target in TARGETS {
            let folder = Path::new(&corpus).join(target.name);
            fs::create_dir_all(&folder).unwrap();
            for (at, seed) in (target.seeds)().iter().enumerate() {
                fs::write(folder.join(format!("seed-{at}")), seed).unwrap();
            }
        }
    }
    targets::clean_up();
}

#[test]
fn every_target_has_a_program_for_the_fuzzer() {
    let mut programs: Vec<_> = fs::read_dir(file("fuzz/fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    programs.sort();
    let mut names: Vec<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    names.sort();
    assert_eq!(programs, names);
    let manifest = fs::read_to_string(file("fuzz/Cargo.toml")).unwrap();
    for target in TARGETS {
        let program =
            fs::read_to_string(file(&format!("fuzz/fuzz_targets/{}.rs", target.name))).unwrap();
        assert!(program.contains(&format!("targets::run(\"{}\", bytes)", target.name)));
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
    }
}

#[test]
#[should_panic = "DISPATCHD_TEST_SEED=7"]
fn a_target_that_panics_is_reported_with_its_input() {
    let target = Target {
        name: "planted",
        run: |input| assert!(!input.contains(&b'!')),
        seeds: || vec![b"a".to_vec()],
        inputs: 10_000,
    };
    feed(&target, 7);
}
