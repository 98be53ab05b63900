//! Compares two groups of response times: how much they differ, and with what confidence.

use crate::population::Random;

const RESAMPLES: usize = 200;

/// The result of a rank test between two groups.
struct Ranking {
    /// The probability that a time of the first group is larger than one of the second. A tie counts half.
    auc: f64,
    /// The standard error of `auc` if the groups do not differ.
    error: f64,
}

/// Bins of the classifier for each doubling of the time.
const BINS_PER_DOUBLING: f64 = 64.0;
const BINS: usize = 64 * BINS_PER_DOUBLING as usize;

/// Prints the groups. Then compares the first with the second, and as control the second with the third.
pub(crate) fn print(first: &str, times: &[Vec<u64>; 3], random: &mut Random) {
    let [known, stranger, control] = times;
    println!("| group               |      n | p10 µs | median µs | p90 µs |");
    println!("| ------------------- | -----: | -----: | --------: | -----: |");
    for (name, group) in
        [(first, known), ("unregistered", stranger), ("also unregistered", control)]
    {
        let [low, median, high] = [10, 50, 90].map(|percent| quantile(&mut group.clone(), percent));
        println!("| {name:<19} | {:>6} | {low:>6.2} | {median:>9.2} | {high:>6.2} |", group.len());
    }
    println!();
    println!(
        "| pair                        | p10: difference, ns | median: difference, ns | AUC ± s.e.      |     z | told apart ± s.e. |"
    );
    println!(
        "| --------------------------- | ------------------: | ---------------------: | --------------: | ----: | ----------------: |"
    );
    let pairs = [
        (format!("{first} − unregistered"), known, stranger),
        ("control: the unregistered".to_owned(), stranger, control),
    ];
    for (name, one, other) in pairs {
        let [fast, median] = [10, 50].map(|percent| {
            let (low, high) = interval(one, other, percent, random);
            let middle = difference(&mut one.clone(), &mut other.clone(), percent);
            format!("{middle:.0} ({low:.0} … {high:.0})")
        });
        let Ranking { auc, error } = rank(one, other);
        let z = (auc - 0.5) / error;
        let (right, of_right) = told_apart(one, other);
        println!(
            "| {name:<27} | {fast:>19} | {median:>22} | {auc:.4} ± {error:.4} | {z:>+5.1} | {:>8.2} % ± {:.2} |",
            right * 100.0,
            of_right * 100.0
        );
    }
}

/// The quantile in microseconds. Reorders the times.
fn quantile(times: &mut [u64], percent: usize) -> f64 {
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    if times.is_empty() {
        return f64::NAN;
    }
    *times.select_nth_unstable(at).1 as f64 / 1_000.0
}

/// The difference of two quantiles in nanoseconds.
fn difference(one: &mut [u64], other: &mut [u64], percent: usize) -> f64 {
    (quantile(one, percent) - quantile(other, percent)) * 1_000.0
}

/// The middle 95 % of the differences between resampled groups.
fn interval(one: &[u64], other: &[u64], percent: usize, random: &mut Random) -> (f64, f64) {
    let mut resample = |times: &[u64]| -> Vec<u64> {
        (0..times.len()).map(|_| times[random.below(times.len())]).collect()
    };
    let mut differences: Vec<_> = (0..RESAMPLES)
        .map(|_| difference(&mut resample(one), &mut resample(other), percent))
        .collect();
    differences.sort_unstable_by(f64::total_cmp);
    (differences[RESAMPLES / 40], differences[RESAMPLES - 1 - RESAMPLES / 40])
}

/// The Mann-Whitney rank test.
fn rank(one: &[u64], other: &[u64]) -> Ranking {
    let mut all: Vec<_> = one.iter().map(|time| (*time, true)).collect();
    all.extend(other.iter().map(|time| (*time, false)));
    all.sort_unstable();
    let (mut rank_sum, mut before) = (0.0, 0.0);
    for ties in all.chunk_by(|left, right| left.0 == right.0) {
        let of_one = ties.iter().filter(|(_, is_of_one)| *is_of_one).count() as f64;
        let middle = before + (ties.len() as f64 + 1.0) / 2.0;
        rank_sum += of_one * middle;
        before += ties.len() as f64;
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    let auc = (rank_sum - n * (n + 1.0) / 2.0) / (n * m);
    Ranking { auc, error: ((n + m + 1.0) / (12.0 * n * m)).sqrt() }
}

/// The part of pairs that a classifier tells apart, and its standard error. It takes the time for one of `one` whose bin was more
/// often of `one` in the first half. A tie counts half.
fn told_apart(one: &[u64], other: &[u64]) -> (f64, f64) {
    let pairs = one.len().min(other.len());
    let learned = pairs / 2;
    let [of_one, of_other] = [one, other].map(|times| densities(&times[..learned]));
    let score = |time: u64| of_one[bin(time)] - of_other[bin(time)];
    let judged = one[learned..pairs].iter().zip(&other[learned..pairs]);
    let right = judged.map(|(one, other)| match score(*one).total_cmp(&score(*other)) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    });
    let count = (pairs - learned) as f64;
    (right.sum::<f64>() / count, (0.25 / count).sqrt())
}

/// The logarithm of how often each bin occurs, smoothed over its neighbours.
fn densities(times: &[u64]) -> Vec<f64> {
    let mut counts = vec![0.5; BINS];
    for time in times {
        counts[bin(*time)] += 1.0;
    }
    let smooth = |at: usize| {
        let near = &counts[at.saturating_sub(1)..(at + 2).min(BINS)];
        (near.iter().sum::<f64>() / near.len() as f64).ln()
    };
    (0..BINS).map(smooth).collect()
}

fn bin(time: u64) -> usize {
    ((time.max(1) as f64).log2() * BINS_PER_DOUBLING) as usize
}
