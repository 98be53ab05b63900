//! The thresholds of the tests, each with its reason. The simulation in `tests` prints what they catch and whom they hit.
//!
//! Honest accounts differ: their own hit ratios are taken as beta-distributed around the service's, with a concentration
//! of 8 to 12. Then, at a service ratio of 30 %, one honest account in 54 (in 270) has fewer than 5 % hits, as a sweep has. No
//! test of hits tells these two apart. The thresholds only limit how many such accounts are flagged.

/// The least ratio of a service from which misses mean something. Below it many honest accounts have no hit at all: at 10 %,
/// one in ten has fewer than 1 %.
pub(super) const MATURE_RATIO: f32 = 0.2;
/// Scales the ratio below which an account looks like a sweep: the square of the service's ratio times this. Between 20 %
/// and 75 % about 4 % of the honest accounts have less: 3 % of hits at 20 %, 7 % at 30 %, 45 % at 75 %.
const FEW: f32 = 0.8;
/// Handles for which hits account in advance, at most: an honest address book begins with hits sometimes, and a sweeper that
/// knows a few good numbers gains no more than this.
pub(super) const HITS_IN_ADVANCE_MAX: f32 = 60.0;

/// How many times the service's odds (hits to misses) an account must have to look like a leaked list.
const MANY: f32 = 2.0;
/// Hits beyond these odds, from which an account has too many. A list with 50 % hits at a service of 30 % gains 7 in 100
/// handles.
pub(super) const HIGH_HITS_SUM_MAX: f32 = 200.0;
/// New handles within the life of the evidence, below which an account never has too many hits: friends cluster, so an
/// address book can consist of hits. One book in a hundred is larger.
pub(super) const HIGH_HITS_ASKED_MIN: f32 = 3_000.0;

/// The part of the evidence that is left after a day, in 32nds. It lives for about 32 days, so that a leaked list of some
/// hundred handles a day adds up.
pub(super) const KEPT_PER_DAY: u32 = 31;

/// The share of hits of a swept block or account is lower than this part of the service's ratio. Dense blocks of a mature
/// service have more.
const LOW: f32 = 0.5;
/// In a young service a block with this share of hits or less is low, even if the service's ratio is near 0.
const LOW_LEAST: f32 = 0.02;
/// A block with a smaller part of the service's ratio holds no subscribers (landlines, numbers that nobody has). Honest address
/// books ask for such blocks, too, and whoever sweeps them learns nothing.
const EMPTY: f32 = 0.04;
/// A block with fewer hits holds no subscribers, either.
const EMPTY_HITS: f32 = 3.0;

/// New handles of an account in swept blocks, from which it can be flagged for them.
pub(super) const SWEPT_MIN: f32 = 100.0;

/// New handles of the last days, below which an account never has too few hits. Nobody can tell a sweep from an honest account
/// by a few handles: each earlier look at the hits flags more honest accounts, and finds a sweep that is found here anyway.
pub(super) const ASKED_LATELY_MIN: u8 = 145;
/// Days with new handles, of about the last 32, from which an older account is in regular use. An account that proved its
/// handle a week ago and waited has none, and one that asked on each of its eight days has seven.
pub(super) const ACTIVE_DAYS_MIN: u8 = 10;

/// Handles without hits that account for them, from which an account has too few hits.
///
/// Of [`ASKED_LATELY_MIN`] handles at a service of 30 %, an account may have eight hits to be flagged: seven in ten sweeps have
/// no more. An account in regular use must have more misses. It asks for a hundred new handles on a busy day, and for its whole
/// book on a new phone. There are more new phones than new accounts.
pub(super) const fn low_hits_sum_max(is_regular: bool) -> f32 {
    if is_regular { 200.0 } else { 21.0 }
}

/// New handles, and handles without hits, that each day forgives. An account in regular use gets what it asks
/// on most days: one in twenty asks for more. Others have begun with their address book, and sweeps must
/// not get more by waiting.
pub(super) const fn forgiven_per_day(is_regular: bool) -> u16 {
    if is_regular { 12 } else { 5 }
}

/// How many handles one hit accounts for, so that an account at the limit breaks even. None: misses mean nothing.
pub(super) fn handles_per_hit(ratio: f32) -> Option<f32> {
    (ratio >= MATURE_RATIO).then(|| 1.0 / (FEW * ratio * ratio))
}

/// How many hits one miss accounts for.
pub(super) fn hits_per_miss(ratio: f32) -> f32 {
    // At least the odds of 1 %, so that a service without hits does not flag its first friends; at most those of 99 %.
    let ratio = ratio.clamp(0.01, 0.99);
    MANY * ratio / (1.0 - ratio)
}

/// Whether `hits` of `asked` is far below the service's ratio.
pub(super) fn is_low(hits: f32, asked: f32, ratio: f32) -> bool {
    hits <= asked * (LOW * ratio).max(LOW_LEAST)
}

/// Whether `hits` of `asked` numbers of a block mean that it holds no subscribers.
pub(super) fn is_empty(hits: f32, asked: f32, ratio: f32) -> bool {
    hits < (EMPTY * ratio * asked).max(EMPTY_HITS)
}
