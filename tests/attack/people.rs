//! The honest population.

use crate::dice::Dice;

/// New handles a day of the person in the middle, and of one in a hundred. The mean is five.
const DAILY: (f64, f64) = (3.63, 23.8);
/// How busy a day is: the one in the middle, and one in a hundred. The mean is one.
const BUSY: (f64, f64) = (0.8, 4.0);
/// Handles of the address book in the middle, and of one in a hundred.
const BOOK: (f64, f64) = (250.0, 3_000.0);
/// No person asks for more new handles a day than this on average.
const DAILY_MAX: f64 = 200.0;

/// Somebody who uses the service for what it is made for.
pub(crate) struct Person {
    /// Handles of the address book.
    pub(crate) book: u64,
    /// New handles on a usual day.
    daily: f64,
    /// The share of the person's contacts that are on the service.
    hits: f64,
}

impl Person {
    /// A person of a service of which the share `hits` of all contacts is reached. People's own shares are beta-distributed around it;
    /// the higher the concentration, the more alike they are.
    pub(crate) fn new(dice: &mut Dice, hits: f64, concentration: f64) -> Self {
        Self {
            book: dice.log_normal(BOOK.0, BOOK.1) as u64,
            daily: dice.log_normal(DAILY.0, DAILY.1).min(DAILY_MAX),
            hits: dice.beta(hits, concentration),
        }
    }

    /// New handles of one day.
    pub(crate) fn asks_today(&self, dice: &mut Dice) -> u64 {
        let busy = dice.log_normal(BUSY.0, BUSY.1);
        u64::from(dice.poisson(self.daily * busy))
    }

    /// Whether the next contact is on the service.
    pub(crate) fn is_hit(&self, dice: &mut Dice) -> bool {
        dice.chance(self.hits)
    }
}
