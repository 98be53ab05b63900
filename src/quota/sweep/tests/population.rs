//! Honest accounts: what they ask, and how many hits they have.

/// Random numbers of a seed (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    fn poisson(&mut self, mean: f64) -> u32 {
        let (end, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > end {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// By Marsaglia and Tsang.
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * self.unit().powf(1.0 / shape);
        }
        let scale = shape - 1.0 / 3.0;
        loop {
            let normal = self.normal();
            let cube = (1.0 + normal / (9.0 * scale).sqrt()).powi(3);
            let bound = 0.5 * normal * normal + scale * (1.0 - cube + cube.max(0.0).ln());
            if cube > 0.0 && (1.0 - self.unit()).ln() < bound {
                return scale * cube;
            }
        }
    }

    fn beta(&mut self, a: f64, b: f64) -> f64 {
        let (a, b) = (self.gamma(a), self.gamma(b));
        a / (a + b)
    }
}

/// A population whose accounts have hit ratios around `ratio`. The smaller the concentration, the more they differ: at 30 %,
/// the standard deviation is 15 points for 8, and 13 for 12.
#[derive(Clone, Copy)]
pub(super) struct Honest {
    pub(super) ratio: f64,
    pub(super) concentration: f64,
}

impl Honest {
    /// The ratio of one account.
    pub(super) fn account(self, random: &mut Random) -> f64 {
        random.beta(self.ratio * self.concentration, (1.0 - self.ratio) * self.concentration)
    }
}

/// The new handles that one honest account asks for in a day.
pub(super) struct Days {
    /// The mean of a day: 5 over all accounts; one in a hundred has 24.
    mean: f64,
}

impl Days {
    pub(super) fn new(random: &mut Random) -> Self {
        Self { mean: random.log_normal(4.0, 0.68) }
    }

    /// An ordinary day; one in a hundred has five times as many as the mean.
    pub(super) fn handles(&self, random: &mut Random) -> u32 {
        let busy = random.log_normal(0.67, 0.9);
        random.poisson(self.mean * busy)
    }

    /// An address book: median 250, one in a hundred has 3,000.
    pub(super) fn book(random: &mut Random) -> u32 {
        random.log_normal(250.0, 1.068).min(10_000.0) as u32
    }
}
