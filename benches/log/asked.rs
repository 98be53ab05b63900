//! Chooses the handles that the searches look for.

use dispatchd::handle::Handle;

use crate::{Amounts, HOURS, generator::Traffic, population::Population};

/// Handles taken from each hour in proportion to their frequency (`FREQUENT_PER_HOUR`), and from the least asked
/// tenth of all handles (`RARE_PER_HOUR`).
const FREQUENT_PER_HOUR: usize = 10;
const RARE_PER_HOUR: usize = 5;
const ABSENT: u64 = 50;
/// The bench takes every `EACH`-th handle of the traffic as a frequent one.
const EACH: usize = 97;

/// Handles to search for, grouped by frequency.
pub(crate) struct Asked {
    /// Drawn in proportion to their frequency. The log has records of them.
    pub(crate) frequent: Vec<Handle>,
    /// From the least asked tenth. The log has records of them.
    pub(crate) rare: Vec<Handle>,
    /// Handles that nobody asks for. The log has no record of them.
    pub(crate) absent: Vec<Handle>,
}

impl Asked {
    /// Chooses the same handles in every process: the choice depends on the seed only.
    pub(crate) fn choose(amounts: &Amounts) -> Self {
        let population = Population::new(amounts.seed, amounts.per_hour());
        let absent = (0..ABSENT).map(|number| population.handle(population.handles + number));
        let mut asked = Self { frequent: Vec::new(), rare: Vec::new(), absent: absent.collect() };
        for number in 0..HOURS {
            asked.choose_of_hour(amounts, &population, number);
        }
        asked
    }

    fn choose_of_hour(&mut self, amounts: &Amounts, population: &Population, number: u32) {
        let (hour, of) = (amounts.hour(number), (amounts.seed, number));
        let mut traffic = Traffic::new(population, of, hour, amounts.per_hour());
        let (mut records, mut met) = (Vec::new(), 0);
        let (mut frequent, mut rare) = (FREQUENT_PER_HOUR, RARE_PER_HOUR);
        while frequent + rare > 0 && traffic.next_request(&mut records).is_some() {
            for rank in traffic.ranks.iter().flatten() {
                met += 1;
                if frequent > 0 && met % EACH == 0 {
                    frequent -= 1;
                    self.frequent.push(population.handle(*rank));
                } else if rare > 0 && *rank >= population.handles / 10 * 9 {
                    rare -= 1;
                    self.rare.push(population.handle(*rank));
                }
            }
        }
    }

    /// All handles: the frequent ones, then the rare, then the absent.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Handle> + Clone {
        self.frequent.iter().chain(&self.rare).chain(&self.absent)
    }

    /// One handle of each group.
    pub(crate) fn few(&self) -> impl Iterator<Item = &Handle> + Clone {
        [&self.frequent, &self.rare, &self.absent].into_iter().filter_map(|sort| sort.first())
    }
}
