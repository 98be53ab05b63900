//! The simulation at length: `cargo test --release sweep::tests::long -- --ignored --nocapture`.

use super::{
    Sweeper, median_until_flagged,
    population::{Honest, Random},
    simulation::{RATIOS, SEED, honest_month},
    taught,
};

#[test]
#[ignore = "prints the figures of docs/adr/0030; a minute in a release build"]
fn long_figures() {
    for concentration in [8.0, 12.0] {
        for ratio in RATIOS {
            let honest = Honest { ratio, concentration };
            let mut random = Random(SEED);
            let detector = taught(honest, &mut random);
            let flags = honest_month(&detector, honest, 200_000, &mut random);
            let per_million = flags.per_million();
            println!("honest {ratio}, concentration {concentration}: {per_million:.1} per million");
            println!("  {flags:?}");
            for (sweeper, per_day) in [
                (Sweeper::Young, 10_000),
                (Sweeper::Young, 100),
                (Sweeper::Waited, 10_000),
                (Sweeper::Waited, 100),
                (Sweeper::Regular, 10_000),
                (Sweeper::Regular, 100),
            ] {
                for share in [ratio / 6.0, 0.5, 0.95] {
                    let who = (sweeper, share, per_day);
                    let flagged = median_until_flagged(&detector, who, 1_001, &mut random);
                    println!("  {sweeper:?}, {per_day} a day, {share:.3} hits: {flagged:?}");
                }
            }
        }
    }
}
